"""Compares texts with their recognized speech: error rates, and words that are missing or invented.

Whisper's English normaliser processes both first, so that "don't" and "do not" are equal.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from itertools import groupby
from typing import Any

from causerie.errors import TextError
from causerie.extras import need
from causerie.text.front_end import LEXICON_FILE
from causerie.text.pronounce import STRESSES, Lexicon
from causerie.text.reading import words_of
from causerie.voice_file import BUNDLED

#: Words that replace others may be the same, spelled otherwise, if they share this part of their
#: letters; and they are the same if they share this part of their phonemes. Words that the lexicon
#: does not know were heard for those that it knows if they share this part of their letters.
SAME_LETTERS, SAME_SOUND, SAME_NAME = 0.6, 0.9, 0.75
#: Of this many words, one may be wrong.
WORDS_PER_ERROR = 15
#: One word may be doubtful, and another one of this many.
WORDS_PER_DOUBT = 10


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
        doubtful: words besides, for which other words were heard that are spelled like them, such
            as "launch" for "lunch". The speech may be unclear, or the recognizer may be wrong.
        letters: edits of letters, as a share of the text's letters.
    """

    words: int
    missing: int
    invented: int
    errors: int
    doubtful: int
    letters: float

    @property
    def is_right(self) -> bool:
        """Whether so few words are wrong that a recognizer may have misheard them."""
        if self.doubtful > 1 + self.words // WORDS_PER_DOUBT:
            return False
        return self.errors <= self.words // WORDS_PER_ERROR

    @property
    def rank(self) -> tuple[int, int, float]:
        """Lower is better."""
        return self.errors, self.doubtful, self.letters

    @property
    def is_clear(self) -> bool:
        """Whether it is right, and no word is doubtful."""
        return self.is_right and not self.doubtful


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

    Words that sound alike and are only spelled otherwise, as names and compounds are, count as
    equal.

    Args:
        said: the words as `causerie.text.reading.words_of` has them.
        recognized: any text; numbers and initialisms are read like those of the text.
        normal: from `normaliser`.
    """
    jiwer = need("jiwer", "verify")
    text, got = normal(" ".join(said)), normal(" ".join(words_of(recognized)))
    found = jiwer.process_words(text, got)
    ours, theirs = found.references[0], found.hypotheses[0]
    missing = invented = errors = doubtful = 0
    for lost, added in _differing(found.alignments[0], ours, theirs):
        lost, added = _beyond_compound(lost, added)
        likeness = _likeness(lost, added)
        if likeness is _Likeness.SAME:
            continue
        if likeness is _Likeness.ALIKE:
            doubtful += max(len(lost), len(added))
            continue
        missing, invented = missing + len(lost), invented + len(added)
        errors += max(len(lost), len(added))
    return Difference(
        words=len(ours),
        missing=missing,
        invented=invented,
        errors=errors,
        doubtful=doubtful,
        letters=float(jiwer.cer(text, got)) if text else float(bool(got)),
    )


def _differing(
    alignment: Sequence[Any], text: Sequence[str], heard: Sequence[str]
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """The words of the text that were not heard, each run with what was heard in its place."""
    for is_equal, chunks in groupby(alignment, lambda chunk: chunk.type == "equal"):
        if is_equal:
            continue
        run = list(chunks)
        lost = text[run[0].ref_start_idx : run[-1].ref_end_idx]
        added = heard[run[0].hyp_start_idx : run[-1].hyp_end_idx]
        # As few edits may also pair equal words with others: "new messages" with "messages is".
        for tag, one, one_end, two, two_end in SequenceMatcher(None, lost, added).get_opcodes():
            if tag != "equal":
                yield lost[one:one_end], added[two:two_end]


def _beyond_compound(
    text: Sequence[str], heard: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """The words without those that are the same but for spaces: "blue berries" and "blueberries".

    What was heard beside them is invented, and what is left of the text is missing.
    """
    for at in range(1, len(heard)):
        for same, rest in ((heard[:at], heard[at:]), (heard[at:], heard[:at])):
            if text and "".join(same) == "".join(text):
                return (), rest
    for at in range(1, len(text)):
        for same, rest in ((text[:at], text[at:]), (text[at:], text[:at])):
            if heard and "".join(same) == "".join(heard):
                return rest, ()
    return text, heard


class _Likeness(Enum):
    """Whether words that were heard are the text's, only look like them, or are others."""

    SAME, ALIKE, OTHER = range(3)


def _likeness(text: Sequence[str], heard: Sequence[str]) -> _Likeness:
    """Compare words of the text with those that were heard, by sound and by letters."""
    lexicon = _lexicon()
    one, two = (words_of(" ".join(words)) for words in (text, heard))  # digits as words
    text_known, heard_known = (all(map(lexicon.knows, words)) for words in (one, two))
    letters = _share("".join(text), "".join(heard))
    if text_known and heard_known:
        if _share(_sound(lexicon, one), _sound(lexicon, two)) >= SAME_SOUND:
            return _Likeness.SAME
    elif letters >= (SAME_NAME if text_known else SAME_LETTERS):
        return _Likeness.SAME
    return _Likeness.ALIKE if letters >= SAME_LETTERS else _Likeness.OTHER


def _sound(lexicon: Lexicon, words: Sequence[str]) -> str:
    """The phonemes of words without stresses."""
    phonemes = "".join(map(lexicon.word, words))
    return phonemes.translate(dict.fromkeys(map(ord, STRESSES)))


def _share(one: str, two: str) -> float:
    """The part of two texts that they have in common."""
    return SequenceMatcher(None, one, two).ratio()


@functools.cache
def _lexicon() -> Lexicon:
    return Lexicon.load(BUNDLED / LEXICON_FILE)
