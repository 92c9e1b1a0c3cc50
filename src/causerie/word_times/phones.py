"""The words of a text as written, each with the phones that are spoken for it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from causerie.text.front_end import LEXICON_FILE
from causerie.text.normalize import normalize
from causerie.text.pronounce import CONSONANTS, SPELLED, VOWELS, Lexicon
from causerie.text.split import Sentence
from causerie.voice_file import BUNDLED

#: The phones of the aligner: misaki's symbols without stress.
PHONES = "".join(sorted(VOWELS)) + CONSONANTS
#: About how an unknown word is pronounced, letter by letter.
_LETTERS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "æ b k d ɛ f ɡ h ɪ ʤ k l m n ɑ p k ɹ s t ʌ v w ks i z".split(),
        strict=True,
    )
)
_PHONES = str.maketrans({SPELLED[letter]: phones for letter, phones in _LETTERS.items()})


@dataclass(frozen=True)
class WrittenWord:
    """A word as written, with its punctuation.

    Attributes:
        phones: may be empty, as for a dash.
        ends_sentence: it is the last word of its sentence.
    """

    text: str
    phones: str
    ends_sentence: bool = False


@cache
def english() -> Lexicon:
    """The lexicon in this package, for models that read the text itself."""
    return Lexicon.load(BUNDLED / LEXICON_FILE)


def written_words(sentences: Iterable[Sentence], lexicon: Lexicon) -> list[WrittenWord]:
    """The words of sentences. Numbers and symbols have the phones of the words they are read as."""
    words: list[WrittenWord] = []
    for sentence in sentences:
        written = sentence.text.split()
        phones = _phones_of(written, normalize(sentence.text, knows=lexicon.knows).split(), lexicon)
        last = len(written) if sentence.is_open else len(written) - 1
        words += [
            WrittenWord(word, said, number == last)
            for number, (word, said) in enumerate(zip(written, phones, strict=True))
        ]
    return words


def _phones_of(written: list[str], said: list[str], lexicon: Lexicon) -> list[str]:
    """The phones of each written word, where other words may be said for it."""
    phones = [""] * len(written)

    def put(index: int, words: list[str]) -> None:
        phones[index] += "".join(_phones(word, lexicon) for word in words)

    keys = [_key(word) for word in written], [_key(word) for word in said]
    matcher = difflib.SequenceMatcher(None, *keys, autojunk=False)
    for tag, one, one_end, two, two_end in matcher.get_opcodes():
        if tag == "equal":
            for offset in range(one_end - one):
                put(one + offset, [said[two + offset]])
        elif tag == "insert":
            put(max(0, one - 1), said[two:two_end])
        elif tag == "replace":
            sizes = [len(normalize(word).split()) for word in written[one:one_end]]
            total, at, cut = max(1, sum(sizes)), two, 0
            for index, size in enumerate(sizes, one):
                cut += size
                end = two + round(cut / total * (two_end - two))
                if index == one_end - 1:
                    end = two_end
                put(index, said[at:end])
                at = end
    return phones


def _key(word: str) -> str:
    return "".join(char for char in word.lower() if char.isalnum())


def _phones(word: str, lexicon: Lexicon) -> str:
    said = lexicon.read(word).phonemes.translate(_PHONES)
    return "".join(char for char in said if char in PHONES)
