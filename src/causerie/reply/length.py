"""Estimates how long the speech of a text usually is, at the pace of its voice.

The pace is an average over speakers, corrected by the earlier turns of the same voice, whose texts
and lengths are known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from causerie.engine.request import Length

#: Seconds of average speech that count against the pace of a voice's earlier turns.
AVERAGE_S = 1.6
#: The pace of a voice is within these factors of the average; beyond, its transcript is wrong.
LEAST_FACTOR, MOST_FACTOR = 0.5, 2.0
#: Deviation of every length, besides the part that grows with it.
LEAST_DEVIATION_S = 0.065
#: Sounds of one character: a digit, a letter of an initialism, an ideograph.
DIGIT, CAPITAL, IDEOGRAPH = 4.0, 3.0, 3.0
_PAUSE = re.compile(r"[,.!?;:—…\n]+")
_INITIALISM = re.compile(r"\b[A-Z]{2,5}\b")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The average pace of speech, in seconds.

    Attributes:
        start: before and after the sounds.
        sound: of a phoneme or letter.
        pause: of punctuation.
        known, unknown: deviations as shares of the length, for voices with and without earlier
            turns.
    """

    start: float
    sound: float
    pause: float
    known: float
    unknown: float


#: By kind of front end. "phonemes" is fitted to 21,766 sentences by petit's voices, with deviations
#: wide enough for its slowest replies; "plain" is 14 characters a second in ordinary sentences.
PACES = {
    "phonemes": Pace(start=0.24, sound=0.066, pause=0.18, known=0.13, unknown=0.14),
    "plain": Pace(start=0.3, sound=0.075, pause=0.25, known=0.14, unknown=0.25),
}


def usual_length(
    spoken: str, kind: str, earlier: Sequence[tuple[str, int]], frame_rate: float
) -> Length:
    """The usual length of a text.

    Args:
        spoken: the text as the front end reads it.
        kind: of the front end.
        earlier: texts, read likewise, and numbers of frames of the voice's earlier turns.
        frame_rate: in frames per second.
    """
    pace = PACES[kind]
    usual = sum(_seconds(text, pace) for text, _ in earlier) + AVERAGE_S
    actual = sum(num_frames for _, num_frames in earlier) / frame_rate + AVERAGE_S
    factor = min(MOST_FACTOR, max(LEAST_FACTOR, actual / usual))
    seconds = factor * _seconds(spoken, pace)
    share = pace.known + (pace.unknown - pace.known) * AVERAGE_S / usual
    return Length(
        mean=seconds * frame_rate,
        deviation=math.hypot(share * seconds, LEAST_DEVIATION_S) * frame_rate,
    )


def _seconds(spoken: str, pace: Pace) -> float:
    """The duration of a text at the average pace, always with a pause at its end."""
    text = spoken.strip()
    pauses = len(_PAUSE.findall(text)) + (not text or _PAUSE.fullmatch(text[-1]) is None)
    sounds = sum(map(_sounds, text))
    if text != text.upper():
        letters = sum(len(word) for word in _INITIALISM.findall(text))
        sounds += (CAPITAL - 1) * letters
    return pace.start + pace.sound * sounds + pace.pause * pauses


def _sounds(character: str) -> float:
    if character.isdigit():
        return DIGIT
    if not character.isalpha() or character in "ˈˌː":
        return 0.0
    # ideographs and kana; the full-width letters of phonemes are above
    return IDEOGRAPH if "\u2e80" <= character < "\uff00" else 1.0
