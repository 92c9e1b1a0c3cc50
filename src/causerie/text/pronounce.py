"""Converts English words to phonemes, for checkpoints whose tokenizer reads phonemes.

A word that is not in the lexicon is spelled in full-width letters (``ａ`` … ``ｚ``), which such a
model has learned as spelling, so every English word can be spoken and the two alphabets do not
mix. The phoneme symbols are those of misaki (Apache-2.0), one character per phoneme. Does not know
models or tokenizers.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from causerie.errors import CheckpointError
from causerie.text import marks
from causerie.text.homographs import as_verb, choose
from causerie.text.inflections import ending, stems

VOWELS = frozenset("AIOWYiuæɑəɛɪʊʌɔɜɐᵊᵻ")
CONSONANTS = "bdfhjklmnpstvwzðŋɡɹʃʒʤʧθT"
STRESSES = "ˈˌ"
PUNCTUATION = ",.!?;:—…"
SPELLED = {chr(ord("a") + i): chr(0xFF41 + i) for i in range(26)}

_HUMP = re.compile("(?<=[a-z])(?=[A-Z])")
_PIECE = re.compile(
    rf"{marks.PATTERN}(?:'[a-z]+(?![A-Za-z]))?|"
    r"(?<![A-Za-z'])[A-Z](?: [A-Z](?![A-Za-z]))+(?:'[a-z]+)?|"  # an initialism: G P U's
    r"(?<![A-Za-z])(?:[Rr]e|[Pp]re|[Dd]e)-[A-Za-z]+|"  # prefixes that are words too
    r"[A-Za-z]+(?:'[A-Za-z]+)*|[,.!?;:—…]+|[^\sA-Za-z,.!?;:—…]"
)
_TYPOGRAPHY = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "—", "(": ",", ")": ",", "\u00a0": " "}
    | {"Æ": "Ae", "æ": "ae", "Œ": "Oe", "œ": "oe", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l"}
    | {"Đ": "D", "đ": "d", "ß": "ss", "ı": "i", "Þ": "Th", "þ": "th", "ð": "th"}
)
_LETTER_NAMES = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "ˈA bˈi sˈi dˈi ˈi ˈɛf ʤˈi ˈAʧ ˈI ʤˈA kˈA ˈɛl ˈɛm ˈɛn ˈO pˈi kjˈu ˈɑɹ ˈɛs tˈi jˈu vˈi "
        "dˈʌbᵊljˌu ˈɛks wˈI zˈi".split(),
        strict=True,
    )
)
_PREFIXES = {"re": "ɹˌi", "pre": "pɹˌi", "de": "dˌi"}
# Words whose phonemes depend on the next word: (before a vowel, before a consonant, at a pause).
_WEAK_FORMS = {
    "the": ("ði", "ðə", "ðə"),
    "a": ("ɐ", "ɐ", "ˈA"),
    "an": ("ɐn", "ɐn", "ɐn"),
    "to": ("tʊ", "tə", "tu"),
    "i": ("ˌI", "ˌI", "ˌI"),
}


_REPEATED = re.compile(r"([a-z])\1{2,}")
# Of these, the form with two letters is a word too: goo.
_DRAWN_OUT = frozenset("go more yo bro bye".split())
# Of a name; the apostrophe of a contraction stands before its last letters.
_WITH_APOSTROPHE = re.compile(r"[a-z]{1,6}'(?:[a-z]{3,}|i)")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The phonemes of a text, and the characters that cannot be read."""

    phonemes: str
    unread: str


class Lexicon:
    """A pronouncing lexicon of lower-case English words.

    The words around a homograph choose its pronunciation (`causerie.text.homographs`).

    Args:
        entries: word → phonemes (stress marks stand before their vowel).
        fixed: word → phonemes that it has in every context.
    """

    def __init__(
        self, entries: Mapping[str, str], *, fixed: Mapping[str, str] | None = None
    ) -> None:
        self.entries, self.fixed = entries, fixed or {}

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        """The lexicon in a gzipped file of ``word<TAB>phonemes`` lines, sorted by word.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        try:
            return cls(_SortedLines(gzip.decompress(path.read_bytes())))
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise CheckpointError(
                f"{path} is no readable lexicon ({error}): fetch it again"
            ) from None

    def word(self, word: str) -> str:
        """The phonemes of one word; an unknown word is spelled in full-width letters."""
        lower = word.lower()
        prefix, hyphen, rest = lower.partition("-")
        if hyphen:
            return _PREFIXES[prefix] + self.word(rest)
        known = self.fixed.get(lower) or self._known(lower) or self._informal(lower)
        if known:
            return known
        parts = _HUMP.split(word)
        if len(parts) > 1 and all(part.lower() in self.entries for part in parts):
            return " ".join(map(self.word, parts))  # LinkedIn, iMac
        if lower.removesuffix("'s") in _LETTER_NAMES:
            name = _LETTER_NAMES[lower[0]]
            return name + ending(name, "s") if len(lower) > 1 else name
        if word.isupper() and len(word) <= 5:
            return _initialism(lower)
        return spell(lower)

    def knows(self, word: str) -> bool:
        """Whether a word in small letters, or its stem, has an entry."""
        return self._known(word) is not None

    def _known(self, word: str) -> str | None:
        return self._entry(word) or self._inflected(word)

    def _informal(self, word: str) -> str | None:
        """The phonemes of sooo or looove, and of goin', whose apostrophe is off."""
        going = self.entries.get(word + "g", "") if word.endswith("in") else ""
        if going.endswith("ŋ"):
            return going[:-1] + "n"
        if not _REPEATED.search(word):
            return None
        twice, once = (_REPEATED.sub(r"\1" * count, word) for count in (2, 1))
        if once in _DRAWN_OUT:
            return self._known(once)
        return self._known(twice) or self._known(once)

    def _entry(self, word: str) -> str | None:
        """The phonemes of an entry; O'Brien may be there without its apostrophe."""
        found = self.entries.get(word)
        if found is None and _WITH_APOSTROPHE.fullmatch(word):
            return self.entries.get(word.replace("'", ""))
        return found

    def _inflected(self, word: str) -> str | None:
        """The phonemes of a regular inflection of a known word."""
        for suffix, possible in stems(word):
            for stem in possible:
                found = self._entry(stem)
                if found:
                    verb = as_verb(stem) if suffix in ("ed", "ing") else None
                    phonemes = verb or found
                    return phonemes + ending(phonemes, suffix)
        return None

    def read(self, text: str) -> Reading:
        """The phonemes of words and punctuation; `normalize` converts digits and symbols first."""
        plain = unicodedata.normalize("NFKD", text.translate(_TYPOGRAPHY))
        plain = "".join(c for c in plain if not unicodedata.combining(c))
        out: list[str] = []  # words and punctuation marks in order
        unread = []
        for piece in _PIECE.findall(plain):
            if marks.is_mark(piece):
                out.append(piece)
            elif piece[0] in PUNCTUATION:
                if out and out[-1] not in PUNCTUATION:
                    out.append(piece[-1] if piece != "..." else "…")
            elif piece[0].isascii() and piece[0].isalpha():
                out.append(piece)
            elif piece not in "-'\"":
                unread.append(piece)
        shown = [marks.replace(item, lambda mark: mark.written) for item in out]
        sounds: list[str] = []
        following = ""  # phonemes of the next word, empty at a pause
        for position in range(len(out) - 1, -1, -1):
            item = out[position]
            if item in PUNCTUATION:
                following = ""
                sounds.append(item)
                continue
            if marks.is_mark(item):
                following = _marked(item)
            elif item == "A" and position and _names_a_letter(shown[position - 1]):
                following = _LETTER_NAMES["a"]
            else:
                following = self._in_context(shown, position, following)
            sounds.append(" " + following)
        return Reading(phonemes="".join(reversed(sounds)).strip(), unread="".join(unread))

    def _in_context(self, words: Sequence[str], at: int, following: str) -> str:
        word = words[at]
        if " " in word:
            letters, apostrophe, suffix = word.replace(" ", "").lower().partition("'")
            phonemes = _initialism(letters)
            if apostrophe:
                return phonemes + ending(phonemes, suffix)
            return phonemes
        weak = _WEAK_FORMS.get(word.lower())
        if weak is None:
            chosen = None if word.lower() in self.fixed else choose(words, at)
            return chosen or self.word(word)
        first = following.lstrip(STRESSES)[:1]
        return weak[0 if first in VOWELS and first else 1 if first else 2]


def _initialism(letters: str) -> str:
    """The phonemes of letters, the last with the stress."""
    names = [_LETTER_NAMES[letter] for letter in letters if letter in _LETTER_NAMES]
    return "".join([*(name.replace("ˈ", "ˌ") for name in names[:-1]), names[-1]])


def _marked(item: str) -> str:
    """The phonemes of a mark, with the suffix after it; a tag as it is written."""
    word, apostrophe, suffix = item.partition("'")
    mark = marks.parse(word)
    if mark.is_tag:
        return mark.written
    return mark.phonemes + (ending(mark.phonemes, suffix) if apostrophe else "")


def _names_a_letter(before: str) -> bool:
    """Whether a capital A after this word is the letter (vitamin A, five A M), not the article."""
    return before not in PUNCTUATION and not (before.isupper() and len(before) > 1)


class _SortedLines(Mapping[str, str]):
    """The entries of a lexicon file, found by bisection: a dict of them takes 0.1 s to build."""

    def __init__(self, lines: bytes) -> None:
        self._lines = b"\n" + lines.strip(b"\n") + b"\n"
        if self._lines.count(b"\t") != len(self):
            raise ValueError("a line is not word<TAB>phonemes")
        step = len(self._lines) // 64 + 1
        words = [self._line_at(at)[0] for at in range(0, len(self._lines) - 1, step)]
        if words != sorted(words):
            raise ValueError("its lines are not sorted by word")

    def __len__(self) -> int:
        return self._lines.count(b"\n") - 1

    def __iter__(self) -> Iterator[str]:
        return (line.split(b"\t")[0].decode() for line in self._lines.strip(b"\n").split(b"\n"))

    def __getitem__(self, word: str) -> str:
        sought = word.encode()
        low, high = 0, len(self._lines) - 1  # at line ends, the line between them
        while low < high:
            found, phonemes, start, end = self._line_at((low + high) // 2)
            if found == sought:
                return phonemes.decode()
            low, high = (end, high) if found < sought else (low, start)
        raise KeyError(word)

    def _line_at(self, at: int) -> tuple[bytes, bytes, int, int]:
        """Word and phonemes of the line around an offset, and the line ends on both sides."""
        start = self._lines.rindex(b"\n", 0, at + 1)
        end = self._lines.index(b"\n", at + 1)
        word, phonemes = self._lines[start + 1 : end].split(b"\t")
        return word, phonemes, start, end


def spell(word: str) -> str:
    """A word in full-width letters: ``cat`` → ``ｃａｔ``; other characters are left out."""
    return "".join(SPELLED[letter] for letter in word.lower() if letter in SPELLED)
