"""Kernels of our own for the CPU, in C++: the frame of a CSM and of its codec.

The libraries know nothing of torch or Python; ctypes calls them.
"""

from causerie.native.library import describe, problem

__all__ = ["describe", "problem"]
