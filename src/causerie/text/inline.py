"""Reads the markup within a paragraph: markdown's inline syntax, HTML tags and entities.

Every rule looks at the characters around it and at a bounded number of characters after it, so
that text can be read while it is written. Does not know blocks or lines.
"""

from __future__ import annotations

import enum
import html
import re
from dataclasses import dataclass
from html.entities import html5

from causerie.errors import TextError
from causerie.text import pauses
from causerie.text.addresses import option
from causerie.text.marks import Mark
from causerie.text.numbers import ordinal
from causerie.text.phonemes import ALPHABETS, is_ipa, to_phonemes
from causerie.text.sounds import tag_end

#: Characters that are plain text wherever they stand. A web address is one run with its symbols.
ORDINARY = re.compile(
    r"(?:https?://|www\.)[^\s<>()\[\]*`\"\\]{1,2000}"
    r"|(?:(?!https?://|www\.)[^\s\\`*_~\[(!<&])+"
)
#: The longest construct. One that is not closed within it is plain text.
MAX_CHARS = 1_000

_ESCAPED = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_TARGET = re.compile(
    r"\(\s*(?:<[^<>\n]*>|(?:[^\s()]|\([^\s()]*\))*)(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
)
_BRACKET = re.compile(r"\\.|[\[\]]", re.S)
_REFERENCE = re.compile(r"\[(?![0-9]+\])[^\[\]]*\]")
_NUMBERED = re.compile(r"\[[0-9]{1,3}\]")  # the reference of a link after words: [The text][1]
_WORDS = re.compile("[A-Za-z]{2}")
# The number of a source after a clause, as encyclopedias have it: It grew.[12]
_CITATION = re.compile(r"\[[1-9][0-9]{0,2}\](?![(:]|\.?\w)")
_CITED = re.compile(r"[a-z0-9)\"'”’][.,;!?][\"'”’)]?(?:\[[0-9]{1,3}\]){0,9}\Z")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]{1,60}\]")
_PAUSE = re.compile(rf"\[\s*{pauses.WRITTEN}\s*\]|\(\s*pauses?\s*\)|\*pauses?\*", re.I)
# A pronunciation as the target of a link, as misaki has it, and piper's.
_PRONUNCIATION = re.compile(r"\(\s*/([^/()\n]{1,200})/\s*\)")
_RAW_PHONEMES = re.compile(r"\[\[\s*([^\[\]\n]{1,200}?)\s*\]\]")
_AUTOLINK = re.compile(r"<((?:https?|mailto):[^\s<>]+|[\w.+-]+@[\w.-]+)>")
_COMMENT = "<!--"
_DECLARATION = re.compile(r"<(?:![A-Za-z]|\?[A-Za-z])[^<>]*>")
_ATTRIBUTE = (
    r"\s+(?:[A-Za-z_:@][\w:.-]*\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+)"
    r"|(?:open|disabled|checked|hidden|selected|controls|autoplay|async|defer|reversed)(?=[\s/>]))"
)
_TAG = re.compile(
    rf"<(?P<close>/?)(?P<name>[A-Za-z][\w:-]*)(?P<attributes>(?:{_ATTRIBUTE})*)\s*/?>"
)
_NO_TAG = re.compile(r"</?[\w:-]+\s+[^\s=<>]+\s+[^\s=]")
_ELEMENT = re.compile(r"<(phoneme|sub|say-as)(?=[\s>])", re.I)
_SSML_ATTRIBUTE = re.compile(r"\s([\w:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_MARKUP = re.compile(r"<[^<>]*>")
_SPELLED = frozenset({"characters", "spell-out", "verbatim", "digits"})
#: Values of `interpret-as` that change how a text is read.
SAID_AS = _SPELLED | {"ordinal"}
_ALT = re.compile(r"\salt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.I)
_ANY_FILE = re.compile(r"\*\.[a-z]")  # *.csv
_SERVICE = re.compile(  # dial *67
    r"(?:(?<=[Dd]ial )|(?<=[Pp]ress )|(?<=[Ee]nter )|(?<=[Cc]all )|(?<=\bor ))\*[0-9]{2,3}(?![\w*])"
)
_MASKED = re.compile(  # ****1234, ***-**-6789
    r"(?:\*{4,}-?|\*{2,}(?:-\*{2,}){1,4}-)[0-9]{3,5}(?![\w*])"
)
_FACE = re.compile(r"(?<!\S)[-^]_+[-^](?!\w)")  # ^_^
_OPTION = re.compile(r"(?<!\S)-{1,2}[A-Za-z][\w-]*")  # --save-dev
_SUPERSCRIPT = re.compile(r"<sup>\s*([-+]?[0-9n]{1,6})\s*</sup>", re.I)
_RAISED = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
_POWER_OF = re.compile(r"(?:[0-9)]|(?<![A-Za-z])[A-Za-z]{1,3})\Z")

#: Elements whose content is left out, with the reason.
HIDDEN = {
    "think": "reasoning", "thinking": "reasoning", "thought": "reasoning", "reasoning": "reasoning",
    "script": "code", "style": "code", "pre": "code", "svg": "code",
    **dict.fromkeys(
        "tool_call tool_calls tool_use tool_code function_call function_calls function "
        "invoke".split(),
        "tool call",
    ),
    **dict.fromkeys(
        "tool_response tool_responses tool_result tool_results tool_output tool_outputs "
        "function_response function_responses function_result function_results".split(),
        "tool response",
    ),
}  # fmt: skip
_FUNCTION = re.compile(r"<function=[\w.-]{1,100}>")  # <function=weather>{"city": "Rome"}</function>
_BLOCKS = frozenset(
    "p div section article header footer main nav aside h1 h2 h3 h4 h5 h6 ul ol dl li dt dd "
    "blockquote table thead tbody tfoot tr caption hr form fieldset figure figcaption details "
    "summary address body html head title".split()
)
_INLINE = frozenset(
    "a abbr b bdi bdo big button center cite code data del dfn em font i iframe input ins kbd "
    "label mark nobr option picture q rp rt ruby s samp select small source span strike strong "
    "sub sup textarea time tt u var video wbr".split()
)
_SSML = frozenset(
    "voice prosody emphasis say-as phoneme token w lang audio lexicon metadata desc".split()
)
# What is not named in a sentence: reasoning, line breaks and SSML.
_ALWAYS_MARKUP = frozenset({"think", "thinking", "thought", "reasoning", "br", "break", "speak"})
_ALWAYS_MARKUP |= _SSML
_DETERMINER = re.compile(
    r"\b(?:the|an?|each|every|your|this|that|one|single|opening|closing|(in|inside|and|or|"
    r"uses?|using|with|called|named|add))[ ]\Z",
    re.I,
)
_ENDS_WORD = re.compile(r"[\s.,;:!?)]|\Z")
_SENTENCES = frozenset("s sentence paragraph".split())


def why_hidden(name: str) -> str | None:
    """The reason why an element is left out, if it is; its namespace does not count."""
    return HIDDEN.get(name.rpartition(":")[2])


class Kind(enum.Enum):
    """The kind of a token."""

    TEXT = enum.auto()
    MARKUP = enum.auto()  # no reading
    INNER = enum.auto()  # the characters from `start` to `stop` are read in its place
    LINE = enum.auto()  # a line break
    CELL = enum.auto()  # the start of a table's cell
    BLOCK = enum.auto()  # the end of a paragraph
    HIDDEN = enum.auto()  # the start of the element `text`, whose content is left out
    NOTE = enum.auto()  # no reading, because of the reason `text`
    PAUSE = enum.auto()  # silence of `seconds`
    TAG = enum.auto()  # a sound or a style, such as [laughs]


@dataclass(frozen=True)
class Token:
    """A part of a paragraph that ends before index `end`."""

    kind: Kind
    end: int
    text: str = ""
    start: int = 0
    stop: int = 0
    seconds: float = 0.0


def token(
    raw: str, at: int, stop: int, *, is_closed: bool, tags: frozenset[str] = frozenset()
) -> Token | None:
    """The token at an index where `ORDINARY` does not match.

    Args:
        stop: the end of the paragraph, or of its visible part.
        is_closed: `stop` is the end of the paragraph.
        tags: of the model.

    Returns:
        None if the characters after `stop` decide.

    Raises:
        TextError: a pronunciation has a symbol that is no phoneme.
    """
    is_closed = is_closed or stop - at > MAX_CHARS
    stop = min(stop, at + MAX_CHARS)
    char = raw[at]
    if char == "\\":
        return _backslash(raw, at, stop)
    if char in "*(<[":
        tag = tag_end(raw, at, stop, tags, is_closed=is_closed)
        if tag is None:
            return None
        if tag > 0 and not (char == "[" and raw[tag : tag + 1] in ("(", "[")):
            return Token(Kind.TAG, tag, raw[at:tag])
        pause = _PAUSE.match(raw, at, stop) if char in "*([" else None
        if pause:
            seconds = pauses.written_seconds(pause)
            return Token(Kind.PAUSE, pause.end(), seconds=seconds)
    if char in "*_~":
        return _emphasis(raw, at, stop)
    if char == "`":
        found = _code(raw, at, stop)
    elif char == "&":
        found = _entity(raw, at, stop)
        is_closed = True  # it has no white space, so that the whole word is visible
    elif char == "<":
        found = _element(raw, at, stop) or _angle(raw, at, stop)
        if (
            _ELEMENT.match(raw, at, stop)
            and not is_closed
            and (found is None or found.kind is Kind.NOTE)
        ):
            return None  # its end decides
        is_closed = is_closed or _ended_angle(raw, at, stop)
    elif char == "[" or raw.startswith("![", at):
        found = _bracket(raw, at, stop, is_closed=is_closed)
        is_closed = is_closed or _ended_bracket(raw, at, stop)
    else:
        return Token(Kind.TEXT, at + 1, char)
    if found is None and is_closed:
        run = re.compile(re.escape(char) + "+").match(raw, at, stop) if char == "`" else None
        end = run.end() if run else at + 1
        return Token(Kind.TEXT, end, raw[at:end])
    return found


def _backslash(raw: str, at: int, stop: int) -> Token:
    following = raw[at + 1 : min(at + 2, stop)]
    if following == "\n":
        return Token(Kind.LINE, at + 1)
    if following in _ESCAPED and following:
        return Token(Kind.TEXT, at + 2, following)
    return Token(Kind.TEXT, at + 1, "\\")


def _emphasis(raw: str, at: int, stop: int) -> Token:
    """A run of `*`, `_` or `~`: a marker has a word at one side, and is dropped without its pair.

    Between two digits or letters only `**` and `~~` are markers, so that products and names with
    underscores stay.
    """
    char, end = raw[at], at
    while end < stop and raw[end] == char:
        end += 1
    size = end - at
    before = raw[at - 1] if at else " "
    after = raw[end] if end < stop else " "
    text = Token(Kind.TEXT, end, raw[at:end])
    masked = _MASKED.match(raw, at, stop) if char == "*" else None
    if masked:
        return Token(Kind.TEXT, masked.end(), masked[0])
    if (char == "~" and size != 2) or _FACE.match(raw, max(0, at - 1), stop):
        return text
    if char == "_" and size >= 3 and not (before.isalnum() or after.isalnum()):
        return Token(Kind.TEXT, end, "blank")  # to be filled in
    if before.isspace() and after.isspace():
        return text
    if before.isalnum() and after.isalnum():
        is_marker = size >= 2 and char != "_" and not (before.isdigit() and after.isdigit())
        return Token(Kind.MARKUP, end) if is_marker else text
    if char == "*" and size == 1 and _is_product(raw, at, end, stop):
        return text
    if (
        char == "*"
        and size == 1
        and before.isdigit()
        and not _OPENED.search(raw, max(0, at - 200), at)
    ):
        return text  # 5* service
    if before.isspace() and (_ANY_FILE.match(raw, at, stop) or _SERVICE.match(raw, at, stop)):
        return text
    return Token(Kind.MARKUP, end)


_OPENED = re.compile(r"(?:(?<=[\s(])|^)\*(?=[^\s*])")


def _is_product(raw: str, at: int, end: int, stop: int) -> bool:
    """Whether a star stands between two numbers: 2 *3."""
    before = raw[max(0, at - 2) : at].strip()
    after = raw[end : min(end + 2, stop)].strip()
    return before[-1:].isdigit() and after[:1].isdigit()


def _code(raw: str, at: int, stop: int) -> Token | None:
    opened = re.compile("`+").match(raw, at, stop)
    assert opened is not None
    for closed in re.compile("`+").finditer(raw, opened.end(), stop):
        if len(closed[0]) == len(opened[0]):
            inner = raw[opened.end() : closed.start()].replace("\n", " ").strip()
            inner = _OPTION.sub(option, inner).strip()
            return Token(Kind.TEXT, closed.end(), inner or " ")
    return None


def _entity(raw: str, at: int, stop: int) -> Token | None:
    match = _ENTITY.match(raw, at, stop)
    if match is None or (match[0][1] != "#" and match[0][1:] not in html5):
        return None
    return Token(Kind.TEXT, match.end(), html.unescape(match[0]))


def _angle(raw: str, at: int, stop: int) -> Token | None:
    if raw.startswith(_COMMENT, at):
        return Token(Kind.HIDDEN, at + len(_COMMENT), _COMMENT)
    match = _DECLARATION.match(raw, at, stop)
    if match:
        return Token(Kind.MARKUP, match.end())
    match = _AUTOLINK.match(raw, at, stop)
    if match:
        return Token(Kind.TEXT, match.end(), match[1].removeprefix("mailto:"))
    match = _FUNCTION.match(raw, at, stop)
    if match:
        return Token(Kind.HIDDEN, match.end(), "function")
    match = _SUPERSCRIPT.match(raw, at, stop)
    if match:
        is_power = _POWER_OF.search(raw[max(0, at - 8) : at])
        text = match[1].translate(_RAISED) if is_power else ""
        return Token(Kind.TEXT if text else Kind.MARKUP, match.end(), text)
    match = _TAG.match(raw, at, stop)
    return _tag(match) if match else None


def _ended_angle(raw: str, at: int, stop: int) -> bool:
    """Whether the visible text shows that no tag begins here."""
    if not re.match(r"<[A-Za-z/!?]", raw[at : at + 2]) or raw.find(">", at, stop) >= 0:
        return True
    return _NO_TAG.match(raw, at, stop) is not None


def _tag(match: re.Match[str]) -> Token:
    name, end = match["name"].lower(), match.end()
    if _is_named(match):
        return Token(Kind.TEXT, end, match["name"])
    if why_hidden(name) and name != "function":
        return Token(Kind.MARKUP, end) if match["close"] else Token(Kind.HIDDEN, end, name)
    if name == "br":
        return Token(Kind.LINE, end)
    if name in ("td", "th"):
        return Token(Kind.MARKUP if match["close"] else Kind.CELL, end)
    if name in _BLOCKS:
        return Token(Kind.BLOCK, end)
    if name == "img":
        alt = _ALT.search(match["attributes"])
        text = html.unescape(alt[1] or alt[2] or "") if alt else ""
        return Token(Kind.TEXT, end, text) if text.strip() else Token(Kind.NOTE, end, "image")
    if name == "break":
        return Token(Kind.MARKUP, end) if match["close"] else _break(match)
    if name in _SENTENCES:
        return Token(Kind.BLOCK, end)
    if name == "speak":
        return Token(Kind.MARKUP, end)
    if name in _SSML or ":" in name:
        return Token(Kind.NOTE, end, "markup")
    if name in _INLINE or match["close"] or match["attributes"]:
        return Token(Kind.MARKUP, end)
    placeholder = match["name"].replace("_", " ")  # Dear <name>, vector<int>
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[end : end + 1]
    spaces = [" " if char.isalnum() else "" for char in (before, after)]
    return Token(Kind.TEXT, end, placeholder.join(spaces))


def _is_named(match: re.Match[str]) -> bool:
    """Whether a tag is the subject of a sentence: put it into a <div> element."""
    name, text = match["name"].lower(), match.string
    if name in _ALWAYS_MARKUP or match["close"] or match["attributes"]:
        return False
    if why_hidden(name) and text.startswith("\n", match.end()):
        return False  # Here is the <tool_call>
    before = _DETERMINER.search(text[max(0, match.start() - 12) : match.start()])
    if before is None or (before[1] and name in _INLINE):  # fish and <b> chips</b>
        return False
    return _ENDS_WORD.match(text, match.end()) is not None


def _break(match: re.Match[str]) -> Token:
    given = _attributes(match[0])
    try:
        seconds = pauses.break_seconds(given.get("time"), given.get("strength"))
    except TextError:
        return Token(Kind.NOTE, match.end(), "pause of an unknown length")
    return Token(Kind.PAUSE, match.end(), seconds=seconds)


def _element(raw: str, at: int, stop: int) -> Token | None:
    """An SSML element whose text has another reading: phoneme, sub or say-as."""
    match = _ELEMENT.match(raw, at, stop)
    opened = _TAG.match(raw, at, stop) if match else None
    if match is None or opened is None or opened[0].endswith("/>"):
        return None
    name = match[1].lower()
    closed = re.compile(rf"</{name}\s*>", re.I).search(raw, opened.end(), stop)
    if closed is None:
        return None
    given = _attributes(opened[0])
    inner = html.unescape(_MARKUP.sub("", raw[opened.end() : closed.start()]))
    if name == "phoneme" and given.get("ph", "").strip():
        alphabet = given.get("alphabet", "ipa")
        if alphabet.lower() in ALPHABETS:
            return _pronounced(inner or given["ph"], given["ph"], closed.end(), alphabet)
    elif name == "sub" and "alias" in given:
        return Token(Kind.TEXT, closed.end(), given["alias"])
    elif name == "say-as" and given.get("interpret-as") in SAID_AS:
        return Token(Kind.TEXT, closed.end(), say_as(given["interpret-as"], inner))
    return None


def say_as(kind: str, text: str) -> str:
    """The text of a say-as element of a kind in `SAID_AS`, as it is read."""
    if kind in _SPELLED:
        return " ".join("".join(text.split())).upper()
    return ordinal(text.strip()) if re.fullmatch("[0-9]+", text.strip()) else text


def _pronounced(word: str, written: str, end: int, alphabet: str = "ipa") -> Token:
    word = " ".join(word.split())
    phonemes = to_phonemes(written, word, alphabet=alphabet)
    return Token(Kind.TEXT, end, str(Mark(written=word, phonemes=phonemes)))


def _attributes(tag: str) -> dict[str, str]:
    return {
        match[1].lower(): html.unescape(match[2] if match[2] is not None else match[3])
        for match in _SSML_ATTRIBUTE.finditer(tag)
    }


def _closing(raw: str, at: int, stop: int) -> int:
    """The index of the bracket that closes the one at `at`, or -1."""
    if raw.find("]", at, stop) < 0:
        return -1
    depth = 0
    for match in _BRACKET.finditer(raw, at, stop):
        depth += {"[": 1, "]": -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    return -1


def _ended_bracket(raw: str, at: int, stop: int) -> bool:
    """Whether the text after a closed bracket is visible and opens no target of a link."""
    closing = _closing(raw, at + (raw[at] == "!"), stop)
    if not 0 <= closing < stop - 1:
        return False
    end = {"(": ")", "[": "]"}.get(raw[closing + 1])
    return end is None or raw.find(end, closing + 2, stop) >= 0


def _bracket(raw: str, at: int, stop: int, *, is_closed: bool) -> Token | None:
    """A link, an image, the mark of a footnote or a pause. Other brackets are plain text."""
    opening = at + (raw[at] == "!")
    if opening == at:
        match = _FOOTNOTE.match(raw, at, stop)
        if match:
            return Token(Kind.MARKUP, match.end())
        match = _CITATION.match(raw, at, stop)
        if match and _CITED.search(raw, max(0, at - 60), at):
            return Token(Kind.NOTE, match.end(), "number of a source")
        match = _RAW_PHONEMES.match(raw, at, stop)
        if match and is_ipa(match[1]):
            phonemes = to_phonemes(match[1], match[1])
            return Token(Kind.TEXT, match.end(), str(Mark(written=match[1], phonemes=phonemes)))
    closing = _closing(raw, opening, stop)
    if closing < 0:
        return None
    said = _PRONUNCIATION.match(raw, closing + 1, stop)
    if opening == at and said and is_ipa(said[1]):
        return _pronounced(raw[at + 1 : closing], said[1], said.end())
    target = _TARGET.match(raw, closing + 1, stop)
    is_index = opening == at and at > 0 and (raw[at - 1].isalnum() or raw[at - 1] in "_)]")
    if target is None and not is_index and not raw[opening + 1 : closing].isdigit():
        target = _REFERENCE.match(raw, closing + 1, stop)
        if target is None and _WORDS.search(raw, opening + 1, closing):
            target = _NUMBERED.match(raw, closing + 1, stop)
    if target is None:
        return None
    if raw[at] == "!" and not raw[opening + 1 : closing].strip():
        return Token(Kind.NOTE, target.end(), "image")
    return Token(Kind.INNER, target.end(), start=opening + 1, stop=closing)
