"""The attempts at one turn: the same text with other seeds, of which the best is kept.

A turn is spoken again if the model said nothing, and, where a recognizer compares it with its text,
if too many words are missing or invented. Each attempt after a wrong one has a lower temperature,
because a model that is drawn from less freely says fewer other words.
"""

from __future__ import annotations

import dataclasses

from causerie.audio.audio import Check
from causerie.engine.guard import FADE_S
from causerie.engine.handle import Handle
from causerie.engine.request import Sampling, State
from causerie.reply.turn import Turn
from causerie.reply.verifier import Hearing

#: Attempts at a turn that a recognizer checks, and at any other, which is only empty or not.
MAX_CHECKED, MAX_UNCHECKED = 5, 2
#: Attempts while all that is wrong may be the recognizer's mistake, or comes after the text.
MAX_DOUBTFUL = 3
#: The temperature of an attempt, relative to that of the attempt before it, which was wrong.
CALMER = 0.75
_SEED_BITS = 3


class Attempts:
    """One turn while it is spoken.

    Args:
        sampling: of the reply.
        is_checked: a recognizer checks the speech before anyone hears it.

    Attributes:
        number: of the attempt that is next or in progress; the first is 0.
        handle: of the latest attempt, and at the end of the best one.
        busy_s: computing time before anyone heard it.
    """

    def __init__(self, turn: Turn, sampling: Sampling, *, is_checked: bool) -> None:
        self.turn, self.is_checked = turn, is_checked
        self._first = sampling
        self.number = 0
        self.handle: Handle | None = None
        self.busy_s = 0.0
        self._best: tuple[bool, Handle, Hearing | None] | None = None  # whether it is empty
        self._num_empty = self._num_wrong = 0
        self._first_right, self._was_wrong = 0, False  # its number; whether one before was wrong

    @property
    def sampling(self) -> Sampling:
        """The sampling of the attempt that is next or in progress.

        Turns have different frame numbers, on which the noise depends too.
        """
        bits = f"{self.number:0{_SEED_BITS}b}"
        calmer = CALMER**self._num_wrong
        return dataclasses.replace(
            self._first,
            seed=self._first.seed ^ (int(bits[::-1], 2) << 63 - _SEED_BITS),
            temperature=self._first.temperature * calmer,
            depth_temperature=self._first.depth_temperature * calmer,
        )

    @property
    def _most(self) -> int:
        """The number of attempts that are allowed; without noise all would be equal."""
        if self._first.temperature == self._first.depth_temperature == 0:
            return 1
        return MAX_CHECKED if self.is_checked else MAX_UNCHECKED

    @staticmethod
    def is_empty(handle: Handle) -> bool:
        """Whether the model said nothing."""
        return handle.state is State.ENDED and not handle.frames

    def end(self, handle: Handle, hearing: Hearing | None) -> bool:
        """Record the end of the attempt; returns whether there must be another one.

        Args:
            hearing: what was heard; None if the speech was not checked.
        """
        is_empty = self.is_empty(handle)
        if self._best is None or _rank(is_empty, hearing) < _rank(self._best[0], self._best[2]):
            self._best = is_empty, handle, hearing
        self.handle = self._best[1]
        self.number += 1
        self._num_empty += is_empty
        is_right = hearing is None or hearing.difference.is_right
        is_cut = hearing is not None and hearing.is_cut
        is_wrong = is_cut or not is_right
        self._num_wrong += is_wrong
        if not is_empty and not self._first_right:
            self._was_wrong = self._was_wrong or is_wrong
            self._first_right = 0 if is_wrong else self.number
        if is_empty or not is_right:
            return self.number < self._most
        is_doubtful = is_cut or (hearing is not None and hearing.difference.doubtful > 0)
        return is_doubtful and self.number < min(self._most, MAX_DOUBTFUL)

    @property
    def _hearing(self) -> Hearing | None:
        """What was heard of the best attempt."""
        return self._best[2] if self._best else None

    @property
    def is_cut(self) -> bool:
        """Whether words after the text are left out of the best attempt."""
        return self._hearing is not None and self._hearing.is_cut

    def cut_off(self, sample_rate: int) -> None:
        """Leave words after the text out of the best attempt."""
        hearing = self._hearing
        if self.handle is not None and hearing is not None and hearing.end_s is not None:
            self.handle.cut_off(round(hearing.end_s * sample_rate), round(FADE_S * sample_rate))

    def check(self) -> Check | None:
        """The comparison of the best attempt with its text; None if there was none."""
        hearing = self._hearing
        if hearing is None:
            return None
        difference = hearing.difference
        return Check(
            text=str(self.turn.text),
            attempts=self.number,
            words=difference.words,
            missing=difference.missing,
            invented=difference.invented,
            is_right=difference.is_right,
        )

    def notes(self) -> list[str]:
        """What the listener should know of the attempts."""
        assert self._best is not None
        notes: list[str] = []
        is_empty, _, hearing = self._best
        if self._num_empty:
            end = " at first: spoken with another seed"
            if is_empty:
                end = ", also with another seed" if self.number > 1 else ""
            notes.append(f"empty: the model said nothing{end}")
        if hearing is None or is_empty:
            return notes
        difference = hearing.difference
        text = self.turn.text
        excerpt = repr(str(text if len(text) <= 40 else text[:39] + "…"))
        if not difference.is_right:
            unclear = f", {difference.doubtful} unclear" if difference.doubtful else ""
            notes.append(
                f"verify: {difference.missing} of {difference.words} words missing, "
                f"{difference.invented} invented{unclear}, in the best of {self.number} "
                f"attempts: {excerpt}"
            )
        elif self.is_cut:
            notes.append(
                f"verify: words after the text were cut off, in the best of {self.number} "
                f"attempts: {excerpt}"
            )
        elif self._was_wrong:
            notes.append(f"verify: words were wrong until attempt {self._first_right}: {excerpt}")
        return notes


def _rank(is_empty: bool, hearing: Hearing | None) -> tuple[bool, tuple[int, bool, int, float]]:
    """The rank of an attempt; lower is better."""
    return is_empty, (0, False, 0, 0.0) if hearing is None else hearing.rank
