"""A user's own pronunciations: a lexicon of words, each with phonemes or a respelling.

A file is one of these:

    GIF<TAB>ʤˈɪf                      a line for each word, with IPA; # begins a comment
    nginx<TAB>"engine x"              a respelling, in quotes
    {"GIF": "ʤˈɪf"}                   JSON, as misaki has it
    <lexicon …><lexeme>…              PLS, as ElevenLabs and SSML have it

An entry in small letters is for a word in any case. One with capitals is also for the word in small
letters, unless the model knows that word: IT does not change "it". Does not know models.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias
from xml.parsers import expat

from causerie.errors import ConfigError, TextError
from causerie.text import marks
from causerie.text.inflections import ending, stems
from causerie.text.marks import Mark
from causerie.text.phonemes import ALPHABETS, to_phonemes

MAX_WORD_CHARS = 200
_WORD = re.compile(rf"{marks.PATTERN}|\w+(?:['’]\w+)*")
_SIMPLE = re.compile(r"\w+(?:['’]\w+)*")
_ADVICE = "write word<TAB>phonemes, such as GIF<TAB>ʤˈɪf"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The reading of a word: phonemes, or else a respelling."""

    phonemes: str = ""
    alias: str = ""


class UserLexicon:
    """Words with readings of their own.

    Args:
        entries: by the word as written.
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> UserLexicon:
        """The lexicon in a file.

        Raises:
            ConfigError: the file cannot be read, or a line of it is invalid.
        """
        try:
            text = Path(path).read_text("utf-8-sig")
        except OSError as error:
            raise ConfigError(f"lexicon {path} cannot be opened: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"lexicon {path} is not text in UTF-8: {error}") from error
        return cls.parse(text, os.fspath(path))

    @classmethod
    def parse(cls, text: str, name: str) -> UserLexicon:
        """The lexicon in the text of a file.

        Args:
            name: of the file, for errors.

        Raises:
            ConfigError: a line is invalid.
        """
        begin = text.lstrip()[:1]
        if begin == "<":
            found = _from_pls(text, name)
        elif begin == "{":
            found = _from_json(text, name)
        else:
            found = _from_lines(text, name)
        entries: dict[str, Entry] = {}
        for number, word, value in found:
            try:
                entries[_checked(word)] = value if isinstance(value, Entry) else _entry(word, value)
            except TextError as error:
                number = number or _line_of(word, text)
                raise ConfigError(f"lexicon {name}, line {number}: {error}") from None
        return cls(entries)

    @classmethod
    def of(cls, values: Mapping[str, Any], name: str = "lexicon") -> UserLexicon:
        """The lexicon of a dictionary from words to phonemes; a respelling is ``{"alias": "…"}``.

        Raises:
            ConfigError: a word or its phonemes are invalid.
        """
        entries: dict[str, Entry] = {}
        for word, value in values.items():
            try:
                entries[_checked(word)] = _entry(word, value)
            except TextError as error:
                raise ConfigError(f"{name}: {error}") from None
        return cls(entries)

    def __or__(self, other: UserLexicon) -> UserLexicon:
        """Both lexicons; the other's entries are used where both have a word."""
        return UserLexicon({**self.entries, **other.entries})

    def apply(self, text: str, knows: Callable[[str], bool] = lambda _: False) -> str:
        """The text with marks and respellings in place of the words of this lexicon.

        Args:
            knows: whether the model knows a word in small letters.
        """
        if not self.entries:
            return text
        if self._phrases:
            text = _outside_marks(text, lambda part: self._phrases_of(part, knows))
        return _WORD.sub(lambda match: self._word(match[0], knows), text)

    def _phrases_of(self, text: str, knows: Callable[[str], bool]) -> str:
        assert self._phrases
        return self._phrases.sub(
            lambda match: self._reading(match[0], match[0], "", knows) or match[0], text
        )

    def _word(self, word: str, knows: Callable[[str], bool]) -> str:
        if marks.is_mark(word):
            return word
        found = self._reading(word, word, "", knows)
        if found is not None:
            return found
        plain = word.replace("’", "'")
        for suffix, possible in stems(plain.lower()):
            for stem in possible:
                written = plain[: len(stem)] if plain.lower().startswith(stem) else stem
                found = self._reading(written, word, suffix, knows)
                if found is not None and not (suffix != "s" and knows(plain.lower())):
                    return found
        return word

    def _reading(
        self, word: str, written: str, suffix: str, knows: Callable[[str], bool]
    ) -> str | None:
        entry = self._find(word, knows)
        if entry is None:
            return None
        if entry.phonemes:
            phonemes = entry.phonemes + (ending(entry.phonemes, suffix) if suffix else "")
            return str(Mark(written=written, phonemes=phonemes))
        return entry.alias + (written[len(word) :] if suffix else "")

    def _find(self, word: str, knows: Callable[[str], bool]) -> Entry | None:
        lower = word.lower()
        exact = self.entries.get(word) or self.entries.get(lower)
        if exact is not None:
            return exact
        name = self._by_lower.get(lower)
        if name is None or (word != name.upper() and knows(lower)):
            return None
        return self.entries[name]

    @cached_property
    def _by_lower(self) -> dict[str, str]:
        return {word.lower(): word for word in self.entries}

    @cached_property
    def _phrases(self) -> re.Pattern[str] | None:
        """The entries that are not one word: New York, C++, AC/DC."""
        words = [word for word in self.entries if not _SIMPLE.fullmatch(word)]
        if not words:
            return None
        parts = [r"\s+".join(map(re.escape, word.split())) for word in sorted(words, key=len)[::-1]]
        return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.I)


#: A file, a dictionary from words to phonemes, or a lexicon that is read already.
LexiconSource: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | UserLexicon | None"


def read_lexicon(lexicon: LexiconSource | object) -> UserLexicon | None:
    """The lexicon that a user gives: a file, a dictionary, or one that is read already.

    Raises:
        ConfigError: it is none of these, or invalid.
    """
    if lexicon is None or isinstance(lexicon, UserLexicon):
        return lexicon
    if isinstance(lexicon, Mapping):
        return UserLexicon.of(lexicon)
    if isinstance(lexicon, (str, os.PathLike)):
        return UserLexicon.load(lexicon)
    raise ConfigError(f"lexicon must be a file or a dictionary of words, not {lexicon!r}")


def _outside_marks(text: str, change: Callable[[str], str]) -> str:
    parts = re.split(f"({marks.PATTERN})", text)
    return "".join(part if at % 2 else change(part) for at, part in enumerate(parts))


def _checked(word: object) -> str:
    if not isinstance(word, str) or not word.strip():
        raise TextError(f"the word is missing: {_ADVICE}")
    if len(word) > MAX_WORD_CHARS:
        raise TextError(f"the word {word[:40]!r}… has over {MAX_WORD_CHARS} characters")
    return " ".join(word.split())


def _entry(word: str, value: object) -> Entry:
    """The entry of a value: phonemes, "a respelling" in quotes, or {"alias": …}.

    Raises:
        TextError: it is none of these.
    """
    if isinstance(value, dict):
        alias = value.get("alias")
        if isinstance(alias, str) and alias.strip():
            return Entry(alias=alias.strip())
        value = value.get("phoneme", value.get("DEFAULT"))
    if not isinstance(value, str) or not value.strip():
        raise TextError(f"{word!r} has no phonemes: {_ADVICE}")
    value = value.strip()
    if len(value) > 2 and value[0] == value[-1] == '"':
        return Entry(alias=value[1:-1].strip())
    return Entry(phonemes=to_phonemes(value, word))


def _from_lines(text: str, name: str) -> Iterable[tuple[int, str, object]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, tab, value = line.partition("\t")
        if not tab:
            raise ConfigError(f"lexicon {name}, line {number}: {line[:40]!r} has no tab: {_ADVICE}")
        yield number, word, value.split("\t")[0]


def _from_json(text: str, name: str) -> Iterable[tuple[int, str, object]]:
    """The words and their values; 0 stands for the line, which takes time to find."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError(
            f'lexicon {name}{where} is not JSON ({error}): write {{"GIF": "ʤˈɪf"}}'
        ) from None
    for word, value in values.items():
        yield 0, word, value


def _line_of(word: str, text: str) -> int:
    """The line of a word in JSON."""
    key = json.dumps(word, ensure_ascii=False)
    return text.count("\n", 0, max(0, text.find(key))) + 1


def _from_pls(text: str, name: str) -> Iterable[tuple[int, str, object]]:
    """The lexemes of a Pronunciation Lexicon Specification."""
    found: list[tuple[int, str, object]] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True
    alphabets = ["ipa"]
    lexeme: dict[str, Any] = {}
    content = ""

    def refuse(*_: Any) -> None:
        raise ConfigError(f"lexicon {name}: a DTD is not read: leave <!DOCTYPE> out")

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal content, lexeme
        content = ""
        if tag == "lexicon":
            alphabets[0] = attributes.get("alphabet", "ipa")
        elif tag == "lexeme":
            lexeme = {"words": [], "line": parser.CurrentLineNumber, "value": None}
        elif tag == "phoneme":
            lexeme["alphabet"] = attributes.get("alphabet", alphabets[0])

    def end(tag: str) -> None:
        inner = " ".join(content.split())
        if tag == "grapheme":
            lexeme.setdefault("words", []).append(inner)
        elif tag == "alias" and lexeme.get("value") is None:
            lexeme["value"] = Entry(alias=inner) if inner else ""
        elif tag == "phoneme" and lexeme.get("value") is None:
            lexeme["value"] = (inner, lexeme["alphabet"])
        elif tag == "lexeme":
            for word in lexeme["words"] or [""]:
                found.append(
                    (lexeme["line"], word, _pls_value(word, lexeme["value"], name, lexeme))
                )

    def text_of(part: str) -> None:
        nonlocal content
        content += part

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text_of
    try:
        parser.Parse(text.lstrip(), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise ConfigError(
            f"lexicon {name}, line {error.lineno}: {reason}: write PLS, or lines of "
            f"word<TAB>phonemes"
        ) from None
    return found


def _pls_value(word: str, value: object, name: str, lexeme: Mapping[str, Any]) -> object:
    if not isinstance(value, tuple):
        return value
    written, alphabet = value
    if alphabet.lower() not in ALPHABETS:
        raise ConfigError(
            f"lexicon {name}, line {lexeme['line']}: the alphabet {alphabet!r} is unknown: use "
            f"ipa, cmu-arpabet or x-sampa"
        )
    try:
        return Entry(phonemes=to_phonemes(written, word, alphabet=alphabet))
    except TextError as error:
        raise ConfigError(f"lexicon {name}, line {lexeme['line']}: {error}") from None
