"""Examines a recording that is to be a voice or a turn of context.

The model continues what it is given: a noisy, clipped or wrongly transcribed recording gives noisy,
short or empty speech. Works on levels alone, without a recognizer. Does not know files or models.
Every path into the model has these limits and these words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from causerie.errors import AudioError

#: Seconds of speech in a voice: shorter does not capture the voice, longer fills the context.
MIN_VOICE_S, MAX_VOICE_S = 1.5, 30.0
#: Longest recording that is read, before the silence at its ends is trimmed.
MAX_RAW_S = 120.0
#: Maximum share of clipped samples, and the share above which loud parts are square waves, so that
#: the voice is lost: petit's speech has it at about 40 times its level.
MAX_CLIPPED, LOST_BY_CLIPPING = 0.01, 1 / 3
#: Samples at full scale are clipped, and so are three equal ones near it.
FULL_SCALE, LOUD, STILL = 0.9999, 0.9, 2.0**-15
#: RMS of the loudest step below which a recording counts as silent.
SILENCE = 0.003
#: Level of speech relative to the loudest step, and seconds to keep around the speech.
SPEECH_LEVEL, MARGIN_S = 0.03, 0.1
STEP_S = 0.05
#: Level of the speech above the noise around it; shorter speech may have no quiet part.
MIN_SNR_DB, NOISE_FROM_S = 12.0, 1.5
#: Share of the steps, the quietest, that count as noise.
QUIET_SHARE = 0.1
#: Letters per second of speech; for scripts with a letter per syllable or word, a third.
MIN_PACE, MAX_PACE = 4.0, 28.0
SYLLABIC = 3.0
#: Letters per second, pauses included, that nobody can say: the fastest speakers say about 50.
IMPOSSIBLE_PACE = 56.0
#: In shorter speech a slow pace is a hesitation, not a wrong transcript.
SLOW_FROM_S = 2.0
#: Longest pause within speech.
MAX_PAUSE_S = 3.0

#: What the recording is for: a voice has a length of its own.
Role = Literal["voice", "turn"]
#: The worst first. The last two need a recognizer and a speaker encoder: see `causerie.new_voice`.
Kind = Literal[
    "silent", "short", "long", "clipped", "pace", "noise", "pause", "transcript", "speakers"
]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a recording.

    Attributes:
        message: what was measured, and what to do; the recording is the subject.
        is_fatal: whether the recording is unusable, not only bad.
    """

    kind: Kind
    message: str
    is_fatal: bool = False


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What was measured of a recording.

    Attributes:
        start, end: the samples of its speech, with a margin; (0, 0) if there is none.
        span_s: seconds from the first to the last sound.
        speech_s: seconds of speech, pauses left out.
        snr_db: level of speech above the quietest steps.
        pace: letters of the transcript per second of speech; None without a transcript.
        faults: what is wrong, the worst first.
    """

    start: int = 0
    end: int = 0
    span_s: float = 0.0
    speech_s: float = 0.0
    snr_db: float = 0.0
    pace: float | None = None
    faults: tuple[Fault, ...] = field(default=())

    def of(self, *kinds: Kind) -> list[Fault]:
        """The faults of these kinds."""
        return [fault for fault in self.faults if fault.kind in kinds]

    def with_transcript(self, text: str) -> Examined:
        """The same recording with the pace of its transcript; nothing changes without letters."""
        if not self.speech_s or not _letters(text):
            return self
        pace = _letters(text) / self.speech_s
        fault = _pace(pace, text, self.speech_s, self.span_s)
        kinds = get_args(Kind)
        faults = [*self.faults, *([fault] if fault else [])]
        faults.sort(key=lambda fault: kinds.index(fault.kind))
        return replace(self, pace=pace, faults=tuple(faults))

    def notes(self, name: str) -> list[str]:
        """What the listener should know.

        Args:
            name: the recording's name in the notes and in the error.

        Raises:
            AudioError: the recording is unusable.
        """
        for fault in self.faults:
            if fault.is_fatal:
                raise AudioError(f"{name} {fault.message}")
        return [f"{name} {fault.message}" for fault in self.faults]


def examine(
    samples: NDArray[np.float32],
    sample_rate: int,
    text: str | None = None,
    *,
    role: Role = "voice",
    clipped_share: Callable[[float, float], float] | None = None,
) -> Examined:
    """Measure a recording (N,) with full scale 1.

    Args:
        text: its transcript, if it is known.
        clipped_share: the share of clipped samples between two times; measured in `samples` by
            default. Resampling moves peaks, so give it for samples that were resampled.
    """
    step = max(1, round(STEP_S * sample_rate))
    steps = samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64)
    level = np.sqrt(np.square(steps).mean(axis=1)) if len(steps) else np.zeros(0)
    if not len(level):
        return _without_speech("short", f"is shorter than {1000 * STEP_S:g} ms")
    if level.max() < SILENCE:
        return _without_speech("silent", "is silent: check the microphone")
    loud = np.flatnonzero(level >= SPEECH_LEVEL * level.max())
    margin = round(MARGIN_S * sample_rate)
    start = max(0, int(loud[0]) * step - margin)
    end = min(len(samples), (int(loud[-1]) + 1) * step + margin)
    snr_db = _snr_db(np.square(level), loud)
    if clipped_share is None:
        clipped = float(is_clipped(samples[start:end, None]).mean())
    else:
        clipped = clipped_share(start / sample_rate, end / sample_rate)
    duration_s = (end - start) / sample_rate
    checks = (
        _length(duration_s) if role == "voice" else None,
        _clipping(clipped),
        _noise(snr_db) if duration_s >= NOISE_FROM_S else None,
        _pause(loud),
    )
    return Examined(
        start=start,
        end=end,
        span_s=float(loud[-1] - loud[0] + 1) * STEP_S,
        speech_s=len(loud) * STEP_S,
        snr_db=snr_db,
        faults=tuple(fault for fault in checks if fault is not None),
    ).with_transcript(text or "")


def other_words(heard: str) -> Fault:
    """The fault of a recording in which a recognizer heard other words than its transcript."""
    excerpt = heard if len(heard) <= 80 else heard[:79] + "…"
    return Fault(
        kind="transcript",
        message="says other words than its transcript: the recognizer heard "
        f"{excerpt!r}; give the words that are said",
    )


def is_clipped(block: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each of the samples (N, channels) is clipped in any channel: (N,)."""
    size = np.abs(block)
    found: Any = size >= FULL_SCALE
    still = (np.abs(np.diff(block, axis=0)) <= STILL) & (size[1:] >= LOUD)
    three = still[1:] & still[:-1]
    for shift in range(3):
        found[shift : shift + len(three)] |= three
    out: NDArray[np.bool_] = found.any(axis=1)
    return out


def _without_speech(kind: Kind, message: str) -> Examined:
    return Examined(faults=(Fault(kind=kind, message=message, is_fatal=True),))


def _length(seconds: float) -> Fault | None:
    if MIN_VOICE_S <= seconds <= MAX_VOICE_S:
        return None
    return Fault(
        kind="short" if seconds < MIN_VOICE_S else "long",
        message=f"has {seconds:.1f} s of speech: a voice needs "
        f"{MIN_VOICE_S:g} to {MAX_VOICE_S:g} s",
        is_fatal=True,
    )


def _clipping(share: float) -> Fault | None:
    if share <= MAX_CLIPPED:
        return None
    return Fault(
        kind="clipped",
        message=f"is distorted: {100 * share:.0f} % of its samples are at full scale; record it "
        "again at a lower level",
        is_fatal=share > LOST_BY_CLIPPING,
    )


def _pace(pace: float, text: str, speech_s: float, span_s: float) -> Fault | None:
    scale = 1.0 if any(letter.isascii() and letter.isalpha() for letter in text) else SYLLABIC
    low, high = MIN_PACE / scale, MAX_PACE / scale
    if pace <= high and (pace >= low or speech_s < SLOW_FROM_S):
        return None
    cannot = _letters(text) / (span_s + 2 * STEP_S) > IMPOSSIBLE_PACE / scale  # quiet ends
    wrong = "too short" if pace < low else "too long"
    if cannot:
        wrong = f"too long to be said in {span_s:.1f} s"
    return Fault(
        kind="pace",
        message=f"has a transcript that is {wrong}: {pace:.1f} letters per second of speech, "
        f"{low:.3g} to {high:.3g} are usual; give all words that are said, and no others",
        is_fatal=cannot,
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


def _letters(text: str) -> int:
    return sum(letter.isalnum() for letter in text)


def _snr_db(power: NDArray[np.float64], loud: NDArray[np.intp]) -> float:
    """The mean power of the loud steps above that of the quietest ones."""
    quiet = np.sort(power)[: max(1, int(QUIET_SHARE * len(power)))]
    noise, both = float(quiet.mean()), float(power[loud].mean())
    return 10 * math.log10(max(both - noise, 1e-12) / max(noise, 1e-12))
