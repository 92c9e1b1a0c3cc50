"""Examines a recording that is to be a voice or a turn of context.

The model continues what it is given: a noisy, clipped or wrongly transcribed recording gives noisy,
short or empty speech. Works on levels alone, without a recognizer. Does not know files or models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: Seconds of speech in a voice: shorter does not capture the voice, longer fills the context.
MIN_VOICE_S, MAX_VOICE_S = 1.5, 30.0
#: Longest recording that is read, before the silence at its ends is trimmed.
MAX_RAW_S = 120.0
#: Maximum share of samples at full scale.
MAX_CLIPPED = 0.01
FULL_SCALE = 0.9999
#: RMS of the loudest step below which a recording counts as silent.
SILENCE = 0.003
#: Level of speech relative to the loudest step, and seconds to keep around the speech.
SPEECH_LEVEL, MARGIN_S = 0.03, 0.1
STEP_S = 0.05
#: Level of the speech above the noise around it.
MIN_SNR_DB = 12.0
#: Share of the steps, the quietest, that count as noise.
QUIET_SHARE = 0.1
#: Letters per second of speech; for scripts with a letter per syllable or word, a third.
MIN_PACE, MAX_PACE = 4.0, 28.0
SYLLABIC = 3.0
#: In shorter speech a slow pace is a hesitation, not a wrong transcript.
SLOW_FROM_S = 2.0
#: Longest pause within speech.
MAX_PAUSE_S = 3.0

#: The last two need a recognizer and a speaker encoder: see `causerie.new_voice`.
Kind = Literal[
    "silent", "short", "long", "clipped", "noise", "pace", "pause", "transcript", "speakers"
]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a recording.

    Attributes:
        message: what was measured, and what to do; the recording is the subject.
    """

    kind: Kind
    message: str


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What was measured of a recording.

    Attributes:
        start, end: the samples of its speech, with a margin; (0, 0) if there is none.
        speech_s: seconds of speech, pauses left out.
        snr_db: level of speech above the quietest steps.
        pace: letters of the transcript per second of speech; None without a transcript.
        faults: what is wrong, the worst first.
    """

    start: int
    end: int
    speech_s: float
    snr_db: float
    pace: float | None
    faults: tuple[Fault, ...]

    def of(self, *kinds: Kind) -> list[Fault]:
        """The faults of these kinds."""
        return [fault for fault in self.faults if fault.kind in kinds]


def examine(samples: NDArray[np.float32], sample_rate: int, text: str | None = None) -> Examined:
    """Measure a recording (N,) with full scale 1.

    Args:
        text: its transcript.
    """
    step = max(1, round(STEP_S * sample_rate))
    steps = samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64)
    level = np.sqrt(np.square(steps).mean(axis=1)) if len(steps) else np.zeros(0)
    if not len(level):
        return _without_speech(Fault(kind="short", message=f"is shorter than {1000 * STEP_S:g} ms"))
    if level.max() < SILENCE:
        return _without_speech(Fault(kind="silent", message="is silent: check the microphone"))
    loud = np.flatnonzero(level >= SPEECH_LEVEL * level.max())
    margin = round(MARGIN_S * sample_rate)
    start = max(0, int(loud[0]) * step - margin)
    end = min(len(samples), (int(loud[-1]) + 1) * step + margin)
    speech_s = len(loud) * STEP_S
    snr_db = _snr_db(np.square(level), loud)
    pace = _letters(text) / speech_s if text else None
    checks = (
        _length((end - start) / sample_rate),
        _clipping(samples[start:end]),
        _pace(pace, speech_s, text or ""),
        _noise(snr_db),
        _pause(loud),
    )
    return Examined(
        start=start,
        end=end,
        speech_s=speech_s,
        snr_db=snr_db,
        pace=pace,
        faults=tuple(fault for fault in checks if fault is not None),
    )


def _without_speech(fault: Fault) -> Examined:
    return Examined(start=0, end=0, speech_s=0.0, snr_db=0.0, pace=None, faults=(fault,))


def _length(seconds: float) -> Fault | None:
    if MIN_VOICE_S <= seconds <= MAX_VOICE_S:
        return None
    return Fault(
        kind="short" if seconds < MIN_VOICE_S else "long",
        message=f"has {seconds:.1f} s of speech: a voice needs "
        f"{MIN_VOICE_S:g} to {MAX_VOICE_S:g} s",
    )


def _clipping(samples: NDArray[np.float32]) -> Fault | None:
    share = float((np.abs(samples) >= FULL_SCALE).mean())
    if share <= MAX_CLIPPED:
        return None
    return Fault(kind="clipped", message=distorted(share))


def distorted(clipped: float) -> str:
    """The message on a share of clipped samples."""
    return (
        f"is distorted: {100 * clipped:.0f} % of its samples are at full scale; record it again at "
        "a lower level"
    )


def _pace(pace: float | None, speech_s: float, text: str) -> Fault | None:
    if pace is None or not _letters(text):
        return None
    scale = 1.0 if any(letter.isascii() and letter.isalpha() for letter in text) else SYLLABIC
    low, high = MIN_PACE / scale, MAX_PACE / scale
    if pace <= high and (pace >= low or speech_s < SLOW_FROM_S):
        return None
    wrong = "too short" if pace < low else "too long"
    return Fault(
        kind="pace",
        message=f"has a transcript that is {wrong}: {pace:.1f} letters per second of speech, "
        f"{low:g} to {high:g} are usual; give all words that are said, and no others",
    )


def _noise(snr_db: float) -> Fault | None:
    if snr_db >= MIN_SNR_DB:
        return None
    return Fault(
        kind="noise",
        message=f"is noisy: its speech is {snr_db:.0f} dB above its quietest parts, "
        f"{MIN_SNR_DB:g} dB are needed; record it in a quiet room",
    )


def _pause(loud: NDArray[np.intp]) -> Fault | None:
    longest = float(np.diff(loud).max(initial=1) - 1) * STEP_S
    if longest <= MAX_PAUSE_S:
        return None
    return Fault(
        kind="pause",
        message=f"has a pause of {longest:.1f} s: cut pauses above {MAX_PAUSE_S:g} s",
    )


def _letters(text: str | None) -> int:
    return sum(letter.isalnum() for letter in text or "")


def _snr_db(power: NDArray[np.float64], loud: NDArray[np.intp]) -> float:
    """The mean power of the loud steps above that of the quietest ones."""
    quiet = np.sort(power)[: max(1, int(QUIET_SHARE * len(power)))]
    noise, both = float(quiet.mean()), float(power[loud].mean())
    return 10 * math.log10(max(both - noise, 1e-12) / max(noise, 1e-12))
