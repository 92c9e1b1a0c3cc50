"""The plain runner follows the `Runner` protocol and uses no more memory than needed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from causerie.engine.runner import BrokenSlotsError, Draw, Runner
from causerie.engine.runners.plain import FIRST_ROWS, PlainRunner
from causerie.nn.kv_cache import KVCache
from tests import tiny
from tests.engine.asking import sampling, text

GREEDY = sampling(temperature=0.0, depth_temperature=0.0)


@pytest.fixture
def runner() -> PlainRunner:
    return PlainRunner(tiny.csm(config=tiny.csm_config(400)), tiny.mimi(), 3)


def test_it_is_a_runner(runner: PlainRunner) -> None:
    some: Runner = runner
    assert (some.num_slots, some.max_rows, some.num_codebooks) == (3, 400, tiny.NUM_CODEBOOKS)
    assert (some.frame_size, some.frame_rate, some.sample_rate) == (1_920, 12.5, 24_000)


def test_frames_and_sound_are_the_models_and_the_codecs(runner: PlainRunner) -> None:
    model, codec = tiny.csm(config=tiny.csm_config(400)), tiny.mimi()
    rows = text(random.Random(0), 9)
    runner.prefill(1, rows)
    drawn = [runner.step([Draw(slot=1, sampling=GREEDY, frame=n)])[0] for n in range(4)]
    sound = np.concatenate([runner.decode([1], codes[None])[0] for codes in drawn])

    frames = torch.from_numpy(rows).long()[None]
    cache, depth = KVCache(model.config.backbone, 1, 400), KVCache(model.config.depth, 1, 5)
    with torch.inference_mode():
        hidden = model.prefill(frames.clamp(min=0), frames >= 0, cache)
        expected = []
        for _ in range(4):
            codes = model.depth_decode(hidden, depth, lambda x, _: x[:, :32].argmax(-1))
            expected.append(codes)
            hidden = model.backbone_step(codes, cache)
        pcm = codec.decode(torch.stack(expected, dim=-1))[0, 0]
    assert np.array_equal(np.stack(drawn), torch.cat(expected).numpy())
    np.testing.assert_allclose(sound, pcm.numpy(), rtol=1e-4, atol=1e-4)


def test_memory_grows_with_the_rows_of_a_slot(runner: PlainRunner) -> None:
    rows = text(random.Random(0), 300)
    lengths = []
    for start in range(0, 300, 50):
        runner.prefill(0, rows[start : start + 50])
        cache = runner._state(0, 0).cache
        lengths.append((cache.length, cache.max_length))
    assert lengths == [
        (50, FIRST_ROWS), (100, FIRST_ROWS), (150, 256), (200, 256), (250, 256), (300, 400),
    ]  # fmt: skip
    assert runner._slots[1:] == [None, None]
    whole = PlainRunner(tiny.csm(config=tiny.csm_config(400)), tiny.mimi(), 1)
    whole.prefill(0, rows)
    draw = Draw(slot=0, sampling=GREEDY, frame=0)
    assert np.array_equal(runner.step([draw]), whole.step([draw]))
    runner.reset(0)
    assert runner._slots[0] is None


def test_a_slot_can_be_filled_to_the_last_row(runner: PlainRunner) -> None:
    runner.prefill(0, text(random.Random(0), 400))
    runner.step([Draw(slot=0, sampling=GREEDY, frame=0)])
    with pytest.raises(AssertionError, match="full"):
        runner.step([Draw(slot=0, sampling=GREEDY, frame=1)])


def test_saved_rows_are_those_that_were_read(runner: PlainRunner) -> None:
    rows = text(random.Random(0), 20)
    runner.prefill(0, rows[:12])
    saved = runner.save(0, 12)
    config = tiny.csm_config().backbone
    row_bytes = 2 * 4 * config.num_layers * config.num_kv_heads * config.head_dim
    assert (saved.num_rows, saved.num_bytes) == (12, 12 * row_bytes)
    runner.prefill(0, rows[12:])
    runner.load(2, saved, 12)
    runner.prefill(2, rows[12:])
    draws = [Draw(slot=slot, sampling=sampling(4), frame=0) for slot in (0, 2)]
    first, second = runner.step(draws)
    assert np.array_equal(first, second)


def test_slots_that_are_not_finite_are_named(runner: PlainRunner) -> None:
    for slot in range(3):
        runner.prefill(slot, text(random.Random(slot), 5))
    broken = runner._state(1, 0)
    broken.hidden = torch.full_like(broken.hidden, torch.nan)
    draws = [Draw(slot=slot, sampling=GREEDY, frame=0) for slot in range(3)]
    with pytest.raises(BrokenSlotsError, match=r"not finite in torch\.float32") as caught:
        runner.step(draws)
    assert caught.value.slots == (1,)
    again = PlainRunner(tiny.csm(config=tiny.csm_config(400)), tiny.mimi(), 3)
    for slot in (0, 2):
        again.prefill(slot, text(random.Random(slot), 5))
    expected = again.step([draws[0], draws[2]])
    assert np.array_equal(caught.value.codes[[0, 2]], expected)
