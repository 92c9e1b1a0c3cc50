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

from causerie.audio.audio import Audio
from causerie.audio.recording import MAX_RAW_S, Fault, examine
from causerie.data.activity import RATE
from causerie.data.letters import character_error_rate
from causerie.data.sound import read_sound
from causerie.data.whisper import Recognizer
from causerie.errors import AudioError, TextError
from causerie.evaluate.speaker import Encoder
from causerie.prompt import Segment
from causerie.voices import Voice

if TYPE_CHECKING:
    from causerie.tts import TTS

#: Share of the letters that the recognizer may hear differently.
MAX_CER = 0.3
#: Cosine of the two halves of a recording; one speaker has about 0.85, two have up to 0.75.
MIN_SIMILARITY, HALVES_FROM_S = 0.62, 5.0


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
    if heard is not None and text != heard:
        faults += _compared(text, heard)
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
    return replace(voice, licence=licence, consent=consent)


def _compared(text: str, heard: str) -> list[Fault]:
    different = character_error_rate(text, heard, "en")
    if different <= MAX_CER:
        return []
    return [
        Fault(
            kind="transcript",
            message="says other words than its transcript: the recognizer heard "
            f"{_excerpt(heard)}; give the words that are said",
        )
    ]


def _speakers(audio: Audio, encoder: Encoder) -> list[Fault]:
    """A fault if the halves of the recording sound like two people."""
    if audio.duration_s < HALVES_FROM_S:
        return []
    halves = np.array_split(audio.samples, 2)
    first, second = (encoder(Audio(samples=half, sample_rate=audio.sample_rate)) for half in halves)
    if first is None or second is None or first @ second >= MIN_SIMILARITY:
        return []
    return [Fault(kind="speakers", message="has two speakers, as it seems: cut it to one")]


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
