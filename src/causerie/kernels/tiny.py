"""A Triton kernel that is compiled to see whether others can be."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def add_one(numbers, COUNT: tl.constexpr):
    """Add one to each of COUNT numbers."""
    at = numbers + tl.arange(0, COUNT)
    tl.store(at, tl.load(at) + 1)
