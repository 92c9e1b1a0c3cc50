"""Estimates how long the speech of a text usually is, and when its words end.

The pace is an average over speakers, corrected by the earlier turns of the same voice, whose texts
and lengths are known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from causerie.engine.request import Length
from causerie.text.front_end import without_marks
from causerie.text.split import Piece, Sentence, whole

#: Seconds of average speech that count against the pace of a voice's earlier turns.
AVERAGE_S = 1.6
#: The pace of a voice is within these factors of the average; beyond, its transcript is wrong.
LEAST_FACTOR, MOST_FACTOR = 0.5, 2.0
#: Deviation of every length, besides the part that grows with it.
LEAST_DEVIATION_S = 0.065
#: Sounds of one character: a digit, a letter of an initialism, an ideograph.
DIGIT, CAPITAL, IDEOGRAPH = 4.0, 3.0, 3.0
#: The usual silence at both ends of a turn.
SILENCE_BEFORE_S, SILENCE_AFTER_S = 0.24, 0.2
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


def words_until(text: str, played_s: float, total_s: float) -> str:
    """The words of a text that end in the first seconds of its speech.

    They are read as in the text, but without its markup. Between the silences at both ends, time is
    in proportion to the usual length of the words.

    Args:
        total_s: seconds of the whole speech.
    """
    speech_s = total_s - SILENCE_BEFORE_S - SILENCE_AFTER_S
    share = (played_s - SILENCE_BEFORE_S) / speech_s if speech_s > 0 else 0.0
    if share >= 1:
        return text
    read = text if isinstance(text, Piece) else whole(text)
    words = [one.text.split() for one in read.sentences]
    ends = _ends([word for sentence in words for word in sentence])
    num_said = sum(end <= share * ends[-1] for end in ends)
    said: list[Sentence] = []
    for sentence, its_words in zip(read.sentences, words, strict=True):
        if num_said >= len(its_words):
            said.append(sentence)
        elif num_said > 0:
            part = " ".join(its_words[:num_said])
            said.append(Sentence(part, sentence.end, is_open=True))
        num_said -= len(its_words)
    written = without_marks(" ".join(one.text for one in said))
    if not any(map(str.isalnum, written)):  # only the dash before the first word
        return ""
    return Piece(" ".join(written.split()), said)


def _ends(words: Sequence[str]) -> list[float]:
    """When words usually end, in seconds from the start of the first."""
    written = [without_marks(word) for word in words]
    has_small = any(word != word.upper() for word in written)
    pace, ends, start = PACES["plain"], list[float](), 0.0
    for word in written:
        inner = len(_PAUSE.findall(word.rstrip(",.!?;:—…")))
        ends.append(start + pace.sound * _num_sounds(word, has_small) + pace.pause * inner)
        start = ends[-1] + pace.pause * (_PAUSE.fullmatch(word[-1:]) is not None)
    return ends


def _seconds(spoken: str, pace: Pace) -> float:
    """The duration of a text at the average pace, always with a pause at its end."""
    text = spoken.strip()
    pauses = len(_PAUSE.findall(text)) + (not text or _PAUSE.fullmatch(text[-1]) is None)
    sounds = _num_sounds(text, has_small=text != text.upper())
    return pace.start + pace.sound * sounds + pace.pause * pauses


def _num_sounds(text: str, has_small: bool) -> float:
    """The sounds of a text.

    Args:
        has_small: whether words in capitals are initialisms, as there are small letters too.
    """
    sounds = sum(map(_sounds, text))
    if has_small:
        letters = sum(len(word) for word in _INITIALISM.findall(text))
        sounds += (CAPITAL - 1) * letters
    return sounds


def _sounds(character: str) -> float:
    if character.isdigit():
        return DIGIT
    if not character.isalpha() or character in "ˈˌː":
        return 0.0
    # ideographs and kana; the full-width letters of phonemes are above
    return IDEOGRAPH if "\u2e80" <= character < "\uff00" else 1.0
