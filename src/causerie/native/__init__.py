"""The native kernels: C++ for the CPU that computes frames of a CSM and of its codec.

The libraries know nothing about torch or Python; ctypes calls them.
"""

from causerie.native.library import describe, problem

__all__ = ["describe", "problem"]
