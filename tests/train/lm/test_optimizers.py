"""Muon in fp32 is torch's Muon."""

from __future__ import annotations

import pytest
import torch

from causerie.train.lm.optimizers import Muon, orthogonal


@pytest.mark.parametrize("shape", [(64, 64), (32, 96), (96, 32)])
def test_orthogonal_is_what_its_name_says(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    found = orthogonal(torch.randn(shape), (3.4445, -4.775, 2.0315), 5, 1e-7)
    values = torch.linalg.svdvals(found)
    assert values.sort().values[1:].min() > 0.4  # one of a square matrix is nearly 0
    assert values.max() < 1.3


def test_steps_are_those_of_torchs_muon() -> None:
    torch.manual_seed(0)
    start = [torch.randn(32, 96), torch.randn(96, 32), torch.randn(16, 16)]
    options = {"lr": 0.02, "weight_decay": 0.05, "adjust_lr_fn": "match_rms_adamw"}
    ours, theirs = ([torch.nn.Parameter(one.clone()) for one in start] for _ in range(2))
    optimizers = Muon(ours, **options), torch.optim.Muon(theirs, **options)
    for step in range(5):
        for one, other in zip(ours, theirs, strict=True):
            torch.manual_seed(step)
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for first, one, other in zip(start, ours, theirs, strict=True):
        assert (one - other).norm() < 0.02 * (other - first).norm()  # bf16 has 8 bits
    before = [one.detach().clone() for one in ours]
    optimizers[0].load_state_dict(optimizers[1].state_dict())  # the states have one form
    ours[0].grad = None
    optimizers[0].step()
    assert torch.equal(ours[0], before[0])
    assert not torch.equal(ours[1], before[1])
