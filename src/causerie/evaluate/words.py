"""Word and character error rates between what was to be said and what was heard.

Both texts pass Whisper's English normaliser first, so that "don't" and "do not" count as equal.
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
    """Counts of one text or of many together.

    Attributes:
        words: in the texts to be said.
        wer, cer: errors a word, and a character; 1 is 100 %, and more is possible.
    """

    words: int
    substitutions: int
    deletions: int
    insertions: int
    wer: float
    cer: float

    @property
    def errors(self) -> int:
        """Words substituted, deleted and inserted."""
        return self.substitutions + self.deletions + self.insertions


def normaliser() -> Callable[[str], str]:
    """Whisper's English text normaliser.

    Raises:
        ConfigError: it is not installed.
    """
    package = need("whisper_normalizer.english", "evaluate")
    make: Callable[[], Callable[[str], str]] = package.EnglishTextNormalizer
    return make()


def compare(texts: Sequence[str], heard: Sequence[str]) -> Words:
    """Errors of what was heard, over all texts together.

    Raises:
        TextError: a text has no words, so that nothing can be compared with it.
    """
    jiwer, normal = need("jiwer", "evaluate"), normaliser()
    said, got = [normal(text) for text in texts], [normal(text) for text in heard]
    for text, words in zip(texts, said, strict=True):
        if not any(character.isalnum() for character in words):
            raise TextError(f"{text!r} has no words to listen for: leave it out")
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
    """Error rates of clips, by the recogniser.

    Numbers: wer, cer, words, substitutions, deletions, insertions; perfect, the share of clips
    without an error; and wer/VOICE of each voice, where there are several.
    """
    heard = [tools.transcript(clip.audio) for clip in clips]
    each = [compare([clip.text], [words]) for clip, words in zip(clips, heard, strict=True)]
    total = compare([clip.text for clip in clips], heard)
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
        for words, one in zip(heard, each, strict=True)
    ]
    return Measured(numbers=numbers, rows=rows)
