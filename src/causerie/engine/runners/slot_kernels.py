"""Frames of a few slots by the Triton kernels of `causerie.kernels`: faster than `slot_model`.

It computes the same as `SlotModel`, with the same weights and caches, so one step of a slot may run
here and the next one there. The projections of all audio embeddings and the audio heads with one
row per code are computed once for the model.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
import triton
from torch import Tensor

from causerie.engine.runners.cuda_graph import has_graphs
from causerie.engine.runners.slot_model import SlotLlama, SlotModel
from causerie.kernels import rows
from causerie.nn.int8 import Int8

#: Positions per program of the attention kernel.
BLOCK_POSITIONS = 256
#: Most rows times heads times positions times features that a program attends to besides its
#: product: those of the two rows with which a frame of one slot of csm-1b begins.
MAX_ATTENDED = 2**16
#: Embeddings that are projected at a time.
CHUNK = 2**12


@dataclass(frozen=True, kw_only=True)
class Launch:
    """The launch settings of a kernel.

    Attributes:
        tile: approximate number of weights per program; 0 if the kernel has none.
    """

    tile: int
    num_warps: int


#: By kernel; estimates that `benchmarks/kernels.py` has yet to confirm on a GPU.
LAUNCHES = {
    "query_key_value": Launch(tile=8192, num_warps=4),
    "attend": Launch(tile=0, num_warps=4),
    "join": Launch(tile=0, num_warps=2),
    "attend_add_product": Launch(tile=8192, num_warps=8),
    "gate_up": Launch(tile=16384, num_warps=4),
    "add_product": Launch(tile=8192, num_warps=4),
    "head": Launch(tile=8192, num_warps=4),
    "head_sample": Launch(tile=8192, num_warps=4),
    "noise": Launch(tile=0, num_warps=4),
    "sample": Launch(tile=0, num_warps=4),
}
#: Whether a kernel may start before the previous one has ended, on GPUs that support it.
MAY_START_EARLY = True


def starts_early(device: torch.device) -> bool:
    """Whether kernels start early on a device."""
    able = has_graphs(device) and torch.cuda.get_device_capability(device) >= (9, 0)
    return able and MAY_START_EARLY


def launch_options(kernel: str, *, early: bool) -> dict[str, Any]:
    """Keyword arguments of a launch, without the arguments of the kernel.

    Sums are by fused multiply-adds, which Triton 3.10 leaves out by default.
    """
    extra = {"launch_pdl": True} if early else {}
    warps = LAUNCHES[kernel].num_warps
    return {"EARLY": early, "num_warps": warps, "enable_fp_fusion": True, **extra}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What codes of M rows are drawn by: see `causerie.kernels.rows.sample`.

    Attributes:
        bits: in which logits differ.
        has_top_k: whether a `top_k` leaves codes out.
        noise: (M, K, C).
        tables: (K, V, D).
    """

    temperatures: Tensor
    top_k: Tensor
    stop_biases: Tensor
    noise: Tensor
    tables: Tensor
    codes: Tensor
    x: Tensor
    bits: int
    has_top_k: bool


class KernelLlama:
    """Steps of a `SlotLlama` for a few rows at a time.

    Args:
        max_rows: of a call.
        early: start each kernel before the previous one has ended.
    """

    def __init__(self, llama: SlotLlama, max_rows: int, *, early: bool) -> None:
        self.llama, self._early = llama, early
        config, norm = llama.config, llama.norm
        self._query = norm.new_zeros(max_rows, config.num_heads, config.head_dim)
        self._attended = torch.zeros_like(self._query)
        self._hidden = norm.new_zeros(max_rows, config.ffn_dim)
        num_parts = triton.cdiv(llama.cache.max_length, BLOCK_POSITIONS)
        shape = (max_rows, config.num_heads, num_parts)
        self._parts = norm.new_zeros(*shape, config.head_dim, dtype=torch.float32)
        self._peaks = norm.new_zeros(*shape, 2, dtype=torch.float32)
        self._counter = norm.new_zeros(1, dtype=torch.int32)

    def forward(self, x: Tensor, positions: Tensor, length: int, seen: int) -> None:
        """Run all layers over rows x (M, D) in place, without the final norm.

        Args:
            positions: (M,), int64 or int32.
            length: rows per slot; slots start at 0.
            seen: upper bound of all positions.
        """
        for index, layer in enumerate(self.llama.layers):
            matrices = self.llama.int8_layers[index] if self.llama.int8_layers else layer
            self._project(x, index, layer.attention_norm, matrices.qkv, positions, length)
            if self._attends_at_once(len(x), seen):
                self._attend_add_product(x, index, matrices.out, positions, length, seen)
            else:
                self._attend(index, positions, length, seen)
                self._add_product(self._attended, matrices.out, x)
            self._gate_up(x, layer.ffn_norm, matrices.gate_up)
            self._add_product(self._hidden, matrices.down, x)

    def head(self, x: Tensor, matrix: Tensor | Int8, logits: Tensor) -> None:
        """Logits (M, N) of rows x (M, D), which may be strided, by a matrix (N, D)."""
        weights, scales = _stored(matrix)
        num_out, width = weights.shape
        block, block_k = self._blocks("head", num_out, width)
        rows.head[(num_out // block,)](
            x, self.llama.norm, weights, scales, logits, x.stride(0), self.llama.config.norm_eps,
            NUM_ROWS=len(x), WIDTH=width, NUM_OUT=num_out, HAS_SCALES=scales is not weights,
            BLOCK_N=block, BLOCK_K=block_k, **launch_options("head", early=self._early),
        )  # fmt: skip

    def head_sample(
        self, x: Tensor, matrix: Tensor | Int8, logits: Tensor, drawing: Drawing, codebook: int
    ) -> None:
        """`head` of one row, and a draw from its logits."""
        weights, scales = _stored(matrix)
        num_out, width = weights.shape
        block, block_k = self._blocks("head_sample", num_out, width)
        rows.head_sample[(num_out // block,)](
            x, self.llama.norm, weights, scales, logits, self._counter,
            drawing.temperatures, drawing.top_k, drawing.noise[:, codebook],
            drawing.tables[codebook], drawing.codes, drawing.x, codebook, drawing.codes.stride(0),
            self.llama.config.norm_eps,
            WIDTH=width, NUM_OUT=num_out, HAS_SCALES=scales is not weights, BLOCK_N=block,
            BLOCK_K=block_k, BLOCK_V=triton.next_power_of_2(num_out), BITS=drawing.bits,
            HAS_TOP_K=drawing.has_top_k, **launch_options("head_sample", early=self._early),
        )  # fmt: skip

    def _add_product(self, given: Tensor, matrix: Tensor | Int8, x: Tensor) -> None:
        """Add the product of the first given rows (M, K) and a matrix (N, K) to x (M, N)."""
        weights, scales = _stored(matrix)
        num_out, width = weights.shape
        block, block_k = self._blocks("add_product", num_out, width)
        rows.add_product[(num_out // block,)](
            given, weights, scales, x,
            NUM_ROWS=len(x), WIDTH=width, NUM_OUT=num_out, HAS_SCALES=scales is not weights,
            BLOCK_N=block, BLOCK_K=block_k, **launch_options("add_product", early=self._early),
        )  # fmt: skip

    def _gate_up(self, x: Tensor, norm: Tensor, matrix: Tensor | Int8) -> None:
        weights, scales = _stored(matrix)
        num_out, width = len(weights) // 2, weights.shape[1]
        block, block_k = self._blocks("gate_up", num_out, 2 * width)
        rows.gate_up[(num_out // block,)](
            x, norm, weights, scales, self._hidden, self.llama.config.norm_eps,
            NUM_ROWS=len(x), WIDTH=width, NUM_OUT=num_out, HAS_SCALES=scales is not weights,
            BLOCK_N=block, BLOCK_K=block_k // 2, **launch_options("gate_up", early=self._early),
        )  # fmt: skip

    def _project(
        self, x: Tensor, index: int, norm: Tensor, matrix: Tensor | Int8, positions: Tensor,
        length: int,
    ) -> None:  # fmt: skip
        """Compute the queries, and write keys and values into the cache."""
        config, cache = self.llama.config, self.llama.cache
        keys, values = cache.keys[index], cache.values[index]
        weights, scales = _stored(matrix)
        num_out, width = weights.shape
        block, block_k = self._blocks("query_key_value", config.head_dim // 2, 2 * width)
        rows.query_key_value[(num_out // 2 // block,)](
            x, norm, weights, scales, self.llama.cos, self.llama.sin, positions,
            self._query, keys, values, positions.stride(0), keys.stride(0), keys.stride(1),
            config.norm_eps,
            NUM_ROWS=len(x), LENGTH=length, WIDTH=width, NUM_HEADS=config.num_heads,
            NUM_KV_HEADS=config.num_kv_heads, HEAD_DIM=config.head_dim,
            HAS_SCALES=scales is not weights, BLOCK_N=block, BLOCK_K=block_k // 2,
            **launch_options("query_key_value", early=self._early),
        )  # fmt: skip

    def _attends_at_once(self, num_rows: int, seen: int) -> bool:
        """Whether attention is small enough to be part of the product of its result."""
        config = self.llama.config
        sizes = (num_rows, config.num_heads, seen, config.head_dim)
        attended: int = math.prod(map(triton.next_power_of_2, sizes))
        return attended <= MAX_ATTENDED

    def _attend_add_product(
        self, x: Tensor, index: int, matrix: Tensor | Int8, positions: Tensor, length: int,
        seen: int,
    ) -> None:  # fmt: skip
        config, cache = self.llama.config, self.llama.cache
        keys, values = cache.keys[index], cache.values[index]
        weights, scales = _stored(matrix)
        num_out, width = weights.shape
        block, _ = self._blocks("attend_add_product", num_out, width)
        rows.attend_add_product[(num_out // block,)](
            self._query, keys, values, positions, weights, scales, x,
            positions.stride(0), keys.stride(0), keys.stride(1), config.head_dim**-0.5,
            NUM_ROWS=len(x), LENGTH=length, NUM_OUT=num_out, NUM_HEADS=config.num_heads,
            NUM_KV_HEADS=config.num_kv_heads, HEAD_DIM=config.head_dim,
            HAS_SCALES=scales is not weights, BLOCK_N=block,
            BLOCK_H=triton.next_power_of_2(config.num_heads),
            BLOCK_P=triton.next_power_of_2(seen), BLOCK_E=triton.next_power_of_2(config.head_dim),
            **launch_options("attend_add_product", early=self._early),
        )  # fmt: skip

    def _attend(self, index: int, positions: Tensor, length: int, seen: int) -> None:
        config, cache = self.llama.config, self.llama.cache
        keys, values = cache.keys[index], cache.values[index]
        num_heads, head_dim, num_rows = config.num_heads, config.head_dim, len(positions)
        block_p = min(BLOCK_POSITIONS, triton.next_power_of_2(seen))
        num_parts, block_e = triton.cdiv(seen, block_p), triton.next_power_of_2(head_dim)
        rows.attend[(num_rows, num_heads, num_parts)](
            self._query, keys, values, positions, self._attended, self._parts, self._peaks,
            positions.stride(0), keys.stride(0), keys.stride(1), head_dim**-0.5,
            LENGTH=length, NUM_HEADS=num_heads, NUM_KV_HEADS=config.num_kv_heads,
            HEAD_DIM=head_dim, BLOCK_P=block_p, BLOCK_E=block_e, NUM_PARTS=num_parts,
            **launch_options("attend", early=self._early),
        )  # fmt: skip
        if num_parts > 1:
            rows.join[(num_rows * num_heads,)](
                self._parts, self._peaks, self._attended,
                HEAD_DIM=head_dim, BLOCK_E=block_e, NUM_PARTS=num_parts,
                BLOCK_S=triton.next_power_of_2(num_parts),
                **launch_options("join", early=self._early),
            )  # fmt: skip

    def _blocks(self, kernel: str, num_out: int, width: int) -> tuple[int, int]:
        """Outputs per program, a divisor of all outputs, and row length, a power of 2."""
        block_k = triton.next_power_of_2(width)
        block = max(1, LAUNCHES[kernel].tile // block_k)
        while num_out % block:
            block //= 2
        return block, block_k


def _heads(slots: SlotModel) -> list[Tensor | Int8]:
    """A matrix (C, D) for each codebook 1 … K-1, with the codes that may be drawn."""
    if slots.int8_heads is None:
        heads = slots.audio_heads[:, :, : slots.num_codes].transpose(1, 2)
        return list(heads.contiguous())
    numbers, scales = (part[:, : slots.num_codes].contiguous() for part in slots.int8_heads)
    return [Int8(*parts) for parts in zip(numbers, scales, strict=True)]


def _stored(matrix: Tensor | Int8) -> tuple[Tensor, Tensor]:
    """Numbers and scales; without scales, the numbers twice, as an unused placeholder."""
    return (matrix, matrix) if isinstance(matrix, Tensor) else matrix


class KernelModel:
    """Frames of a `SlotModel`.

    Args:
        max_slots: largest batch whose products are computed here. The products of larger ones are
            torch's, and only their codes are drawn here.
    """

    def __init__(self, slots: SlotModel, max_slots: int) -> None:
        self.max_slots, self._slots = max_slots, slots
        model, config = slots.model, slots.model.config
        some, device = model.projection.weight, model.projection.weight.device
        num_slots = slots.backbone.cache.keys.shape[1]
        self._early = early = starts_early(device)
        self.backbone = KernelLlama(slots.backbone, max_slots, early=early)
        self.depth = KernelLlama(slots.depth, 2 * max_slots, early=early)
        with torch.inference_mode():
            embedded = model.audio_embedding.weight.split(CHUNK)
            table = torch.cat([F.linear(part, model.projection.weight) for part in embedded])
            self._table = table.view(config.num_codebooks, config.audio_vocab_size, -1)
            self._heads = _heads(slots)
        self._head0 = model.codebook0_head.weight[: slots.num_codes].detach()
        # Position 0 is the hidden state, position i + 1 is code i: the first pass has two rows.
        index = torch.arange(config.num_codebooks, device=device)
        self._first = index[:2].repeat(max_slots)
        self._positions = index[:, None].repeat(1, max_slots)
        self._x = some.new_zeros(num_slots, 2, config.depth.dim)
        self._next = some.new_zeros(num_slots, 1, config.depth.dim)
        self._logits = some.new_zeros(max_slots, slots.num_codes)
        self._codes = torch.zeros(
            num_slots, config.num_codebooks + 2, dtype=torch.int64, device=device
        )
        self._noise = torch.zeros(
            num_slots, config.num_codebooks, slots.num_codes, dtype=torch.float32, device=device
        )

    def read(self, frames: Tensor, positions: Tensor, length: int) -> Tensor:
        """See `SlotModel.read`; here one row (B, 1, K+1) per slot, of at most `max_slots`."""
        x = self._slots.model.embed_frames(frames.clamp(min=0), frames >= 0)
        with torch.cuda.device_of(x):  # Triton launches on the current device
            self.backbone.forward(x[:, 0], positions[:, 0], 1, length)
        llama = self._slots.backbone
        return F.rms_norm(x, x.shape[-1:], llama.norm, llama.config.norm_eps)

    def draw(
        self,
        hidden: Tensor,
        seeds: Tensor,
        frames: Tensor,
        temperatures: Tensor,
        top_k: Tensor,
        stop_biases: Tensor,
        *,
        most: int,
    ) -> Tensor:
        """See `SlotModel.draw`."""
        with torch.cuda.device_of(hidden):
            return self._drawn(hidden, seeds, frames, temperatures, top_k, stop_biases, most)

    def _drawn(
        self, hidden: Tensor, seeds: Tensor, frames: Tensor, temperatures: Tensor, top_k: Tensor,
        stop_biases: Tensor, most: int,
    ) -> Tensor:  # fmt: skip
        model, size = self._slots.model, len(hidden)
        self._x[:size, 0] = model.projection(hidden)
        self._draw_noise(seeds, frames)
        drawing = Drawing(
            temperatures=temperatures, top_k=top_k, stop_biases=stop_biases, noise=self._noise,
            tables=self._table, codes=self._codes[:size], x=self._next[:size, 0],
            bits=16 if hidden.dtype == torch.bfloat16 else 32, has_top_k=most > 0,
        )  # fmt: skip
        first = dataclasses.replace(drawing, x=self._x[:size, 1])
        self._sample(F.linear(hidden, self._head0), first, 0)
        for codebook in range(1, model.config.num_codebooks):
            if size > self.max_slots:
                self._sample(self._logits_by_torch(size, codebook), drawing, codebook)
                continue
            last = self._last(size, codebook)
            logits, head = self._logits[:size], self._heads[codebook - 1]
            if size == 1:
                self.depth.head_sample(last, head, logits, drawing, codebook)
            else:
                self.depth.head(last, head, logits)
                self._sample(logits, drawing, codebook)
        return self._codes[:size]

    def _draw_noise(self, seeds: Tensor, frames: Tensor) -> None:
        _, num_codebooks, num_codes = self._noise.shape
        rows.noise[(len(seeds), num_codebooks)](
            seeds, frames, self._noise, seeds.stride(0), frames.stride(0),
            NUM_CODEBOOKS=num_codebooks, NUM_CODES=num_codes,
            BLOCK_V=triton.next_power_of_2(num_codes),
            **launch_options("noise", early=self._early),
        )  # fmt: skip

    def _sample(self, logits: Tensor, drawing: Drawing, codebook: int) -> None:
        """Draw the codes of a codebook, and write what they are for the next pass."""
        num_codes, width = logits.shape[1], drawing.x.shape[1]
        rows.sample[(len(logits),)](
            logits, drawing.temperatures, drawing.top_k, drawing.stop_biases,
            drawing.noise[:, codebook], drawing.tables[codebook], drawing.codes, drawing.x,
            drawing.temperatures.stride(0), drawing.top_k.stride(0), drawing.stop_biases.stride(0),
            drawing.noise.stride(0), drawing.x.stride(0), codebook, drawing.codes.stride(0),
            NUM_CODES=num_codes, BLOCK_V=triton.next_power_of_2(num_codes), WIDTH=width,
            BLOCK_D=triton.next_power_of_2(width), BITS=drawing.bits, IS_FIRST=codebook == 0,
            HAS_TOP_K=drawing.has_top_k, **launch_options("sample", early=self._early),
        )  # fmt: skip

    def _last(self, size: int, codebook: int) -> Tensor:
        """The depth decoder's rows (B, D), without the final norm, for a codebook."""
        num_codebooks = len(self._positions)
        if codebook == 1:
            both = self._x[:size].view(2 * size, -1)
            self.depth.forward(both, self._first[: 2 * size], 2, num_codebooks)
            return self._x[:size, 1]
        last = self._next[:size, 0]
        self.depth.forward(last, self._positions[codebook, :size], 1, num_codebooks)
        return last

    def _logits_by_torch(self, size: int, codebook: int) -> Tensor:
        """Logits (B, C) of a codebook."""
        slots = self._slots
        inputs = (self._x if codebook == 1 else self._next)[:size]
        head = slots.audio_heads[codebook - 1, :, : slots.num_codes]
        return slots.depth_pass(inputs, codebook) @ head
