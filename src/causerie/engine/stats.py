"""What an engine counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields


@dataclass(kw_only=True)
class Stats:
    """What an engine did so far, and does now.

    Attributes:
        active, waiting: requests with and without a slot, now.
        num_rows: of prompts that were read; those that were kept are `num_rows_saved`.
        num_underruns: how often a listener waited for sound that came too late.
        step_s: seconds of all steps together; `last_step_s` those of the latest.
        batch_sizes: how many steps made a frame of so many requests at once.
        done: requests by their last state: ended, limit, cancelled, failed.
        failures: those that failed, by the kind of error.
        num_prefix_hits: prompts that began with kept rows.
        prefix_bytes: of kept rows, now.
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
    num_prefix_hits: int = 0
    num_rows_saved: int = 0
    prefix_bytes: int = 0

    def __add__(self, other: Stats) -> Stats:
        """Those of two engines together; the latest step is the longer of both."""
        names = [one.name for one in fields(self)]
        both = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Stats(**{**both, "last_step_s": max(self.last_step_s, other.last_step_s)})
