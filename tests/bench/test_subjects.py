"""Random weights for a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from causerie.bench.subjects import fill, sizes
from causerie.model.csm import CSM
from tests.engine.counting import Watch


class Sent(Watch):
    """Counts the operations that read the host's memory for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def see(self, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        """See `Watch`."""
        kinds = {leaf.device.type for leaf in tree_leaves((args, out)) if isinstance(leaf, Tensor)}
        self.count += kinds == {"cpu", "meta"}


def test_numbers_go_to_a_device_once() -> None:
    """A copy for each million of csm-1b's weights took seconds of each step of gpu.py."""
    with torch.device("meta"):
        model = CSM(sizes("tiny")[0])
    sent = Sent()
    with sent:
        fill(model)
    assert sent.count == 1


def test_weights_have_the_scale_of_trained_ones() -> None:
    model = CSM(sizes("tiny")[0])
    fill(model)
    again = CSM(sizes("tiny")[0])
    fill(again)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
        if name.endswith("norm.weight"):
            assert (weight == 1).all()
        elif "embed" not in name:
            fan_in = weight[0].numel()
            assert 0.5 < weight.std() * fan_in**0.5 < 2, name
