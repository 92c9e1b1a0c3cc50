"""Reads the blocks of a text that may still be written: paragraphs, headings, lists, tables, code.

The text comes out as a reader would say it, without markup: items, headings and rows of a table
end like paragraphs, cells and short lines in a comma. What is not read, such as code, is reported.
Markdown is read as language models write it, and what may be prose stays prose.

The rule for a line break within a paragraph: it is a space if the next word would have made the
line longer than a short line is, or if the line ends in a word such as "the"; else it is a pause.
So wrapped paragraphs have no pauses, and poems, addresses and bare lists have. A line that begins
like "Tom:" or "b)" ends the line before it like a paragraph.

Text is read at the ends of words only, so that the events do not depend on how it was cut. Does
not know sentences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from causerie.text import inline
from causerie.text.front_matter import FrontMatter
from causerie.text.inline import Kind, Token
from causerie.text.marks import Mark, without_private
from causerie.text.pauses import MAX_PAUSE_S


@dataclass(frozen=True)
class Plain:
    """Text without markup, and for each character the end of its source."""

    text: str
    ends: list[int]


@dataclass(frozen=True)
class BlockEnd:
    """The end of a paragraph, heading, item or row.

    Attributes:
        is_item: it was an item of a list without numbers.
    """

    is_item: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A part of the text that is not read.

    Attributes:
        reason: such as "code".
        text: as written.
        end: the end of it in the text.
        is_block: it stands between sentences. Otherwise it has no words, as an image.
    """

    reason: str
    text: str
    end: int
    is_block: bool


@dataclass(frozen=True)
class Pause:
    """Silence between words.

    Attributes:
        text: as written.
        end: the end of it in the text.
    """

    seconds: float
    text: str
    end: int


Event: TypeAlias = Plain | BlockEnd | LeftOut | Pause

_EVENT = re.compile(r"(?<=\S)\s|\n")  # the positions after which the text is read
_BREAKS = {ord(char): "\n" for char in "\f\v\x85\u2028\u2029"} | {ord("\ufeff"): " "}

_RULER = re.compile(r"(?=(?:\s*[-*_=|+:]){3})[-|+:\s]+|(?:\*\s*){3,}|(?:_\s*){3,}|={2,}|-{2,}")
_RULER_BEGINS = re.compile(r"[-*_=|+:\s]*")
_QUOTE = re.compile(r">[ \t]?")
_GREATER = re.compile(
    r">(?=[0-9=$€£~])"
    r"|>[ \t](?=[~$€£]?[0-9][0-9.,]*[ \t]?(?:[%°$€£]|(?:percent|degrees|[kcm]?m|[km]?g|[kMGT]B|"
    r"m?s|h|[kM]?W|[kM]?V|[kMG]?Hz|ft|lbs?|mph|k|M)\b|$))"
)
_GREATER_BEGINS = re.compile(r">[ \t]?[~$€£]?[0-9.,]*\s*")
_BULLET = re.compile(r"[-+*•◦▪‣●○–][ \t]+(?=\S)")
_NUMBER = re.compile(r"(?P<number>[0-9]{1,3})[.)][ \t]+(?=\S)")
_TASK = re.compile(r"\[[ xX]\][ \t]+(?=\S)")
_MARKER_BEGINS = re.compile(r"(?:[-+*•◦▪‣●○–>]|[0-9]{1,3}[.)]|#{1,6}|\[[ xX]?\]?)?\s*")
_HEADING = re.compile(r"#{1,6}[ \t]+(?=\S)")
_HASH_NUMBER = re.compile(r"# (?=[0-9]+ +[a-z])")  # "# 5 in line"
_HEADING_ENDS = re.compile(r"[ \t]+#+[ \t]*$")
_FENCE = re.compile(r"(?P<fence>`{3,})(?P<info>[^`]*)|(?P<tildes>~{3,})(?P<words>.*)")
_DEFINITION = re.compile(
    r"\[[^\[\]]{1,100}\]:[ \t]+(?:<\S*>|#\S+|\S*(?:/|\w\.\w)\S*)(?:[ \t]+[\"'(].*)?\s*"
)
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]{1,60}\]:[ \t]*")
_CLOSES = frozenset(".,!?;:…")
_ENDS = re.compile(r"[.,!?;:…]+")
_INLINE_BULLETS = frozenset("•◦▪‣●")
_CELL = re.compile(r"(?:\\.|`[^`]*`|[^|\\])+")
_ABSOLUTE = re.compile(r"\|[^\s|][^|]{0,20}\|\s?[=<>≤≥+]")  # |x| < 3 is no row
#: Languages of a fence whose content is prose.
_PROSE = frozenset("text txt plain plaintext markdown md".split())
#: An indented line is code if it looks like it: people indent prose too.
_CODE = re.compile(
    r".*(?:[{}]|\)\s*:|==|!=|[-=]>|\+=|\w\(|\w\s=\s\S|</|/>).*|.*(?:[(\[\\]|[=()].*;)"
    r"|(?:\$|>>>|#!|//|/\*|#include|sudo|pip|npm|git)\s.*|(?:import|cd)\s[\w./~]+"
    r"|from\s\S+\simport\s.*|(?:if|for|while|def|class)\s.*\w:"
)
# Where a construct that spans lines must end: at a line that begins a block.
_REGION_END = re.compile(r"\n[ \t]*(?:\n|[-+*•>#|]|```|~~~|[0-9]{1,9}[.)]\s)")

#: Markers of one line.
MAX_DEPTH = 16
#: Characters of a line that its kind may depend on, and that count for its length.
MAX_LINE_CHARS = 500
#: A line that its next word makes longer than this was wrapped: before a capital, before a small
#: letter, and as a share of the longest line of the paragraph.
SHORT_LINE, SHORT_LINE_GOES_ON, SHORT_SHARE = 45, 20, 0.75
_FUNCTION_WORDS = frozenset(
    "a an the and or but nor of to in on at by for with from into onto as is are was were be been "
    "am has have had will would can could may must shall should my your his her its our their this "
    "that these those than not no if when while because who which whose".split()
)
_PAUSED = re.compile(r"[.!?…:;,—–-][\"'”’»)\]]*\Z")
# "Tom:" or "b)" before a line; a line like "Step 1: mix"; a line in bold, which is a heading.
_BEGINS_LINE = re.compile(
    r"[*_\"'“(]{0,3}[A-Z][^\s:]{0,30}:[*_]{0,3}|\(?[A-Za-z0-9]{1,3}\)|(?:[A-H]|[IVX]{2,5})\."
)
_LABELLED = re.compile(r"[*_\"'“(]{0,3}[A-Z][^.!?:]{0,30}:[*_]{0,3}(?:\s|$)")
_BOLD = re.compile(r"(\*\*|__)(?!\s)[^*_]+\1:?")
_WORD, _WORD_OR_SPACE = re.compile(r"\S+"), re.compile(r"\s+|\S+")
_PICTOGRAM = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")


@dataclass
class _Code:
    """An open code block."""

    fence: str  # empty: indented
    start: int


class BlockReader:
    """Reads blocks from a text as it grows.

    Args:
        tags: of the model, see `FrontEnd`.
    """

    def __init__(self, tags: frozenset[str] = frozenset()) -> None:
        self._tags = tags
        self._raw = ""  # the text that is not dropped yet
        self._base = 0  # the position of its start in the whole text
        self._pos = 0  # everything before this index of it is read
        self._held = ""  # a carriage return at the end, which may belong to a line feed
        self._events: list[Event] = []
        self._chars: list[str] = []
        self._ends: list[int] = []

        self._code: _Code | None = None
        self._hidden: tuple[str, int, int] | None = None  # element, start, where to search its end
        self._in_line = False
        self._line_start = 0
        # Of the open paragraph.
        self._is_open = False
        self._is_quote = False
        self._is_item = False
        self._has_cells = False
        self._is_labelled = False
        self._breaks_hard = False
        self._longest = 0
        self._latest = ""  # its latest line
        self._said = ""  # its latest characters
        self._has_space = False  # white space that waits for a word
        self._pause_at: int | None = None  # the position of a comma that waits for a word
        self._is_silent = False  # after a `Pause`, before the next word
        # Of the lines before.
        self._front_matter: FrontMatter | None = FrontMatter()  # until it is known whether it is
        self._in_list = False
        self._is_fenced_prose = False
        self._after_blank = True

    def add(self, text: str) -> list[list[Event]]:
        """Append text; the events of each word."""
        text = self._held + without_private(text)
        self._held = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r") if self._held else text
        text = text.replace("\r\n", " \n").replace("\r", "\n").translate(_BREAKS)
        start = len(self._raw)
        self._raw += text
        events = []
        for match in _EVENT.finditer(self._raw, start):
            self._read(match.end(), is_final=False)
            events.append(self._take())
        self._drop()
        return events

    def flush(self) -> list[Event]:
        """The events of the text so far, as if the line ended here."""
        self._raw, self._held = self._raw + self._held, ""
        self._read(len(self._raw), is_final=True)
        self._drop()
        return self._take()

    def end(self) -> list[Event]:
        """The remaining events; the text ends here."""
        events = self.flush()
        limit = len(self._raw)
        if self._hidden is not None:
            self._end_hidden(limit, limit)
        self._end_code()
        self._end_block()
        self._in_line = False
        return events + self._take()

    @property
    def is_in_sentence(self) -> bool:
        """Whether the latest line is not complete."""
        return self._in_line and self._is_open

    # Output

    def _take(self) -> list[Event]:
        self._emit()
        events, self._events = self._events, []
        return events

    def _emit(self, event: Event | None = None) -> None:
        if self._chars:
            self._events.append(Plain("".join(self._chars), self._ends))
            self._chars, self._ends = [], []
        if event is not None:
            self._events.append(event)

    def _put(self, text: str, end: int, *, is_exact: bool = False) -> None:
        """Append text, with single spaces between words.

        Args:
            end: of its source, which is the text itself if `is_exact`.
        """
        end += self._base
        for word in _WORD_OR_SPACE.findall(text):
            if word.isspace():
                self._has_space = bool(self._said)
                continue
            if self._is_silent:
                word = word.lstrip("".join(_CLOSES))  # it belonged to the word before the pause
                if not word:
                    continue
                self._is_silent = False
            if word[0] in _CLOSES:
                self._pause_at, self._has_space = None, self._has_space and self._pause_at is None
            if self._pause_at is not None:
                self._chars.append(",")
                self._ends.append(self._pause_at)
                self._pause_at = None
            if self._has_space:
                self._has_space = False
                self._chars.append(" ")
                self._ends.append(end - len(word) if is_exact else end)
            self._chars.append(word)
            self._ends += range(end - len(word) + 1, end + 1) if is_exact else [end] * len(word)
            self._said = (self._said + word)[-8:]

    def _put_number(self, number: str, end: int) -> int:
        """Append the number of an item; returns `end`."""
        self._put(f"{number},", end)
        self._has_space = True
        return end

    def _cover(self, end: int) -> None:
        """Count the characters up to `end` to the source of the latest one."""
        if self._ends and self._hidden is None:
            self._ends[-1] = self._base + end

    def _pause(self, end: int) -> None:
        """Put a comma before the next word of the paragraph, if there is no pause yet."""
        if self._said and not self._is_silent and not _PAUSED.search(self._said):
            self._pause_at = self._base + end
        self._has_space = bool(self._said)

    def _end_block(self) -> None:
        if self._said:
            self._emit(BlockEnd(self._is_item))
        self._is_open = self._is_quote = self._is_item = self._has_cells = False
        self._is_labelled = self._breaks_hard = self._has_space = False
        self._longest, self._latest, self._said, self._pause_at = 0, "", "", None
        self._is_silent = False

    def _leave_out(self, reason: str, start: int, end: int, *, is_block: bool) -> None:
        text = self._raw[start:end].strip()
        self._emit(LeftOut(reason, text, self._base + end, is_block))

    def _drop(self) -> None:
        """Forget text that is read."""
        keep = self._pos
        if self._code is not None:
            keep = self._code.start
        elif self._hidden is not None:
            keep = self._hidden[1]
        elif self._in_line:
            keep = max(self._line_start, self._pos - 2 * MAX_LINE_CHARS)
        keep = max(0, keep - 1)  # the character before decides on emphasis
        if keep < 1_000:
            return
        self._raw, self._base = self._raw[keep:], self._base + keep
        self._pos -= keep
        self._line_start = max(0, self._line_start - keep)
        if self._code is not None:
            self._code.start -= keep
        if self._hidden is not None:
            name, start, search = self._hidden
            self._hidden = (name, start - keep, search - keep)

    # Input

    def _read(self, limit: int, *, is_final: bool) -> None:
        """Read the text before an index as far as it is decided."""
        while self._pos < limit:
            if self._front_matter is not None:
                is_decided = self._begin(self._front_matter, limit, is_final=is_final)
            elif self._hidden is not None:
                is_decided = self._read_hidden(limit)
            elif self._in_line:
                is_decided = self._read_line(limit, is_final=is_final)
            else:
                is_decided = self._begin_line(limit, is_final=is_final)
            if not is_decided:
                return

    def _begin(self, front_matter: FrontMatter, limit: int, *, is_final: bool) -> bool:
        """Leave out the front matter, if there is any."""
        end = front_matter.end(self._raw, limit, is_whole=is_final)
        if end is None:
            return False
        self._front_matter = None
        if end:
            self._leave_out("front matter", 0, end, is_block=True)
            self._pos = end
        return True

    def _begin_line(self, limit: int, *, is_final: bool) -> bool:
        """Read a line up to its content; whole if it is code, a heading, a row or a ruler."""
        start = self._pos
        newline = self._raw.find("\n", start, limit)
        is_whole = newline >= 0 or is_final
        stop = newline if newline >= 0 else limit
        after = stop + 1 if newline >= 0 else stop
        line = self._raw[start:stop]
        blank = not line.strip()
        if self._code is not None:
            if not is_whole:
                return False
            if self._continue_code(line, stop, after):
                self._pos = after
                return True
        if blank:
            if is_whole:
                self._end_block()
                self._after_blank, self._pos = True, after
            return is_whole

        if len(line) <= MAX_LINE_CHARS and _RULER_BEGINS.fullmatch(line):
            if not is_whole:
                return False
            if _RULER.fullmatch(line.strip()):
                self._end_block()
                self._after_blank, self._pos = True, after
                return True
        if not is_whole and _GREATER_BEGINS.fullmatch(line.lstrip()):
            return False

        marked = self._markers(line)
        content = line[marked.at :]
        if not is_whole and _MARKER_BEGINS.fullmatch(content):
            return False
        if not content.strip("-+*•◦▪‣●○– \t"):  # a quote's empty line, an item without content
            self._end_block()
            self._after_blank, self._pos = True, after
            return True
        if not is_whole and self._needs_whole(line, content, marked):
            return False
        return self._begin_content(line, content, marked, start, stop, after)

    def _needs_whole(self, line: str, content: str, marked: _Marked) -> bool:
        if content.startswith(("```", "~~~", "|")) or _HEADING.match(content):
            return True
        if content[0] == "[" and not content.startswith("[^"):
            closing = content.find("]")
            return content[closing : closing + 2] == "]:" or (closing < 0 and len(content) < 100)
        return self._may_be_code(line, marked)

    def _may_be_code(self, line: str, marked: _Marked) -> bool:
        is_plain = not (marked.is_item or marked.is_quote or marked.number)
        indented = line.expandtabs(4).startswith("    ")
        return is_plain and indented and not self._is_open and not self._in_list

    def _begin_content(
        self, line: str, content: str, marked: _Marked, start: int, stop: int, after: int
    ) -> bool:
        at = start + marked.at
        if marked.is_item or marked.number:
            self._in_list = True
        elif self._after_blank and not line[0].isspace():
            self._in_list = False
        is_after_blank, self._after_blank = self._after_blank, False

        fence = _FENCE.fullmatch(content)
        if fence:
            self._end_block()
            info = (fence["info"] or fence["words"] or "").split()
            self._pos = after
            if self._is_fenced_prose or (info and info[0].lower() in _PROSE):
                self._is_fenced_prose = not self._is_fenced_prose
            else:
                self._code = _Code(fence["fence"] or fence["tildes"], start)
            return True
        if self._may_be_code(line, marked) and is_after_blank and _CODE.fullmatch(content.strip()):
            self._code = _Code("", start)
            self._pos = after
            return True
        if _DEFINITION.fullmatch(content) and not content.startswith("[^"):
            self._end_block()
            self._pos = after
            return True
        footnote = _FOOTNOTE.match(content)
        if footnote:
            at += footnote.end()
            self._end_block()
        if content[0] == "|" and not _ABSOLUTE.match(content):
            self._end_block()
            self._read_row(at, stop)
            self._pos = after
            return True
        number = _HASH_NUMBER.match(content)
        heading = None if number else _HEADING.match(content)
        if heading:
            self._end_block()
            ends = _HEADING_ENDS.search(content)
            at += heading.end()
            numbered = _NUMBER.match(content, heading.end())
            if numbered:
                at = self._put_number(numbered["number"], at + len(numbered[0]))
            self._scan(at, stop - (len(ends[0]) if ends else 0), stop, True)
            self._cover(stop)
            self._end_block()
            self._pos = after
            return True

        if marked.is_item or marked.number or (marked.is_quote and not self._is_quote):
            self._end_block()
        if self._is_open:
            self._break_line(content, at, is_indented=line[0].isspace())
        self._is_open, self._is_quote = True, marked.is_quote
        self._is_item = self._is_item or (marked.is_item and not marked.number)
        if marked.number:
            self._put_number(marked.number, at)
        if marked.is_greater:
            self._put(">", at)
        if number:
            self._put("#", at)
            at += number.end()
        self._in_line, self._line_start, self._pos = True, at, at
        return True

    def _markers(self, line: str) -> _Marked:
        """The markers at the start of a line."""
        marked = _Marked(at=len(line) - len(line.lstrip()))
        for _ in range(MAX_DEPTH):
            greater = None if self._is_quote else _GREATER.match(line, marked.at)
            if greater:
                marked.at, marked.is_greater = greater.end(), True
                return marked
            quote = _QUOTE.match(line, marked.at)
            bullet = _BULLET.match(line, marked.at)
            number = None if marked.number else _NUMBER.match(line, marked.at)
            if quote:
                marked.at, marked.is_quote = quote.end(), True
            elif bullet:
                marked.at, marked.is_item = bullet.end(), True
                task = _TASK.match(line, marked.at)
                marked.at = task.end() if task else marked.at
            elif number and (self._may_interrupt(marked) or int(number["number"]) == 1):
                marked.at, marked.number = number.end(), number["number"]
                task = _TASK.match(line, marked.at)
                marked.at = task.end() if task else marked.at
            else:
                break
            marked.at += len(line[marked.at :]) - len(line[marked.at :].lstrip())
        return marked

    def _may_interrupt(self, marked: _Marked) -> bool:
        """Whether a number other than 1 begins an item: not within a wrapped paragraph."""
        return self._in_list or not self._is_open or marked.is_item

    def _break_line(self, content: str, at: int, *, is_indented: bool) -> None:
        """Join a line to the open paragraph: by a space, a pause, or the end of the paragraph."""
        match = _WORD.match(content)
        word = match[0] if match else ""
        first = word.lstrip("\"'“‘(*_`")[:1]
        last = self._latest.rsplit(maxsplit=1)[-1] if self._latest else ""
        goes_on = first.islower()
        begins = _BEGINS_LINE.fullmatch(word) or (self._is_labelled and first.isupper())
        begins = begins or _PICTOGRAM.match(word) or (word[:1] in "—―" and self._latest[:1] in "—―")
        if self._has_cells or begins or _BOLD.fullmatch(self._latest):
            is_quote = self._is_quote
            self._end_block()
            self._is_quote = is_quote
            return
        size = len(self._latest) + 1 + len(word)
        short = SHORT_LINE_GOES_ON if goes_on else max(SHORT_LINE, SHORT_SHARE * self._longest)
        is_item = self._in_list and is_indented and goes_on
        is_wrapped = size > short or is_item or last.lower() in _FUNCTION_WORDS
        if self._breaks_hard or not is_wrapped:
            self._pause(at)
        self._has_space = bool(self._said)
        self._breaks_hard = False

    def _read_line(self, limit: int, *, is_final: bool) -> bool:
        """Read the rest of a line, or as much as is decided."""
        newline = self._raw.find("\n", self._pos, limit)
        stop = newline if newline >= 0 else limit
        pos = self._scan(self._pos, stop, limit, is_final)
        if pos is None:
            return False
        if self._hidden is not None or not self._in_line:
            return True
        if pos > stop:  # a link or a tag that spans lines
            self._line_start = self._raw.rfind("\n", 0, pos) + 1
            return True
        if newline < 0:
            return False
        line = self._raw[self._line_start : newline]
        self._breaks_hard = self._breaks_hard or line.endswith("  ")
        self._latest = line.strip()[-MAX_LINE_CHARS:]
        self._longest = max(self._longest, len(self._latest))
        self._has_cells = self._has_cells or " | " in line
        is_short = len(self._latest) < MAX_LINE_CHARS
        self._is_labelled = is_short and _LABELLED.match(self._latest) is not None
        self._in_line, self._pos = False, newline + 1
        return True

    def _scan(self, pos: int, stop: int, limit: int, is_final: bool) -> int | None:
        """Read inline text from `pos` to `stop`; the index after it, None if that is undecided.

        Args:
            limit: the end of the visible text.
            is_final: nothing is to come after it.
        """
        end, is_closed = -1, False  # of the region that `pos` is in
        while pos < stop:
            ordinary = inline.ORDINARY.match(self._raw, pos, stop)
            if ordinary:
                pos = ordinary.end()
                if ordinary[0] in _INLINE_BULLETS:
                    self._pause(pos)
                else:
                    self._put(ordinary[0], pos, is_exact=True)
                self._pos = max(self._pos, pos)
                continue
            if self._raw[pos].isspace():
                self._has_space = bool(self._said)
                pos += 1
                self._pos = max(self._pos, pos)
                continue
            if pos > end:
                region = _REGION_END.search(self._raw, pos, limit)
                end = region.start() if region else limit
                is_closed = is_final or region is not None
            found = inline.token(self._raw, pos, end, is_closed=is_closed, tags=self._tags)
            if found is None:
                self._pos = max(self._pos, pos)
                return None
            self._say(found, pos)
            pos = found.end
            self._pos = max(self._pos, pos)
            if self._hidden is not None:
                return pos
        return pos

    def _say(self, found: Token, at: int) -> None:
        if found.kind is Kind.TEXT:
            self._put(found.text, found.end)
        elif found.kind is Kind.MARKUP:
            if not self._has_space:
                self._cover(found.end)
        elif found.kind is Kind.INNER:
            pos = self._pos
            self._scan(found.start, found.stop, found.stop, True)
            self._pos = pos
            self._cover(found.end)
        elif found.kind is Kind.LINE:
            if self._raw[found.end : found.end + 1] == "\n":
                self._breaks_hard = True
            else:
                self._pause(found.end)
        elif found.kind is Kind.CELL:
            self._pause(found.end)
        elif found.kind is Kind.BLOCK:
            is_open = self._is_open
            self._end_block()
            self._is_open = is_open
        elif found.kind is Kind.TAG:
            self._put(str(Mark(written=found.text, is_tag=True)), found.end)
        elif found.kind is Kind.PAUSE:
            if found.seconds:
                self._be_silent(found, at)
        elif found.kind is Kind.NOTE:
            if found.text.startswith("pause"):
                self._pause(found.end)
            self._leave_out(found.text, at, found.end, is_block=False)
        else:
            self._hidden = (found.text, at, found.end)

    def _be_silent(self, found: Token, at: int) -> None:
        if found.seconds > MAX_PAUSE_S:
            self._leave_out(
                f"what is over {MAX_PAUSE_S:g} s of a pause", at, found.end, is_block=False
            )
        written = self._raw[at : found.end]
        ends = _ENDS.match(self._raw, found.end)  # "Stop<break/>." is one sentence
        if ends and self._said and not self._is_silent:
            self._has_space = False
            self._put(ends[0], found.end)
        self._emit(Pause(min(found.seconds, MAX_PAUSE_S), written, self._base + found.end))
        self._pause_at, self._has_space, self._is_silent = None, False, True

    def _read_row(self, start: int, stop: int) -> None:
        """Read a row of a table: its cells with commas between them."""
        for cell in _CELL.finditer(self._raw, start, stop):
            if cell[0].strip() and self._hidden is None:
                self._pause(cell.start())
                self._scan(cell.start(), cell.end(), cell.end(), True)
        self._cover(stop)
        self._end_block()

    # What is left out

    def _read_hidden(self, limit: int) -> bool:
        assert self._hidden is not None
        name, start, search = self._hidden
        closing = "-->" if name == "<!--" else f"</{name}"
        found = self._raw.lower().find(closing, search, limit)
        end = found + len(closing)
        if found >= 0 and name != "<!--":
            angle = self._raw.find(">", end, limit)
            found, end = (-1, 0) if angle < 0 else (found, angle + 1)
        if found < 0:
            self._hidden = (name, start, max(search, limit - 40))
            return False
        self._end_hidden(end, end)
        return True

    def _end_hidden(self, end: int, pos: int) -> None:
        assert self._hidden is not None
        name, start, _ = self._hidden
        self._hidden = None
        is_block = name != "<!--"
        if is_block:
            is_open = self._is_open
            self._end_block()
            self._is_open = is_open
        reason = inline.why_hidden(name) or "comment"
        self._leave_out(reason, start, end, is_block=is_block)
        self._pos = pos

    def _continue_code(self, line: str, stop: int, after: int) -> bool:
        """Whether a line belongs to the open code block, which it may close."""
        assert self._code is not None
        code = self._code
        if code.fence:
            content = line.strip().lstrip("> \t")
            is_end = content.rstrip().startswith(code.fence) and not content.strip(code.fence[0])
            if is_end:
                self._end_code(stop)
            return True
        if not line.strip() or line.expandtabs(4).startswith("    "):
            return True
        self._end_code(self._pos)
        self._after_blank = True
        return False

    def _end_code(self, end: int | None = None) -> None:
        if self._code is None:
            return
        start, self._code = self._code.start, None
        self._leave_out("code", start, self._pos if end is None else end, is_block=True)


@dataclass
class _Marked:
    """The markers at the start of a line.

    Attributes:
        at: the index of its content.
        number: of an item of a numbered list.
        is_greater: a "greater than" sign that looks like a quote's marker.
    """

    at: int
    number: str = ""
    is_item: bool = False
    is_quote: bool = False
    is_greater: bool = False
