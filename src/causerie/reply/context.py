"""Encodes segments for a prompt: text by the tokenizer, audio by the codec.

Encoding audio is expensive, so codes are cached by the content of the audio: passing the same
context again costs only a hash. Texts as they are read are cached as well, as each reply of a
conversation has those of all earlier turns as context.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from causerie.audio import io
from causerie.audio.audio import Audio
from causerie.audio.recording import MAX_RAW_S, Examined, examine, other_words
from causerie.audio.resample import mono, resample
from causerie.codes import check_codes
from causerie.engine.interrupts import register_fork
from causerie.errors import AudioError, ConfigError, TextError
from causerie.prompt import Part, Segment, check_length
from causerie.reply.long_turn import latest_words
from causerie.text.check import check_text
from causerie.text.front_end import DEFAULT_OPTIONS, ReadingOptions, Spoken
from causerie.text.split import Piece

if TYPE_CHECKING:
    from causerie.checkpoint.load import Checkpoint
    from causerie.reply.verifier import Verifier

#: Recordings whose codes are cached; 10 s of 32 codebooks take 32 kB. The longest that fits a model
#: of 2,048 positions takes 0.5 MB, so that all have at most 67 MB.
MAX_CACHED = 128
#: Texts whose readings are cached: more than the turns that fit a model.
MAX_TEXTS = 512
#: The words of longer turns are not looked for: it takes 0.1 s of a CPU for 20 s and, as time and
#: memory grow with the square, 1 s and 200 MB for 80 s.
MAX_ALIGNED_S = 60.0
#: A model that hears itself only leaves out shorter turns. After one of 0.2 s, 6 of 6 replies of
#: petit began with other words than theirs, such as those of the turn; after one of 0.6 to 0.8 s,
#: as "Yes." or "I see.", 3 of 15; after one of 0.96 s and more, none of 15.
SHORT_TURN_S = 0.9


@dataclass(eq=False)
class _Recording:
    """What is known of a recording; each is computed once, when it is needed."""

    examined: Examined | None = None
    heard: str | None = None
    codes: Tensor | None = None
    seconds: float | None = None
    latest: Segment | None = None  # its last seconds, with their words


class ContextEncoder:
    """Encodes segments with the front end, tokenizer and codec of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._cache: OrderedDict[bytes, _Recording] = OrderedDict()
        self._read_texts: OrderedDict[Hashable, Spoken] = OrderedDict()
        self._lock = threading.Lock()
        register_fork(self)

    def after_fork(self) -> None:
        """See `Forked`."""
        self._lock = threading.Lock()

    def text(
        self, text: str, speaker: int, reading: ReadingOptions = DEFAULT_OPTIONS
    ) -> tuple[Part, Spoken]:
        """A text to speak, as a part of a prompt and as the front end reads it.

        Raises:
            TextError: nothing in it can be spoken.
        """
        spoken = self._spoken(text, reading)
        return Part(tokens=self.checkpoint.tokenizer.encode(spoken.text, speaker)), spoken

    def _spoken(self, text: str, reading: ReadingOptions) -> Spoken:
        """A text as the front end reads it, from the cache if possible."""
        # A piece that ends in a pause is not read as the same words alone, which end in a stop.
        key = text, reading, (text.sentences, text.left_out) if isinstance(text, Piece) else None
        with self._lock:
            known = self._read_texts.get(key)
        spoken = known or self.checkpoint.front_end(text, reading)
        with self._lock:
            self._read_texts[key] = spoken
            self._read_texts.move_to_end(key)
            while len(self._read_texts) > MAX_TEXTS:
                self._read_texts.popitem(last=False)
        return spoken

    def _speaker_alone(self, speaker: int) -> Part:
        """The text of a segment without words."""
        return Part(tokens=self.checkpoint.tokenizer.encode("", speaker))

    def is_too_short(self, codes: Tensor | None) -> bool:
        """Whether a turn with these codes (K, T) is left out of the context, see `SHORT_TURN_S`."""
        if codes is None or self.checkpoint.defaults.hears_others:
            return False
        return codes.shape[1] < SHORT_TURN_S * self.checkpoint.codec.config.frame_rate

    def examine(self, segment: Segment, name: str) -> list[str]:
        """What the listener should know of a segment's recording; codes are not examined.

        Args:
            name: the segment's name in notes and errors.

        Raises:
            ConfigError: it is not a `Segment`.
            AudioError: its recording is unreadable or unusable.
        """
        name = _full_name(segment, name)
        if segment.audio is None:
            return []
        with _named(name):
            source, contents = _contents(segment)
            known = self._known(contents)
            if known.examined is None:
                audio = self._read(source, name)
                known.examined = examine(audio.samples, audio.sample_rate, role="turn")
        return known.examined.with_transcript(segment.text).notes(name)

    def compare(self, segment: Segment, name: str, verifier: Verifier) -> Future[str]:
        """Begin to compare a segment's recording with its text.

        Args:
            name: the segment's name in the note.

        Returns:
            A note if the recording says other words, else "".
        """
        name = _full_name(segment, name)
        source, contents = _contents(segment)
        known = self._known(contents)

        def work() -> str:
            if known.heard is None:
                audio = self._read(source, name)
                known.heard = verifier.hear(audio.samples, audio.sample_rate)
            is_other = verifier.are_other_words(segment.text, known.heard)
            return f"{name} {other_words(known.heard).message}" if is_other else ""

        if known.heard is None:
            return verifier.begin(work)
        done = Future[str]()
        done.set_result(work())
        return done

    def segment(
        self, segment: Segment, name: str, reading: ReadingOptions = DEFAULT_OPTIONS
    ) -> tuple[Part, Spoken]:
        """A segment of context as a part of a prompt and as the front end reads it.

        Args:
            name: the segment's name in errors.

        Raises:
            ConfigError: it is not a `Segment`.
            AudioError: it has neither audio nor codes, or they do not fit the model.
            PromptTooLongError: it exceeds the model's positions by itself.
            TextError: its text cannot be spoken.
        """
        name = _full_name(segment, name)
        with _named(name):
            check_text(segment.text)
            if segment.text.strip():
                part, spoken = self.text(segment.text, segment.speaker, reading)
            else:  # its words are unknown
                part, spoken = self._speaker_alone(segment.speaker), Spoken(text="")
            if segment.codes is not None:
                codes = self._checked(segment.codes, name)
            elif segment.audio is not None:
                codes = self._encoded(segment, name)
            else:
                raise AudioError(f"{name} has neither audio nor codes: it must be said already")
        part = Part(tokens=part.tokens, codes=codes)
        check_length(part.num_rows, self.checkpoint.model.config.max_frames, name)
        return part, spoken

    def shortened(
        self, segment: Segment, name: str, longest_s: float, max_s: float
    ) -> tuple[Segment, float]:
        """A segment, of which only the last seconds are left if it is long, and its whole length.

        It is cut at a pause between words, and has the words of what is left. A recording is
        decoded once: it is examined and encoded here, if it was not before.

        Args:
            name: the segment's name in errors.
            longest_s: a longer segment is cut, but not one of over `MAX_ALIGNED_S`.
            max_s: seconds of what is left at most.

        Raises:
            ConfigError, AudioError, PromptTooLongError, TextError: as `segment`.
        """
        name, codec = _full_name(segment, name), self.checkpoint.codec
        audio: Audio | None = None
        with _named(name):
            if segment.codes is not None:
                codes = self._checked(segment.codes, name)
                seconds, contents = codes.shape[1] / codec.config.frame_rate, b"codes"
                contents += np.ascontiguousarray(codes.numpy()).tobytes()
            elif segment.audio is not None:
                source, contents = _contents(segment)
                known = self._known(contents)
                if known.seconds is None:
                    audio = self._read(source, name)
                    known.seconds = audio.duration_s
                    known.examined = examine(audio.samples, audio.sample_rate, role="turn")
                seconds = known.seconds
            else:
                return segment, 0.0
            if not longest_s < seconds <= MAX_ALIGNED_S:
                if audio is not None:
                    known.codes = self._encode(audio, name)
                return segment, seconds
            text = check_text(segment.text).strip()
            latest = self._known(f"latest {max_s} {text} ".encode() + contents)
            if latest.latest is None:
                if segment.codes is not None:
                    with torch.inference_mode():
                        pcm = codec.decode(codes[None].to(next(codec.parameters()).device))[0, 0]
                    audio = Audio(
                        samples=pcm.float().cpu().numpy(), sample_rate=codec.config.sample_rate
                    )
                elif audio is None:
                    audio = self._read(source, name)
                words, start_s = latest_words(audio, text, max_s, self.checkpoint.front_end.lexicon)
                if segment.codes is not None:
                    codes = codes[:, math.ceil(start_s * codec.config.frame_rate - 1e-6) :]
                else:
                    first = round(start_s * audio.sample_rate)
                    codes = self._encode(replace(audio, samples=audio.samples[first:]), name)
                latest.latest = Segment(speaker=segment.speaker, text=words, codes=codes)
        return replace(latest.latest, speaker=segment.speaker), seconds

    def _checked(self, codes: Tensor, name: str) -> Tensor:
        """The codes (K, T) on the CPU, checked against the model."""
        codes = check_codes(codes, self.checkpoint.codec.config.codebook_size, name)
        num_codebooks = self.checkpoint.model.config.num_codebooks
        if codes.shape[0] != num_codebooks:
            raise AudioError(
                f"codes of {name} have {codes.shape[0]} codebooks; this model has {num_codebooks}"
            )
        return codes

    def _encoded(self, segment: Segment, name: str) -> Tensor:
        """Codes (K, T) of a segment's audio, from the cache if possible."""
        source, contents = _contents(segment)
        known = self._known(contents)
        if known.codes is None:
            known.codes = self._encode(self._read(source, name), name)
        return known.codes

    def _known(self, contents: bytes) -> _Recording:
        """What is known of the recording with these bytes, from the cache if possible."""
        key = hashlib.blake2b(contents, digest_size=16).digest()
        with self._lock:
            known = self._cache.setdefault(key, _Recording())
            self._cache.move_to_end(key)
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return known

    def _read(self, source: Audio | bytes, name: str) -> Audio:
        """The audio of a source, which is not empty."""
        if isinstance(source, bytes):
            config, codec = self.checkpoint.model.config, self.checkpoint.codec.config
            longest_s = config.max_frames / codec.frame_rate
            samples, rate = io.read(source, max_s=max(MAX_RAW_S, longest_s))
            source = Audio(samples=samples, sample_rate=rate)
        if not len(source.samples):
            raise AudioError(f"{name} is empty: it has no samples")
        return source

    def _encode(self, audio: Audio, name: str) -> Tensor:
        codec, model = self.checkpoint.codec, self.checkpoint.model
        samples = resample(audio.samples, audio.sample_rate, codec.config.sample_rate, name)
        num_frames = -(-len(samples) // codec.config.frame_size)
        check_length(num_frames, model.config.max_frames, name)
        device = next(codec.parameters()).device
        with torch.inference_mode():
            pcm = torch.from_numpy(samples).to(device)[None, None]
            codes = codec.encode(pcm, model.config.num_codebooks)[0]
        return codes.cpu().clone()


def _full_name(segment: Segment, name: str) -> str:
    """The name of a segment with its file, for errors.

    Raises:
        ConfigError: it is not a `Segment`.
    """
    if not isinstance(segment, Segment):
        raise ConfigError(f"{name} must be a Segment, not {type(segment).__name__}")
    is_file = isinstance(segment.audio, (str, os.PathLike))
    return f"{name} ({os.fspath(segment.audio)})" if is_file else name  # type: ignore[arg-type]


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Add the segment's name to errors."""
    try:
        yield
    except (AudioError, TextError) as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error


def _contents(segment: Segment) -> tuple[Audio | bytes, bytes]:
    """A segment's audio, and bytes that identify it."""
    audio = segment.audio
    assert audio is not None
    if isinstance(audio, (str, os.PathLike)):
        contents = io.read_bytes(audio)
        return contents, b"file" + contents
    if not isinstance(audio, Audio):
        assert segment.sample_rate is not None
        audio = Audio(samples=mono(audio), sample_rate=segment.sample_rate)
    return audio, b"%d " % audio.sample_rate + np.ascontiguousarray(audio.samples).tobytes()
