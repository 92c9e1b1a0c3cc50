"""Reads SSML into lines to speak, each with the silence before it.

Supported are `break`, `p`, `phoneme`, `s`, `sub`, `voice`, and `say-as` for spelling and ranks. The
text in other elements is spoken as if they were not there, with a note; descriptions are left out.
A DTD is refused, so nothing outside the document is read. `causerie.text.inline` reads the same
elements in every text; this module also checks the document, and knows voices. Does not know
models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from typing import Any
from xml.parsers import expat

from causerie.errors import TextError
from causerie.text.inline import SAID_AS, say_as
from causerie.text.pauses import MAX_PAUSE_S, break_seconds

MAX_LINES = 200
#: Depth of nested elements.
MAX_DEPTH = 32

# Also what XML allows before the first element; a document type is refused later.
_BEGINS = re.compile(
    r"[\s\ufeff]*(?:<\?[^>]*>\s*|<!--(?:(?!-->).)*-->\s*|<!DOCTYPE(?:\[[^\]]*\]|[^>\[])*>\s*)*"
    r"<speak\b",
    re.IGNORECASE | re.DOTALL,
)
_SENTENCES = frozenset({"p", "paragraph", "s", "sentence"})
_SILENT = frozenset({"desc", "metadata", "meta", "lexicon"})
_PLAIN = frozenset({"speak", "w", "token", "mark"})


@dataclass(frozen=True, kw_only=True)
class Line:
    """A text that one voice speaks.

    Attributes:
        voice: a name; None is the voice of the request.
        pause_s: seconds of silence before it.
    """

    voice: str | None
    text: str
    pause_s: float


@dataclass(frozen=True, kw_only=True)
class Script:
    """The content of a document.

    Attributes:
        tail_s: seconds of silence at the end.
        notes: the elements that are not supported.
    """

    lines: list[Line]
    tail_s: float
    notes: list[str]

    @property
    def has_voices(self) -> bool:
        """Whether a line has a voice of its own."""
        return any(line.voice is not None for line in self.lines)

    def as_text(self) -> str:
        """The lines as one text, with breaks between them."""
        parts = [part for line in self.lines for part in (_break(line.pause_s), line.text)]
        return " ".join(filter(None, [*parts, _break(self.tail_s)]))


def is_ssml(text: str) -> bool:
    """Whether a text, or its beginning, is SSML."""
    return _BEGINS.match(text) is not None


def check_no_dtd(text: str) -> None:
    """Raise TextError if a text is an SSML document with a document type."""
    found = _BEGINS.match(text)
    if found is not None and "<!doctype" in found[0].lower():
        _refuse_dtd()


def read_ssml(text: str) -> Script:
    """The lines of an SSML document.

    Raises:
        TextError: the document is invalid; says where.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_dtd
    try:
        parser.Parse(text.lstrip("\ufeff \t\r\n"), True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        raise _wrong(f"{what}, in line {error.lineno}, column {error.offset}") from None
    except UnicodeEncodeError:
        raise _wrong("it holds half a character") from None
    return reader.script()


@dataclass
class _Reader:
    """The state of the parser."""

    voices: list[str | None] = field(default_factory=lambda: [None])
    open: list[str] = field(default_factory=list)  # names of the open elements
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    words: str = ""
    pause_s: float = 0.0
    num_hidden: int = 0  # open elements whose text is not spoken
    num_said_as: int = 0  # open elements whose text is read as `said_as`
    said_as: str = ""
    num_phonemes: int = 0  # open elements whose text has phonemes

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.lower()
        if not self.open and name != "speak":
            raise _wrong(f"it must begin with <speak>, not <{name}>")
        if len(self.open) >= MAX_DEPTH:
            raise _wrong(f"more than {MAX_DEPTH} elements are within each other")
        self.open.append(name)
        if self.num_hidden or name in _SILENT:
            self.num_hidden += 1
        elif self.num_said_as:
            self.num_said_as += 1
        elif self.num_phonemes:
            self.num_phonemes += 1
        elif name in _SENTENCES:
            self.end_sentence()
        elif name == "break":
            self.end_line()
            self.pause_s = min(MAX_PAUSE_S, self.pause_s + _seconds(attributes))
        elif name == "voice":
            self.end_line()
            self.voices.append(attributes.get("name") or self.voices[-1])
        elif name == "sub" and "alias" in attributes:
            self.words += attributes["alias"]
            self.num_hidden = 1
        elif name == "phoneme" and "ph" in attributes:
            self.words += _tag(attributes)
            self.num_phonemes = 1
        elif name == "say-as" and attributes.get("interpret-as") in SAID_AS:
            self.words += " "
            self.num_said_as, self.said_as = 1, attributes["interpret-as"]
        elif name not in _PLAIN:
            self.note(name)

    def end(self, name: str) -> None:
        name = self.open.pop()
        if self.num_hidden:
            self.num_hidden -= 1
        elif self.num_said_as:
            self.num_said_as -= 1
        elif self.num_phonemes:
            self.num_phonemes -= 1
            self.words += "" if self.num_phonemes else "</phoneme>"
        elif name in _SENTENCES:
            self.end_sentence()
        elif name == "voice":
            self.end_line()
            self.voices.pop()

    def text(self, text: str) -> None:
        if self.num_said_as:
            text = say_as(self.said_as, text) + " "
        if self.num_phonemes:
            text = escape(text)
        if not self.num_hidden:
            self.words += text

    def note(self, name: str) -> None:
        note = f"ssml: <{name[:40]}> does nothing here, its text is spoken"
        if note not in self.notes and len(self.notes) < 8:
            self.notes.append(note)

    def end_sentence(self) -> None:
        """End the words so far like a sentence."""
        words = self.words.rstrip()
        if words:
            self.words = words + (" " if words[-1] in ".!?:;…" else ". ")

    def end_line(self) -> None:
        """Make a line of the words so far; punctuation alone joins the line before."""
        words, self.words = " ".join(self.words.split()), ""
        if not words:
            return
        if not any(char.isalnum() for char in words):
            if self.lines:
                last = self.lines[-1]
                self.lines[-1] = Line(
                    voice=last.voice, text=f"{last.text}{words}", pause_s=last.pause_s
                )
            return
        self.lines.append(Line(voice=self.voices[-1], text=words, pause_s=self.pause_s))
        self.pause_s = 0.0
        if len(self.lines) > MAX_LINES:
            raise _wrong(f"breaks and voices make more than {MAX_LINES} parts of it")

    def script(self) -> Script:
        """The whole document."""
        self.end_line()
        return Script(lines=self.lines, tail_s=self.pause_s, notes=self.notes)


def _break(seconds: float) -> str:
    return f'<break time="{seconds:.6f}s"/>' if seconds else ""


def _tag(attributes: dict[str, str]) -> str:
    """The start of a phoneme element, which the reader of every text knows."""
    given = {name: attributes[name] for name in ("alphabet", "ph") if name in attributes}
    return "<phoneme" + "".join(f' {name}="{escape(given[name])}"' for name in given) + ">"


def _seconds(attributes: dict[str, str]) -> float:
    """The duration of a break."""
    try:
        return break_seconds(attributes.get("time"), attributes.get("strength"))
    except TextError as error:
        raise _wrong(str(error)) from None


def _refuse_dtd(*_: Any) -> None:
    raise _wrong("a DTD is not read: leave <!DOCTYPE> out")


def _wrong(message: str) -> TextError:
    return TextError(f"the SSML cannot be read: {message}")
