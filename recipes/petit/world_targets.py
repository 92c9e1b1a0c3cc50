"""WORLD's parameters of speech, as the source-filter decoder predicts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyworld
import torch
from numpy.typing import NDArray

from causerie.codec.source_filter import APERIODICITY_HZ, ENVELOPE_HZ, SAMPLE_RATE, band_weights
from causerie.config import HOP

FFT = 1024
#: WORLD's envelopes are this much louder than speech made of them by our synthesizer.
LEVEL = 0.07
SILENCE = 1e-11  # added to powers before the logarithm


@dataclass(frozen=True)
class Targets:
    """Parameters of each hop of speech.

    Attributes:
        pitch: (N,) in Hz at the end of the hop, interpolated where unvoiced.
        voiced: (N,), 0 or 1.
        envelope: (N, bands), log gain at the start of the hop.
        aperiodicity: (N, bands), logit of the share of noise at the start of the hop.
    """

    pitch: NDArray[np.float32]
    voiced: NDArray[np.uint8]
    envelope: NDArray[np.float16]
    aperiodicity: NDArray[np.float16]


def analyse(
    samples: NDArray[np.float32], num_hops: int, lowest_hz: float, highest_hz: float
) -> Targets:
    """The targets of the first hops of speech (num_samples,), which is padded with silence."""
    missing = max(0, (num_hops + 2) * HOP - len(samples))
    random = np.random.default_rng(0).standard_normal(len(samples) + missing)
    pcm = np.pad(samples.astype(np.float64), (0, missing)) + 1e-5 * random  # no digital silence
    rough, times = pyworld.dio(
        pcm,
        SAMPLE_RATE,
        f0_floor=lowest_hz,
        f0_ceil=highest_hz,
        frame_period=1000 * HOP / SAMPLE_RATE,
    )
    pitch = pyworld.stonemask(pcm, rough, times, SAMPLE_RATE)
    power = pyworld.cheaptrick(pcm, pitch, times, SAMPLE_RATE, fft_size=FFT)
    noise = pyworld.d4c(pcm, pitch, times, SAMPLE_RATE, fft_size=FFT)
    voiced = pitch > 0
    frequencies = torch.arange(FFT // 2 + 1, dtype=torch.float64) * SAMPLE_RATE / FFT
    share = np.where(voiced[:, None], np.square(noise), 1.0) @ _means(APERIODICITY_HZ, frequencies)
    share = share.clip(1e-3, 1 - 1e-3)
    envelope = 0.5 * np.log(power @ _means(ENVELOPE_HZ, frequencies) + SILENCE) - LEVEL
    frames = np.flatnonzero(voiced)
    if len(frames):
        pitch = np.exp(np.interp(np.arange(len(pitch)), frames, np.log(pitch[frames])))
    else:
        pitch = np.full(len(pitch), np.sqrt(lowest_hz * highest_hz))
    return Targets(
        pitch=pitch[1 : num_hops + 1].astype(np.float32),
        voiced=voiced[:num_hops].astype(np.uint8),
        envelope=envelope[:num_hops].astype(np.float16),
        aperiodicity=np.log(share / (1 - share))[:num_hops].astype(np.float16),
    )


def _means(centers: list[float], frequencies: torch.Tensor) -> NDArray[np.float64]:
    """Weights (frequencies, bands) of the mean of each band."""
    weights = band_weights(centers, frequencies).T
    means: NDArray[np.float64] = (weights / weights.sum(0)).numpy()
    return means
