"""Counters of an engine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields


@dataclass(kw_only=True)
class Stats:
    """Counters since the engine was created, and its state now.

    Attributes:
        active, waiting: requests with and without a slot now.
        num_rows: rows of prompts that were read; `num_rows_saved` came from the prefix cache.
        num_underruns: how often audio came too late for a listener.
        step_s: seconds of all steps; `last_step_s` of the latest.
        batch_sizes: number of steps by the number of frames that they computed.
        done: finished requests by final state: ended, limit, guard, cancelled, failed.
        guarded: requests that a guard ended, by reason: see `causerie.engine.guard.Reason`.
        failures: failed requests by type of error.
        num_prefix_hits: prompts that began with a cached prefix.
        prefix_bytes: memory of the prefix cache now.
    """

    active: int = 0
    waiting: int = 0
    num_requests: int = 0
    num_rows: int = 0
    num_frames: int = 0
    num_underruns: int = 0
    num_steps: int = 0
    step_s: float = 0.0
    last_step_s: float = 0.0
    batch_sizes: Counter[int] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    guarded: Counter[str] = field(default_factory=Counter)
    num_prefix_hits: int = 0
    num_rows_saved: int = 0
    prefix_bytes: int = 0

    def __add__(self, other: Stats) -> Stats:
        """The sum over two engines; `last_step_s` is the larger of both."""
        names = [one.name for one in fields(self)]
        both = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Stats(**{**both, "last_step_s": max(self.last_step_s, other.last_step_s)})
