"""The language model over slots, with every tensor at a fixed address and every shape fixed.

It computes the same as `causerie.model.csm`, for rows at different positions. No operation depends
on a value on the host, so a CUDA graph can record it. `SlotLlama.forward` serves the backbone's
prompts, its steps and the depth decoder.

Weights with the same input are joined, and the model's own become views of the joined ones: see
`causerie.engine.runners.joined`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from causerie.config import LlamaConfig
from causerie.engine.runners.joined import align, join
from causerie.model.csm import CSM
from causerie.model.llama import Block, Llama
from causerie.model.sampling import gumbel_noise, sample_rows, stop_log_probability
from causerie.nn.backends import without_plans
from causerie.nn.int8 import Int8
from causerie.nn.kv_cache import KVCache
from causerie.nn.rope import inverse_frequencies, rotate, rotation

#: Most shapes for which `block` is compiled: batch sizes times lengths, and some more.
MAX_COMPILED = 256
#: Attention of queries (B, G, S, E) to keys and values (B, G, L, E), with a bias (B, 1, S, L).
Attention = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention by torch's fused kernel."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def products(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention by two matrix products, which also divide the work along L."""
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5 + bias
    out: Tensor = scores.softmax(dim=-1).to(v.dtype) @ v
    return out


class Layer(NamedTuple):
    """Weights of one layer; those with the same input are joined."""

    attention_norm: Tensor
    qkv: Tensor
    out: Tensor
    ffn_norm: Tensor
    gate_up: Tensor
    down: Tensor

    @classmethod
    def of(cls, block: Block) -> Layer:
        attention, ffn = block.attention, block.ffn
        return cls(
            attention_norm=block.attention_norm.weight.detach(),
            qkv=join(attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight),
            out=attention.o_proj.weight.detach(),
            ffn_norm=block.ffn_norm.weight.detach(),
            gate_up=join(ffn.gate_proj.weight, ffn.up_proj.weight),
            down=ffn.down_proj.weight.detach(),
        )


class Int8Layer(NamedTuple):
    """The matrices of a layer in int8."""

    qkv: Int8
    out: Int8
    gate_up: Int8
    down: Int8

    @classmethod
    def of(cls, layer: Layer) -> Int8Layer:
        return cls(*(Int8.of(getattr(layer, name)) for name in cls._fields))

    def fill(self, layer: Layer) -> Layer:
        """The layer with these matrices, in its own dtype."""
        matrices = {name: getattr(self, name).to(layer.qkv.dtype) for name in self._fields}
        return layer._replace(**matrices)


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """The positions of rows, shared by all layers; B may be 1 for rows at the same positions.

    Attributes:
        positions: (B, 1, S), positions at which keys are written.
        cos, sin: (B, 1, S, E/2) of the positions.
        bias: (B, 1, H/G · S, L): 0 where a query sees a key, minus infinity elsewhere.
    """

    positions: Tensor
    cos: Tensor
    sin: Tensor
    bias: Tensor


def block(
    x: Tensor, layer: Layer, keys: Tensor, values: Tensor, place: Place, where: tuple[Tensor, ...],
    slots: slice | Tensor, config: LlamaConfig, attention: Attention,
) -> Tensor:  # fmt: skip
    """One pre-norm layer over x (B, S, D).

    Args:
        keys, values: of all slots, (…, G, P, E), written at `where`.
        where: indices of slots, heads and positions, broadcast to (B, G, S).
        slots: those of the B rows.
    """
    num_rows, length, _ = x.shape
    num_heads, num_groups, head_dim = config.num_heads, config.num_kv_heads, config.head_dim
    normed = F.rms_norm(x, x.shape[-1:], layer.attention_norm, config.norm_eps)
    qkv = F.linear(normed, layer.qkv).view(num_rows, length, -1, head_dim).transpose(1, 2)
    turned = rotate(qkv[:, : num_heads + num_groups], place.cos, place.sin)
    q, k = turned.split((num_heads, num_groups), dim=1)  # (B, H, S, E), (B, G, S, E)
    keys.index_put_(where, k)
    values.index_put_(where, qkv[:, num_heads + num_groups :])
    seen = place.bias.shape[-1]
    grouped = q.reshape(num_rows, num_groups, -1, head_dim)  # the heads of a group as rows
    out = attention(grouped, keys[slots, :, :seen], values[slots, :, :seen], place.bias)
    out = out.reshape(num_rows, num_heads, length, head_dim).transpose(1, 2).flatten(2)
    x = x + F.linear(out, layer.out)
    normed = F.rms_norm(x, x.shape[-1:], layer.ffn_norm, config.norm_eps)
    gate, up = F.linear(normed, layer.gate_up).chunk(2, dim=-1)
    return x + F.linear(F.silu(gate) * up, layer.down)


class SlotLlama:
    """A transformer over the rows of slots.

    Args:
        num_slots: largest batch.
        num_positions: of a slot; the last one may be a dummy to write to.
        compiled: fuse the small operations between the products with torch.compile.
        int8: round the matrices to int8.

    Attributes:
        layers: in the dtype of the model.
        int8_layers: the rounded matrices; empty without `int8`.
    """

    def __init__(
        self,
        llama: Llama,
        num_slots: int,
        num_positions: int,
        *,
        attention: Attention,
        compiled: bool,
        int8: bool = False,
    ) -> None:
        config = llama.config
        self.config, self._attention = config, attention
        self.layers = [Layer.of(layer) for layer in llama.layers]  # type: ignore[arg-type]
        self.int8_layers = [Int8Layer.of(layer) for layer in self.layers] if int8 else []
        if int8:
            both = zip(self.int8_layers, self.layers, strict=True)
            self.layers = [rounded.fill(layer) for rounded, layer in both]
        self.norm = llama.norm.weight.detach()
        device = self.norm.device
        frequencies = inverse_frequencies(config.head_dim, config.rope_theta, config.rope_scaling)
        self._index = torch.arange(num_positions, device=device)
        self.cos, self.sin = rotation(self._index, frequencies.to(device))  # (P, E/2)
        self._rows = torch.arange(num_slots, device=device)[:, None, None]
        self._heads = torch.arange(config.num_kv_heads, device=device)[:, None]
        self._step: Callable[..., Tensor] = _compiled() if compiled else block
        self.cache = KVCache(config, num_slots, num_positions, device=device, dtype=self.norm.dtype)

    def place(self, positions: Tensor, length: int) -> Place:
        """The `Place` of rows at positions (B, S), all below `length`."""
        unseen = self._index[:length] > positions[:, None, :, None]  # (B, 1, S, L)
        bias = torch.zeros_like(unseen, dtype=self.norm.dtype).masked_fill(unseen, -math.inf)
        return Place(
            positions=positions[:, None],
            cos=self.cos[positions][:, None],
            sin=self.sin[positions][:, None],
            bias=bias.repeat(1, 1, self.config.num_heads // self.config.num_kv_heads, 1),
        )

    def forward(self, x: Tensor, place: Place, slots: Tensor | None = None) -> Tensor:
        """Hidden states (B, S, D), after the final norm, of embedded rows of B slots.

        Each row sees the positions up to its own; the rest of the cache may hold anything.

        Args:
            place: of the rows.
            slots: (B,), whose keys and values are copied; by default the first B, read in place.
        """
        seen: slice | Tensor = slice(len(x)) if slots is None else slots
        rows = self._rows[: len(x)] if slots is None else slots[:, None, None]
        where = (rows, self._heads, place.positions)
        with without_plans():
            for index, layer in enumerate(self.layers):
                keys, values = self.cache.keys[index], self.cache.values[index]
                x = self._step(
                    x, layer, keys, values, place, where, seen, self.config, self._attention
                )
        return F.rms_norm(x, x.shape[-1:], self.norm, self.config.norm_eps)


class SlotModel:
    """A CSM over slots.

    Args:
        num_positions: of a slot in the backbone.
        num_codes: codes per codebook that the codec knows; reserved ones are never drawn.
        depth_int8: round the depth decoder and its heads to int8.

    Attributes:
        audio_heads: (K-1, D, C) of codebooks 1 … K-1 and their C codes that may be drawn.
        int8_heads: (K-1, V, D), the rounded heads; None without `depth_int8`.
    """

    def __init__(
        self,
        model: CSM,
        num_slots: int,
        num_positions: int,
        num_codes: int,
        *,
        attention: Attention = fused,
        compiled: bool = False,
        depth_int8: bool = False,
    ) -> None:
        self.model, self.num_codes = model, num_codes
        num_codebooks = model.config.num_codebooks
        self.backbone = SlotLlama(
            model.backbone, num_slots, num_positions, attention=attention, compiled=compiled
        )
        self.depth = SlotLlama(
            model.depth, num_slots, num_codebooks,
            attention=attention, compiled=compiled, int8=depth_int8,
        )  # fmt: skip
        heads = align(model.audio_heads)
        self.int8_heads = Int8.of(heads.transpose(1, 2)) if depth_int8 else None
        if self.int8_heads:
            heads = self.int8_heads.to(heads.dtype).transpose(1, 2)
        # 2,048 of 2,051 codes may be drawn: products of an even width are faster on a GPU.
        self.audio_heads = heads[..., :num_codes]
        self._head0 = model.codebook0_head.weight.detach()[:num_codes]
        # Position 0 is the hidden state, position i + 1 is code i: the first pass has two rows.
        index = torch.arange(num_codebooks, device=model.projection.weight.device)
        passes = [index[:2], *index[2:].split(1)]
        self._places = [self.depth.place(positions[None], num_codebooks) for positions in passes]

    def read(
        self,
        rows: Tensor,
        positions: Tensor,
        length: int,
        slots: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (B, S, D) of rows (B, S, K+1), in which -1 is masked out.

        Args:
            positions: (B, S) of the rows.
            length: upper bound of all visible positions.
            slots: see `SlotLlama.forward`.
        """
        x = self.model.embed_frames(rows.clamp(min=0), rows >= 0)
        place = self.backbone.place(positions, length)
        return self.backbone.forward(x, place, slots)

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
        """The frames (B, K+2) after hidden states (B, D).

        K codes, 1 if all logits are finite, and the bits of the stop's log-probability: see
        `causerie.engine.runner.Runner.stops` and `stop_bits`.

        Args:
            seeds, frames: (B,), for the noise.
            temperatures, top_k: (B, 2), of codebook 0 and of the others; see `sample_rows`.
            stop_biases: (B,), for codebook 0.
            most: see `sample_rows`.
        """
        model = self.model
        noise = gumbel_noise(seeds, frames, model.config.num_codebooks, self.num_codes)

        def sample(logits: Tensor, codebook: int) -> Tensor:
            kind = min(codebook, 1)
            return sample_rows(
                logits,
                temperatures[:, kind],
                top_k[:, kind],
                noise[:, codebook],
                None if codebook else stop_biases,
                most=most,
            )

        first = F.linear(hidden, self._head0)
        codes = [sample(first, 0)]
        inputs = torch.stack((hidden, model.embed_codes(codes[0][:, None])[:, 0]), dim=1)
        for codebook in range(1, model.config.num_codebooks):
            out = self.depth_pass(model.projection(inputs), codebook)
            logits = out @ self.audio_heads[codebook - 1]
            codes.append(sample(logits, codebook))
            inputs = model.embed_codes(codes[-1][:, None], codebook)
        finite = logits.isfinite().all(dim=-1)  # NaN propagates to the last codebook
        return torch.stack((*codes, finite.long(), stop_bits(first)), dim=1)

    def depth_pass(self, x: Tensor, codebook: int) -> Tensor:
        """Hidden states (B, D) for a codebook from projected rows x: (B, 2, D) for codebook 1."""
        return self.depth.forward(x, self._places[codebook - 1])[:, -1]


def stop_bits(logits: Tensor) -> Tensor:
    """The bits (B,), int64, of `stop_log_probability` in fp32: a whole number beside the codes."""
    return stop_log_probability(logits).view(torch.int32).long()


def _compiled() -> Callable[..., Tensor]:
    """`block`, compiled for each shape of its inputs."""
    torch._dynamo.config.recompile_limit = MAX_COMPILED
    return torch.compile(block, dynamic=False, fullgraph=True)
