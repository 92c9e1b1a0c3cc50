"""Builds the backbone's input rows from a conversation.

A segment, one speaker's turn, is its text (one row per token). A segment that was already spoken
also has its audio (one row per frame) and a stop row: a frame of zeros that is masked in as audio.
The turn to speak comes last, as text only. Knows tokens and codes, not the tokenizer or the codec.
"""

from __future__ import annotations

import itertools
import numbers
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.audio.audio import Audio
from causerie.errors import AudioError, ConfigError, PromptTooLongError


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """One turn of a conversation: who said what, and how it sounded.

    Attributes:
        speaker: number of the speaker in this conversation: 0, 1, 2, …
        text: the words of `audio`; "" if they are unknown.
        audio: of any rate and channel count: `Audio`, a file, or an array.
        sample_rate: of `audio` in Hz, if it is an array.
        codes: (K, T) of the codec, in place of `audio`.
    """

    speaker: int
    text: str = ""
    audio: Audio | NDArray[np.float32] | str | os.PathLike[str] | None = None
    sample_rate: int | None = None
    codes: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "speaker", check_speaker(self.speaker))
        if not isinstance(self.text, str):
            raise ConfigError(f"a segment's text must be a string, not {self.text!r}")
        if self.audio is not None and self.codes is not None:
            raise AudioError("a segment has both audio and codes: give one of them")
        if self.codes is not None and not isinstance(self.codes, Tensor):
            raise AudioError(f"a segment's codes must be a tensor, not {type(self.codes).__name__}")
        is_array = self.audio is not None and not isinstance(self.audio, (Audio, str, os.PathLike))
        if is_array and self.sample_rate is None:
            raise AudioError("a segment's audio is an array: give its sample_rate in Hz too")
        if self.sample_rate is not None and not is_array:
            raise AudioError("sample_rate belongs to audio that is an array; files know their own")


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A segment as tokens, with codes (K, T) if it was already spoken."""

    tokens: Sequence[int]
    codes: Tensor | None = None

    @property
    def num_rows(self) -> int:
        """Rows that the part takes."""
        return len(self.tokens) + (0 if self.codes is None else self.codes.shape[1] + 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """The backbone's input before the reply.

    Attributes:
        rows: (S, K+1), int32; -1 is masked out.
        part_ends: number of rows up to the end of each part.
        num_dropped: number of segments that did not fit.
    """

    rows: NDArray[np.int32]
    part_ends: tuple[int, ...]
    num_dropped: int

    @property
    def spoken_tokens(self) -> NDArray[np.int32]:
        """The text tokens (T,) of the last part, which is spoken next."""
        start = self.part_ends[-2] if len(self.part_ends) > 1 else 0
        return self.rows[start:, -1]

    @property
    def frames(self) -> Tensor:
        """The rows (1, S, K+1) as input of the model, int64."""
        return torch.from_numpy(self.rows)[None].long().clamp(min=0)

    @property
    def mask(self) -> Tensor:
        """The mask of `frames`, bool."""
        return torch.from_numpy(self.rows)[None] >= 0


def check_speaker(speaker: object) -> int:
    """A speaker number as a plain int, from any integer type.

    Raises:
        ConfigError: it is not a whole number from 0 upwards.
    """
    is_whole = isinstance(speaker, numbers.Integral) and not isinstance(speaker, bool)
    if not is_whole or int(speaker) < 0:  # type: ignore[call-overload]
        raise ConfigError(f"speaker must be a whole number from 0 upwards, not {speaker!r}")
    return int(speaker)  # type: ignore[call-overload,no-any-return]


def build_prompt(
    parts: Sequence[Part],
    *,
    num_codebooks: int,
    max_frames: int,
    reply_frames: int,
    num_voice: int = 0,
) -> Prompt:
    """The prompt of a conversation whose last part is spoken next.

    If it does not fit, whole parts are dropped: the oldest first, those of the voice last.

    Args:
        parts: all with codes but the last.
        max_frames: positions of the backbone.
        reply_frames: positions to keep free for the reply.
        num_voice: number of leading parts that belong to the voice.

    Raises:
        PromptTooLongError: the last part and its reply do not fit even alone, or another part
            alone exceeds all positions.
    """
    *context, last = parts
    assert last.codes is None, "the last part was already spoken"
    needed = last.num_rows + reply_frames
    if needed > max_frames:
        raise PromptTooLongError(
            f"the text needs {last.num_rows:,} positions and its speech about {reply_frames:,}, "
            f"{needed:,} together, but the model has {max_frames:,}: split the text",
            needed=needed,
            available=max_frames,
        )
    for number, part in enumerate(context, 1):
        check_length(part.num_rows, max_frames, f"context segment {number}")
    kept = list(range(len(context)))
    for oldest in [*range(num_voice, len(context)), *range(num_voice)]:
        if needed + sum(context[index].num_rows for index in kept) <= max_frames:
            break
        kept.remove(oldest)
    rows = [_rows(part, num_codebooks) for part in [*(context[index] for index in kept), last]]
    return Prompt(
        rows=np.concatenate(rows),
        part_ends=tuple(itertools.accumulate(map(len, rows))),
        num_dropped=len(context) - len(kept),
    )


def check_length(num_rows: int, max_frames: int, name: str) -> None:
    """Raise PromptTooLongError if one segment of context exceeds all positions."""
    if num_rows > max_frames:
        raise PromptTooLongError(
            f"{name} needs {num_rows:,} positions, but the model has {max_frames:,}: "
            f"cut its audio and its text",
            needed=num_rows,
            available=max_frames,
        )


def _rows(part: Part, num_codebooks: int) -> NDArray[np.int32]:
    """The rows (S, K+1) of a part."""
    num_text = len(part.tokens)
    rows = np.full((part.num_rows, num_codebooks + 1), -1, np.int32)
    rows[:num_text, -1] = part.tokens
    if part.codes is not None:
        rows[num_text:-1, :-1] = part.codes.T
        rows[-1, :-1] = 0  # the stop frame
    return rows
