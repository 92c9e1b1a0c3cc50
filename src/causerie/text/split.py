"""Splits text into pieces to speak, at the ends of sentences where that is possible.

`SentenceReader` cuts a growing text into sentences, and `Packer` joins them to pieces. A whole text
takes the same path, so that its sentences are those of the same text while it is written. Does not
know models.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import sentencex

from causerie.text.blocks import BlockEnd, BlockReader, Event, LeftOut, Pause, Plain
from causerie.text.calendar import SHORT_BOOKS

#: Longer text is spoken in pieces of at most this many characters.
MAX_PIECE_CHARS = 250
#: For models that read phonemes: of four sentences of 280 characters without a comma, in three
#: voices, petit says 97 of 651 words wrong at 250, 28 at 140 and 23 at 100; with commas as many.
MAX_PHONEME_PIECE_CHARS = 140
#: Where a piece should be as short as sounds well, it joins sentences up to at least this many.
MIN_PIECE_CHARS = 60
#: Characters per second of English speech at an ordinary pace, pauses included.
CHARS_A_SECOND = 14.0


@dataclass(frozen=True)
class Sentence:
    """A sentence, a heading, an item of a list, or a part of a long sentence.

    Attributes:
        text: without markup, on one line.
        end: the position after it in the text as written.
        is_open: the sentence goes on in the next one.
        is_item: it ends an item of a list without numbers.
    """

    text: str
    end: int
    is_open: bool
    is_item: bool = False


class Piece(str):
    """A piece of a text as written, with its sentences.

    Attributes:
        sentences: how it is read. Empty if it is left out, as a code block, and for a pause.
        left_out: what is not read of it.
        pause_s: seconds of silence, if it is a pause.
    """

    sentences: tuple[Sentence, ...]
    left_out: tuple[LeftOut, ...]
    pause_s: float

    def __new__(
        cls,
        text: str,
        sentences: Iterable[Sentence] = (),
        left_out: Iterable[LeftOut] = (),
        pause_s: float = 0.0,
    ) -> Piece:
        """A piece of a text."""
        piece = super().__new__(cls, text)
        piece.sentences, piece.left_out = tuple(sentences), tuple(left_out)
        piece.pause_s = pause_s
        return piece


#: What is read of a text: sentences, and what lies between them.
Read: TypeAlias = Sentence | LeftOut | Pause


def split(
    text: str,
    max_chars: int,
    *,
    min_chars: int | None = None,
    is_raw: bool = False,
    tags: frozenset[str] = frozenset(),
) -> list[Piece]:
    """Pieces of a text, each of at most `max_chars` characters.

    Pieces end at the ends of sentences; a sentence longer than that is cut at a comma, else before
    a clause, else before a preposition, else between words. A longer word is not cut. Only white
    space and markup between pieces are lost.

    Args:
        min_chars: a piece is complete at this length; None: it is as long as possible.
        is_raw: pieces are used as they are written, so that pauses are text.
        tags: of the model, see `FrontEnd`.
    """
    reader = SentenceReader(max_chars, tags)
    packer = Packer(max_chars, min_chars=min_chars or max_chars, is_raw=is_raw)
    packer.add_source(text)
    pieces = [*packer.add(reader.add(text)), *packer.add(reader.end())]
    return pieces + packer.rest(to_end=True)


def whole(text: str, tags: frozenset[str] = frozenset()) -> Piece:
    """A text as one piece, in which pauses are left out."""
    reader = SentenceReader(sys.maxsize, tags)
    read = [*reader.add(text), *reader.end()]
    return Piece(
        text,
        [item for item in read if isinstance(item, Sentence)],
        [
            LeftOut("pause", item.text, item.end, is_block=False)
            if isinstance(item, Pause)
            else item
            for item in read
            if isinstance(item, (LeftOut, Pause))
        ],
    )


class SentenceReader:
    """Cuts a growing text into sentences.

    A sentence is complete once a word follows it.

    Args:
        max_chars: a longer sentence is cut into several.
        tags: of the model, see `FrontEnd`.
    """

    def __init__(self, max_chars: int, tags: frozenset[str] = frozenset()) -> None:
        self._max_chars = max_chars
        self._blocks = BlockReader(tags)
        self._open = ""  # from the start of the unfinished sentence
        self._ends: list[int] = []  # of the source of its characters
        self._num_seen = 0  # characters of it in which no sentence ends
        self._found: list[Read] = []

    def add(self, text: str) -> list[Read]:
        """Append text; returns the sentences that are now complete."""
        for events in self._blocks.add(text):
            self._read(events)
            self._look()
        return self._take()

    def flush(self) -> list[Read]:
        """The rest of the text so far. An unfinished sentence is cut."""
        self._read(self._blocks.flush())
        self._end(is_open=self._blocks.is_in_sentence)
        return self._take()

    def end(self) -> list[Read]:
        """The rest; the text ends here."""
        self._read(self._blocks.end())
        return self._take()

    def _take(self) -> list[Read]:
        found, self._found = self._found, []
        return found

    def _read(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Plain):
                text, ends = event.text, event.ends
                if not self._open and text[0] == " ":
                    text, ends = text[1:], ends[1:]
                self._open += text
                self._ends += ends
            elif isinstance(event, BlockEnd):
                self._end(is_open=False, is_item=event.is_item)
            else:
                if isinstance(event, Pause):
                    self._end(is_open=True)
                self._found.append(event)

    def _look(self) -> None:
        """Cut off complete sentences. The text ends with a word."""
        seen, self._num_seen = self._num_seen, max(0, len(self._open) - 1)
        if _MAY_END.search(self._open, seen):
            self._cut((sentence, False) for sentence in sentences(self._open + " ")[:-1])
            self._num_seen = max(0, len(self._open) - 1)
        if len(self._open) > self._max_chars:  # do not wait for its end
            self._cut((part, True) for part in _parts(self._open, self._max_chars)[:-1])
            self._num_seen = max(0, len(self._open) - 1)

    def _end(self, *, is_open: bool, is_item: bool = False) -> None:
        """Cut off all."""
        found = sentences(self._open)
        self._cut((one, is_open and at == len(found)) for at, one in enumerate(found, 1))
        last = self._found[-1] if found else None
        if is_item and isinstance(last, Sentence):
            self._found[-1] = replace(last, is_item=True)
        self._num_seen = 0

    def _cut(self, found: Iterable[tuple[str, bool]]) -> None:
        """Cut off sentences, each with whether it is open; a long one in parts."""
        at = 0
        for sentence, is_open in found:
            parts = _parts(sentence.strip(), self._max_chars)
            for number, part in enumerate(parts, 1):
                at += len(part)
                is_part = is_open or number < len(parts)
                self._found.append(Sentence(part, self._ends[at - 1], is_part))
                at += self._open[at : at + 1] == " "
        self._open, self._ends = self._open[at:], self._ends[at:]


class Packer:
    """Joins sentences to pieces.

    Args:
        max_chars: of a piece.
        min_chars: pieces are complete at this length.
        is_quick: the first piece is one sentence.
        is_raw: pieces are used as they are written, so that pauses are text.
    """

    def __init__(
        self, max_chars: int, *, min_chars: int, is_quick: bool = False, is_raw: bool = False
    ) -> None:
        self._max_chars, self._min_chars = max_chars, min_chars
        self._is_quick, self._is_raw = is_quick, is_raw
        self._source = ""  # the text from the end of the latest piece
        self._start = 0  # its position
        self._waiting: list[Sentence] = []
        self._left_out: list[LeftOut] = []

    def add_source(self, text: str) -> None:
        """Append the text as written, before its sentences."""
        self._source += text

    def add(self, read: Iterable[Read]) -> list[Piece]:
        """Append sentences; returns the pieces that are now complete."""
        pieces: list[Piece] = []
        for item in read:
            if isinstance(item, Pause):
                if not self._is_raw:
                    pieces += self._pause(item)
                continue
            if isinstance(item, LeftOut):
                if item.is_block:
                    pieces += self.rest()
                    piece = self._piece(item.end, (), [*self._left_out, item])
                    first, *others = _parts(piece, self._max_chars)
                    pieces += [Piece(first, (), piece.left_out), *map(Piece, others)]
                    self._left_out = []
                else:
                    self._left_out.append(item)
                continue
            if self._waiting and self._size(item) > self._max_chars:
                pieces += self.rest()
            self._waiting.append(item)
            if self._is_quick or self._size() >= self._min_chars:
                pieces += self.rest()
        return pieces

    def rest(self, *, to_end: bool = False) -> list[Piece]:
        """A piece of the sentences that wait.

        Args:
            to_end: include the text after them, which has no words. It is a piece itself if it is
                left out.
        """
        if not self._waiting and not (to_end and self._left_out):
            return []
        end = self._start + len(self._source) if to_end else self._waiting[-1].end
        piece = self._piece(end, self._waiting, self._left_out)
        self._waiting, self._left_out, self._is_quick = [], [], False
        return [piece]

    def _pause(self, pause: Pause) -> list[Piece]:
        """The pieces before a pause, and the pause."""
        before = self.rest()
        text = self._piece(pause.end, (), ())
        left_out, self._left_out = self._left_out, []
        return [*before, Piece(text, (), left_out, pause.seconds)]

    def _size(self, *more: Sentence) -> int:
        """The length of a piece of the sentences that wait and these."""
        all_of_them = [*self._waiting, *more]
        read = sum(len(sentence.text) for sentence in all_of_them) + len(all_of_them) - 1
        written = self._source[: all_of_them[-1].end - self._start].strip()
        return max(read, len(written))

    def _piece(self, end: int, read: Iterable[Sentence], left_out: Iterable[LeftOut]) -> Piece:
        text, self._source = self._source[: end - self._start], self._source[end - self._start :]
        self._start = end
        return Piece(text.strip(), read, left_out)


def sentences(text: str) -> list[str]:
    """The sentences of a line, with the white space after each; "Dr." does not end one."""
    if _NO_WORDS.search(text):
        return [text]  # sentencex would take time in the square of its length
    found: list[str] = []
    for sentence in _segments(text):
        if found and _goes_on(found[-1], sentence):
            found[-1] += sentence
        else:
            found.append(sentence)
    return found


def _goes_on(before: str, after: str) -> bool:
    """Whether one sentence goes on where sentencex ends it.

    Only the last characters before count, so that many joins take no longer than the text is.
    """
    last = max(0, len(before.rstrip()) - _MAX_ENDING)
    return bool(
        (before[-1] in ".!?'’" and _ATTACHED.match(after))
        or (_EQUALS.match(after) and _FACTORIAL.search(before, last))  # 5! = 120
        or _NO_END.search(before, last)
        or _STREET.match(after)
        or (_GOES_ON.match(after) and _MAY_GO_ON.search(before, last))
        or (after[0].isupper() and _BEFORE_NAME.search(before, last))
    )


def _segments(text: str) -> Iterator[str]:
    """The sentences that sentencex finds, in time linear in the length of the text.

    Its time grows with the square of the number of quotes, so it gets a window at a time.
    """
    start = 0
    while start < len(text):
        found = list(sentencex.segment("en", text[start : start + WINDOW]))
        if len(found) > 1 and start + WINDOW < len(text):
            found.pop()  # it may go on after the window
        yield from found
        start += sum(map(len, found))


#: Characters that sentencex gets at once; far more than a sentence has.
WINDOW = 4_000
_NO_WORDS = re.compile(r"\S{1000}")
#: More characters than any ending below has, without the white space after it.
_MAX_ENDING = 16
# Abbreviations after which a sentence goes on and that sentencex does not know.
_NO_END = re.compile(
    r"(?<![\w.])(?:[Aa]pprox|[Dd]ept|est|[Mm]isc|[Ii]ncl|[Ee]xcl|[Rr]esp|[Cc]f|[Vv]iz|ca|Wm|Chas|[Vv]ols?|[Cc]haps?|"
    r"Thos|Robt|"
    r"[Ee]\.g|[Ii]\.e)\.\s*$|(?<!\S)\.{1,2}$|^(?:[IVX]{2,5}|[ivx]{2,5})\.\s*$"  # ./run, II. Methods
)
# Abbreviations after which it goes on if a number, a small letter or a dash follows.
_MAY_GO_ON = re.compile(
    r"(?<![\w.])(?:[Aa]cct|[Cc]onf|[Rr]ef|[Ii]nv|[Ii]ss|[Ss]c|[Pp]op|VOL|CH|FIG|lbs?|oz|tbsp|"
    r"tsp|hrs?|mins|secs|yrs|yds?|sq|fl|cu|appt|cont|kr|Rs|Rm|Rte|Hwy|Mk|"
    r"[Vv]ols?|[Cc]ols|Tbl|[Cc]hs?|Cat|[Ss]ecs?|[Ss]ect|vv|[Pp]aras|[Ll]vl|[Pp]ts?|[Ll]at|[Ee]dn|[Cc]hap|[Ee]qs?|[Ff]igs?|"
    r"[Aa]rts?|[Pp]ara|[Ee]ds?|Mon|Tues?|Wed|"
    r"Weds|"
    rf"{'|'.join(SHORT_BOOKS)}|"
    r"Thu|Thurs?|Fri|Sat|Sun|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|"
    r"(?<=[0-9]-)(?:in|ft|yd|mi|lbs?|oz|gal|min|hr|sec))\.\s*$|[0-9]s\.\s*$"  # 2s. 6d.
)
_STREET = re.compile(r"(?:Ave|Blvd|Pkwy|Rd)\.")  # Mass. Ave.
_ATTACHED = re.compile(r"[\w=]")  # Inc.'s, IMG.JPG, a != b
_BEFORE_NAME = re.compile(
    r"(?<![\w.])(?:Dr|Mr|Mrs|Mme|Mlle|Prof|Ft|Ms|Apt|Ste|Attn|Amb|Atty|Maj|Adm|Brig|Cmdr|Cdr|Pvt|"
    r"Supt|Insp|"
    r"Det|Sched|"
    r"Appx?|Exh?)\.\s*$"
)
_GOES_ON = re.compile(
    r"[#0-9a-z–-]|\([0-9]|(?:[IVXLC]{2,7}|[VXL])\b"
    r"|(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)\b"
)
_FACTORIAL, _EQUALS = re.compile(r"[0-9n]! ?$"), re.compile(r"[=/*×+]|is |equals ")
# A character that may end a sentence, before a word.
_MAY_END = re.compile(r"[^\w\s,] ")


_CLAUSE_WORDS = (
    "and but or nor so yet because since although though unless until while whereas when whenever "
    "where wherever who whom whose which that if as than"
)
_PREPOSITIONS = (
    "about across after against along among around at before behind below beside between beyond by "
    "during except for from in including inside into near of on onto over past through to toward "
    "towards under upon with within without"
)
#: Words that belong to the next one.
_LEADING = frozenset(
    f"{_CLAUSE_WORDS} {_PREPOSITIONS} a an the my your his her its our their this these those no "
    "every each very not".split()
)


def _before(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=[^\s\d])\s+(?=(?:{words.replace(' ', '|')})\s)")


_ANYWHERE = re.compile(r"(?<=\S)\s+")
# White space at which a sentence that is too long is cut, the best first: after a comma or similar,
# before a clause, before a preposition, between words. Numbers stay with what follows and precedes
# them: "May 5, 2024", "5 in".
_CUTS = (
    re.compile(r"(?<=[,;:—–])\s+(?![\s\d$€£])"),
    _before(_CLAUSE_WORDS),
    _before(_PREPOSITIONS),
    re.compile(r"(?<=[^\s\d])\s+(?=[^\W\d])"),
    _ANYWHERE,
)
#: A part is at least this share of the longest that is allowed, if there is a place to cut it.
MIN_SHARE = 1 / 3


def _parts(text: str, max_chars: int) -> list[str]:
    """Parts of a sentence of at most `max_chars` characters, each cut at the best place.

    The place depends on as many characters only, so that it is known while the text grows.
    """
    parts: list[str] = []
    start = 0
    while len(text) - start > max_chars:
        cut = _best_cut(text, start, max_chars)
        if cut is None:
            break
        parts.append(text[start : cut.start()])
        start = cut.end()
    return [*parts, text[start:]] if start < len(text) else parts


def _best_cut(text: str, start: int, max_chars: int) -> re.Match[str] | None:
    """The white space after the part that begins at `start`; None if no word follows it."""
    first, last = start + math.ceil(MIN_SHARE * max_chars), start + max_chars + 1
    for first_allowed, is_any in ((first, False), (start, True)):
        for pattern in _CUTS:
            found = list(pattern.finditer(text, first_allowed, last))
            while found and not is_any and _last_word(text[start : found[-1].start()]) in _LEADING:
                found.pop()
            if found:
                return found[-1]
    return _ANYWHERE.search(text, start)  # after a word that is longer


def _last_word(text: str) -> str:
    return text.rsplit(maxsplit=1)[-1]
