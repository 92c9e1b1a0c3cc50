"""Sound files and sample rates."""

from __future__ import annotations

import io
import struct
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from causerie.audio import io as files
from causerie.audio.audio import Audio
from causerie.audio.extensions import FORMATS
from causerie.audio.resample import mono, resample
from causerie.errors import AudioError, ConfigError


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.mark.parametrize("extension", [".wav", ".flac", ".ogg", ".mp3", ".opus", ".WAV"])
def test_written_samples_are_read_again(tmp_path: Path, extension: str) -> None:
    samples = tone(24_000)
    path = files.write(tmp_path / f"tone{extension}", samples, 24_000)
    again, rate = files.read(path)
    assert rate == 24_000
    assert again.dtype == np.float32
    assert len(again) == len(samples)
    assert np.abs(again - samples).max() < (
        1 / 32767 if extension in (".wav", ".flac", ".WAV") else 0.1
    )


@pytest.mark.parametrize("name", FORMATS)
def test_the_bytes_of_each_format_are_read_again(name: str) -> None:
    audio = Audio(samples=tone(24_000), sample_rate=24_000)
    again = Audio.load(audio.to_bytes(format=name))
    assert again.sample_rate == 24_000
    assert 0 <= len(again.samples) - 12_000 <= 2 * 1_024  # AAC fills its last block
    a, b = (np.abs(np.fft.rfft(one.samples[2_000:10_000])) for one in (audio, again))
    assert np.argmax(a) == np.argmax(b)


def test_a_file_object_is_written_and_read() -> None:
    audio = Audio(samples=tone(24_000), sample_rate=24_000)
    for name in (None, "flac"):
        file = io.BytesIO()
        assert audio.save(file, format=name) is None
        assert file.getvalue() == audio.to_bytes(format=name or "wav")
        file.seek(0)
        assert np.abs(Audio.load(file).samples - audio.samples).max() < 1 / 32767


def test_a_format_may_differ_from_the_extension(tmp_path: Path) -> None:
    audio = Audio(samples=tone(24_000), sample_rate=24_000)
    assert audio.save(tmp_path / "a.bin", format="flac").read_bytes()[:4] == b"fLaC"


def test_without_libsndfile_for_mp3_and_opus_pyav_writes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soundfile, "available_subtypes", lambda name: {"PCM_16": ""})
    audio = Audio(samples=tone(24_000), sample_rate=24_000)
    for name in ("mp3", "opus"):
        assert abs(Audio.load(audio.to_bytes(format=name)).duration_s - 0.5) < 0.1
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r'pip install "causerie\[server\]"'):
        audio.to_bytes(format="m4a")


def test_m4a_is_read_by_pyav_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = Audio(samples=tone(24_000), sample_rate=24_000).to_bytes(format="m4a")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=r'm4a and others after pip install "causerie\[data\]"'):
        Audio.load(contents)


def test_unknown_formats_and_rates() -> None:
    audio = Audio(samples=tone(22_050), sample_rate=22_050)
    with pytest.raises(AudioError, match="format 'wma' is unknown: use one of wav, flac"):
        audio.to_bytes(format="wma")
    with pytest.raises(AudioError, match="cannot write opus at 22050 Hz: Opus only supports"):
        audio.to_bytes(format="opus")


def test_long_ogg_is_whole(tmp_path: Path) -> None:
    path = files.write(tmp_path / "long.ogg", tone(24_000, 30.0), 24_000)
    assert len(files.read(path)[0]) == 720_000


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_any_encoding_is_read(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(8_000), 8_000, subtype=subtype)
    samples, rate = files.read(tmp_path / "a.wav")
    assert rate == 8_000
    assert np.abs(samples - tone(8_000)).max() < 0.02


def test_bytes_and_open_files_are_read(tmp_path: Path) -> None:
    path = files.write(tmp_path / "a.wav", tone(16_000), 16_000)
    with path.open("rb") as file:
        from_file, _ = files.read(file)
    from_bytes, _ = files.read(path.read_bytes())
    assert np.array_equal(from_file, from_bytes)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(44_100), tone(44_100, hertz=660.0)
    soundfile.write(tmp_path / "a.wav", np.stack((left, right), 1), 44_100, subtype="FLOAT")
    samples, rate = files.read(tmp_path / "a.wav")
    assert rate == 44_100
    np.testing.assert_allclose(samples, (left + right) / 2, atol=1e-6)


def test_channels_that_cancel_each_other_are_refused(tmp_path: Path) -> None:
    left = tone(44_100)
    soundfile.write(tmp_path / "a.wav", np.stack((left, -left), 1), 44_100)
    with pytest.raises(AudioError, match=r"channels of audio file .*a\.wav cancel each other"):
        files.read(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="channels of audio cancel each other"):
        mono(np.stack((left, -0.99 * left)))
    assert mono(np.stack((left, -0.5 * left))).max() > 0.1
    assert not mono(np.zeros((2, 100), np.float32)).any()
    assert mono(np.stack((1e-5 * left, -1e-5 * left))).shape == left.shape  # silence with dither


def test_writing_what_was_read_changes_nothing(tmp_path: Path) -> None:
    values = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", values, 24_000)
    samples, _ = files.read(tmp_path / "a.wav")
    files.write(tmp_path / "b.wav", samples, 24_000)
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()


def test_samples_beyond_full_scale_are_clipped_not_wrapped(tmp_path: Path) -> None:
    path = files.write(tmp_path / "a.wav", np.array([2.0, -2.0, 0.5], np.float32), 24_000)
    np.testing.assert_allclose(files.read(path)[0], [1.0, -1.0, 0.5], atol=1e-4)


@pytest.mark.parametrize("shape", [(100, 2), (2, 100)])
def test_either_side_may_be_the_channels(shape: tuple[int, int]) -> None:
    assert mono(np.ones(shape, np.float32)).shape == (100,)


def test_integers_are_scaled_by_their_range() -> None:
    np.testing.assert_allclose(mono(np.array([-32768, 0, 16384], np.int16)), [-1, 0, 0.5])
    np.testing.assert_allclose(mono(np.array([0, 128, 192], np.uint8)), [-1, 0, 0.5])


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
def test_a_tone_stays_the_same_at_another_rate(rate: int) -> None:
    out = resample(tone(rate), rate, 24_000)
    expected = tone(24_000)
    assert abs(len(out) - len(expected)) <= 1
    middle = slice(2_000, 10_000)
    assert np.abs(out[middle] - expected[middle]).max() < 2e-3


def test_same_rate_changes_nothing() -> None:
    samples = tone(24_000)
    assert resample(samples, 24_000, 24_000) is samples


def test_header_of_known_length_is_valid() -> None:
    data = files.wav_header(24_000, 3) + files.pcm16(np.zeros(3, np.float32)).tobytes()
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (1, 2, 24_000, 3)


def test_streamed_wav_is_read_by_libsndfile_and_by_us() -> None:
    out = io.BytesIO()
    writer = files.StreamingWav(out, 24_000)
    samples = tone(24_000)
    for start in range(0, len(samples), 1_920):
        writer.write(samples[start : start + 1_920])
    data = out.getvalue()
    assert struct.unpack("<I", data[40:44]) == (0xFFFFFFFF,)
    again, rate = files.read(data)
    assert rate == 24_000
    assert np.abs(again - samples).max() < 1 / 32767


def test_audio_saves_loads_and_shows(tmp_path: Path) -> None:
    audio = Audio(samples=tone(24_000), sample_rate=24_000, notes=["a < b"])
    assert audio.duration_s == 0.5
    again = Audio.load(audio.save(tmp_path / "a.flac"))
    assert again.duration_s == 0.5
    html = audio._repr_html_()
    assert html.startswith('<audio controls src="data:audio/wav;base64,UklGR')
    assert "a &lt; b" in html
    assert repr(audio) == "<Audio 0.50 s, 24000 Hz>"
    assert len(audio.resampled(48_000)) == 24_000


def test_empty_audio_saves_and_shows(tmp_path: Path) -> None:
    audio = Audio(samples=np.zeros(0, np.float32), sample_rate=24_000, stopped="end")
    assert audio.duration_s == 0
    assert audio.save(tmp_path / "a.wav").stat().st_size == 44
    assert "audio/wav" in audio._repr_html_()


def test_unwritable_path(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"cannot write .*No such file"):
        files.write(tmp_path / "no/such/a.wav", tone(24_000), 24_000)
