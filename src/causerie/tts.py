"""The library's face: text in, speech out.

    tts = TTS.from_pretrained()
    tts.generate("Hello, it is nice to meet you.").save("hello.wav")

It checks what it is given, plans the turns, and leaves the work to `causerie.reply` and the engine.
"""

from __future__ import annotations

import math
import operator
import os
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from causerie.audio.audio import Audio
from causerie.checkpoint.load import Checkpoint, load
from causerie.context import ContextEncoder, check_text
from causerie.device import find_device, find_dtype
from causerie.engine.choose import check_formats, new_runner
from causerie.engine.engine import Engine
from causerie.engine.request import Sampling
from causerie.errors import CheckpointError, ConfigError, TextError
from causerie.model import sampling
from causerie.prompt import Part, Segment, build_prompt
from causerie.reply import Stream, Turn
from causerie.text.split import split
from causerie.voices import Voice, find_voice

#: Where no limit is given, each piece of a reply is cut here: a guard, should it never end.
MAX_DURATION_S = 60.0
#: Longer text is spoken in pieces of at most so many characters, each with earlier ones as context.
MAX_PIECE_CHARS = 250
#: A whole book should come in parts: about 25 minutes of speech.
MAX_TEXT_CHARS = 20_000
#: Replies that are computed at the same time; more wait.
MAX_STREAMS = 8
#: Replies that may wait: each is a thread, or a stream that nobody goes on with.
MAX_QUEUE = 1_000
#: Positions kept free for a reply: slow speech is 0.1 s a character, and a second to begin.
RESERVE_S, RESERVE_S_A_CHAR = 1.0, 0.1


class TTS:
    """Speech from text, in one or more voices, by one checkpoint.

    Any number of threads may ask at the same time; their replies are computed together.

    Args:
        engine: computes them; by default one of its own, made when it is first needed.
        max_streams, backbone_format, depth_format: of such an engine, see `from_pretrained`.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        engine: Engine | None = None,
        max_streams: int = MAX_STREAMS,
        backbone_format: str = "auto",
        depth_format: str = "auto",
    ) -> None:
        if not isinstance(max_streams, int) or isinstance(max_streams, bool) or max_streams < 1:
            raise ConfigError(f"max_streams must be a whole number above 0, not {max_streams!r}")
        check_formats(backbone_format, depth_format)
        model, codec = checkpoint.model.config, checkpoint.codec.config
        if (
            model.num_codebooks > codec.num_codebooks
            or model.audio_vocab_size < codec.codebook_size
        ):
            raise CheckpointError(
                f"model and codec of {checkpoint.name} do not fit: {model.num_codebooks} codebooks "
                f"of {model.audio_vocab_size} codes, against {codec.num_codebooks} of "
                f"{codec.codebook_size}"
            )
        self.checkpoint = checkpoint
        self._context = ContextEncoder(checkpoint)
        self._engine, self._engine_lock = engine, threading.Lock()
        self._max_streams, self._formats = max_streams, (backbone_format, depth_format)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str] = "petit",
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        max_streams: int = MAX_STREAMS,
        backbone_format: str = "auto",
        depth_format: str = "auto",
    ) -> TTS:
        """Load a checkpoint.

        Args:
            source: "petit" (inside this package), a folder or file, or a hub id.
            device: "auto" takes cuda, else mps, else cpu.
            dtype: of the language model; "auto" is bfloat16 on cuda, else float32. The codec is
                always float32.
            max_streams: replies that are computed at the same time; more wait.
            backbone_format, depth_format: how the weights of the two transformers are stored:
                "auto" (as in `dtype`), "int8" or "int4", which are smaller and faster and cost
                quality, on a cpu.

        Raises:
            ConfigError: unknown device, dtype or format.
            CheckpointError: the checkpoint is missing, unreadable, or does not fit.
        """
        place = find_device(device)
        where = source if isinstance(source, str) else Path(source)
        check_formats(backbone_format, depth_format)  # before what takes long
        return cls(
            load(where, device=place, dtype=find_dtype(dtype, place)),
            max_streams=max_streams,
            backbone_format=backbone_format,
            depth_format=depth_format,
        )

    @property
    def engine(self) -> Engine:
        """What computes the replies."""
        with self._engine_lock:
            if self._engine is None:
                backbone, depth = self._formats
                runner = new_runner(
                    self.checkpoint,
                    self._max_streams,
                    backbone_format=backbone,
                    depth_format=depth,
                )
                self._engine = Engine(runner, max_queue=MAX_QUEUE)
            return self._engine

    @property
    def sample_rate(self) -> int:
        """Of all speech, in Hz."""
        return self.checkpoint.codec.config.sample_rate

    @property
    def voices(self) -> list[str]:
        """Names of the voices that come with the checkpoint."""
        return sorted(self.checkpoint.voices)

    def generate(
        self,
        text: str,
        *,
        voice: str | int | os.PathLike[str] | Voice | None = None,
        context: Sequence[Segment] | None = (),
        temperature: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        max_duration_s: float | None = None,
    ) -> Audio:
        """Speak a text.

        Args:
            text: longer text is spoken in pieces that end at sentence ends.
            voice: a name of `voices`, a voice file, a `Voice`, or a speaker number; None is
                speaker 0.
            context: turns said before, oldest first; the reply continues their conversation.
            temperature: 0 takes the likeliest code always. The acoustic codes' follows in
                proportion. None: the checkpoint's.
            top_k: draw among so many codes; 0: among all. None: the checkpoint's.
            seed: the same gives the same sound; None picks one, see `Audio.seed`.
            max_duration_s: the speech is cut there. None: long text is spoken to its end, but each
                of its pieces is cut at 60 s, should the model not end by itself.

        Returns:
            The speech, which is empty where the model stops at once.

        Raises:
            TextError: text is empty, too long, or cannot be spoken.
            ConfigError: a setting is out of range.
            AudioError: the context's audio or codes do not do.
            UnknownVoiceError: no voice of that name.
            PromptTooLongError: one segment does not fit the model by itself.
            QueueFullError: too many replies wait.
        """
        return self.stream(
            text,
            voice=voice,
            context=context,
            temperature=temperature,
            top_k=top_k,
            seed=seed,
            max_duration_s=max_duration_s,
        ).collect()

    def stream(
        self,
        text: str,
        *,
        voice: str | int | os.PathLike[str] | Voice | None = None,
        context: Sequence[Segment] | None = (),
        temperature: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        max_duration_s: float | None = None,
    ) -> Stream:
        """Speak a text piece by piece: first 80 ms, then more at once.

        Arguments and errors are those of `generate`, and so are the samples together. Errors in
        the arguments are raised here, before the first piece is asked for.
        """
        engine = self.engine  # to make it is part of loading, where it is not yet made
        started = time.perf_counter()
        check_text(text)
        if len(text) > MAX_TEXT_CHARS:
            raise TextError(
                f"text has {len(text):,} characters, at most {MAX_TEXT_CHARS:,} are spoken at "
                f"once: give it in parts"
            )
        settings = self._sampling(temperature, top_k, seed)
        limit = self._num_frames(MAX_DURATION_S if max_duration_s is None else max_duration_s)
        chosen = find_voice(voice, self.checkpoint.voices)
        notes: list[str] = []
        before = [
            self._said(segment, f"segment {number} of voice {chosen.name}", notes)
            for number, segment in enumerate(_listed(chosen.segments, "segments of a voice"), 1)
        ]
        num_voice = len(before)
        before += [
            self._said(segment, f"context segment {number}", notes)
            for number, segment in enumerate(_listed(context, "context"), 1)
        ]
        pieces = self._pieces(text, chosen.speaker, notes)
        first = self._turn(before, num_voice, *pieces[0], limit=limit)
        for piece in pieces[1:]:
            self._turn([], 0, *piece, limit=limit)  # one that can never fit is told now

        def next_turn(spoken: list[Tensor]) -> Turn | None:
            if not spoken:
                return first
            # A limit is the whole reply's where the caller gave it, else each piece's.
            used = 0 if max_duration_s is None else sum(codes.shape[1] for codes in spoken)
            if len(spoken) == len(pieces) or used == limit:
                return None
            # The first piece holds the voice, the latest one the flow; more would only be slower.
            said = [
                Part(tokens=pieces[index][0].tokens, codes=spoken[index])
                for index in sorted({0, len(spoken) - 1})
                if spoken[index].shape[1]
            ]
            max_rows = self.checkpoint.model.config.max_frames
            fit = [part for part in said if part.num_rows <= max_rows]
            turn = self._turn(
                [*before, *fit], num_voice, *pieces[len(spoken)], limit=limit, used=used
            )
            if len(fit) < len(said):
                turn.notes.append("dropped: a piece of the reply, too long to be context itself")
            return turn

        return Stream(engine, next_turn, settings, notes, started)

    def make_voice(self, name: str, segments: Sequence[Segment], speaker: int = 0) -> Voice:
        """A voice from turns that were recorded, encoded once and for all; see `Voice.save`.

        Raises:
            AudioError, TextError, PromptTooLongError: as in `generate`.
        """
        encoded = []
        for number, segment in enumerate(_listed(segments, "segments"), 1):
            part, _ = self._context.segment(segment, f"segment {number} of voice {name}")
            encoded.append(Segment(speaker=segment.speaker, text=segment.text, codes=part.codes))
        return Voice(name=name, speaker=speaker, segments=tuple(encoded))

    def _said(self, segment: Segment, name: str, notes: list[str]) -> Part:
        part, skipped = self._context.segment(segment, name)
        _note_skipped(skipped, notes)
        return part

    def _pieces(self, text: str, speaker: int, notes: list[str]) -> list[tuple[Part, int]]:
        """Pieces of a text that can be spoken, and their likely frames.

        All are read at once, so that what is wrong with the text is told before any sound.

        Raises:
            TextError: no piece can be spoken.
        """
        pieces: list[tuple[Part, int]] = []
        unspeakable: TextError | None = None
        for piece in split(text, MAX_PIECE_CHARS) or [text]:
            try:
                part, spoken = self._context.text(piece, speaker)
            except TextError as error:
                unspeakable = unspeakable or error
                _note_skipped(piece, notes)
                continue
            pieces.append((part, self._likely_frames(spoken.text)))
            _note_skipped(spoken.skipped, notes)
        if not pieces:
            assert unspeakable is not None
            raise unspeakable
        return pieces

    def _likely_frames(self, text: str) -> int:
        seconds = RESERVE_S + RESERVE_S_A_CHAR * len(text)
        return math.ceil(seconds * self.checkpoint.codec.config.frame_rate)

    def _turn(
        self,
        before: list[Part],
        num_voice: int,
        piece: Part,
        likely: int,
        *,
        limit: int,
        used: int = 0,
    ) -> Turn:
        """A turn whose prompt leaves room for the `likely` frames.

        Args:
            limit: of frames, of which so many are `used` up.
        """
        model, frame_rate = self.checkpoint.model.config, self.checkpoint.codec.config.frame_rate
        left = limit - used
        prompt = build_prompt(
            [*before, piece],
            num_codebooks=model.num_codebooks,
            max_frames=model.max_frames,
            reply_frames=min(left, likely),
            num_voice=num_voice,
        )
        room = model.max_frames - len(prompt.rows)
        dropped = prompt.num_dropped
        notes = [f"dropped: the oldest {dropped} of {len(before)} segments"] if dropped else []
        max_frames = min(left, room)
        limit_s = (limit if max_frames == left else max_frames) / frame_rate
        return Turn(prompt=prompt, max_frames=max_frames, limit_s=limit_s, notes=notes)

    def _sampling(self, temperature: float | None, top_k: int | None, seed: int | None) -> Sampling:
        defaults = self.checkpoint.defaults
        usual, usual_depth = defaults.temperature, defaults.acoustic_temperature
        depth_top_k = defaults.acoustic_top_k
        if temperature is None:
            temperature, depth_temperature = usual, usual_depth
        else:
            sampling.check(temperature, None)
            depth_temperature = temperature * (usual_depth / usual if usual else 1)
        if top_k is None:
            top_k = defaults.top_k
        else:
            depth_top_k = top_k
        sampling.check(temperature, top_k)
        sampling.check(depth_temperature, depth_top_k)
        return Sampling(
            temperature=temperature,
            top_k=top_k,
            depth_temperature=depth_temperature,
            depth_top_k=depth_top_k,
            seed=_seed(seed),
        )

    def _num_frames(self, max_duration_s: float) -> int:
        """Frames of so many seconds, at least one."""
        number = isinstance(max_duration_s, (int, float)) and not isinstance(max_duration_s, bool)
        if not number or not math.isfinite(max_duration_s) or max_duration_s <= 0:
            raise ConfigError(
                f"max_duration_s must be a number of seconds above 0, not {max_duration_s!r}"
            )
        return max(1, math.floor(max_duration_s * self.checkpoint.codec.config.frame_rate))


def _listed(segments: object, name: str) -> list[Segment]:
    """The segments that were given, none for None."""
    if segments is None:
        return []
    if not isinstance(segments, Iterable):
        kind = type(segments).__name__
        raise ConfigError(f"{name} must be a list of Segments, not {kind}: write [segment]")
    return list(segments)


def _seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbelow(2**32)
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if isinstance(seed, bool) or not 0 <= number <= sampling.MAX_SEED:
        raise ConfigError(f"seed must be a whole number from 0 to 2^63 - 1, not {seed!r}")
    return number


def _note_skipped(skipped: str, notes: list[str]) -> None:
    if skipped:
        shown = skipped if len(skipped) <= 40 else skipped[:39] + "…"
        notes.append(f"skipped: cannot read {shown!r}")
