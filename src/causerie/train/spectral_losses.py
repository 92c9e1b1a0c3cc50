"""Spectral distances between a decoded waveform and its original. They ignore phase."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 1e-3  # added to magnitudes before the logarithm: -60 dB of a full-scale tone


@functools.cache
def mel_filters(n_fft: int, num_mels: int, sample_rate: int) -> Tensor:
    """Triangular filters (num_mels, n_fft / 2 + 1), equally wide on the mel scale, 0 to Nyquist."""
    nyquist = sample_rate / 2
    top = 2595 * torch.log10(torch.tensor(1 + nyquist / 700))
    edges = 700 * (10 ** (torch.linspace(0, float(top), num_mels + 2) / 2595) - 1)
    bins = torch.linspace(0, nyquist, n_fft // 2 + 1)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(rise, fall).clamp(min=0)
    return filters / filters.sum(1, keepdim=True).clamp(min=1e-8)


@functools.cache
def _window(n_fft: int) -> Tensor:
    return torch.hann_window(n_fft)


def magnitudes(pcm: Tensor, n_fft: int, hop: int) -> Tensor:
    """STFT magnitudes (B, n_fft/2+1, N/hop) of pcm (B, 1, N); frame j ends at sample (j+1)·hop.

    A full-scale tone has a magnitude of about 1.
    """
    padded = F.pad(pcm[:, 0], (n_fft - hop, 0))
    spectrum = torch.stft(
        padded, n_fft, hop, window=_window(n_fft), center=False, return_complex=True
    )
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt() * (4 / n_fft)


def log_mel(pcm: Tensor, n_fft: int, hop: int, num_mels: int, sample_rate: int) -> Tensor:
    """Log mel magnitudes (B, num_mels, N/hop)."""
    filters = mel_filters(n_fft, num_mels, sample_rate)
    return torch.log(filters @ magnitudes(pcm, n_fft, hop) + FLOOR)


def multi_scale_mel(decoded: Tensor, original: Tensor, sample_rate: int) -> Tensor:
    """Mean absolute difference of log mels over five window lengths, and of log magnitudes."""
    total = decoded.new_zeros(())
    for n_fft, num_mels in ((2048, 160), (1024, 100), (512, 64), (256, 32), (128, 16)):
        with torch.no_grad():
            target = magnitudes(original, n_fft, n_fft // 4)
        found = magnitudes(decoded, n_fft, n_fft // 4)
        filters = mel_filters(n_fft, num_mels, sample_rate)
        total = total + F.l1_loss(
            torch.log(filters @ found + FLOOR), torch.log(filters @ target + FLOOR)
        )
        if n_fft >= 512:  # mel filters blur harmonics
            total = total + 0.5 * F.l1_loss(torch.log(found + FLOOR), torch.log(target + FLOOR))
    return total / 5
