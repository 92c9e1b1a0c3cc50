"""The turns of one reply: its text, piece by piece, as prompts that include earlier speech.

The first turn has the voice and the context before it. Later turns also have the first and the
latest piece of the reply, which carry the voice and the intonation, unless they are too short for
the model. Uses the checkpoint through its `ContextEncoder`; does not know the engine or the time.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Final, NamedTuple

from torch import Tensor

from causerie.errors import ConfigError, PromptTooLongError, TextError
from causerie.prompt import Part, Segment, build_prompt
from causerie.reply.context import SHORT_TURN_S, ContextEncoder
from causerie.reply.length import usual_length
from causerie.reply.pieces import Pieces
from causerie.reply.turn import Turn
from causerie.reply.verifier import Verifier
from causerie.text.blocks import LeftOut
from causerie.text.check import check_text
from causerie.text.front_end import DEFAULT_OPTIONS, ReadingOptions
from causerie.text.growing import Flush
from causerie.text.pauses import MAX_PAUSE_S
from causerie.text.reading import spoken_words
from causerie.text.split import Piece
from causerie.voices import Voice

#: Without a limit on the reply, each piece is cut here, in case the model never stops.
MAX_DURATION_S = 60.0
#: Positions kept free for the speech: slow speech takes 0.1 s a character, and a second to begin.
RESERVE_S, RESERVE_S_A_CHAR = 1.0, 0.1

#: Of a turn of context that lasts over this many times the model's `context_s`, only the last
#: `context_s` are context: petit, whose `context_s` is 8, says 1 of 10 words wrong after a turn of
#: 14 s, 177 of 260 after four turns of 20 to 22 s, and 2 of 260 after their last 5 to 8 s.
LONG_TURN = 2.0

#: Silence that stands for a text in which nothing can be spoken.
SILENCE_S = 0.1

_END: Final = object()


class _Read(NamedTuple):
    """A piece of the text, as a part of a prompt, and as the front end reads it."""

    piece: Piece
    part: Part
    spoken: str
    words: tuple[str, ...] | None


class Turns:
    """Pieces of a text, in the order in which they are spoken.

    Args:
        text: a string, or an iterable of its parts, which may be asynchronous.
        voice: its segments come before the context.
        context: earlier turns, oldest first.
        max_duration_s: limit of the whole reply; None limits each piece to `MAX_DURATION_S`.
        one_prompt: do not cut the text into pieces; without a limit it has the time of slow speech.
        guard: end a piece that goes on much longer than its text.
        verify: the turns have their words.
        verifier: compares the recordings of the voice and the context with their texts.
        compares_first: do so before the first turn; else see `comparisons`.
        allow_silence: a text in which nothing can be spoken is its pauses, or else `SILENCE_S` of
            silence, with a note.
        reading: how the texts are read.

    Attributes:
        notes: what was dropped or skipped so far.
        tail: the silence after the turns so far, if there is any.

    Raises:
        TextError: a string is empty or cannot be spoken, without `allow_silence`. One of pauses
            only is silence.
        ConfigError, AudioError, PromptTooLongError: the duration, a segment or a string is invalid.
    """

    def __init__(
        self,
        encoder: ContextEncoder,
        text: str | Iterable[str | Flush] | AsyncIterable[str | Flush],
        *,
        voice: Voice,
        context: Sequence[Segment] | None,
        max_duration_s: float | None,
        one_prompt: bool = False,
        guard: bool = False,
        verify: bool = False,
        verifier: Verifier | None = None,
        compares_first: bool = False,
        allow_silence: bool = False,
        reading: ReadingOptions = DEFAULT_OPTIONS,
    ) -> None:
        if isinstance(text, (str, bytes, bytearray)) or not isinstance(
            text, (Iterable, AsyncIterable)
        ):
            text = check_text(text)
        self.notes: list[str] = []
        self.speaker = voice.speaker
        self._encoder, self._reading = encoder, reading
        self._model = encoder.checkpoint.model.config
        self._context_s = encoder.checkpoint.defaults.context_s
        self._frame_rate = encoder.checkpoint.codec.config.frame_rate
        self._is_limited = max_duration_s is not None
        self._limit = self._num_frames(MAX_DURATION_S if max_duration_s is None else max_duration_s)
        self._guard, self._verify, self._verifier = guard, verify, verifier
        self._allow_silence = allow_silence
        self._to_compare: list[tuple[Segment, str]] = []
        self._earlier: list[tuple[str, int]] = []  # texts and frames of this speaker
        self.notes += voice.notes or ()
        self._before = [
            self._encode(
                segment,
                f"segment {number} of voice {voice.name}",
                is_examined=voice.notes is not None,
            )
            for number, segment in enumerate(listed(voice.segments, "segments of a voice"), 1)
        ]
        self._num_voice = len(self._before)
        before = self._heard(listed(context, "context"))
        parts = [self._encode(segment, f"context segment {number}") for number, segment in before]
        self._before += self._long_enough(parts)
        self._pieces: list[_Read] = []
        self._pauses: list[Piece | None] = []  # the silence before each piece
        self.tail: Piece | None = None
        self._unspeakable: TextError | None = None
        self._unspoken: list[Piece] = []
        self._parts: Iterator[str | Flush] | AsyncIterator[str | Flush] | None = None
        self._one_prompt = one_prompt
        front_end = encoder.checkpoint.front_end
        self._max_chars = front_end.max_piece_chars
        is_raw = front_end.lexicon is None and not reading.normalize
        self._cut = Pieces(
            None if one_prompt else self._max_chars,
            min_chars=front_end.min_piece_chars,
            keep_space=is_raw,
            tags=front_end.tags,
        )
        if isinstance(text, str):  # report what is wrong with it before any sound
            self._add(self._cut.whole(text) or [Piece(text)])
            self._check_speakable()
            self._next([])
        else:
            self._parts = aiter(text) if isinstance(text, AsyncIterable) else iter(text)
        if compares_first:
            self.notes += [note for one in self.comparisons() if (note := one.result())]

    def _heard(self, context: Sequence[Segment]) -> list[tuple[int, Segment]]:
        """The segments that the model hears, with their numbers."""
        numbered = [*enumerate(context, 1)]
        if self._encoder.checkpoint.defaults.hears_others:
            return numbered

        def is_other(segment: Segment) -> bool:
            return isinstance(segment, Segment) and segment.speaker != self.speaker

        own = [(number, segment) for number, segment in numbered if not is_other(segment)]
        if len(own) < len(numbered):
            num = len(numbered) - len(own)
            self.notes.append(
                f"context: {num} turn{'s' * (num > 1)} of other speakers not heard, since this "
                "model would take over the voice"
            )
        return own

    def _long_enough(self, context: list[Part]) -> list[Part]:
        """The turns of a context that are not too short."""
        kept = [part for part in context if not self._encoder.is_too_short(part.codes)]
        num = len(context) - len(kept)
        if num:
            self.notes.append(
                f"context: {num} turn{'s' * (num > 1)} of less than {SHORT_TURN_S:g} s not heard, "
                "since this model would begin with such words"
            )
        return kept

    def comparisons(self) -> Iterator[Future[str]]:
        """Compare the recordings that are not compared yet, one after the other.

        Each gives a note, or "" if its words are those of its text.
        """
        while self._verifier is not None and self._to_compare:
            yield self._encoder.compare(*self._to_compare[0], self._verifier)
            self._to_compare.pop(0)

    @property
    def num_pieces(self) -> int:
        """Pieces of the text that is known so far."""
        return len(self._pieces)

    @property
    def num_text_tokens(self) -> int:
        """Text tokens of all pieces so far."""
        return sum(len(read.part.tokens) for read in self._pieces)

    @property
    def num_context_frames(self) -> int:
        """Frames of the voice and the context."""
        return sum(part.codes.shape[1] for part in self._before if part.codes is not None)

    async def next_turn(self, spoken: Sequence[Tensor]) -> Turn | None:
        """The turn after those spoken, or None at the end of the text.

        Reads more of the text where that is needed. Suspends only where the text is asynchronous.

        Args:
            spoken: codes (K, T) of each turn so far.

        Raises:
            TextError: a part of the text is not a string, or nothing in the text can be spoken.
            PromptTooLongError: a piece does not fit the model.
        """
        while len(self._pieces) == len(spoken) and not self._is_at_limit(spoken):
            if self._parts is None:
                break
            part = await _next_part(self._parts)
            if part is _END:
                self._parts = None
                self._add(self._cut.end())
            elif isinstance(part, Flush):
                self._add(self._cut.flush())
            else:
                self._add(self._cut.add(check_text(part)))
        self._check_speakable()
        return self._next(spoken)

    def _add(self, pieces: Iterable[Piece]) -> None:
        """Append pieces. Text that cannot be spoken becomes a note.

        Raises:
            PromptTooLongError: a piece does not fit the model by itself, and is not one long word.
        """
        for piece in pieces:
            if piece.pause_s:
                self.tail = _joined(self.tail, piece)
                self._note_left_out(piece.left_out)
                continue
            try:
                part, spoken = self._encoder.text(piece, self.speaker, self._reading)
            except TextError as error:
                self._unspeakable = self._unspeakable or error
                if not self._pieces:
                    self._unspoken.append(piece)
                self._note_left_out(piece.left_out)
                if piece.sentences:
                    self._note_skipped(piece)
                continue
            words = None
            if self._verify:
                front_end = self._encoder.checkpoint.front_end
                words = tuple(spoken_words(piece, front_end, self._reading))
            read = _Read(piece, part, spoken.text, words)
            try:
                self._turn([], 0, read)
            except PromptTooLongError as error:
                if len(piece) <= self._max_chars or len(piece.split()) > 1:
                    raise
                # A word that nobody wants to hear, such as base64, does not stop the text.
                self._unspeakable = self._unspeakable or TextError(str(error))
                note = f"a word of {len(piece):,} letters, which does not fit the model,"
                self._note_left_out([LeftOut(note, piece, 0, is_block=False)])
                continue
            self._pieces.append(read)
            self._unspoken = []
            self._pauses.append(self.tail)
            self.tail = None
            self._note_left_out(spoken.left_out)
            self._note_skipped(spoken.skipped)

    def _check_speakable(self) -> None:
        """Raise TextError, or make silence, if no piece of the text can be spoken."""
        is_pause = self.tail is not None and self._unspeakable is None  # and nothing else
        if self._pieces or is_pause:
            return
        error = self._unspeakable or TextError("text is empty: there is nothing to speak")
        if not self._allow_silence:
            raise error
        note = f"silence: {error}"
        if note not in self.notes:
            self.notes.append(note)
        self.tail = self.tail or Piece(" ".join(self._unspoken), pause_s=SILENCE_S)

    def _is_at_limit(self, spoken: Sequence[Tensor]) -> bool:
        """Whether these turns reach the limit of the whole reply."""
        return self._is_limited and _num_frames(spoken) >= self._limit

    def _next(self, spoken: Sequence[Tensor]) -> Turn | None:
        """The turn of the first piece that is not spoken, or None if there is no such piece.

        Raises:
            PromptTooLongError: the piece does not fit the model.
        """
        if len(spoken) == len(self._pieces) or self._is_at_limit(spoken):
            return None
        if not spoken:
            return self._turn(self._before, self._num_voice, self._pieces[0], pause=self._pauses[0])
        said = [
            Part(tokens=self._pieces[index].part.tokens, codes=spoken[index])
            for index in sorted({0, len(spoken) - 1})
            if spoken[index].shape[1] and not self._encoder.is_too_short(spoken[index])
        ]
        fit = [part for part in said if part.num_rows <= self._model.max_frames]
        turn = self._turn(
            [*self._before, *fit],
            self._num_voice,
            self._pieces[len(spoken)],
            used=_num_frames(spoken) if self._is_limited else 0,
            pause=self._pauses[len(spoken)],
        )
        if len(fit) < len(said):
            turn.notes.append("dropped: a piece of the reply, too long to be context itself")
        return turn

    def _encode(self, segment: Segment, name: str, *, is_examined: bool = False) -> Part:
        longest_s = LONG_TURN * self._context_s
        heard, seconds = self._encoder.shortened(segment, name, longest_s, self._context_s)
        part, spoken = self._encoder.segment(heard, name, self._reading)
        if not is_examined:
            self.notes += self._encoder.examine(segment, name)
            if segment.audio is not None and segment.text.strip():
                self._to_compare.append((segment, name))
        if seconds > longest_s:
            assert part.codes is not None
            left_s = part.codes.shape[1] / self._frame_rate
            what = f"only the last {left_s:.1f} s of it are context, since "
            advice = "" if heard is not segment else "; give a shorter part of it, with its words"
            self.notes.append(
                f"{name} is {seconds:.0f} s long: {'' if advice else what}after more than "
                f"{longest_s:g} s this model often says other words{advice}"
            )
        self._note_left_out(spoken.left_out)
        self._note_skipped(spoken.skipped)
        if spoken.text and part.codes is not None and segment.speaker == self.speaker:
            self._earlier.append((spoken.text, part.codes.shape[1]))
        return part

    def _turn(
        self,
        before: list[Part],
        num_voice: int,
        read: _Read,
        used: int = 0,
        pause: Piece | None = None,
    ) -> Turn:
        """A turn whose prompt leaves room for its likely frames.

        Args:
            used: frames of the limit that earlier turns used.
            pause: the silence before it.
        """
        likely = math.ceil((RESERVE_S + RESERVE_S_A_CHAR * len(read.spoken)) * self._frame_rate)
        limit = self._limit
        if self._one_prompt and not self._is_limited:
            limit = max(limit, likely)
        left = limit - used
        prompt = build_prompt(
            [*before, read.part],
            num_codebooks=self._model.num_codebooks,
            max_frames=self._model.max_frames,
            reply_frames=min(left, likely),
            num_voice=num_voice,
        )
        dropped = prompt.num_dropped
        notes = [f"dropped: the oldest {dropped} of {len(before)} segments"] if dropped else []
        max_frames = min(left, self._model.max_frames - len(prompt.rows))
        limit_s = (limit if max_frames == left else max_frames) / self._frame_rate
        kind = self._encoder.checkpoint.front_end.kind
        usual = usual_length(read.spoken, kind, self._earlier, self._frame_rate)
        if self._guard:
            max_frames = min(max_frames, usual.max_frames)
        return Turn(
            text=read.piece,
            speaker=self.speaker,
            prompt=prompt,
            max_frames=max_frames,
            limit_s=limit_s,
            usual_s=usual.mean / self._frame_rate,
            notes=notes,
            length=usual if self._guard else None,
            pause=pause,
            words=read.words,
        )

    def _num_frames(self, max_duration_s: float) -> int:
        """The number of frames in this many seconds, at least one."""
        number = isinstance(max_duration_s, (int, float)) and not isinstance(max_duration_s, bool)
        if not number or not math.isfinite(max_duration_s) or max_duration_s <= 0:
            raise ConfigError(
                f"max_duration_s must be a number of seconds above 0, not {max_duration_s!r}"
            )
        # 2.32 s are 29 frames, and their product with 12.5 is a little less
        return max(1, math.floor(max_duration_s * self._frame_rate + 1e-6))

    def _note_skipped(self, skipped: str) -> None:
        if skipped:
            self.notes.append(f"skipped: cannot read {_excerpt(skipped)}")

    def _note_left_out(self, left_out: Iterable[LeftOut]) -> None:
        for part in left_out:
            note = f"skipped: {part.reason} {_excerpt(part.text)}"
            if note not in self.notes:
                self.notes.append(note)


def listed(segments: object, name: str) -> list[Segment]:
    """The segments as a list; None gives an empty list.

    Raises:
        ConfigError: `segments` is not a list.
    """
    if segments is None:
        return []
    if not isinstance(segments, Iterable):
        kind = type(segments).__name__
        raise ConfigError(f"{name} must be a list of Segments, not {kind}: write [segment]")
    return list(segments)


def _joined(first: Piece | None, second: Piece) -> Piece:
    """Two pauses as one."""
    if first is None:
        return second
    seconds = min(MAX_PAUSE_S, first.pause_s + second.pause_s)
    return Piece(f"{first} {second}", pause_s=seconds)


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")


def _num_frames(spoken: Sequence[Tensor]) -> int:
    return sum(codes.shape[1] for codes in spoken)


async def _next_part(parts: Iterator[str | Flush] | AsyncIterator[str | Flush]) -> object:
    """The next part of a text, or `_END`."""
    if isinstance(parts, AsyncIterator):
        return await anext(parts, _END)
    return next(parts, _END)
