"""Compares texts with their recognized speech: error rates, and words that are missing or invented.

Whisper's English normaliser processes both first, so that "don't" and "do not" are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from causerie.errors import TextError
from causerie.extras import need
from causerie.text.reading import words_of

#: Words that replace others and share this part of their letters are the same, spelled otherwise.
SAME_LETTERS = 0.6
#: Of this many words, one may be wrong.
WORDS_PER_ERROR = 15


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


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The differences between the words of a text and recognized words.

    Attributes:
        words: number of words in the text.
        missing, invented: numbers of words that only the text has, and only the recognized words.
        errors: words to insert, delete or replace.
        letters: edits of letters, as a share of the text's letters.
    """

    words: int
    missing: int
    invented: int
    errors: int
    letters: float

    @property
    def is_right(self) -> bool:
        """Whether so few words are wrong that a recognizer may have misheard them."""
        return self.errors <= self.words // WORDS_PER_ERROR


def normaliser(extra: str = "evaluate") -> Callable[[str], str]:
    """Load Whisper's English text normaliser.

    Args:
        extra: the extra of causerie that installs it, for the error.

    Raises:
        ConfigError: its package is not installed.
    """
    package = need("whisper_normalizer.english", extra)
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


def difference(said: Sequence[str], recognized: str, normal: Callable[[str], str]) -> Difference:
    """Compare the words of a text with its recognized speech.

    Words that are only spelled otherwise, as names and compounds are, count as equal.

    Args:
        said: the words as `causerie.text.reading.words_of` has them.
        recognized: any text; numbers and initialisms are read like those of the text.
        normal: from `normaliser`.
    """
    jiwer = need("jiwer", "verify")
    text, got = normal(" ".join(said)), normal(" ".join(words_of(recognized)))
    found = jiwer.process_words(text, got)
    ours, theirs = found.references[0], found.hypotheses[0]
    missing = invented = errors = 0
    for is_equal, chunks in groupby(found.alignments[0], lambda chunk: chunk.type == "equal"):
        if is_equal:
            continue
        run = list(chunks)
        lost = ours[run[0].ref_start_idx : run[-1].ref_end_idx]
        added = theirs[run[0].hyp_start_idx : run[-1].hyp_end_idx]
        if SequenceMatcher(None, "".join(lost), "".join(added)).ratio() >= SAME_LETTERS:
            continue
        missing, invented = missing + len(lost), invented + len(added)
        errors += max(len(lost), len(added))
    return Difference(
        words=len(ours),
        missing=missing,
        invented=invented,
        errors=errors,
        letters=float(jiwer.cer(text, got)) if text else float(bool(got)),
    )
