"""A request to speak, and the ticket that says how far it is. Plain Python.

Rows and sound are opaque here: what counts is how many rows there are and where they may be cut.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from causerie.errors import ConfigError

#: Rows that are read at once, at most: so long may playing streams have to wait for a reader.
CHUNK_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How codes are drawn: codebook 0 by the first pair, the acoustic ones by the second.

    Noise depends on (seed, frame, codebook, code) alone: see `causerie.model.sampling`.
    """

    temperature: float
    top_k: int | None
    depth_temperature: float
    depth_top_k: int | None
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A prompt to be answered.

    Attributes:
        rows: int32 array (S, K+1), -1 where masked out, as the runner reads them.
        part_ends: rows up to the end of each part of the prompt; the last part is the text that
            is to be spoken, the others are worth keeping for the requests that start alike.
        max_frames: the reply is cut there.
        first_frame: number of its first frame, for the noise: a reply may have several turns.
        realtime: somebody listens to it while it is made. Else it takes what the listeners leave.
        continues: somebody is in the middle of hearing it: it is not refused where the queue is
            full, and goes before those of its priority that have not begun.
        priority: higher ones go before lower ones; equal ones as they came.
        deadline_s: seconds to the first sound, after which it fails with `DeadlineError`.

    Raises:
        ConfigError: numbers that mean nothing.
    """

    rows: Any
    part_ends: Sequence[int]
    max_frames: int
    sampling: Sampling
    first_frame: int = 0
    realtime: bool = True
    continues: bool = False
    priority: int = 0
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        ends = tuple(self.part_ends)
        if not ends or ends[-1] != len(self.rows) or list(ends) != sorted({0, *ends} - {0}):
            raise ConfigError(
                f"part_ends must rise to the {len(self.rows)} rows of the prompt, not {ends}"
            )
        if self.max_frames < 1:
            raise ConfigError(f"max_frames must be at least 1, not {self.max_frames}")
        if self.deadline_s is not None and not 0 < self.deadline_s < math.inf:
            raise ConfigError(f"deadline_s must be seconds above 0, not {self.deadline_s!r}")


def chunk_ends(part_ends: Sequence[int], chunk_rows: int = CHUNK_ROWS) -> tuple[int, ...]:
    """Where a prompt is cut to be read: at the end of each part, and every so many rows within.

    It depends on the prompt alone, and so do the results of a runner that is not row-invariant.
    """
    ends: list[int] = []
    start = 0
    for end in part_ends:
        ends += [*range(start + chunk_rows, end, chunk_rows), end]
        start = end
    return tuple(ends)


class State(enum.Enum):
    """Where a request stands."""

    WAITING = "waiting"
    READING = "reading"
    SPEAKING = "speaking"
    ENDED = "ended"
    LIMIT = "limit"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_done(self) -> bool:
        """Whether nothing comes after it."""
        return self in (State.ENDED, State.LIMIT, State.CANCELLED, State.FAILED)


@dataclass(kw_only=True, eq=False)
class Ticket:
    """How far a request is. The scheduler alone changes it.

    Attributes:
        number: counts the requests as they come.
        ends: where its prompt is cut, see `chunk_ends`.
        slot: None while it waits and once it is done.
        num_read: rows of the prompt that are read.
        num_frames: made so far.
        num_skipped: steps in which it could have spoken, since it last did.
        num_underruns: how often its listener waited for sound that came too late.
        looked: version of the kept prefixes that it was compared with.
        error: why it failed.
    """

    number: int
    request: Request
    arrived: float
    ends: tuple[int, ...] = ()
    state: State = State.WAITING
    slot: int | None = None
    num_read: int = 0
    num_frames: int = 0
    num_skipped: int = 0
    num_underruns: int = 0
    first_sound_s: float | None = None
    looked: int = -1
    error: BaseException | None = None
    _played_at: float | None = field(default=None, repr=False)  # when all sound so far is played

    def __post_init__(self) -> None:
        self.ends = chunk_ends(self.request.part_ends)

    @property
    def order(self) -> tuple[int, bool, int]:
        """Sorts the tickets: whose turn is first."""
        return -self.request.priority, not self.request.continues, self.number

    @property
    def is_done(self) -> bool:
        """Whether its state is a last one."""
        return self.state.is_done

    def lead(self, now: float) -> float:
        """Seconds of sound that a listener has left; infinite where nobody listens.

        Who has not heard anything yet has none.
        """
        if not self.request.realtime:
            return math.inf
        return 0.0 if self._played_at is None else self._played_at - now

    def sounded(self, now: float, frame_s: float, awaited: bool) -> bool:
        """Count a frame that is handed out now; whether its listener waited too long for it."""
        self.num_frames += 1
        self.num_skipped = 0
        if self.first_sound_s is None:
            self.first_sound_s = now - self.arrived
        start = now if self._played_at is None else max(now, self._played_at)
        is_late = awaited and self._played_at is not None and now > self._played_at
        self._played_at = start + frame_s
        self.num_underruns += is_late
        return is_late

    def asked(self, now: float) -> None:
        """A listener who makes the sound by asking for it begins anew where it asks too late."""
        if self._played_at is not None and now > self._played_at:
            self._played_at = None
