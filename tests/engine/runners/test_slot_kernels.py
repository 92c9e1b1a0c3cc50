"""The Triton kernels compute what `SlotModel` does: here by Triton's interpreter, on the CPU.

It takes a second a frame even for a tiny model, so there are few frames here; `benchmarks/gpu.py`
compares the compiled kernels on a GPU.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from causerie.config import CSMConfig
from causerie.engine.runner import Draw, Sampling
from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.slot_model import SlotModel
from causerie.model.csm import CSM
from tests import tiny

pytest.importorskip("triton", reason="Triton is for Linux")

from causerie.engine.runners import slot_kernels
from causerie.kernels import rows as kernels_of_rows
from causerie.model.sampling import gumbel_noise

pytestmark = pytest.mark.slow

NUM_SLOTS, NUM_POSITIONS, NUM_CODEBOOKS = 3, 41, 3
#: Attention that is part of its product in the depth decoder, and not in the backbone.
DEPTH_ONLY = 2**11


def config() -> CSMConfig:
    """One layer each, with widths that are not powers of 2."""
    config = tiny.csm_config()
    return dataclasses.replace(
        config,
        backbone=dataclasses.replace(config.backbone, num_layers=1),
        depth=dataclasses.replace(config.depth, num_layers=1),
        num_codebooks=NUM_CODEBOOKS,
    )


def models(dtype: torch.dtype, *, int8: bool = False) -> tuple[SlotModel, SlotModel]:
    """Two models with the same weights and the same numbers in their caches."""
    model = tiny.csm(config=config()).to(dtype)
    sizes = (NUM_SLOTS, NUM_POSITIONS, tiny.CODEBOOK_SIZE)
    both = [SlotModel(model, *sizes, depth_int8=int8) for _ in range(2)]
    for slots in both:
        torch.manual_seed(3)
        slots.backbone.cache.keys.normal_()
        slots.backbone.cache.values.normal_()
    return both[0], both[1]


def rows(size: int) -> Tensor:
    """Text for slot 0, audio for the others."""
    torch.manual_seed(size)
    frames = torch.randint(1, tiny.CODEBOOK_SIZE, (size, 1, NUM_CODEBOOKS + 1))
    frames[0, :, :-1], frames[1:, :, -1] = -1, -1
    return frames


@pytest.mark.parametrize(
    ("size", "dtype", "most", "int8", "attended"),
    [
        (1, torch.float32, 64, False, DEPTH_ONLY),
        (3, torch.float32, 64, False, DEPTH_ONLY),
        (2, torch.float32, 0, True, 0),
        (1, torch.bfloat16, 64, True, DEPTH_ONLY),
        (2, torch.bfloat16, 64, False, 2**15),
    ],
)
@torch.inference_mode()
def test_a_frame_is_that_of_slot_model(
    size: int, dtype: torch.dtype, most: int, int8: bool, attended: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """At positions in the first, the second and the last part of the attention.

    Args:
        attended: see `slot_kernels.MAX_ATTENDED`.
    """
    monkeypatch.setattr(slot_kernels, "BLOCK_POSITIONS", 16)
    monkeypatch.setattr(slot_kernels, "MAX_ATTENDED", attended)
    expected, given = models(dtype, int8=int8)
    kernels = slot_kernels.KernelModel(given, NUM_SLOTS)
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 0.03, "atol": 0.03}
    positions = torch.tensor([[5], [20], [39]])[-size:]
    hidden = expected.read(rows(size), positions, 40)
    torch.testing.assert_close(kernels.read(rows(size), positions, 40), hidden, **close)
    for name in ("keys", "values"):
        got, wanted = (getattr(model.backbone.cache, name) for model in (given, expected))
        torch.testing.assert_close(got, wanted, **close)
    settings = (
        torch.tensor([2**40, 7, 8])[:size],
        torch.tensor([0, 5, 999])[:size],
        torch.tensor([[0.9, 0.7], [0.0, 0.0], [1.4, 0.6]])[:size],
        torch.tensor([[5, 20], [0, 0], [1, tiny.CODEBOOK_SIZE]])[:size] * (most > 0),
    )
    for bias in 0.0, -20.0, 20.0:
        biases = torch.tensor([bias, 0.0, bias])[:size]
        codes = expected.draw(hidden[:, 0], *settings, biases, most=most)
        found = kernels.draw(hidden[:, 0], *settings, biases, most=most)
        assert torch.equal(found[:, :-1], codes[:, :-1])
        stops = [bits[:, -1].int().view(torch.float32) for bits in (found, codes)]
        torch.testing.assert_close(*stops, **close)
        assert codes[:, -2].all()
        assert bias != 20 or not codes[0, 0]


@torch.inference_mode()
def test_codes_of_larger_batches_are_drawn_by_kernels() -> None:
    """Their products are torch's."""
    expected, given = models(torch.float32)
    kernels = slot_kernels.KernelModel(given, 1)
    torch.manual_seed(1)
    hidden = torch.randn(3, given.backbone.config.dim)
    settings = (
        torch.tensor([3, 2**62, 5]),
        torch.tensor([7, 0, 1]),
        torch.tensor([[0.9, 0.7], [0.0, 1.1], [1.4, 0.0]]),
        torch.tensor([[5, 20], [0, 3], [1, 0]]),
        torch.tensor([0.0, 20.0, -20.0]),
    )
    found = kernels.draw(hidden, *settings, most=64)
    wanted = expected.draw(hidden, *settings, most=64)
    assert torch.equal(found[:, :-1], wanted[:, :-1])
    stops = [bits[:, -1].int().view(torch.float32) for bits in (found, wanted)]
    torch.testing.assert_close(*stops, rtol=1e-5, atol=1e-5)


def test_noise_is_that_of_torch() -> None:
    seeds, frames = torch.tensor([2**63 - 1, 7, 0]), torch.tensor([5, 0, 2**40])
    found = torch.empty(3, 4, 67)
    kernels_of_rows.noise[(3, 4)](
        seeds, frames, found, 1, 1, NUM_CODEBOOKS=4, NUM_CODES=67, BLOCK_V=128, EARLY=False
    )
    torch.testing.assert_close(found, gumbel_noise(seeds, frames, 4, 67), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_draw_waits_for_the_noise(is_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that starts early may start while some of those before it still run."""
    logits, noise, table = torch.zeros(1, 8), torch.zeros(1, 8), torch.arange(16.0).view(8, 2)
    codes, x = torch.zeros(1, 4, dtype=torch.int64), torch.zeros(1, 2)
    monkeypatch.setattr(kernels_of_rows, "_begin", lambda early: noise[0, 5].fill_(9))
    kernels_of_rows.sample[(1,)](
        logits, torch.ones(1, 2), torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1), noise,
        table, codes, x, 2, 2, 1, 8, 2, 1 - is_first, 4,
        NUM_CODES=8, BLOCK_V=8, WIDTH=2, BLOCK_D=2, BITS=32, IS_FIRST=is_first, HAS_TOP_K=False,
        EARLY=False,
    )  # fmt: skip
    assert codes[0, 1 - is_first] == 5
    assert x.tolist() == [[10, 11]]


@torch.inference_mode()
def test_kernels_run_on_the_models_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton launches on the current device, which may be another card."""
    current, launched = list[torch.device](), dict[str, bool]()

    @contextlib.contextmanager
    def device_of(tensor: Tensor) -> Iterator[None]:
        current.append(tensor.device)
        yield
        current.pop()

    class Kernels:
        def __getattr__(self, name: str) -> Any:
            class Kernel:
                def __getitem__(self, grid: object) -> Any:
                    return lambda *_, **__: launched.setdefault(name, bool(current))

            return Kernel()

    _, given = models(torch.float32)
    kernels = slot_kernels.KernelModel(given, NUM_SLOTS)
    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    monkeypatch.setattr(slot_kernels, "rows", Kernels())
    hidden = kernels.read(rows(1), torch.tensor([[5]]), 40)[:, 0]
    one, two = torch.ones(1, dtype=torch.int64), torch.ones(1, 2)
    kernels.draw(hidden, one, one, two, two.long(), two[:, 0], most=0)
    assert {"noise", "sample", "query_key_value", "gate_up", "head_sample"} <= launched.keys()
    assert all(launched.values())
    assert not current


# By the interpreter:
@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.filterwarnings("ignore:invalid value encountered")
@torch.inference_mode()
def test_a_row_that_is_not_finite_is_reported() -> None:
    given, _ = models(torch.float32)
    hidden = torch.randn(2, given.backbone.config.dim)
    hidden[1, 0] = torch.nan
    codes = slot_kernels.KernelModel(given, 2).draw(
        hidden, torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64),
        torch.ones(2, 2), torch.full((2, 2), 9), torch.zeros(2), most=64,
    )  # fmt: skip
    assert codes[:, -2].tolist() == [1, 0]
    codes = codes[:, :-1]
    assert ((codes >= 0) & (codes < tiny.CODEBOOK_SIZE)).all()


def test_steps_by_kernels_and_by_torch_are_one_reply() -> None:
    """Batches of one slot by the kernels, larger ones by torch."""
    settings = Sampling(temperature=0.9, top_k=9, depth_temperature=0.7, depth_top_k=5, seed=4)
    model, codec_config = tiny.csm(config=config()), tiny.mimi_config()
    codec = tiny.mimi(config=dataclasses.replace(codec_config, num_codebooks=NUM_CODEBOOKS))
    prompt = np.full((4, NUM_CODEBOOKS + 1), -1, np.int32)
    prompt[:, -1] = (3, 1, 4, 1)

    def reply(kernel_slots: int) -> list[list[int]]:
        runner = BatchedRunner(model, codec, num_slots=2, max_rows=20, kernel_slots=kernel_slots)
        frames = []
        for slot in (0, 1):
            runner.prefill(slot, prompt)
        for frame, slots in enumerate(((0,), (0, 1), (0,))):
            draws = [Draw(slot=slot, sampling=settings, frame=frame) for slot in slots]
            frames.append(runner.step(draws)[0].tolist())
        return frames

    assert reply(1) == reply(0)


def test_weights_are_shared() -> None:
    """Only the table of projections and the heads are new tensors."""
    model: CSM = tiny.csm(config=config())
    slots = SlotModel(model, 1, 8, tiny.CODEBOOK_SIZE)
    kernels = slot_kernels.KernelModel(slots, 1)
    assert kernels.backbone.llama is slots.backbone
    assert kernels.depth.llama is slots.depth
