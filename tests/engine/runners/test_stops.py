"""All runners apply the same stop bias, and report the same probability of a stop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from causerie.engine.runner import Draw, Rows, Runner, Sampling
from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.native import NativeRunner
from causerie.engine.runners.plain import PlainRunner
from causerie.native import library
from tests import tiny
from tests.engine.recorder import Recorder

#: Of three slots, frame by frame: a rise, a fall, none.
BIASES = [(0.3 * frame, -0.5 * frame, 0.0) for frame in range(16)]
HOW = [
    Sampling(temperature=t, top_k=k, depth_temperature=0.8, depth_top_k=7, seed=seed)
    for seed, (t, k) in enumerate([(1.3, None), (0.9, 6), (0.0, None)])
]


def rows(kinds: str, seed: int) -> Rows:
    torch.manual_seed(seed)
    frames, mask = tiny.frames(tiny.csm_config(), kinds, batch=1)
    return frames.masked_fill(~mask, -1)[0].numpy().astype(np.int32)


def spoken(runner: Runner, slots: list[int]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Codes (T, B, K) and stops (T, B) of some slots."""
    for slot in slots:
        runner.prefill(slot, rows(("ttaatt", "ttt", "tatta")[slot], slot))
    codes, stops = [], []
    for frame, biases in enumerate(BIASES):
        draws = [
            Draw(slot=slot, sampling=HOW[slot], frame=frame, stop_bias=biases[slot])
            for slot in slots
        ]
        codes.append(runner.step(draws))
        stops.append(runner.stops(slots))
    return np.stack(codes), np.stack(stops)


def new(kind: str) -> Runner:
    if kind == "plain":
        return PlainRunner(tiny.csm(), tiny.mimi(), 3)
    if kind == "native":
        if library.problem() is not None:
            pytest.skip("the native kernels were not built")
        return NativeRunner(tiny.csm(), tiny.mimi(), 3)
    return BatchedRunner(
        tiny.csm(), tiny.mimi(), num_slots=3, max_rows=60,
        runs=Recorder.graphs() if kind == "recorded" else None,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["batched", "recorded", "native"])
def test_runners_equal_the_plain_one(kind: str) -> None:
    codes, stops = spoken(new("plain"), [0, 1, 2])
    found, found_stops = spoken(new(kind), [0, 1, 2])
    assert np.array_equal(found, codes)
    np.testing.assert_allclose(found_stops, stops, atol=1e-4)
    assert (codes[-4:, 0, 0] == 0).all(), "the rising bias draws the stop's code"


@pytest.mark.parametrize("kind", ["plain", "batched", "native"])
def test_a_slot_alone_equals_the_batch(kind: str) -> None:
    codes, stops = spoken(new(kind), [0, 1, 2])
    for slot in range(3):
        alone, alone_stops = spoken(new(kind), [slot])
        assert np.array_equal(alone[:, 0], codes[:, slot])
        np.testing.assert_allclose(alone_stops[:, 0], stops[:, slot], atol=1e-5)
