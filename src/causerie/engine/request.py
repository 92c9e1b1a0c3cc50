"""A request to speak, and the ticket that tracks its progress. Plain Python.

Rows and audio are opaque here: only the number of rows and the places to cut them matter.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from causerie.errors import ConfigError

#: Most rows that are read at once; playing streams wait that long for a prompt.
CHUNK_ROWS = 64
#: Deviations above the usual length at which a guard cuts the speech in any case.
CUT_AT = 2.6


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling settings: the first pair is for codebook 0, the second for the acoustic codebooks.

    The noise depends on (seed, frame, codebook, code) only: see `causerie.model.sampling`.
    """

    temperature: float
    top_k: int | None
    depth_temperature: float
    depth_top_k: int | None
    seed: int


@dataclass(frozen=True, kw_only=True)
class Length:
    """The usual length of the speech of a text, in frames.

    Attributes:
        mean: the expected length.
        deviation: its standard deviation.
    """

    mean: float
    deviation: float

    def z(self, num_frames: float) -> float:
        """The distance of a length from the usual one in standard deviations."""
        return (num_frames - self.mean) / self.deviation

    @property
    def max_frames(self) -> int:
        """The length at which a guard cuts the speech in any case."""
        return max(1, math.floor(self.mean + CUT_AT * self.deviation))


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A prompt and how to speak it.

    Attributes:
        rows: int32 array (S, K+1), -1 where masked out.
        part_ends: number of rows up to the end of each part; the last part is the text to speak,
            the parts before it are the voice and the context.
        max_frames: the reply is cut there.
        length: the usual length of the speech: a guard ends speech that goes on much longer. None:
            there is no guard.
        first_frame: number of the reply's first frame, for the noise: a reply may have several
            turns.
        realtime: somebody listens while the reply is generated. Other requests get the time that
            listeners leave.
        continues: the listener is in the middle of a reply. The request is accepted even if the
            queue is full, and goes before new requests of its priority.
        cache_context: other prompts are likely to begin with the same voice and context. False
            for later turns of a reply, whose context holds its own earlier turns.
        cache_reply: the next prompt may begin with this one and its reply.
        client: free slots and places in the queue are shared between clients; None is one too.
        priority: higher goes first; equal ones by client, then in order of arrival.
        deadline_s: seconds to the first audio, after which the request fails with
            `DeadlineError`.

    Raises:
        ConfigError: a value is out of range.
    """

    rows: Any
    part_ends: Sequence[int]
    max_frames: int
    sampling: Sampling
    length: Length | None = None
    first_frame: int = 0
    realtime: bool = True
    continues: bool = False
    cache_context: bool = True
    cache_reply: bool = True
    client: str | None = None
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
    """The positions that cut a prompt: the end of each part, and every `chunk_rows` within it.

    The cuts depend on the prompt only. So do, then, the results of a runner that is not
    row-invariant.
    """
    ends: list[int] = []
    start = 0
    for end in part_ends:
        ends += [*range(start + chunk_rows, end, chunk_rows), end]
        start = end
    return tuple(ends)


class State(enum.Enum):
    """The state of a request."""

    WAITING = "waiting"
    READING = "reading"
    SPEAKING = "speaking"
    ENDED = "ended"
    LIMIT = "limit"
    GUARD = "guard"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_done(self) -> bool:
        """Whether it is a final state."""
        return self not in (State.WAITING, State.READING, State.SPEAKING)


@dataclass(kw_only=True, eq=False)
class Ticket:
    """The progress of a request.

    Attributes:
        number: order of arrival.
        ends: where the prompt is cut, see `chunk_ends`.
        arrived: when the request was submitted, by the engine's clock.
        admitted: when it got its slot; None until then.
        slot: None while the request waits and once it is done.
        num_read: rows of the prompt read so far.
        num_frames: frames generated so far.
        num_skipped: steps without a frame since the last frame, though the request was ready.
        num_underruns: how often audio came too late for its listener.
        checked_version: version of the prefix cache that the prompt was last looked up in.
        error: why the request failed.
        guard: the `Guard` that watches the speech, if the request has a usual length.
    """

    number: int
    request: Request
    arrived: float
    admitted: float | None = None
    ends: tuple[int, ...] = ()
    state: State = State.WAITING
    slot: int | None = None
    num_read: int = 0
    num_frames: int = 0
    num_skipped: int = 0
    num_underruns: int = 0
    first_sound_s: float | None = None
    checked_version: int = -1
    error: BaseException | None = None
    guard: Any = None
    _played_at: float | None = field(default=None, repr=False)  # when all audio so far is played

    def __post_init__(self) -> None:
        self.ends = chunk_ends(self.request.part_ends)

    @property
    def order(self) -> tuple[int, bool, int]:
        """Sort key: lower goes first."""
        return -self.request.priority, not self.request.continues, self.number

    @property
    def is_done(self) -> bool:
        """Whether the request has finished."""
        return self.state.is_done

    def lead(self, now: float) -> float:
        """Seconds of audio that the listener has left to play; infinite without a listener.

        0 before the first frame.
        """
        if not self.request.realtime:
            return math.inf
        return 0.0 if self._played_at is None else self._played_at - now

    def count_frame(
        self, now: float, frame_s: float, awaited: bool, is_delivered: bool = True
    ) -> bool:
        """Count a new frame; returns whether one that is delivered now came too late."""
        self.num_frames += 1
        self.num_skipped = 0
        if not is_delivered:
            return False
        if self.first_sound_s is None:
            self.first_sound_s = now - self.arrived
        start = now if self._played_at is None else max(now, self._played_at)
        is_late = awaited and self._played_at is not None and now > self._played_at
        self._played_at = start + frame_s
        self.num_underruns += is_late
        return is_late

    def restart_late_playback(self, now: float) -> None:
        """Restart the playback clock of a consumer that steps the engine itself and comes late."""
        if self._played_at is not None and now > self._played_at:
            self._played_at = None
