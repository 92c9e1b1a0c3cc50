"""Losses of the source-filter decoder on speech whose pitch is known.

The synthesizer is not differentiable by pitch and voicing. So these two have a loss of their own,
and the waveform is made with the pitch of the original, so that the harmonics agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from causerie.audio.pitch import track_pitch
from causerie.codec.source_filter import (
    NOISE_HOPS,
    SAMPLE_RATE,
    Parameters,
    new_synthesis_state,
    synthesize,
)
from causerie.config import HOP

#: Weight of the voicing's cross entropy; the pitch has weight 1.
VOICING_WEIGHT = 0.6


@dataclass(frozen=True)
class Tracks:
    """The pitch of speech at the end of each hop, and whether the hop is voiced.

    Attributes:
        pitch: (…, N) in Hz, interpolated where the sound is unvoiced.
        voiced: (…, N), 0 or 1.
    """

    pitch: Tensor
    voiced: Tensor

    def cut(self, first: int, num_hops: int) -> Tracks:
        """Some of the hops; past the end, the last pitch without voice."""
        missing = max(0, first + num_hops - self.pitch.shape[-1])
        pitch = F.pad(self.pitch[None], (0, missing), mode="replicate")[0]
        kept = slice(first, first + num_hops)
        return Tracks(pitch[kept], F.pad(self.voiced, (0, missing))[kept])

    @staticmethod
    def stack(tracks: Sequence[Tracks]) -> Tracks:
        """The tracks of a batch."""
        return Tracks(
            torch.stack([one.pitch for one in tracks]), torch.stack([one.voiced for one in tracks])
        )


def tracks_of(pcm: Tensor) -> Tracks:
    """The tracks (N / HOP) of speech (N,) at 24 kHz."""
    num_hops = len(pcm) // HOP
    found = track_pitch(F.pad(pcm, (0, 2 * HOP)).numpy(), SAMPLE_RATE, hop_s=HOP / SAMPLE_RATE)
    return Tracks(
        pitch=torch.from_numpy(found.hz[1 : num_hops + 1]),
        voiced=torch.from_numpy(found.voiced[:num_hops]).float(),
    )


def pitch_loss(predicted: Parameters, tracks: Tracks) -> Tensor:
    """The mean distance of the pitch where it is voiced, in quarters of e, and of the voicing."""
    distance = 4 * (predicted.pitch.log() - tracks.pitch.log()).abs() * tracks.voiced
    voicing = F.binary_cross_entropy_with_logits(predicted.voicing, tracks.voiced)
    return distance.sum() / tracks.voiced.sum().clamp(min=1) + VOICING_WEIGHT * voicing


def spoken(predicted: Parameters, tracks: Tracks, generator: torch.Generator) -> Tensor:
    """The waveform (B, 1, N · HOP - HOP) of the predicted spectrum with the pitch of the tracks.

    Phase and noise are drawn at random. Sample i stands for sample i of the original.
    """
    batch = len(tracks.pitch)
    state = new_synthesis_state(batch, tracks.pitch.device)
    state.hop += torch.randint(NOISE_HOPS, (batch,), generator=generator)
    state.phase += torch.randint(2**32, (batch,), generator=generator)
    given = Parameters(
        pitch=tracks.pitch,
        voicing=2 * tracks.voiced - 1,
        envelope=predicted.envelope,
        aperiodicity=predicted.aperiodicity,
    )
    return synthesize(given, state)[:, None, HOP:]
