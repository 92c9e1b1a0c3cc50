"""Files from outside: damaged, dishonest about their length, or larger than they look."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from causerie.audio.io import read
from causerie.data.sound import read_sound
from causerie.errors import AudioError

RATE = 24_000


def tone(seconds: float, channels: int = 1) -> NDArray[np.float32]:
    """A tone (N, channels)."""
    wave = 0.5 * np.sin(2 * np.pi * 150 * np.arange(round(seconds * RATE)) / RATE)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def file_of(kind: str, samples: NDArray[np.float32]) -> bytes:
    """The samples (N, channels) as a file."""
    buffer = io.BytesIO()
    if kind not in ("m4a", "webm"):
        soundfile.write(buffer, samples, RATE, format=kind.upper())
        return buffer.getvalue()
    with av.open(buffer, "w", format={"m4a": "ipod"}.get(kind, kind)) as container:
        name = {"m4a": "aac", "webm": "libopus"}[kind]
        stream = container.add_stream(name, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples.T.copy(), format="fltp", layout="mono")
        frame.rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()


def streaminfo(contents: bytes, num_samples: int) -> bytes:
    """A flac file whose header claims a number of samples (36 bits)."""
    packed = int.from_bytes(contents[18:26], "big")
    packed = packed >> 36 << 36 | num_samples
    return contents[:18] + packed.to_bytes(8, "big") + contents[26:]


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "m4a", "webm"])
def test_damaged_headers_are_audio_errors(kind: str) -> None:
    whole, random = file_of(kind, tone(0.5)), np.random.default_rng(0)
    num_read = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for place in random.integers(0, 200, random.integers(1, 9)):
            damaged[place] = random.choice([0, 1, 0x7F, 0x80, 0xFF, random.integers(256)])
        for cut in len(whole), int(random.integers(len(whole))):
            with contextlib.suppress(AudioError):
                read_sound(bytes(damaged[:cut]), RATE, max_s=60)
                samples, _ = read(bytes(damaged[:cut]), max_s=60)
                assert np.isfinite(samples).all()
                num_read += 1
    assert num_read  # else nothing was tested but the first bytes


#: Offsets of fields that FFmpeg does without: size of the format, encoding, bytes a second, bytes a
#: frame, bits. The rate and the channels it needs.
NOT_NEEDED = {16, 20, 28, 32, 34}


@pytest.mark.parametrize(
    ("offset", "size"), [(20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (16, 4)]
)
def test_zeros_in_a_wav_header_are_audio_errors(offset: int, size: int) -> None:
    whole = file_of("wav", tone(0.5))
    for value in b"\0" * size, b"\xff" * size:
        broken = whole[:offset] + value + whole[offset + size :]
        for reader in (lambda data: read(data), lambda data: read_sound(data, RATE)):
            with contextlib.suppress(AudioError):
                reader(broken)
                assert offset in NOT_NEEDED


@pytest.mark.parametrize("claimed", [0, 2**36 - 1])
def test_a_flac_is_read_to_its_end_whatever_length_it_claims(claimed: int) -> None:
    contents = streaminfo(file_of("flac", tone(2)), claimed)
    samples, rate = read(contents)
    assert (len(samples), rate) == (2 * RATE, RATE)
    assert read_sound(contents, 8000).duration_s == pytest.approx(2)


@pytest.mark.parametrize(("hours", "channels"), [(2, 1), (0.25, 8)])
def test_hours_of_silence_take_the_memory_of_a_block(hours: float, channels: int) -> None:
    silence = np.zeros((round(3600 * hours * RATE), channels), np.int16)
    contents = file_of("flac", silence)
    assert len(contents) < 2_000_000
    del silence
    tracemalloc.start()
    try:
        with pytest.raises(AudioError, match="longer than 60 s: shorten it"):
            read(contents, max_s=60)
        with pytest.raises(AudioError, match="longer than 60 s: shorten it"):
            read_sound(contents, RATE, max_s=60)
        assert tracemalloc.get_traced_memory()[1] < 120e6
    finally:
        tracemalloc.stop()


def test_many_channels_are_refused() -> None:
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 40_000, b"WAVE", b"fmt ", 16, 1, 200,
                         RATE, 400 * RATE, 400, 16, b"data", 40_000)  # fmt: skip
    with pytest.raises(AudioError, match="has 200 channels: 1 to 64 are allowed"):
        read(header + bytes(40_000))


def test_a_whole_recording_of_clipped_samples_takes_no_more_than_others() -> None:
    loud = np.ones((120 * 96_000, 1), np.float32)
    buffer = io.BytesIO()
    soundfile.write(buffer, loud, 96_000, format="FLAC")
    contents = buffer.getvalue()
    del loud
    tracemalloc.start()
    try:
        sound = read_sound(contents, RATE, max_s=120)
        assert tracemalloc.get_traced_memory()[1] < 120e6
    finally:
        tracemalloc.stop()
    assert sound.clipped_share(0, 120) == pytest.approx(1)
