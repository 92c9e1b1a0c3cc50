"""Encodes speech while it is generated: mp3, opus, aac, flac, wav, pcm, G.711.

    encode = encoder("mp3", speed=1.25)
    async for pcm in speech:
        yield encode.encode(pcm)
    yield encode.finish()

The bytes joined are one valid file, however the sound was cut, and each byte comes as early as its
format allows. Needs PyAV (extra `server`), except for wav and pcm at the rate and speed of the
model. Does not know models or servers.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from causerie.audio.comment import generated_comment
from causerie.audio.io import pcm16, wav_comment, wav_header
from causerie.audio.resample import check_rate
from causerie.errors import AudioError, ConfigError
from causerie.extras import need

MIN_SPEED, MAX_SPEED = 0.25, 4.0
#: Other speeds take several steps: FFmpeg's `atempo` accepts no less than the first and skips
#: samples above the second.
_MIN_STEP, _MAX_STEP = 0.5, 2.0
#: The sample rate of G.711 in telephony.
TELEPHONE_RATE = 8_000
#: Silence that pushes the end of the sound through the filters, and is cut off again.
_TAIL_S = 0.2


class Encoder(Protocol):
    """Encodes pieces of sound as one file or stream.

    Attributes:
        content_type: the media type of the bytes.
        sample_rate: sample rate of the encoded sound, in Hz.
    """

    content_type: str
    sample_rate: int

    def encode(self, pcm: NDArray[np.float32]) -> bytes:
        """Add samples (N,); returns the bytes that are ready, often none.

        Raises:
            AudioError: the samples are not finite, or have several channels.
        """

    def finish(self) -> bytes:
        """The remaining bytes; nothing can be added afterwards."""


@dataclass(frozen=True, kw_only=True)
class _Format:
    """FFmpeg settings of a format; formats without a codec are encoded here.

    Attributes:
        bit_rates: the lowest and the highest bit rate per second; None if it cannot be chosen.
        bit_rate: the default bit rate.
        rates: supported sample rates in Hz; empty: any.
        wants: the sample format of the codec.
    """

    content_type: str
    container: str = ""
    codec: str = ""
    wants: str = "s16"
    rates: tuple[int, ...] = ()
    bit_rates: tuple[int, int] | None = None
    bit_rate: int | None = None
    codec_options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)


FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        # Independent frames (no bit reservoir), and no header with facts of the whole file. The
        # tag before them has the comment alone.
        "mp3": _Format(
            content_type="audio/mpeg",
            container="mp3",
            codec="libmp3lame",
            wants="fltp",
            rates=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
            bit_rates=(8_000, 320_000),
            bit_rate=128_000,
            codec_options={"reservoir": "0"},
            container_options={"write_xing": "0", "metadata_header_padding": "0"},
        ),
        # A page of Ogg for each packet of 20 ms.
        "opus": _Format(
            content_type="audio/ogg",
            container="ogg",
            codec="libopus",
            wants="flt",
            rates=(8000, 12000, 16000, 24000, 48000),
            bit_rates=(6_000, 256_000),
            bit_rate=64_000,
            codec_options={"application": "audio", "frame_duration": "20"},
            container_options={"page_duration": "20000"},
        ),
        "aac": _Format(
            content_type="audio/aac",
            container="adts",
            codec="aac",
            wants="fltp",
            rates=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200),
            bit_rates=(16_000, 256_000),
            bit_rate=96_000,
        ),
        # At this level blocks are of 27 ms or less; above it, of 105.
        "flac": _Format(
            content_type="audio/flac",
            container="flac",
            codec="flac",
            codec_options={"compression_level": "2"},
            container_options={"metadata_header_padding": "0"},
        ),
        "wav": _Format(content_type="audio/wav"),
        "pcm": _Format(content_type="audio/pcm;rate={rate};channels=1"),
        "ulaw": _Format(content_type="audio/pcmu;rate={rate}", codec="pcm_mulaw"),
        "alaw": _Format(content_type="audio/pcma;rate={rate}", codec="pcm_alaw"),
    }
)

#: Other names of the formats.
_NAMES = {
    "opus": "ogg oggopus opusogg",
    "ulaw": "mulaw g711 g711ulaw g711mulaw pcmu pcmmulaw basic",
    "alaw": "g711alaw pcma pcmalaw",
    "mp3": "mpeg mpeg3 mpga",
    "wav": "wave xwav vndwave",
    "pcm": "pcm16 pcms16le s16le s16 l16 linear16 raw int16",
    "flac": "xflac",
    "aac": "adts xaac",
}
_SAME = {name: format for format, names in _NAMES.items() for name in names.split()}


def format_name(name: Any) -> Any:
    """The name in `FORMATS` of a format such as MP3, .wav, audio/ogg or mulaw; others unchanged."""
    if not isinstance(name, str):
        return name
    plain = name.strip().lower().removeprefix("audio/").partition(";")[0].lstrip(".")
    short = plain.translate({ord(char): None for char in " _-."})
    return short if short in FORMATS else _SAME.get(short, name)


def encoder(
    name: str,
    *,
    sample_rate: int = 24_000,
    out_rate: int | None = None,
    bit_rate: int | None = None,
    speed: float = 1.0,
    num_samples: int | None = None,
    comment: str | None = None,
) -> Encoder:
    """An encoder of one file.

    Args:
        name: one of `FORMATS`, or a name that `format_name` knows.
        sample_rate: sample rate of the input, in Hz.
        out_rate: sample rate of the file; None: the same, and 8000 for G.711.
        bit_rate: bits per second; None: a default that is transparent for speech.
        speed: 2.0 is twice as fast, at the same pitch.
        num_samples: number of input samples, if known: the headers of wav and flac then have the
            duration, and more samples are cut off. Otherwise wav has 0xFFFFFFFF and flac 0, which
            players read as "until the end".
        comment: kept in an mp3, opus or flac, and in a wav of known length; None: that of generated
            speech.

    Raises:
        ConfigError: the format is unknown, or does not support the rate, bit rate or speed; or
            PyAV is missing.
    """
    name = format_name(name)
    if name not in FORMATS:
        raise ConfigError(f"format {name!r} is not known: use one of {', '.join(FORMATS)}")
    about = FORMATS[name]
    try:
        check_rate(sample_rate)
        if out_rate is not None:
            check_rate(out_rate)
    except AudioError as error:
        raise ConfigError(str(error)) from None
    check_speed(speed)
    rate = out_rate or (TELEPHONE_RATE if name in ("ulaw", "alaw") else sample_rate)
    _check_rate(name, about, rate)
    if bit_rate is not None:
        if about.bit_rates is None:
            raise ConfigError(f"{name} has no bit rate that could be chosen: leave it out")
        low, high = about.bit_rates
        if not low <= bit_rate <= high:
            raise ConfigError(f"{name} has bit rates of {low} to {high} bits a second: {bit_rate}")
    if num_samples is not None and num_samples < 0:
        raise ConfigError(f"num_samples must not be negative: {num_samples}")
    change = Change(sample_rate, rate, speed)
    if num_samples is not None:
        num_samples = change.expected(num_samples)
    if comment is None:
        comment = generated_comment()
    if about.container:
        return _Contained(about, change, rate, bit_rate or about.bit_rate, num_samples, comment)
    header = end = b""
    if name == "wav":
        end = wav_comment(comment) if comment and num_samples is not None else b""
        header = wav_header(rate, num_samples, len(end))
    pack = _g711(about.codec, rate) if about.codec else _pcm
    kind = about.content_type.format(rate=rate)
    return _Plain(kind, change, rate, header, pack, end, num_samples)


def encode(name: str, pcm: NDArray[np.float32], sample_rate: int, comment: str = "") -> bytes:
    """A whole file with samples (N,).

    Args:
        name: one of `FORMATS`, or m4a, which cannot be streamed.
        comment: kept in the file; "" for none.

    Raises:
        ConfigError: the format is unknown or lacks the sample rate; PyAV is missing.
    """
    if name != "m4a":
        whole = encoder(name, sample_rate=sample_rate, num_samples=len(pcm), comment=comment)
        return whole.encode(pcm) + whole.finish()
    about = FORMATS["aac"]
    _check_rate(name, about, sample_rate)
    file = io.BytesIO()
    with need("av", "server").open(file, "w", format="ipod") as container:
        if comment:
            container.metadata["comment"] = comment
        stream = add_stream(container, about, sample_rate, about.bit_rate)
        if len(pcm):
            container.mux(stream.encode(av_frame(pcm, about.wants, sample_rate, 0)))
        container.mux(stream.encode(None))
    return file.getvalue()


def _check_rate(name: str, about: _Format, rate: int) -> None:
    if about.rates and rate not in about.rates:
        raise ConfigError(
            f"{name} has no sample rate of {rate} Hz: use one of {', '.join(map(str, about.rates))}"
        )


def check_speed(speed: float) -> None:
    """Raise ConfigError if a speed is out of range."""
    is_number = isinstance(speed, (int, float)) and not isinstance(speed, bool)
    if not is_number or not MIN_SPEED <= speed <= MAX_SPEED:  # refuses NaN too
        raise ConfigError(f"speed must be between {MIN_SPEED} and {MAX_SPEED}, not {speed!r}")


def from_telephone(data: bytes, name: str) -> NDArray[np.float32]:
    """The samples (N,) of G.711's "ulaw" or "alaw".

    Raises:
        ConfigError: PyAV is missing.
    """
    av = need("av", "server")
    decoder = av.CodecContext.create(FORMATS[name].codec, "r")
    decoder.sample_rate, decoder.layout, decoder.format = TELEPHONE_RATE, "mono", "s16"
    frames = decoder.decode(av.Packet(data)) if data else []
    parts = [frame.to_ndarray().ravel() for frame in frames]
    pcm = np.concatenate([np.zeros(0, np.int16), *parts])
    samples: NDArray[np.float32] = pcm.astype(np.float32) * np.float32(2**-15)
    return samples


class Change:
    """Changes speed and sample rate of a stream by FFmpeg's filters.

    In total, it returns exactly the number of samples that the new duration has.
    """

    def __init__(self, from_rate: int, to_rate: int, speed: float) -> None:
        self._from_rate, self._to_rate, self._speed = from_rate, to_rate, float(speed)
        self._num_in = self._num_out = self._pts = 0
        self._graph: Any = None
        if speed != 1 or from_rate != to_rate:
            self._graph = self._new_graph()

    def expected(self, num_samples: int) -> int:
        """The number of output samples for a number of input samples."""
        return round(num_samples * self._to_rate / (self._from_rate * self._speed))

    def add(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add samples; returns the output that is ready."""
        if pcm.ndim != 1:
            raise AudioError(f"sound must have the shape (samples,), not {pcm.shape}")
        if not np.isfinite(pcm).all():
            raise AudioError("sound holds samples that are not finite numbers (NaN or inf)")
        self._num_in += len(pcm)
        if self._graph is None:
            return pcm
        self._push(pcm)
        return self._pull(self.expected(self._num_in))

    def finish(self) -> NDArray[np.float32]:
        """The remaining output."""
        if self._graph is None:
            return np.zeros(0, np.float32)
        length = round(_TAIL_S * self._from_rate * max(1.0, self._speed))
        self._push(np.zeros(length, np.float32))
        self._graph.push(None)
        return self._pull(self.expected(self._num_in))

    def _new_graph(self) -> Any:
        graph = need("av.filter", "server").Graph()
        chain = [
            graph.add_abuffer(
                sample_rate=self._from_rate,
                format="flt",
                layout="mono",
                time_base=Fraction(1, self._from_rate),
            )
        ]
        rest = self._speed
        while abs(rest - 1) > 1e-9:
            step = min(max(rest, _MIN_STEP), _MAX_STEP)
            chain.append(graph.add("atempo", f"{step:.9f}"))
            rest /= step
        if self._from_rate != self._to_rate:
            chain.append(graph.add("aresample", f"{self._to_rate}:filter_size=64:cutoff=0.95"))
        form = f"sample_fmts=flt:channel_layouts=mono:sample_rates={self._to_rate}"
        chain += [graph.add("aformat", form), graph.add("abuffersink")]
        for source, sink in itertools.pairwise(chain):
            source.link_to(sink)
        graph.configure()
        return graph

    def _push(self, pcm: NDArray[np.float32]) -> None:
        if len(pcm):
            self._graph.push(av_frame(pcm, "flt", self._from_rate, self._pts))
            self._pts += len(pcm)

    def _pull(self, most: int) -> NDArray[np.float32]:
        """The output that is ready, up to `most` samples in total."""
        error = need("av.error", "server")
        pieces: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
        with contextlib.suppress(error.BlockingIOError, error.EOFError):
            while True:
                pieces.append(self._graph.pull().to_ndarray()[0])
        pcm = np.concatenate(pieces)[: max(0, most - self._num_out)]
        self._num_out += len(pcm)
        return pcm


class _Base:
    """The common part of all encoders: change the sound, cut it to its length, and pack it."""

    def __init__(
        self, content_type: str, change: Change, rate: int, num_samples: int | None
    ) -> None:
        self.content_type, self.sample_rate = content_type, rate
        self._change, self._left, self._is_done = change, num_samples, False

    def encode(self, pcm: NDArray[np.float32]) -> bytes:
        """See `Encoder`."""
        assert not self._is_done, "encode after finish"
        return self._pack(self._cut(self._change.add(np.asarray(pcm, dtype=np.float32))))

    def finish(self) -> bytes:
        """See `Encoder`."""
        assert not self._is_done, "finish twice"
        self._is_done = True
        rest = self._cut(self._change.finish())
        if self._left:  # the header has a longer duration
            rest = np.concatenate([rest, np.zeros(self._left, np.float32)])
        return self._pack(rest) + self._end()

    def _cut(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._left is not None:
            pcm = pcm[: self._left]
            self._left -= len(pcm)
        return pcm

    def _pack(self, pcm: NDArray[np.float32]) -> bytes:
        raise NotImplementedError

    def _end(self) -> bytes:
        return b""


class _Plain(_Base):
    """A header, samples, and what follows them."""

    def __init__(
        self,
        content_type: str,
        change: Change,
        rate: int,
        header: bytes,
        pack: Callable[[NDArray[np.float32]], bytes],
        end: bytes,
        num_samples: int | None,
    ) -> None:
        super().__init__(content_type, change, rate, num_samples)
        self._header, self._pack_samples, self._after = header, pack, end

    def _pack(self, pcm: NDArray[np.float32]) -> bytes:
        header, self._header = self._header, b""
        return header + self._pack_samples(pcm)

    def _end(self) -> bytes:
        return self._after


class _Contained(_Base):
    """A codec of FFmpeg, and a container that is written packet by packet."""

    def __init__(
        self,
        about: _Format,
        change: Change,
        rate: int,
        bit_rate: int | None,
        num_samples: int | None,
        comment: str,
    ) -> None:
        super().__init__(about.content_type, change, rate, num_samples)
        self._file, self._wants, self._pts = _Sink(), about.wants, 0
        self._container = need("av", "server").open(
            self._file,
            "w",
            format=about.container,
            options={"fflags": "+flush_packets", **about.container_options},
        )
        if comment:
            self._container.metadata["comment"] = comment
        self._stream = add_stream(self._container, about, rate, bit_rate)
        self._container.start_encoding()
        if about.container == "flac" and num_samples is not None:
            _write_length(self._file.written, num_samples)

    def _pack(self, pcm: NDArray[np.float32]) -> bytes:
        if len(pcm):
            frame = av_frame(pcm, self._wants, self.sample_rate, self._pts)
            self._pts += len(pcm)
            self._container.mux(self._stream.encode(frame))
        return self._file.take()

    def _end(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.take()


class _Sink:
    """A file for FFmpeg to write, without seeking."""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, data: Any) -> int:
        """Append the contents of a buffer."""
        self.written += data
        return len(data)

    def take(self) -> bytes:
        """The bytes written since the last call."""
        taken, self.written = bytes(self.written), bytearray()
        return taken


def add_stream(container: Any, about: _Format, rate: int, bit_rate: int | None) -> Any:
    """A stream of one channel in an output container."""
    stream = container.add_stream(about.codec, rate=rate, options=dict(about.codec_options))
    context = stream.codec_context
    context.format, context.layout = about.wants, "mono"
    context.time_base = Fraction(1, rate)
    if bit_rate is not None:
        context.bit_rate = bit_rate
    return stream


def av_frame(pcm: NDArray[np.float32], form: str, rate: int, pts: int) -> Any:
    """Samples (N,) as a frame of FFmpeg."""
    data: NDArray[Any] = pcm16(pcm) if form == "s16" else np.clip(pcm, -1.0, 1.0)
    frame = need("av", "server").AudioFrame.from_ndarray(data[None], format=form, layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
    return frame


def _write_length(header: bytearray, num_samples: int) -> None:
    """Write the number of samples into the header of a flac, which has 0 for "unknown" there.

    It is the last 36 of the 144 bits before the checksum of STREAMINFO, which follows four letters
    and four bytes (RFC 9639, section 8.2).
    """
    assert header[:4] == b"fLaC"
    assert header[4] & 0x7F == 0  # STREAMINFO
    start = 8 + 13
    field_ = int.from_bytes(header[start : start + 5], "big")
    header[start : start + 5] = (field_ & ~0xFFFFFFFFF | num_samples).to_bytes(5, "big")


def _pcm(pcm: NDArray[np.float32]) -> bytes:
    return pcm16(pcm).tobytes()


def _g711(codec: str, rate: int) -> Callable[[NDArray[np.float32]], bytes]:
    """A function that packs samples by mu-law or A-law, one byte each."""
    context = need("av", "server").CodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.format = rate, "mono", "s16"
    context.time_base = Fraction(1, rate)

    def pack(pcm: NDArray[np.float32]) -> bytes:
        if not len(pcm):
            return b""
        return b"".join(bytes(packet) for packet in context.encode(av_frame(pcm, "s16", rate, 0)))

    return pack
