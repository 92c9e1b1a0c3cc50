"""Triton kernels of a GPU's frame: each reads its weights once, for a few rows at a time."""
