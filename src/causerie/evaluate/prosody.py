"""Measures the prosody of speech: pitch, its range, pace and loudness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causerie.audio.audio import Audio
from causerie.audio.pitch import track_pitch
from causerie.evaluate.duration import expected_s
from causerie.evaluate.silence import STEP_S, pauses
from causerie.evaluate.tools import audible

#: Percentiles of the pitch that bound its range.
LOW, HIGH = 10, 90
#: Steps more than this below the loudest one have no part in the loudness.
LOUD_DB = 25.0


@dataclass(frozen=True, kw_only=True)
class Prosody:
    """The prosody of one utterance. Differences of the values are what they name.

    Attributes:
        pitch: median, in semitones above 1 Hz.
        range: between the 10th and the 90th percentile of the pitch, in semitones.
        pace: logarithm of the expected duration over the duration without the silent ends.
        loudness: root mean square of the loud steps, in dB of full scale.
    """

    pitch: float
    range: float
    pace: float
    loudness: float


def prosody(audio: Audio, text: str) -> Prosody | None:
    """The prosody of the speech of a text; None if no pitch is found in it."""
    if not audible(audio):
        return None
    found = track_pitch(audio.samples, audio.sample_rate)
    if not found.voiced.any():
        return None
    semitones = 12 * np.log2(found.hz[found.voiced])
    low, middle, high = np.percentile(semitones, [LOW, 50, HIGH]).tolist()
    silence = pauses(audio)
    spoken_s = audio.duration_s - silence.lead_s - silence.tail_s
    return Prosody(
        pitch=middle,
        range=high - low,
        pace=float(np.log(expected_s(text) / spoken_s)),
        loudness=_loudness(audio),
    )


def _loudness(audio: Audio) -> float:
    """The level of the loud steps in dB."""
    size = round(STEP_S * audio.sample_rate)
    samples = audio.samples[: max(1, len(audio.samples) // size) * size].astype(np.float64)
    powers = [np.mean(step**2) for step in np.split(samples, range(size, len(samples), size))]
    loud = np.array(powers)[powers > max(powers) * 10 ** (-LOUD_DB / 10)]
    return float(10 * np.log10(loud.mean()))
