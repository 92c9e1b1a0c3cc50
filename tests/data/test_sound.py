"""Reading recordings of any format."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from causerie.audio.recording import is_clipped
from causerie.audio.resample import resample
from causerie.data.sound import Sound, read_sound
from causerie.errors import AudioError


def tone(seconds: float, rate: int, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 300 * np.arange(int(seconds * rate)) / rate)).astype("f4")


def test_channels_are_mixed_and_resampled(tmp_path: Path) -> None:
    left = tone(25, 44_100)  # three blocks
    soundfile.write(tmp_path / "a.wav", np.stack([left, 0 * left], 1), 44_100, subtype="FLOAT")
    sound = read_sound(tmp_path / "a.wav", 24_000)
    assert (sound.sample_rate, sound.native_rate) == (24_000, 44_100)
    assert sound.duration_s == pytest.approx(25, abs=1e-3)
    assert not len(sound.clipped)
    wanted = resample(left / 2, 44_100, 24_000)
    assert np.abs(sound.samples[: len(wanted)] - wanted[: len(sound.samples)]).max() < 1e-4


def test_channels_that_cancel_each_other_are_refused(tmp_path: Path) -> None:
    left = tone(25, 44_100)
    soundfile.write(tmp_path / "a.wav", np.stack([left, -left], 1), 44_100)
    with pytest.raises(AudioError, match="cancel each other"):
        read_sound(tmp_path / "a.wav", 24_000)
    left[: len(left) // 2] = 0  # one part with sound of both suffices
    soundfile.write(tmp_path / "b.wav", np.stack([left[::-1], -left[::-1] + left], 1), 44_100)
    assert read_sound(tmp_path / "b.wav", 24_000).duration_s == pytest.approx(25, abs=1e-3)


def test_a_rate_that_fits_is_kept_as_it_is(tmp_path: Path) -> None:
    samples = tone(1, 24_000)
    soundfile.write(tmp_path / "a.wav", samples, 24_000, subtype="FLOAT")
    assert np.array_equal(read_sound(tmp_path / "a.wav", 24_000).samples, samples)


def test_what_libsndfile_does_not_know_is_read_by_ffmpeg(tmp_path: Path) -> None:
    path, samples = tmp_path / "a.m4a", tone(2, 24_000)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=24_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.rate = 24_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    sound = read_sound(path, 24_000)
    assert sound.native_rate == 24_000
    assert sound.duration_s == pytest.approx(2, abs=0.1)
    middle = sound.samples[12_000:36_000].astype(float)
    assert np.abs(np.fft.rfft(middle)).argmax() == 300
    assert np.sqrt(np.square(middle).mean()) == pytest.approx(0.5 / 2**0.5, rel=0.05)


@pytest.mark.parametrize("kind", ["flac", "webm"])
def test_bytes_are_read_as_their_file_is(tmp_path: Path, kind: str) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(
            {"flac": "flac", "webm": "libopus"}[kind], rate=48_000, layout="mono"
        )
        values = (tone(2, 48_000)[None] * 32767).astype("i2")
        frame = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
        frame.rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(file.getvalue())
    one, other = read_sound(file.getvalue(), 24_000), read_sound(path, 24_000)
    assert np.array_equal(one.samples, other.samples)
    assert one.duration_s == pytest.approx(2, abs=0.1)


def test_what_is_too_long_is_refused_before_all_of_it_is_read(tmp_path: Path) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(24_000 * 3600), 24_000, format="FLAC")
    assert len(file.getvalue()) < 1_000_000
    num_blocks = 0

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal num_blocks
        num_blocks += 1
        return read(*args, **kwargs)

    read = soundfile.SoundFile.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soundfile.SoundFile, "read", counting)
        with pytest.raises(AudioError, match="the recording is longer than 60 s: shorten it"):
            read_sound(file.getvalue(), 24_000, max_s=60)
    assert num_blocks == 7


def test_no_list_of_other_files_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("private.wav", tone(1, 24_000), 24_000)
    listed = b"ffconcat version 1.0\nfile private.wav\n"
    Path("a.m4a").write_bytes(listed)
    with av.open("a.m4a") as container:  # what FFmpeg does with it by itself
        assert container.format.name == "concat"
        assert container.streams.audio
    for source in (Path("a.m4a"), listed):
        with pytest.raises(AudioError, match="cannot be read as sound"):
            read_sound(source, 24_000)


@pytest.mark.parametrize("name", ["a.wav", "a.m4a"])
def test_nonsense_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nonsense" * 50)
    with pytest.raises(AudioError, match=r"cannot be read as sound") as caught:
        read_sound(tmp_path / name, 24_000)
    assert "\n" not in str(caught.value)


def test_empty_endless_and_missing_files_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 24_000)
    with pytest.raises(AudioError, match="empty"):
        read_sound(tmp_path / "empty.wav", 24_000)
    soundfile.write(tmp_path / "nan.wav", np.full(9, np.nan), 24_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        read_sound(tmp_path / "nan.wav", 24_000)
    with pytest.raises(AudioError, match="does not exist"):
        read_sound(tmp_path / "no.wav", 24_000)


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.m4a").write_bytes(b"x" * 99)
    with pytest.raises(AudioError, match=r'm4a and others after pip install "causerie\[data\]"'):
        read_sound(tmp_path / "a.m4a", 24_000)


def test_clipping_is_found_where_it_is(tmp_path: Path) -> None:
    loud = np.clip(tone(1, 44_100, 3), -0.95, 0.95)  # flat, but below full scale
    soundfile.write(tmp_path / "a.wav", np.concatenate([tone(1, 44_100), loud]), 44_100)
    sound = read_sound(tmp_path / "a.wav", 24_000)
    assert sound.clipped_share(0, 1) == 0
    assert sound.clipped_share(1, 2) > 0.7
    assert sound.clipped_share(0, 2) == pytest.approx(sound.clipped_share(1, 2) / 2, rel=0.01)


def test_a_loud_recording_is_not_clipped() -> None:
    assert not is_clipped(tone(1, 44_100, 0.99)[:, None]).any()
    assert is_clipped(np.array([[0.5, 1.0], [0.2, 0.1]], np.float32)).tolist() == [True, False]


def test_a_share_of_nothing_is_none() -> None:
    sound = Sound(
        samples=np.zeros(9, np.float32),
        sample_rate=9,
        native_rate=9,
        clipped=np.zeros(0),
        num_clipped=np.zeros(0, np.int64),
    )
    assert sound.clipped_share(0.5, 0.5) == 0
