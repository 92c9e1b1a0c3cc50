"""The codec over slots: its rings are read and written where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from causerie.engine.runners.slot_codec import STEPS, SlotSeanet
from tests import tiny
from tests.engine.counting import Watch

NUM_SLOTS = 16


class Largest(Watch):
    """Keeps the number of bytes of the largest tensor that an operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.num_bytes = 0

    def see(self, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        """See `Watch`."""
        given = {t.untyped_storage()._cdata for t in tree_leaves(args) if isinstance(t, Tensor)}
        for tensor in tree_leaves(out):
            storage = tensor.untyped_storage() if isinstance(tensor, Tensor) else None
            if storage is not None and storage._cdata not in given:
                self.num_bytes = max(self.num_bytes, storage.nbytes())


@torch.inference_mode()
def test_no_step_copies_a_ring() -> None:
    """The rings of csm-1b's codec have 8 MB a slot, and a copy of them is read and written."""
    codec = SlotSeanet(tiny.mimi(), NUM_SLOTS)
    x, slots = torch.randn(NUM_SLOTS, STEPS, codec.codec.config.dim), torch.arange(NUM_SLOTS)
    largest = Largest()
    with largest:
        codec._transform(x, slots, torch.zeros(NUM_SLOTS, dtype=torch.int64))
    assert 0 < largest.num_bytes < codec._keys[0].nbytes / 4


@torch.inference_mode()
def test_dummy_rows_change_no_slot() -> None:
    codec = SlotSeanet(tiny.mimi(), 3)
    torch.manual_seed(0)
    codes = torch.randint(tiny.CODEBOOK_SIZE, (3, tiny.NUM_CODEBOOKS))
    positions = torch.tensor([0, 0, 0])
    codec.decode(codes, torch.arange(3), positions)
    rings = [t.clone() for t in (codec._keys, codec._values)]
    states = [t.clone() for t in codec._state]
    codec.decode(codes, torch.tensor([3, 1, 3]), positions + 1)  # slots 0 and 2 do not sound
    for ring, before in zip((codec._keys, codec._values), rings, strict=True):
        ring, before = ring[..., : codec._ring, :], before[..., : codec._ring, :]
        assert torch.equal(ring[:, [0, 2]], before[:, [0, 2]])
        assert not torch.equal(ring[:, 1], before[:, 1])
    for state, before in zip(codec._state, states, strict=True):
        assert torch.equal(state[[0, 2]], before[[0, 2]])
