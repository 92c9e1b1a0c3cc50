"""Random bits as a hash of counters, the same on every machine: SplitMix64.

Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
"""

from __future__ import annotations

from torch import Tensor

# The constants as signed 64-bit integers; products wrap.
STEP = 0x9E3779B97F4A7C15 - 2**64
_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX_2 = 0x94D049BB133111EB - 2**64


def mix(x: Tensor) -> Tensor:
    """The finalizer of int64 numbers: every bit of the result depends on every bit of x."""
    x = (x ^ shift(x, 30)) * _MIX_1
    x = (x ^ shift(x, 27)) * _MIX_2
    return x ^ shift(x, 31)


def shift(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; torch's own fills with the sign."""
    out: Tensor = x >> bits & (2 ** (64 - bits) - 1)
    return out
