"""Narrow dtypes: bfloat16 and float16 stay near fp32."""

from __future__ import annotations

import copy

import pytest
import torch

from tests import tiny

#: A bfloat16 has 8 bits, so that each rounding is off by 0.2 % at most; many come together.
TOLERANCE = 0.03


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.bfloat16, TOLERANCE), (torch.float16, TOLERANCE / 8)]
)
@torch.no_grad()
def test_narrow_logits_are_near_those_of_fp32(dtype: torch.dtype, tolerance: float) -> None:
    """The error relative to the spread of the logits (RMS); bfloat16's was 0.011 and 0.016."""
    torch.manual_seed(0)
    model = tiny.csm()
    frames, mask = tiny.frames(model.config)
    is_audio = mask[..., 0]
    exact = model(frames, mask, is_audio)
    narrow = copy.deepcopy(model).to(dtype)(frames, mask, is_audio)
    for wanted, found in zip(exact, narrow, strict=True):
        error = (found.float() - wanted).pow(2).mean().sqrt() / wanted.std()
        assert found.dtype == dtype
        assert 0 < error < tolerance
