"""Listeners that play their audio, on simulated machines."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie.engine.chunk_sizes import ChunkSizes
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Length, State
from causerie.engine.runner import Draw, Rows, SavedRows
from tests.engine.asking import request, text

FRAME_S = 0.08


@dataclass
class Machine:
    """A runner that only takes simulated time."""

    num_slots: int = 8
    row_s: float = 2e-4
    step_s: float = 0.02
    each_s: float = 0.004
    now: float = 0.0
    num_codebooks: int = 5
    frame_size: int = 1_920
    frame_rate: float = 12.5
    sample_rate: int = 24_000
    max_rows: int = 2_048
    row_invariant: bool = True
    used: list[int] = field(default_factory=list)

    def reset(self, slot: int) -> None:
        pass

    def prefill(self, slot: int, rows: Rows) -> None:
        self.now += len(rows) * self.row_s

    def step(self, draws: Sequence[Draw]) -> NDArray[np.int32]:
        assert len({draw.slot for draw in draws}) == len(draws)
        self.now += self.step_s + self.each_s * len(draws)
        return np.ones((len(draws), self.num_codebooks), np.int32)

    def stops(self, slots: Sequence[int]) -> NDArray[np.float32]:
        return np.full(len(slots), -9, np.float32)

    def decode(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.zeros((len(slots), self.frame_size), np.float32)

    def save(self, slot: int, num_rows: int) -> SavedRows:
        raise AssertionError("nothing is to be kept")

    def load(self, slot: int, saved: SavedRows, num_rows: int) -> None:
        raise AssertionError("nothing is kept")


class Listener:
    """Takes chunks when they are ready, and plays them from the first one on."""

    def __init__(self, handle: Handle, now: float) -> None:
        self.handle, self.asked_at = handle, now
        handle.is_awaited = True
        self.pieces = ChunkSizes(FRAME_S)
        self.first_s: float | None = None
        self.dry_s = 0.0
        self._played_at = 0.0

    def listen(self, now: float) -> None:
        while True:
            size = self.pieces.size(now, self.handle.num_ready)
            if not self.handle.is_ready(size):
                return
            piece = self.handle.take(size)
            if piece is None:
                return
            if self.first_s is None:
                self.first_s, self._played_at = now - self.asked_at, now
            self.dry_s += max(0.0, now - self._played_at)
            num_frames = len(piece) // 1_920
            self._played_at = max(now, self._played_at) + num_frames * FRAME_S
            self.pieces.count(num_frames, now)


def play(machine: Machine, arrivals: Sequence[tuple[float, int, int]]) -> list[Listener]:
    """Run listeners (time, rows, frames) until all have played everything."""
    engine = Engine(machine, clock=lambda: machine.now, prefix_bytes=0)
    rng, left, listeners = random.Random(0), list(arrivals), []
    while left or engine.stats().active or engine.stats().waiting:
        while left and left[0][0] <= machine.now:
            when, num_rows, num_frames = left.pop(0)
            asked = request(text(rng, num_rows), max_frames=num_frames)
            listeners.append(Listener(engine.submit(asked), when))
        if not engine.step():
            machine.now = left[0][0]
        for listener in listeners:
            listener.listen(machine.now)
    assert all(listener.handle.take() is None for listener in listeners)
    assert engine.stats().num_underruns == sum(
        listener.handle.ticket.num_underruns for listener in listeners
    )
    return listeners


def come(seed: int, count: int, every_s: float) -> list[tuple[float, int, int]]:
    rng, now, arrivals = random.Random(seed), 0.0, []
    for _ in range(count):
        arrivals.append((now, rng.randint(5, 600), rng.randint(1, 120)))
        now += rng.expovariate(1 / every_s)
    return arrivals


@pytest.mark.parametrize("seed", range(5))
def test_no_underruns_on_a_fast_machine(seed: int) -> None:
    """8 slots take 52 ms per frame; 64 rows another 13 ms."""
    listeners = play(Machine(), come(seed, 40, every_s=0.8))
    assert sum(listener.dry_s for listener in listeners) == 0
    assert sum(listener.handle.ticket.num_underruns for listener in listeners) == 0
    first = sorted(listener.first_s or 0.0 for listener in listeners)
    assert first[len(first) // 2] < 0.3


def test_simultaneous_listeners_all_start_soon() -> None:
    listeners = play(Machine(), [(0.0, 100, 50)] * 8)
    assert sum(listener.dry_s for listener in listeners) == 0
    first = [listener.first_s or 0.0 for listener in listeners]
    assert first[0] == pytest.approx(0.02 + 0.024)
    assert max(first) < 1.0


def test_on_a_machine_that_is_too_slow_underruns_are_counted_and_all_is_said() -> None:
    listeners = play(Machine(step_s=0.1), come(0, 20, every_s=0.3))
    assert sum(listener.handle.ticket.num_underruns for listener in listeners) > 100
    assert min(listener.dry_s for listener in listeners if len(listener.handle.frames) > 5) > 0


def test_after_a_stall_listeners_without_a_lead_go_first() -> None:
    """Another program uses the machine for half a second: the leads bridge it."""
    machine = Machine()
    decode, count = machine.decode, [0]

    def stalling(slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        count[0] += 1
        machine.now += 0.5 if count[0] == 40 else 0.0
        return decode(slots, codes)

    machine.decode = stalling  # type: ignore[method-assign]
    listeners = play(machine, [(0.0, 20, 100), (0.0, 20, 100)])
    assert sum(listener.dry_s for listener in listeners) == 0


class Talker(Machine):
    """A loud machine that never stops or repeats itself."""

    def step(self, draws: Sequence[Draw]) -> NDArray[np.int32]:
        return super().step(draws) + np.array([[draw.frame] for draw in draws], np.int32)

    def decode(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.full((len(slots), self.frame_size), 0.1, np.float32)


def test_the_guard_holds_the_latest_frames_and_drops_those_after_the_text() -> None:
    machine = Talker()
    engine = Engine(machine, clock=lambda: machine.now, prefix_bytes=0)
    length = Length(mean=30.0, deviation=2.0)
    handle = engine.submit(request(text(random.Random(0), 5), max_frames=90, length=length))
    taken: list[NDArray[np.float32]] = []
    while engine.step():
        held = handle.num_held
        assert handle.is_done or handle.num_ready + len(taken) == len(handle.frames) - held
        while handle.num_ready:
            piece = handle.take(1)
            assert piece is not None
            taken.append(piece)
    assert handle.take() is None
    assert handle.state is State.GUARD
    assert handle.ticket.num_frames == length.max_frames
    assert 26 <= len(handle.frames) == len(taken) <= 31
    assert not taken[-1].any()
    assert taken[-5].all()
    assert handle.ticket.first_sound_s == pytest.approx(0.024 + 5 * machine.row_s)
