"""Encoders that stream: what comes out is decoded by FFmpeg and by libsndfile."""

from __future__ import annotations

import io
import math
import sys
import wave
from collections.abc import Sequence

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from causerie import __version__
from causerie.audio import io as files
from causerie.audio.formats import FORMATS, encoder
from causerie.audio.io import pcm16
from causerie.audio.resample import resample
from causerie.errors import AudioError, ConfigError
from tests.audio.tags import tags_of

RATE, FRAME = 24_000, 1920
#: How many frames of 80 ms it takes until the first bytes of sound come out. AAC looks ahead by
#: two blocks of 43 ms.
FRAMES_UNTIL_SOUND = {
    "mp3": 1, "opus": 1, "aac": 2, "flac": 1, "wav": 1, "pcm": 1, "ulaw": 1, "alaw": 1,
}  # fmt: skip
#: How much longer the decoded sound may be than what was sent, in samples: what the codec needs to
#: begin, and to fill its last block.
SLACK = {"mp3": 529 + 576 * 3, "aac": 1024 * 2}

SPEEDS = st.sampled_from([1.0, 1.3])


def speech(seconds: float = 1.5, rate: int = RATE) -> NDArray[np.float32]:
    """Three harmonics that glide and are spoken in syllables: no two moments are alike."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * time)) / rate
    tone = sum(np.sin(k * phase) / k for k in (1, 2, 3))
    return (0.3 * tone * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * time))).astype(np.float32)


def tone(hertz: float, seconds: float = 2.0) -> NDArray[np.float32]:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def encoded(name: str, pcm: NDArray[np.float32], sizes: Sequence[int] = (FRAME,), **how) -> bytes:
    """All bytes of a file, the sound cut into pieces of these sizes, over and over."""
    writer, data, start, turn = encoder(name, **how), b"", 0, 0
    while start < len(pcm):
        size = sizes[turn % len(sizes)]
        data += writer.encode(pcm[start : start + size])
        start, turn = start + size, turn + 1
    return data + writer.finish()


def decoded(name: str, data: bytes, rate: int = RATE) -> NDArray[np.float32]:
    """The sound of a whole file, by FFmpeg, at the rate that was asked for."""
    if name in ("pcm", "ulaw", "alaw"):
        codec = {"pcm": "s16le", "ulaw": "mulaw", "alaw": "alaw"}[name]
        file = av.open(io.BytesIO(data), format=codec, options={"sample_rate": str(rate)})
    else:
        file = av.open(io.BytesIO(data))
    with file:
        frames = list(file.decode(audio=0))
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    if sound.dtype == np.int16:
        sound = sound.astype(np.float32) / 32768
    if name == "opus":  # always decoded at 48 kHz
        assert frames[0].sample_rate == 48_000
        return resample(sound, 48_000, rate)
    assert frames[0].sample_rate == rate
    return sound


def likeness(ours: NDArray[np.float32], theirs: NDArray[np.float32], most: int) -> float:
    """The correlation where it is best, the second one being up to so many samples late."""
    theirs = np.concatenate([theirs, np.zeros(max(0, len(ours) - len(theirs)), np.float32)])
    best = 0.0
    for late in range(0, most + 1):
        part = theirs[late : late + len(ours)]
        best = max(best, float(np.corrcoef(ours[: len(part)], part)[0, 1]))
    return best


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_decodes_back(name: str) -> None:
    pcm = speech()
    rate = 8_000 if name in ("ulaw", "alaw") else RATE
    back = decoded(name, encoded(name, pcm), rate)
    sent = resample(pcm, RATE, rate)
    assert len(sent) <= len(back) + 1
    assert len(back) <= len(sent) + SLACK.get(name, 0) + 1
    # The beginning is late by what the codec looks ahead, and the end is there.
    late = SLACK.get(name, 8)
    assert likeness(sent, back, late) > (0.98 if name in ("opus", "mp3", "aac") else 0.999)
    assert likeness(sent[-2000:], back[-2000 - late :], late) > 0.97


@pytest.mark.parametrize("name", ["mp3", "opus", "flac", "wav"])
def test_libsndfile_reads_them_too(name: str) -> None:
    """As most Python programs do. It needs the length of a flac, so the server states it."""
    pcm = speech()
    data = encoded(name, pcm, num_samples=len(pcm) if name == "flac" else None)
    sound, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == RATE
    assert len(pcm) <= len(sound) <= len(pcm) + SLACK.get(name, 0)


@pytest.mark.parametrize(
    "name",
    # both laws, and all that libav packs into frames, take the same way
    [pytest.param(n, marks=pytest.mark.slow) if n in ("ulaw", "aac") else n for n in FORMATS],
)
@settings(max_examples=2, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 7000), min_size=1, max_size=6), speed=st.sampled_from([1, 1.3])
)
def test_bytes_do_not_depend_on_how_the_sound_was_cut(
    name: str, sizes: list[int], speed: float
) -> None:
    pcm = speech(0.5)
    data = encoded(name, pcm, sizes, speed=speed)
    if name == "opus":  # the serial number of a stream is random
        sound = decoded(name, data)
        assert np.array_equal(sound, decoded(name, encoded(name, pcm, [FRAME], speed=speed)))
    else:
        assert data == encoded(name, pcm, [FRAME], speed=speed)


@pytest.mark.parametrize("name", FORMATS)
def test_sound_comes_out_early(name: str) -> None:
    writer, pcm, header = encoder(name), speech(), b""
    header = writer.encode(pcm[:0])
    sizes = [len(writer.encode(pcm[i * FRAME : (i + 1) * FRAME])) for i in range(8)]
    first = next(i for i, size in enumerate(sizes) if size) + 1
    assert first <= FRAMES_UNTIL_SOUND[name]
    assert all(sizes[first:])  # and then with every frame
    assert len(header) < 200
    # What has come can be heard by then: at most 0.1 s are held back.
    if name in ("mp3", "opus", "flac"):
        soon = encoder(name)
        data = b"".join(soon.encode(pcm[i : i + FRAME]) for i in range(0, FRAME * 8, FRAME))
        assert len(decoded(name, data)) >= FRAME * 8 - 0.1 * RATE


@pytest.mark.parametrize("name", FORMATS)
def test_there_is_one_header(name: str) -> None:
    data = encoded(name, speech(1.0))
    magic = {"wav": b"RIFF", "flac": b"fLaC", "opus": b"OpusHead", "mp3": b"ID3"}.get(name)
    if magic:
        assert data.count(magic) == 1
    assert b"Xing" not in data
    assert b"Info" not in data[:1000]


@pytest.mark.parametrize("name", ["mp3", "opus", "flac", "wav"])
def test_a_file_says_that_it_is_generated(name: str) -> None:
    pcm = speech(0.7)
    data = encoded(name, pcm, num_samples=len(pcm))
    assert tags_of(data)["comment"] == f"Generated by causerie {__version__}"
    plain = encoded(name, pcm, num_samples=len(pcm), comment="")
    assert np.array_equal(decoded(name, data), decoded(name, plain))
    assert "comment" not in tags_of(plain)


@pytest.mark.parametrize("comment", ["even", "odd", "größer"])
def test_a_wav_has_its_comment_after_the_samples(comment: str) -> None:
    pcm = speech(0.7)
    data = encoded("wav", pcm, num_samples=len(pcm), comment=comment)
    assert data == files.encode(pcm, RATE, "wav", comment)
    assert data[44 : 44 + 2 * len(pcm)] == pcm16(pcm).tobytes()
    with wave.open(io.BytesIO(data)) as file:
        assert file.getnframes() == len(pcm)
    assert encoded("wav", pcm, comment=comment) == encoded("wav", pcm, comment="")  # a stream


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.25, 2.0, 3.1, 4.0])
def test_speed_changes_the_duration_and_not_the_pitch(speed: float) -> None:
    back = decoded("pcm", encoded("pcm", tone(440), speed=speed))
    assert len(back) == round(2.0 * RATE / speed)
    spectrum = np.abs(np.fft.rfft(back * np.hanning(len(back))))
    assert np.argmax(spectrum) * RATE / len(back) == pytest.approx(440, abs=3)
    middle = back[len(back) // 10 : -len(back) // 10]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.4 / math.sqrt(2), rel=0.1)


@pytest.mark.parametrize("speed", [0.25, 0.7, 1.5, 4.0])
def test_speed_keeps_the_end(speed: float) -> None:
    """Silence and then a click-like burst at the very end: it must be in what comes out."""
    pcm = np.zeros(RATE, np.float32)
    pcm[-1000:] = tone(1000)[:1000]
    back = decoded("pcm", encoded("pcm", pcm, speed=speed))
    assert np.abs(back[-round(1000 / speed) :]).max() > 0.3


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_speed_streams(speed: float) -> None:
    writer, pcm = encoder("pcm", speed=speed), speech()
    sizes = [len(writer.encode(pcm[i * FRAME : (i + 1) * FRAME])) for i in range(10)]
    held_back = 10 * FRAME / speed - sum(sizes) / 2
    assert held_back / RATE * speed <= 0.17  # of what came in, two frames at most


def test_pcm_is_what_files_hold() -> None:
    pcm = np.random.default_rng(1).normal(0, 0.5, 10_000).astype(np.float32)  # some of it clips
    assert encoded("pcm", pcm, [777]) == pcm16(pcm).tobytes()
    assert encoded("wav", pcm, [777])[44:] == pcm16(pcm).tobytes()


def test_a_wav_says_its_length_where_it_is_known() -> None:
    pcm = speech(0.7)
    unknown = encoded("wav", pcm)
    exact = encoded("wav", pcm, num_samples=len(pcm), comment="")
    assert unknown[:4] == b"RIFF"
    assert unknown[4:8] == unknown[40:44] == b"\xff\xff\xff\xff"
    with wave.open(io.BytesIO(exact)) as file:
        assert (file.getnframes(), file.getframerate()) == (len(pcm), RATE)
    assert unknown[44:] == exact[44:]


@pytest.mark.parametrize("how", [{"speed": 0.9}, {"out_rate": 44_100}, {"out_rate": 8000}])
@pytest.mark.parametrize("name", ["wav", "flac"])
def test_a_length_stays_exact_at_another_speed_and_rate(name: str, how: dict[str, float]) -> None:
    pcm = speech(0.7)
    data = encoded(name, pcm, num_samples=len(pcm), **how)
    sound, rate = soundfile.read(io.BytesIO(data))
    expected = round(len(pcm) * rate / RATE / how.get("speed", 1.0))
    assert len(sound) == soundfile.info(io.BytesIO(data)).frames == expected


@pytest.mark.parametrize("really", [5000, 12_000])
def test_a_promised_length_is_kept(really: int) -> None:
    data = encoded("wav", speech()[:really], num_samples=10_000, comment="")
    assert len(data) == 44 + 2 * 10_000
    assert data[44:] == pcm16(speech()[:really]).tobytes()[:20_000].ljust(20_000, b"\0")


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_another_rate_is_the_same_sound(rate: int) -> None:
    pcm = speech()
    data = encoded("pcm", pcm, [FRAME], out_rate=rate)
    back = decoded("pcm", data, rate)
    expected = resample(pcm, RATE, rate)
    assert abs(len(back) - len(expected)) <= 1
    inner = slice(300, min(len(back), len(expected)) - 300)
    assert np.abs(back[inner] - expected[inner]).max() < 0.01


@pytest.mark.parametrize(
    ("name", "rate", "bit_rate"),
    [("mp3", 22_050, 32_000), ("mp3", 44_100, 192_000), ("mp3", 24_000, 48_000),
     ("opus", 48_000, 32_000), ("opus", 48_000, 192_000), ("aac", 44_100, 64_000)],
)  # fmt: skip
def test_bit_rates(name: str, rate: int, bit_rate: int) -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, RATE * 3).astype(np.float32)
    data = encoded(name, noise, out_rate=rate, bit_rate=bit_rate)
    pages = 28 * 8 * 50 if name == "opus" else 0  # bits a second of Ogg itself
    assert 8 * len(data) / 3 - pages == pytest.approx(bit_rate, rel=0.25)


def mu_law(code: int) -> float:
    """What a byte of mu-law stands for (G.711, table 2a), full scale 32768."""
    code = ~code & 0xFF
    exponent, mantissa = code >> 4 & 7, code & 15
    size = (((mantissa << 3) + 132) << exponent) - 132
    return float(-size if code & 0x80 else size)


def a_law(code: int) -> float:
    """What a byte of A-law stands for (G.711, table 1a), full scale 32768."""
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    size = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 264) << (exponent - 1)
    return float(size if code & 0x80 else -size)


@pytest.mark.parametrize(("name", "value"), [("ulaw", mu_law), ("alaw", a_law)])
def test_g711_takes_the_nearest_value(name: str, value) -> None:
    pcm = np.linspace(-1, 32767 / 32768, 4001).astype(np.float32)
    data = encoded(name, pcm, [977], sample_rate=8000)
    assert len(data) == len(pcm)
    table = np.array([value(code) for code in range(256)])
    ours = np.array([table[code] for code in data])
    nearest = np.abs(pcm[:, None] * 32768 - table).min(axis=1)
    assert (np.abs(ours - pcm * 32768) <= nearest + 8).all()  # both see 13 or 14 bits of 16


@pytest.mark.parametrize("name", FORMATS)
def test_no_sound_at_all_is_no_error(name: str) -> None:
    writer = encoder(name)
    data = writer.finish()
    assert len(data) < 300
    if name in ("wav", "flac"):
        assert data


@pytest.mark.parametrize("name", FORMATS)
def test_an_encoder_can_be_left(name: str) -> None:
    writer = encoder(name, speed=1.5)
    writer.encode(speech())
    del writer


def test_content_types() -> None:
    def kind(name: str, **how) -> str:
        return encoder(name, **how).content_type

    assert kind("mp3") == "audio/mpeg"
    assert kind("opus") == "audio/ogg"
    assert kind("pcm") == "audio/pcm;rate=24000;channels=1"
    assert kind("pcm", out_rate=16_000) == "audio/pcm;rate=16000;channels=1"
    assert kind("ulaw") == "audio/pcmu;rate=8000"
    assert encoder("ulaw").sample_rate == 8000
    assert encoder("mp3", out_rate=44_100).sample_rate == 44_100


@pytest.mark.parametrize(
    ("name", "how", "word"),
    [("mp4", {}, "mp3"), ("mp3", {"speed": 5}, "speed"), ("mp3", {"speed": math.nan}, "speed"),
     ("mp3", {"out_rate": 23_000}, "24000"), ("opus", {"out_rate": 44_100}, "48000"),
     ("pcm", {"bit_rate": 64_000}, "bit rate"), ("mp3", {"bit_rate": 1}, "bit rate"),
     ("pcm", {"out_rate": 24}, "Hz"), ("wav", {"num_samples": -1}, "num_samples")],
)  # fmt: skip
def test_what_cannot_be_is_refused(name: str, how: dict[str, float], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        encoder(name, **how)


@pytest.mark.parametrize("bad", [np.array([0.0, np.nan]), np.zeros((2, 100))])
def test_what_is_no_sound_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(AudioError):
        encoder("mp3").encode(bad.astype(np.float32))


def test_without_pyav_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "av"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "av", None)
    assert encoded("wav", speech(0.1))
    with pytest.raises(ConfigError, match=r"causerie\[server\]"):
        encoder("mp3")
