"""The codec's decoder over slots: state in fixed tensors, one frame of several slots at a time.

It computes `Mimi.decode_step` for one frame of streams at different positions, by the codec's own
modules, called with rows of the state. Only the transformer before SEANet keeps its keys and values
in a ring per slot, not in a sliding window. Row r of a batch is slot r or a dummy, so that the
rings, which are most of the state, are read where they are. No step depends on the value of a
tensor, so a CUDA graph can record it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from causerie.codec.mimi import Mimi
from causerie.codec.seanet import Decoder
from causerie.codec.source_filter import SourceFilter, tables
from causerie.codec.transformer import Layer
from causerie.nn.backends import exact_fp32, without_plans
from causerie.nn.rope import inverse_frequencies, rotate

#: 25 Hz steps of the transformer per frame.
STEPS = 2


class SlotSeanet:
    """Streams of a codec with SEANet's decoder.

    Slot `num_slots` is a dummy for rows that pad a batch.
    """

    def __init__(self, codec: Mimi, num_slots: int) -> None:
        config = codec.config
        assert isinstance(codec.decoder, Decoder)
        self.codec = codec
        some = codec.upsample.weight
        self._layers: list[Layer] = list(codec.decoder_transformer.layers)  # type: ignore[arg-type]
        self._state = [
            codec.upsample.new_state(num_slots + 1),
            *codec.decoder.new_state(num_slots + 1),
        ]
        # Long enough that the first step of a frame still has its context after the second one was
        # written. One more place is the one that dummy rows write to.
        self._ring = config.context + STEPS - 1
        head_dim = config.dim // config.num_heads
        shape = (len(self._layers), num_slots, config.num_heads, self._ring + 1, head_dim)
        self._keys, self._values = some.new_zeros(shape), some.new_zeros(shape)
        self._frequencies = inverse_frequencies(head_dim, config.rope_theta, None).to(some.device)
        self._index = torch.arange(self._ring, device=some.device)
        self._dummy = torch.full((1, 1), self._ring, device=some.device)
        self._steps = torch.arange(STEPS, device=some.device)
        self._heads = torch.arange(config.num_heads, device=some.device)[:, None]
        self._rows = torch.arange(num_slots, device=some.device)[:, None]

    def reset(self, slot: int) -> None:
        """Start the slot from silence, at position 0."""
        for state in (*self._state, *self._keys, *self._values):
            state[slot].zero_()

    def decode(self, codes: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        """Audio (B, frame_size) of the next frames of codes (B, K).

        Args:
            slots: (B,), in row r either r or the dummy.
            positions: (B,), number of frames that each slot has decoded.
        """
        with exact_fp32():
            return self._decode(codes, slots, positions)

    def _decode(self, codes: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        state = [tensor[slots] for tensor in self._state]
        x = self.codec.upsample(self.codec.quantizer.decode(codes[..., None]), state[0])
        x = self._transform(x.transpose(1, 2), slots, STEPS * positions).transpose(1, 2)
        pcm: Tensor = self.codec.decoder(x, state[1:])
        for tensor, new in zip(self._state, state, strict=True):
            tensor.index_copy_(0, slots, new)
        return pcm[:, 0]

    def _transform(self, x: Tensor, slots: Tensor, start: Tensor) -> Tensor:
        """The transformer over x (B, STEPS, D) whose first step is at position `start` (B,)."""
        positions = start[:, None] + self._steps  # (B, STEPS)
        angles = (positions.float()[..., None] * self._frequencies)[:, None]  # (B, 1, STEPS, E/2)
        cos, sin = angles.cos(), angles.sin()
        # The position at each place of the ring once the frame is written.
        latest = positions[:, -1:]
        held = latest - (latest - self._index) % self._ring  # (B, R)
        distance = positions[..., None] - held[:, None]  # (B, STEPS, R)
        seen = (held[:, None] >= 0) & (distance >= 0) & (distance < self.codec.config.context)
        size, rows = len(x), self._rows[: len(x)]
        places = torch.where(slots[:, None] == rows, positions % self._ring, self._dummy)
        where = (rows[:, None], self._heads, places[:, None])
        for layer, keys, values in zip(self._layers, self._keys, self._values, strict=True):
            attention = layer.attention
            qkv = attention.qkv_proj(layer.attention_norm(x))
            q, k, v = qkv.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)  # (B, H, STEPS, E)
            keys.index_put_(where, k)
            values.index_put_(where, v)
            k, v = (kept[:size, :, : self._ring] for kept in (keys, values))
            with without_plans():
                out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None])
            out = attention.out_proj(out.transpose(1, 2).flatten(2))
            x = x + layer.attention_scale * out
            ffn = layer.ffn_out(F.gelu(layer.ffn_in(layer.ffn_norm(x))))
            x = x + layer.ffn_scale * ffn
        return x


class SlotSourceFilter:
    """Streams of a codec with a source-filter decoder, like `SlotSeanet`."""

    def __init__(self, codec: Mimi, num_slots: int) -> None:
        assert isinstance(codec.decoder, SourceFilter)
        self.codec = codec
        self._state = codec.decoder.new_state(num_slots + 1)
        tables(self._state.sound.device)  # copied to the device now, not in a recording

    def reset(self, slot: int) -> None:
        """Start the slot from silence."""
        for state in self._state.tensors:
            state[slot].zero_()

    def decode(self, codes: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        """Audio (B, frame_size) of the next frames of codes (B, K).

        Args:
            slots: (B,), see `SlotSeanet.decode`.
            positions: not used; the state counts the hops.
        """
        state = self._state.rows(slots)
        pcm = self.codec.decode_step(codes[..., None], state)
        for tensor, new in zip(self._state.tensors, state.tensors, strict=True):
            tensor.index_copy_(0, slots, new)
        return pcm[:, 0]


def state_bytes(codec: Mimi, num_slots: int) -> int:
    """Bytes of the state of streams, those of the dummy included."""
    one = new_slot_codec(codec, 1)
    if isinstance(one, SlotSourceFilter):
        return sum(tensor[0].nbytes for tensor in one._state.tensors) * (num_slots + 1)
    rows = sum(tensor[0].nbytes for tensor in one._state) * (num_slots + 1)
    return rows + (one._keys.nbytes + one._values.nbytes) * num_slots


def new_slot_codec(codec: Mimi, num_slots: int) -> SlotSeanet | SlotSourceFilter:
    """New streams of a codec, by its kind of decoder."""
    if isinstance(codec.decoder, SourceFilter):
        return SlotSourceFilter(codec, num_slots)
    return SlotSeanet(codec, num_slots)
