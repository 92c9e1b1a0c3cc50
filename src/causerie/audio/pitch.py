"""Finds the pitch of speech: normalized cross-correlation, and the best path through its peaks.

Source: Talkin 1995, "A robust algorithm for pitch tracking (RAPT)", with a dense grid of lags in
place of a list of candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causerie.audio.resample import resample

#: The correlation is computed at this rate, in Hz, which is enough for 700 Hz.
RATE = 8_000
#: Seconds of sound that are compared with the sound one lag later.
WINDOW_S = 0.02
#: Pitches per octave that are tried, and how many times finer than a sample their lags are.
PER_OCTAVE, FINE = 36, 4
#: A frame with this correlation is as likely to be voiced as unvoiced.
VOICED_FROM = 0.5
#: Costs of the path: of an octave between two frames, and of starting or ending a voiced part.
CHANGE_COST, SWITCH_COST = 3.0, 0.35
#: A pitch loses this share of its correlation for each octave below the highest.
LOW_COST = 0.04
#: Correlations lose weight in sound softer than this share of the loud parts.
SOFT = 0.01


@dataclass(frozen=True)
class Pitch:
    """The pitch of each frame.

    Attributes:
        hz: (N,), interpolated where the sound is unvoiced; `LOWEST` … `HIGHEST`.
        voiced: (N,), bool.
    """

    hz: NDArray[np.float32]
    voiced: NDArray[np.bool_]


def track_pitch(
    samples: NDArray[np.float32],
    sample_rate: int,
    *,
    hop_s: float = 0.005,
    lowest_hz: float = 60.0,
    highest_hz: float = 500.0,
) -> Pitch:
    """The pitch at times 0, hop_s, 2 · hop_s, … of mono sound (N,)."""
    sound = resample(samples, sample_rate, RATE).astype(np.float64)
    num_frames = max(1, round(len(samples) / sample_rate / hop_s))
    octaves = np.arange(0, np.log2(highest_hz / lowest_hz), 1 / PER_OCTAVE)  # below the highest
    lags = RATE / highest_hz * 2**octaves
    scores = _correlations(sound, num_frames, hop_s, lags)
    # A pitch is one state of the path, and no pitch is the last.
    costs = 1 - scores * (1 - LOW_COST * octaves)
    costs = np.concatenate((costs, np.full((num_frames, 1), 1 - VOICED_FROM)), axis=1)
    path = _cheapest_path(costs, octaves)
    voiced = path < len(lags)
    if not voiced.any():
        middle = np.sqrt(lowest_hz * highest_hz)
        return Pitch(np.full(num_frames, middle, np.float32), voiced)
    frames = np.flatnonzero(voiced)
    exact = _tops(scores[frames], path[frames]) / PER_OCTAVE
    below = np.interp(np.arange(num_frames), frames, exact)
    hz = (highest_hz / 2**below).clip(lowest_hz, highest_hz)
    return Pitch(hz.astype(np.float32), voiced)


def _correlations(
    sound: NDArray[np.float64], num_frames: int, hop_s: float, lags: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Normalized correlations (frames, lags) of the sound around a frame with itself."""
    window = int(WINDOW_S * RATE)
    span = window + int(lags[-1]) + 1
    centers = np.round(np.arange(num_frames) * hop_s * RATE).astype(int)
    padded = np.pad(sound, (span // 2, span))
    floor = (SOFT * np.sqrt(np.mean(np.square(sound)) + 1e-12)) ** 2 * window
    starts = centers[:, None] + np.arange(span)
    parts = padded[np.minimum(starts, len(padded) - 1)]
    parts = parts - parts.mean(1, keepdims=True)
    size = 1 << (span + window).bit_length()
    first = np.fft.rfft(parts[:, :window], size)
    whole = np.fft.rfft(parts, size)
    # Between two lags, the band-limited correlation is found by a longer transform.
    fine = FINE * np.fft.irfft(first.conj() * whole, FINE * size)
    products = fine[:, np.round(FINE * lags).astype(int)]
    energy = np.pad(np.cumsum(np.square(parts), axis=1), ((0, 0), (1, 0)))
    nearest = np.round(lags).astype(int)
    later = energy[:, nearest + window] - energy[:, nearest]
    scores: NDArray[np.float64] = products / np.sqrt(
        (energy[:, window, None] + floor) * (later + floor)
    )
    return scores


def _cheapest_path(costs: NDArray[np.float64], octaves: NDArray[np.float64]) -> NDArray[np.int64]:
    """The state of each frame on the cheapest path; the last state is "unvoiced"."""
    num_frames, num_states = costs.shape
    moves = np.full((num_states, num_states), SWITCH_COST)
    moves[:-1, :-1] = CHANGE_COST * np.abs(octaves[:, None] - octaves)
    moves[-1, -1] = 0
    total = costs[0]
    before = np.zeros((num_frames, num_states), np.int64)
    for frame in range(1, num_frames):
        through = total[:, None] + moves
        before[frame] = through.argmin(0)
        total = through[before[frame], np.arange(num_states)] + costs[frame]
    path = np.zeros(num_frames, np.int64)
    path[-1] = total.argmin()
    for frame in range(num_frames - 1, 0, -1):
        path[frame - 1] = before[frame, path[frame]]
    return path


def _tops(scores: NDArray[np.float64], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """The place (frames,) of the top of the parabola around each chosen score."""
    frames = np.arange(len(chosen))
    middle = chosen.clip(1, scores.shape[1] - 2)
    left, top, right = (scores[frames, middle + step] for step in (-1, 0, 1))
    bend = left - 2 * top + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.minimum(bend, -1e-9), 0.0)
    exact: NDArray[np.float64] = np.where(middle == chosen, chosen + shift.clip(-1, 1), chosen)
    return exact
