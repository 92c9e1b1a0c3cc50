"""Makes a voice from one recording, after examining it.

Levels and pace are always examined. A recognizer compares the transcript with what is said, and
writes it where there is none; a speaker encoder listens for a second person. Both are optional
packages (extra `evaluate`). The server has its own door to the same checks, in `server/voices`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.audio.recording import MAX_RAW_S, Fault, examine
from causerie.data.activity import RATE
from causerie.data.letters import transcript_fault
from causerie.data.sound import read_sound
from causerie.errors import AudioError, TextError
from causerie.evaluate.speaker import Encoder
from causerie.prompt import Segment
from causerie.recognition.whisper import Recognizer
from causerie.voices import Voice

if TYPE_CHECKING:
    from causerie.tts import TTS

#: Cosine of the two groups of windows of a recording that differ most. Of 16 recordings of one
#: voice it was 0.88 at least; of 48 of two voices, in turns, it was below 0.75 for 33.
MIN_SIMILARITY = 0.75
#: Seconds of a window, and of a recording in which two speakers are looked for.
WINDOW_S, SPEAKERS_FROM_S = 1.6, 5.0


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A recording that can become a voice.

    Attributes:
        audio: its speech, without the silence at the ends.
        text: the transcript, given or recognized.
        heard: what the recognizer heard; None without one.
        faults: what is wrong with it.
    """

    audio: Audio
    text: str
    heard: str | None
    faults: tuple[Fault, ...]


def check_recording(
    path: Path,
    text: str | None,
    sample_rate: int,
    *,
    recognizer: Recognizer | None = None,
    encoder: Encoder | None = None,
) -> Checked:
    """Read and examine a recording.

    Args:
        text: its transcript; None to have it recognized.
        recognizer, encoder: of words and of speakers; without one, its check is left out.

    Raises:
        AudioError: it is unreadable, silent or too long to read.
        TextError: there is no transcript and no recognizer, or no words were recognized.
    """
    sound = read_sound(path, sample_rate, max_s=MAX_RAW_S)
    found = examine(sound.samples, sample_rate, clipped_share=sound.clipped_share)
    if not found.end:  # no speech at all
        raise AudioError(f"{path} {found.faults[0].message}")
    audio = Audio(samples=sound.samples[found.start : found.end], sample_rate=sample_rate)
    heard = recognizer(audio.resampled(RATE)).strip() if recognizer else None
    text = (text or "").strip() or heard
    if not text:
        missing = "no recognizer is installed" if heard is None else "no words were recognized"
        raise TextError(
            f"the transcript of {path} is missing, and {missing}: give the words by --text, or "
            'pip install "causerie[evaluate]"'
        )
    faults = [*found.with_transcript(text).faults]
    if heard is not None and (fault := transcript_fault(text, heard, "en")):
        faults.append(fault)
    if encoder is not None:
        faults += _speakers(audio, encoder)
    return Checked(audio=audio, text=text, heard=heard, faults=tuple(faults))


def make_voice(
    tts: TTS, name: str, checked: Checked, *, licence: str = "", consent: str = ""
) -> Voice:
    """The voice of a checked recording.

    Raises:
        AudioError, TextError, PromptTooLongError: as `TTS.make_voice`.
    """
    segment = Segment(
        speaker=0,
        text=checked.text,
        audio=checked.audio.samples,
        sample_rate=checked.audio.sample_rate,
    )
    voice = tts.make_voice(name, [segment], examine=False)
    return replace(voice, licence=licence).with_consent(consent)


def _speakers(audio: Audio, encoder: Encoder) -> list[Fault]:
    """A fault if parts of the recording sound like two people, who may alternate."""
    if audio.duration_s < SPEAKERS_FROM_S:
        return []
    size = round(WINDOW_S * audio.sample_rate)
    windows = [
        audio.samples[start : start + size]
        for start in range(0, len(audio.samples) - size + 1, size // 2)
    ]
    found = (encoder(Audio(samples=window, sample_rate=audio.sample_rate)) for window in windows)
    vectors = np.array([vector for vector in found if vector is not None])
    if len(vectors) < 4 or _similarity_of_groups(vectors) >= MIN_SIMILARITY:
        return []
    return [Fault(kind="speakers", message="has two speakers, as it seems: cut it to one")]


def _similarity_of_groups(vectors: NDArray[np.float32]) -> float:
    """The cosine of the means of the two groups of vectors (N, 256) that differ most.

    It is 1 if a group has one vector only, which may be a noise.
    """
    centred = vectors - vectors.mean(axis=0)
    is_first = centred @ np.linalg.svd(centred, full_matrices=False)[2][0] > 0
    for _ in range(10):  # 2-means
        if min(is_first.sum(), (~is_first).sum()) < 2:
            return 1.0
        means = np.stack([vectors[is_first].mean(axis=0), vectors[~is_first].mean(axis=0)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        is_nearer = np.greater(*(vectors @ means.T).T)
        if np.array_equal(is_nearer, is_first):
            break
        is_first = is_nearer
    return float(means[0] @ means[1])
