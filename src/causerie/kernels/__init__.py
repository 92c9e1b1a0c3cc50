"""Triton kernels for frames on a GPU: each reads its weights once, for a few rows."""
