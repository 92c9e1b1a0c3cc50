"""Equalities of the GPU path: graphs, calls, slots, kernels, the plain model and the codec."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.checkpoint.load import Checkpoint
from causerie.engine.runner import Draw, Rows, Sampling
from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.cuda_graph import Eager
from causerie.engine.runners.slot_model import Attention, fused, products
from causerie.nn.kv_cache import KVCache

ATTENTIONS: dict[str, Attention] = {"fused": fused, "products": products}
#: Largest difference from the expected values, relative to the largest one, by dtype.
LIMITS = {torch.float32: 2e-3, torch.bfloat16: 6e-2}
#: The same for equal kernels.
SAME = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
#: Largest share of different codes; after the first difference all others may differ.
OTHER_CODES = {torch.float32: 0.05, torch.bfloat16: 0.8}
#: Rows of the prompts of the checked slots.
CHECKED_ROWS = (40, 3, 70, 17)
CHECKED_FRAMES = 6
#: Positions of the checked slots.
CHECKED_POSITIONS = 128


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to run frames; without CUDA, graphs are calls."""

    graphs: bool = True
    attention: str = "fused"
    compiled: bool = False
    kernel_slots: int = 0
    int8: bool = False
    at_once: bool = False


def new_runner(
    checkpoint: Checkpoint, way: Way, num_slots: int, max_rows: int | None = None
) -> BatchedRunner:
    """Create a runner."""
    return BatchedRunner(
        checkpoint.model,
        checkpoint.codec,
        num_slots=num_slots,
        max_rows=max_rows,
        runs=None if way.graphs else Eager(),
        attention=ATTENTIONS[way.attention],
        compiled=way.compiled,
        kernel_slots=way.kernel_slots,
        depth_int8=way.int8,
        speaks_at_once=way.at_once,
    )


@dataclass(frozen=True, kw_only=True)
class Equality:
    """A check and what it found.

    Attributes:
        value: the largest difference relative to the largest expected value, or a share of codes.
        limit: the largest value that is right.
    """

    name: str
    value: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.value <= self.limit


def equalities(
    checkpoint: Checkpoint, way: Way, frames: int = CHECKED_FRAMES
) -> Iterator[Equality]:
    """Compare a way with calls, its slots together with each alone, and both with the model."""
    model, given = checkpoint.model, prompts(checkpoint)
    dtype = model.projection.weight.dtype
    slots = range(len(given))
    runner = new_runner(checkpoint, way, len(given), max_rows=CHECKED_POSITIONS)
    calls = new_runner(
        checkpoint, Way(graphs=False, int8=way.int8), len(given), max_rows=CHECKED_POSITIONS
    )
    hidden, codes = said(runner, given, slots, frames)
    expected, expected_codes = said(calls, given, slots, frames)
    by_others = way.compiled or way.kernel_slots or way.attention != "fused"
    limit = (LIMITS if by_others else SAME)[dtype]
    yield Equality(name="as by calls", value=difference(hidden, expected), limit=limit)
    yield Equality(
        name="other codes than by calls, first frame",
        value=_share(codes[:1], expected_codes[:1]), limit=OTHER_CODES[dtype],
    )  # fmt: skip
    # The kernels are compiled for each batch size, which is that of the highest slot.
    some = [slots[0], slots[-1]] if way.kernel_slots else [*slots]
    alone = [said(runner, given, [slot], 1) for slot in some]
    hidden_alone = torch.cat([found for found, _ in alone])
    yield Equality(
        name="together as alone", value=difference(hidden[some], hidden_alone), limit=LIMITS[dtype]
    )
    yield Equality(
        name="other codes together than alone, first frame",
        value=_share(codes[:1, some], np.concatenate([found for _, found in alone], axis=1)),
        limit=OTHER_CODES[dtype],
    )
    if not way.int8:
        plain = plain_hidden(checkpoint, given)
        yield Equality(name="as the model", value=difference(hidden, plain), limit=LIMITS[dtype])
    some = torch.randint(1, 60, (2, model.config.num_codebooks, 8))
    sound = [runner.decode([3, 0], some[:, :, time].numpy().astype(np.int32)) for time in range(8)]
    found = torch.from_numpy(np.concatenate(sound, axis=1))
    wanted = checkpoint.codec.decode(some.to(hidden.device))[:, 0].cpu()
    yield Equality(
        name="sound as the codec's", value=difference(found, wanted), limit=LIMITS[torch.float32]
    )


def first_frame(checkpoint: Checkpoint, runner: BatchedRunner, way: Way) -> Equality:
    """Compare the hidden state of a runner's first frame with that by calls."""
    given = prompts(checkpoint)[:1]
    hidden, _ = said(runner, given, [0], 1)
    runner.reset(0)
    calls = new_runner(checkpoint, Way(graphs=False, int8=way.int8), 1, max_rows=CHECKED_POSITIONS)
    expected, _ = said(calls, given, [0], 1)
    dtype = checkpoint.model.projection.weight.dtype
    return Equality(name="as by calls", value=difference(hidden, expected), limit=LIMITS[dtype])


def survives_another(checkpoint: Checkpoint, device: torch.device) -> Iterator[Equality]:
    """Whether a runner says the same beside another one, and once that is gone.

    Destroying a graph may free memory that other graphs use: pytorch's issue 193402.
    """
    given = prompts(checkpoint)[:1]
    first = new_runner(checkpoint, Way(), 1, max_rows=CHECKED_POSITIONS)
    _, alone = said(first, given, [0])
    second = new_runner(checkpoint, Way(), 1, max_rows=CHECKED_POSITIONS)
    _, others = said(second, given, [0])
    _, beside = said(first, given, [0])
    yield Equality(name="another says other codes", value=_share(others, alone), limit=0)
    yield Equality(name="other codes beside another", value=_share(beside, alone), limit=0)
    del second
    gc.collect()
    taken = [torch.randn(2**20, device=device) for _ in range(64)]  # what was freed holds these
    _, after = said(first, given, [0])
    yield Equality(name="other codes once it is gone", value=_share(after, alone), limit=0)
    del taken


def prompts(checkpoint: Checkpoint) -> list[Rows]:
    """Prompts of text and audio rows, of several lengths."""
    config, drawn = checkpoint.model.config, np.random.default_rng(1)
    out = []
    for count in CHECKED_ROWS:
        rows = np.full((count, config.num_codebooks + 1), -1, np.int32)
        size = checkpoint.codec.config.codebook_size
        rows[: count // 2, :-1] = drawn.integers(1, size, (count // 2, config.num_codebooks))
        rows[count // 2 :, -1] = drawn.integers(1, 60, count - count // 2)
        out.append(rows)
    return out


def said(
    runner: BatchedRunner, given: Sequence[Rows], slots: Sequence[int], count: int = CHECKED_FRAMES
) -> tuple[Tensor, NDArray[np.int32]]:
    """Hidden states (B, D) of the first frame, and codes (T, B, K) of all."""
    for slot in slots:
        runner.reset(slot)
        runner.prefill(slot, given[slot])
    codes, first = [], torch.empty(0)
    for frame in range(count):
        codes.append(runner.step([_draw(slot, frame) for slot in slots]))
        if not frame:
            first = runner.hidden(slots).float()
    for slot in slots:
        runner.reset(slot)
    return first, np.stack(codes)


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def plain_hidden(checkpoint: Checkpoint, given: Sequence[Rows]) -> Tensor:
    """Hidden states (B, D) after prompts, by the model itself."""
    model, out = checkpoint.model, []
    weight = model.projection.weight
    with torch.inference_mode():
        for rows in given:
            cache = KVCache(
                model.config.backbone, 1, len(rows), device=weight.device, dtype=weight.dtype
            )
            read = torch.from_numpy(rows).long().to(weight.device)[None]
            out.append(model.prefill(read.clamp(min=0), read >= 0, cache).float())
    return torch.cat(out)


def _draw(slot: int, frame: int) -> Draw:
    """Different settings for each slot."""
    sampling = Sampling(
        temperature=0.9, top_k=50 if slot % 2 else None, depth_temperature=0.7, depth_top_k=20,
        seed=slot,
    )  # fmt: skip
    return Draw(slot=slot, sampling=sampling, frame=frame)


def _share(found: NDArray[np.int32], expected: NDArray[np.int32]) -> float:
    return 1 - float((found == expected).mean())
