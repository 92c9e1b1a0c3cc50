"""Word and character error rates between texts and their recognized speech.

Whisper's English normaliser processes both first, so that "don't" and "do not" are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from causerie.errors import TextError
from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.tools import Tools
from causerie.extras import need


@dataclass(frozen=True, kw_only=True)
class Words:
    """Error counts of one text or several.

    Attributes:
        words: number of words in the texts.
        wer, cer: errors per word and per character; may exceed 1.
    """

    words: int
    substitutions: int
    deletions: int
    insertions: int
    wer: float
    cer: float

    @property
    def errors(self) -> int:
        """Number of substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions


def normaliser() -> Callable[[str], str]:
    """Load Whisper's English text normaliser.

    Raises:
        ConfigError: its package is not installed.
    """
    package = need("whisper_normalizer.english", "evaluate")
    make: Callable[[], Callable[[str], str]] = package.EnglishTextNormalizer
    return make()


def compare(texts: Sequence[str], recognized: Sequence[str]) -> Words:
    """Count the errors of recognized texts, over all texts together.

    Raises:
        TextError: a text has no words to compare with.
    """
    jiwer, normal = need("jiwer", "evaluate"), normaliser()
    said, got = [normal(text) for text in texts], [normal(text) for text in recognized]
    for text, words in zip(texts, said, strict=True):
        if not any(character.isalnum() for character in words):
            raise TextError(f"{text!r} has no words to recognize: leave it out")
    found = jiwer.process_words(said, got)
    return Words(
        words=found.hits + found.substitutions + found.deletions,
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
        wer=float(found.wer),
        cer=float(jiwer.cer(said, got)),
    )


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Error rates of clips.

    Numbers: wer, cer, words, substitutions, deletions, insertions; perfect, the share of clips
    without an error; and wer/VOICE if there are several voices.
    """
    recognized = [tools.transcript(clip.audio) for clip in clips]
    each = [compare([clip.text], [words]) for clip, words in zip(clips, recognized, strict=True)]
    total = compare([clip.text for clip in clips], recognized)
    numbers = {
        "wer": total.wer,
        "cer": total.cer,
        "words": float(total.words),
        "substitutions": float(total.substitutions),
        "deletions": float(total.deletions),
        "insertions": float(total.insertions),
        "perfect": sum(not one.errors for one in each) / len(each),
    }
    voices = sorted({clip.voice for clip in clips})
    for voice in voices if len(voices) > 1 else []:
        own = [one for clip, one in zip(clips, each, strict=True) if clip.voice == voice]
        numbers[f"wer/{voice}"] = sum(one.errors for one in own) / sum(one.words for one in own)
    rows = [
        {"heard": words, "errors": one.errors, "wer": one.wer}
        for words, one in zip(recognized, each, strict=True)
    ]
    return Measured(numbers=numbers, rows=rows)
