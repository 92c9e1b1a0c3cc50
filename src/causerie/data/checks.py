"""Measurements of a turn, and the limits it must meet. Knows nothing about files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causerie.audio.recording import MAX_PACE, MIN_PACE, SLOW_FROM_S
from causerie.data.activity import RATE, Span
from causerie.data.letters import letters
from causerie.errors import ConfigError

#: Samples per frame (20 ms at 16 kHz) for comparing speech with noise.
FRAME = 320
#: Noise is measured in silence within the first distance of a turn and beyond the second of any
#: speech, if there are at least as many seconds as the third says.
NOISE_WITHIN_S, NOISE_GUARD_S, NOISE_AT_LEAST_S = 2.0, 0.2, 0.2
#: With less silence, this share of the frames, the quietest, counts as noise.
QUIET_SHARE = 0.1
MAX_SNR_DB = 80.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that a turn must meet to be kept.

    Attributes:
        max_pause_s: longer pauses are cut.
        min_sample_rate: sample rate of the file, in Hz.
        max_clipped: share of clipped samples.
        min_snr_db: level of speech above the noise around it.
        min_loudness: loudness in LUFS, before levelling.
        min_pace, max_pace: letters per second.
        max_cer: character error rate between the transcript and the recognized text.

    Raises:
        ConfigError: a limit is not a number, below 0, or above its counterpart.
    """

    min_s: float = 0.5
    max_s: float = 20.0
    max_pause_s: float = 1.5
    min_sample_rate: float = 16_000
    max_clipped: float = 0.001
    min_snr_db: float = 15.0
    min_loudness: float = -50.0
    min_pace: float = MIN_PACE
    max_pace: float = MAX_PACE
    max_cer: float = 0.2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or math.isnan(value) or (value < 0 and name != "min_loudness"):
                raise ConfigError(f"{name} must be a number from 0 on, not {value!r}")
        for low, high in (("min_s", "max_s"), ("min_pace", "max_pace")):
            if getattr(self, low) >= getattr(self, high):
                raise ConfigError(
                    f"{low} ({getattr(self, low)}) must be below {high} ({getattr(self, high)})"
                )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measurements of a turn, in the units of `Limits`; None if not measured."""

    sample_rate: int | None = None
    clipped: float | None = None
    snr_db: float | None = None
    loudness: float | None = None
    pace: float | None = None
    cer: float | None = None


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a turn was dropped: the kind of reason, and the numbers."""

    kind: str
    detail: str


def reasons(measured: Measured, text: str, duration_s: float, limits: Limits) -> list[Reason]:
    """One reason for each limit that a turn does not meet."""
    found = []

    def check(kind: str, broken: bool, detail: str) -> None:
        if broken:
            found.append(Reason(kind=kind, detail=detail))

    check("too short", duration_s < limits.min_s, f"{duration_s:.2f} s, at least {limits.min_s:g}")
    check(
        "too long",
        duration_s > limits.max_s + 1,  # the margins are silent
        f"{duration_s:.1f} s without a pause to cut at, at most {limits.max_s:g}",
    )
    if (rate := measured.sample_rate) is not None:
        detail = f"{rate} Hz, at least {limits.min_sample_rate:g}"
        check("sample rate", rate < limits.min_sample_rate, detail)
    if (clipped := measured.clipped) is not None:
        detail = f"{clipped:.2%} of the samples, at most {limits.max_clipped:.2%}"
        check("clipping", clipped > limits.max_clipped, detail)
    if (loudness := measured.loudness) is not None:
        detail = f"{loudness:.1f} LUFS, at least {limits.min_loudness:g}"
        check("too quiet", loudness < limits.min_loudness, detail)
    if (snr_db := measured.snr_db) is not None:
        detail = f"{snr_db:.1f} dB above the noise, at least {limits.min_snr_db:g}"
        check("noise", snr_db < limits.min_snr_db, detail)
    if (cer := measured.cer) is not None:
        detail = f"{cer:.0%} of the letters recognized differently, at most {limits.max_cer:.0%}"
        check("transcript", cer > limits.max_cer, detail)
    if text and (speed := measured.pace) is not None:
        slow = speed < limits.min_pace and duration_s >= SLOW_FROM_S
        detail = f"{speed:.1f} letters per second, {limits.min_pace:g} to {limits.max_pace:g}"
        check("pace", slow or speed > limits.max_pace, detail)
    return found


def pace(text: str, speech: Sequence[Span]) -> float | None:
    """Letters per second of speech; None without letters."""
    count, duration_s = len(letters(text)), sum(span.duration_s for span in speech)
    return round(count / duration_s, 2) if count and duration_s else None


def signal_to_noise_db(
    samples: NDArray[np.float32], speech: Sequence[Span], everywhere: Sequence[Span]
) -> float:
    """The level of speech above the noise around it, in dB, at most 80.

    Args:
        samples: the whole recording (N,) at 16 kHz.
        speech: spans of speech of the turn.
        everywhere: all spans of speech of the recording.
    """
    near = Span(speech[0].start_s - NOISE_WITHIN_S, speech[-1].end_s + NOISE_WITHIN_S)
    first = max(0, int(near.start_s * RATE) // FRAME)
    last = min(len(samples), int(near.end_s * RATE)) // FRAME
    frames = samples[first * FRAME : max(last, first + 1) * FRAME].astype(np.float64)
    frames = frames[: len(frames) // FRAME * FRAME].reshape(-1, FRAME)
    if not len(frames):
        return 0.0
    power = np.square(frames).mean(axis=1)
    times = (np.arange(first, first + len(power)) + 0.5) * FRAME / RATE
    spoken = _inside(times, speech, 0.0)
    others = [s for s in everywhere if s.end_s > near.start_s - 1 and s.start_s < near.end_s + 1]
    silent = power[~_inside(times, others, NOISE_GUARD_S)]
    if len(silent) * FRAME < NOISE_AT_LEAST_S * RATE:
        silent = np.sort(power[spoken])[: max(1, int(QUIET_SHARE * spoken.sum()))]
    if not spoken.any() or not power[spoken].any():
        return 0.0
    noise, both = float(silent.mean()), float(power[spoken].mean())
    signal = max(both - noise, 1e-12)
    return min(MAX_SNR_DB, 10 * math.log10(signal / max(noise, 1e-14)))


def _inside(
    times: NDArray[np.float64], spans: Sequence[Span], margin_s: float
) -> NDArray[np.bool_]:
    found = np.zeros(len(times), bool)
    for span in spans:
        found |= (times >= span.start_s - margin_s) & (times < span.end_s + margin_s)
    return found
