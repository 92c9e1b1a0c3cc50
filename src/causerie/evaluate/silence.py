"""Measures pauses: steps of 20 ms that are more than 40 dB below the loud parts of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.tools import Tools, audible

STEP_S = 0.02
#: A step is silent if it is this far below the 95th percentile of all steps.
BELOW_DB = 40.0
#: Longer pauses within speech are not breaths.
LONG_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """Silence of one clip.

    Attributes:
        share: share of silence, ends included.
        longest_s: longest pause within speech.
        lead_s, tail_s: silence before the first sound and after the last one.
    """

    share: float
    longest_s: float
    lead_s: float
    tail_s: float


def pauses(audio: Audio) -> Pauses:
    """The pauses of audio; if nothing is audible, all of it is tail."""
    silent = _silent_steps(audio)
    sounds = np.flatnonzero(~silent)
    if not len(sounds):
        return Pauses(share=1.0, longest_s=0.0, lead_s=0.0, tail_s=audio.duration_s)
    gaps = np.diff(sounds) - 1
    return Pauses(
        share=float(silent.mean()),
        longest_s=STEP_S * int(gaps.max(initial=0)),
        lead_s=STEP_S * int(sounds[0]),
        tail_s=STEP_S * int(len(silent) - 1 - sounds[-1]),
    )


def _silent_steps(audio: Audio) -> NDArray[np.bool_]:
    step = round(STEP_S * audio.sample_rate)
    num_steps = len(audio.samples) // step
    if not num_steps or not audible(audio):
        return np.ones(num_steps, np.bool_)
    steps = audio.samples[: num_steps * step].reshape(num_steps, step).astype(np.float64)
    power = np.square(steps).mean(axis=1)
    silent: NDArray[np.bool_] = power < np.percentile(power, 95) * 10 ** (-BELOW_DB / 10)
    return silent


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Silence of clips.

    Numbers: silence_share, the mean; longest_pause_s, over all clips; long_pauses, the share of
    clips with a pause above one second within speech; tail_s, the mean silence at the end.
    """
    found = [pauses(clip.audio) for clip in clips]
    numbers = {
        "silence_share": float(np.mean([one.share for one in found])),
        "longest_pause_s": max(one.longest_s for one in found),
        "long_pauses": sum(one.longest_s > LONG_S for one in found) / len(found),
        "tail_s": float(np.mean([one.tail_s for one in found])),
    }
    rows = [{"silence_share": one.share, "longest_pause_s": one.longest_s} for one in found]
    return Measured(numbers=numbers, rows=list(rows))
