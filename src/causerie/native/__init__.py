"""Kernels of our own for the CPU, in C++: the frame of a CSM and of its codec."""
