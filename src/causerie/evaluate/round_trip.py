"""Measures how a codec changes recordings.

The distance is the mean difference of log mel spectra, at three resolutions, before and after the
codec. It ignores phase.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from causerie.audio.audio import Audio
from causerie.codec.mimi import Mimi
from causerie.evaluate.clip import Measured

#: Window length in samples at 24 kHz, and number of mel bands.
SCALES = ((2048, 128), (1024, 80), (512, 40))
#: Smallest power that counts, 80 dB below a full-scale tone.
FLOOR = 1e-8


@torch.inference_mode()
def decoded(codec: Mimi, codes: Tensor) -> Audio:
    """The audio of codes (K, T)."""
    pcm = codec.decode(codes[None].to(next(codec.parameters()).device))[0, 0]
    return Audio(samples=pcm.float().cpu().numpy(), sample_rate=codec.config.sample_rate)


@torch.inference_mode()
def round_trip(codec: Mimi, audio: Audio, num_codebooks: int) -> Audio:
    """The audio after the codec, of the same length, at the codec's sample rate."""
    rate = codec.config.sample_rate
    samples = torch.from_numpy(audio.resampled(rate))
    device = next(codec.parameters()).device
    codes = codec.encode(samples.to(device)[None, None], num_codebooks)
    return Audio(samples=decoded(codec, codes[0]).samples[: len(samples)], sample_rate=rate)


def distance_db(one: Tensor, two: Tensor, sample_rate: int) -> float:
    """The mean absolute difference of log mel power of two waveforms (N,), in dB."""
    parts = [
        (_log_mel(one, *scale, sample_rate) - _log_mel(two, *scale, sample_rate)).abs().mean()
        for scale in SCALES
    ]
    return float(torch.stack(parts).mean())


def measure(codec: Mimi, recordings: Sequence[Audio], num_codebooks: int) -> Measured:
    """Distances of recordings. Numbers: codec_db, the mean. Rows: one per recording."""
    rows = []
    for audio in recordings:
        after = round_trip(codec, audio, num_codebooks)
        before = torch.from_numpy(audio.resampled(after.sample_rate))
        distance = distance_db(before, torch.from_numpy(after.samples), after.sample_rate)
        rows.append({"seconds": round(audio.duration_s, 3), "codec_db": distance})
    mean = sum(row["codec_db"] for row in rows) / len(rows)
    return Measured(numbers={"codec_db": mean}, rows=list(rows))


def _log_mel(pcm: Tensor, n_fft: int, num_mels: int, sample_rate: int) -> Tensor:
    """Log mel power (num_mels, N / hop + 1) in dB."""
    window = torch.hann_window(n_fft)
    padded = torch.nn.functional.pad(pcm, (n_fft // 2, n_fft // 2))
    spectrum = torch.stft(
        padded, n_fft, n_fft // 4, window=window, center=False, return_complex=True
    )
    power = spectrum.abs().square() / window.sum().square() * 4
    return 10 * torch.log10(_mel_filters(n_fft, num_mels, sample_rate) @ power + FLOOR)


@functools.cache
def _mel_filters(n_fft: int, num_mels: int, sample_rate: int) -> Tensor:
    """Triangular filters (num_mels, n_fft / 2 + 1), equally wide in mel; each sums to 1."""
    highest = 2595 * math.log10(1 + sample_rate / 1400)  # mel of half the rate
    mel = torch.linspace(0, highest, num_mels + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(rise, fall).clamp(min=0)
    return filters / filters.sum(dim=1, keepdim=True).clamp(min=1e-8)
