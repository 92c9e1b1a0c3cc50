"""Playing chunks as they arrive has no underruns, and chunks soon grow."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causerie.engine.chunk_sizes import MAX_CHUNK, ChunkSizes

FRAME_S = 0.08


def listen(step_s: Iterator[float], num_frames: int) -> tuple[list[int], list[float], float]:
    """Sizes and times of the chunks, and the seconds of silence at the listener."""
    pieces, now, dry, played_at = ChunkSizes(FRAME_S), 0.0, 0.0, None
    sizes, times = [], []
    while sum(sizes) < num_frames:
        size = min(pieces.size(now), num_frames - sum(sizes))
        for _ in range(size):
            now += next(step_s)
        if played_at is not None:
            dry += max(0.0, now - played_at)
        played_at = max(now, played_at or 0.0) + size * FRAME_S
        pieces.count(size, now)
        sizes.append(size)
        times.append(now)
    return sizes, times, dry


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.floats(0, 0.0799))
def test_never_dry_where_steps_are_faster_than_sound(seed: int, slowest: float) -> None:
    rng = random.Random(seed)
    sizes, times, dry = listen(iter(lambda: rng.uniform(0, slowest), None), 100)
    assert dry == 0
    assert sizes[:2] == [1, 1]
    assert max(sizes) <= MAX_CHUNK
    assert times[0] <= slowest  # the first piece leaves with the first frame


def test_chunks_double_where_sound_takes_no_time() -> None:
    sizes, _, _ = listen(iter(lambda: 0.0, None), 31)
    assert sizes == [1, 1, 1, 2, 4, 8, 8, 6]


@pytest.mark.parametrize(("step_s", "grown"), [(0.01, 30), (0.04, 40), (0.079, 10_000)])
def test_chunks_grow_with_the_lead(step_s: float, grown: int) -> None:
    sizes, _, _ = listen(iter(lambda: step_s, None), 200)
    before = sum(sizes[: sizes.index(MAX_CHUNK)]) if MAX_CHUNK in sizes else 10_000
    assert before <= grown


def test_a_slow_machine_hands_out_single_frames() -> None:
    sizes, _, dry = listen(iter(lambda: 0.1, None), 20)
    assert sizes == [1] * 20
    assert dry > 0


def test_ready_frames_are_delivered_without_waiting() -> None:
    pieces = ChunkSizes(FRAME_S)
    assert pieces.size(0.0, num_ready=50) == 1
    pieces.count(1, 0.0)
    pieces.count(1, 0.0)
    assert pieces.size(9.0, num_ready=50) == 2  # no lead, but frames
    assert pieces.size(9.0, num_ready=1) == 1
