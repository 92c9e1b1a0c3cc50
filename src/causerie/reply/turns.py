"""The turns of one reply: its text, piece by piece, as prompts that hold what was said before.

The first turn has the voice and the context before it; later ones also the reply's first and latest
piece, which hold the voice and the flow. Knows the checkpoint by its `ContextEncoder`, and neither
the engine nor time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from torch import Tensor

from causerie.errors import ConfigError, TextError
from causerie.prompt import Part, Segment, build_prompt
from causerie.reply.context import ContextEncoder
from causerie.reply.turn import Turn
from causerie.voices import Voice

#: Where no limit is given, each piece of a reply is cut here: a guard, should it never end.
MAX_DURATION_S = 60.0
#: Positions kept free for a reply: slow speech is 0.1 s a character, and a second to begin.
RESERVE_S, RESERVE_S_A_CHAR = 1.0, 0.1


class Turns:
    """Pieces of text, in the order in which they are spoken.

    Args:
        voice: whose segments come before all.
        context: turns said before, oldest first.
        max_duration_s: of the whole reply; None lets each piece have `MAX_DURATION_S`.

    Attributes:
        notes: what was dropped or skipped so far.

    Raises:
        ConfigError, AudioError, TextError, PromptTooLongError: of the duration and the segments.
    """

    def __init__(
        self,
        encoder: ContextEncoder,
        *,
        voice: Voice,
        context: Sequence[Segment] | None,
        max_duration_s: float | None,
    ) -> None:
        self.notes: list[str] = []
        self.speaker = voice.speaker
        self._encoder = encoder
        self._model = encoder.checkpoint.model.config
        self._frame_rate = encoder.checkpoint.codec.config.frame_rate
        self._is_limited = max_duration_s is not None
        self._limit = self._num_frames(MAX_DURATION_S if max_duration_s is None else max_duration_s)
        self._before = [
            self._said(segment, f"segment {number} of voice {voice.name}")
            for number, segment in enumerate(listed(voice.segments, "segments of a voice"), 1)
        ]
        self._num_voice = len(self._before)
        self._before += [
            self._said(segment, f"context segment {number}")
            for number, segment in enumerate(listed(context, "context"), 1)
        ]
        self._pieces: list[tuple[str, Part, int]] = []  # as written, as tokens, likely frames
        self._unspeakable: TextError | None = None

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def num_text_tokens(self) -> int:
        """Of all pieces so far."""
        return sum(len(part.tokens) for _, part, _ in self._pieces)

    @property
    def num_context_frames(self) -> int:
        """Of the voice and the context."""
        return sum(part.codes.shape[1] for part in self._before if part.codes is not None)

    def add(self, pieces: Iterable[str]) -> None:
        """Let the text go on. What cannot be spoken is noted.

        Raises:
            PromptTooLongError: a piece can never fit.
        """
        for piece in pieces:
            try:
                part, spoken = self._encoder.text(piece, self.speaker)
            except TextError as error:
                self._unspeakable = self._unspeakable or error
                self._note_skipped(piece)
                continue
            likely = math.ceil((RESERVE_S + RESERVE_S_A_CHAR * len(spoken.text)) * self._frame_rate)
            self._turn([], 0, (piece, part, likely))
            self._pieces.append((piece, part, likely))
            self._note_skipped(spoken.skipped)

    def check_speakable(self) -> None:
        """Raise TextError where there was text, and nothing of it can be spoken."""
        if not self._pieces:
            raise self._unspeakable or TextError("text is empty: there is nothing to speak")

    def is_over(self, spoken: Sequence[Tensor]) -> bool:
        """Whether the limit of the whole reply is reached by these turns."""
        return self._is_limited and _num_frames(spoken) >= self._limit

    def next(self, spoken: Sequence[Tensor]) -> Turn | None:
        """The turn after these, given by their codes (K, T); None where there is no further text.

        Raises:
            PromptTooLongError: the first piece does not fit.
        """
        if len(spoken) == len(self._pieces) or self.is_over(spoken):
            return None
        if not spoken:
            return self._turn(self._before, self._num_voice, self._pieces[0])
        said = [
            Part(tokens=self._pieces[index][1].tokens, codes=spoken[index])
            for index in sorted({0, len(spoken) - 1})
            if spoken[index].shape[1]
        ]
        fit = [part for part in said if part.num_rows <= self._model.max_frames]
        turn = self._turn(
            [*self._before, *fit],
            self._num_voice,
            self._pieces[len(spoken)],
            used=_num_frames(spoken) if self._is_limited else 0,
        )
        if len(fit) < len(said):
            turn.notes.append("dropped: a piece of the reply, too long to be context itself")
        return turn

    def _said(self, segment: Segment, name: str) -> Part:
        part, skipped = self._encoder.segment(segment, name)
        self._note_skipped(skipped)
        return part

    def _turn(
        self, before: list[Part], num_voice: int, piece: tuple[str, Part, int], used: int = 0
    ) -> Turn:
        """A turn whose prompt leaves room for the likely frames; so many are `used` up."""
        text, part, likely = piece
        left = self._limit - used
        prompt = build_prompt(
            [*before, part],
            num_codebooks=self._model.num_codebooks,
            max_frames=self._model.max_frames,
            reply_frames=min(left, likely),
            num_voice=num_voice,
        )
        dropped = prompt.num_dropped
        notes = [f"dropped: the oldest {dropped} of {len(before)} segments"] if dropped else []
        max_frames = min(left, self._model.max_frames - len(prompt.rows))
        limit_s = (self._limit if max_frames == left else max_frames) / self._frame_rate
        return Turn(
            text=text,
            speaker=self.speaker,
            prompt=prompt,
            max_frames=max_frames,
            limit_s=limit_s,
            notes=notes,
        )

    def _num_frames(self, max_duration_s: float) -> int:
        """Frames of so many seconds, at least one."""
        number = isinstance(max_duration_s, (int, float)) and not isinstance(max_duration_s, bool)
        if not number or not math.isfinite(max_duration_s) or max_duration_s <= 0:
            raise ConfigError(
                f"max_duration_s must be a number of seconds above 0, not {max_duration_s!r}"
            )
        return max(1, math.floor(max_duration_s * self._frame_rate))

    def _note_skipped(self, skipped: str) -> None:
        if skipped:
            shown = skipped if len(skipped) <= 40 else skipped[:39] + "…"
            self.notes.append(f"skipped: cannot read {shown!r}")


def listed(segments: object, name: str) -> list[Segment]:
    """The segments that were given, none for None.

    Raises:
        ConfigError: they are no list.
    """
    if segments is None:
        return []
    if not isinstance(segments, Iterable):
        kind = type(segments).__name__
        raise ConfigError(f"{name} must be a list of Segments, not {kind}: write [segment]")
    return list(segments)


def _num_frames(spoken: Sequence[Tensor]) -> int:
    return sum(codes.shape[1] for codes in spoken)
