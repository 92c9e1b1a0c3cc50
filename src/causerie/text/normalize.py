"""Writes numbers, abbreviations, symbols and addresses as words, for a lexicon.

Words and their punctuation do not change, nor do characters without an English reading (emoji,
other scripts), which the caller reports. Does not know phonemes; `causerie.text.quantities` reads
numbers.
"""

from __future__ import annotations

import re
import unicodedata

from causerie.text.quantities import read_quantities

_KEPT = "…–—°²³½¼¾⅓⅔⅛™®©×÷"


class _Compatible(dict[int, str | int]):
    """A table for str.translate that maps compatibility characters (１, 𝐚, ﬁ, ℃) to plain ones."""

    def __missing__(self, code: int) -> str | int:
        plain: str | int = code
        if code > 127:
            plain = unicodedata.normalize("NFKC", chr(code))
        self[code] = plain
        return plain


_CHARACTERS: dict[str, str | int] = {
    **{kept: kept for kept in _KEPT},
    "½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⅛": " 1/8",
    "’": "'", "‘": "'", "′": "'", "“": '"', "”": '"', "„": '"', "″": '"', "«": '"', "»": '"',
    "™": "", "®": "", "©": "", "\u00ad": "", "\u200b": "", "\u200d": "", "\ufe0f": "", "\ufeff": "",
    "‐": "-", "‑": "-", "‒": "–", "―": "—", "·": " ",
    "\r": "\n", "\t": " ", "\f": "\n", "\v": "\n", "\u2028": "\n", "\u2029": "\n",
}  # fmt: skip

_BEFORE_NAME = {
    "Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor",
    "St": "Saint", "Gen": "General", "Sen": "Senator", "Rep": "Representative", "Gov": "Governor",
    "Pres": "President", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant",
    "Col": "Colonel", "Cpl": "Corporal",
    "Rev": "Reverend", "Hon": "Honorable", "Mt": "Mount", "Ft": "Fort",
}  # fmt: skip
_AFTER_NAME = {
    "Dr": "Drive", "St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane",
    "Hwy": "Highway", "Sq": "Square", "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated",
    "Corp": "Corporation", "Ltd": "Limited", "Co": "Company", "Bros": "Brothers",
}  # fmt: skip
# Matched with their dot, in any context; the dot of those in _MAY_END may also end a sentence.
_ABBREVIATIONS = {
    "e.g.": "for example", "eg.": "for example", "i.e.": "that is", "etc.": "etcetera",
    "vs.": "versus", "vs": "versus", "approx.": "approximately", "dept.": "department",
    "Dept.": "Department", "est.": "established", "min.": "minimum", "max.": "maximum",
    "misc.": "miscellaneous", "incl.": "including", "excl.": "excluding", "resp.": "respectively",
    "cf.": "compare", "viz.": "namely", "ca.": "about", "et al.": "and others",
    "a.k.a.": "also known as",
    "aka": "also known as", "w/o": "without", "w/": "with", "b/c": "because", "and/or": "and or",
    "he/she": "he or she", "his/her": "his or her", "s/he": "she or he", "P.S.": "P S",
    "a.m.": "A M", "p.m.": "P M", "Ph.D.": "P H D", "PhD": "P H D", "Assn.": "Association",
}  # fmt: skip
_MAY_END = frozenset({"etc.", "et al.", "a.m.", "p.m.", "Ph.D."})
_BEFORE_NUMBER = {
    "No": "number", "Nos": "numbers", "Nr": "number", "pp": "pages", "p": "page",
    "Fig": "figure", "fig": "figure", "Vol": "volume", "vol": "volume", "Ch": "chapter",
    "ch": "chapter", "Sec": "section", "Eq": "equation", "Ver": "version", "ver": "version",
}  # fmt: skip
_SYMBOLS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "±": "plus or minus",
    "≈": "is about", "≠": "is not equal to", "≤": "is at most", "≥": "is at least", "×": "times",
    "÷": "divided by", "°": "degrees", "§": "section", "²": "squared", "³": "cubed", "π": "pi",
    "√": "square root of", "∞": "infinity", "→": "to", "←": "from", "$": "dollars", "€": "euros",
    "£": "pounds", "¥": "yen", "¢": "cents", "₹": "rupees", "/": "slash",
    "\\": "backslash",
}  # fmt: skip
_ADDRESS_SYMBOLS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", ":": "colon", "+": "plus",
    "~": "tilde", "=": "equals", "&": "and", "#": "hash", "%": "percent",
}  # fmt: skip
_LETTERED = frozenset("io uk us de fr eu tv ai ca au jp ch nl www html php pdf".split())


def _words(table: dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(table, key=lambda word: (-len(word), word)))


_END = r"(?= [A-Z]| ?$)"  # of a sentence, perhaps

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}")
_URL = re.compile(
    r"(?<![\w@.])(?:https?://(?:www\.)?|www\.)(?P<full>[^\s<>\"]{1,2000})"
    r"|(?<![\w@./-])(?P<bare>[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,3}\."
    r"(?:com|org|net|edu|gov|io|ai|app|dev|uk|de|fr|eu|tv|info)\b(?:/[^\s<>\"]{0,2000})?)"
)
_ADDRESS_PIECE = re.compile(r"[A-Za-z]+|[0-9]+|[^\w\s]|_")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_FILE_TYPE = re.compile(
    r"(?<=\w)\.(?=(?:pdf|txt|docx?|xlsx?|pptx?|csv|jpe?g|png|gif|mp[34]|wav|zip|exe|html?|css|json|"
    r"py|js|md)\b)"
)

_INITIALS = re.compile(r"(?<![\w.])(?:[A-Z]\.){2,8}(?P<end> ?$)?")
_INITIAL = re.compile(r"(^|(?<=[.!?(] )|\b[A-Z][a-z]{1,20} )([A-HJ-Z])\. ?(?=[A-Z])")
_ABBREVIATION = re.compile(
    rf"(?<![\w./])(?<![0-9] )(?P<short>{_words(_ABBREVIATIONS)})(?![\w/])(?P<end>{_END})?"
)
_TITLE = re.compile(rf"\b({_words(_BEFORE_NAME)})\.(?= ?[A-Z])")
_SUFFIX = re.compile(rf"(?<=[A-Za-z0-9,] )(?P<short>{_words(_AFTER_NAME)})\.(?P<end>{_END})?")
_NUMBERED = re.compile(rf"\b({_words(_BEFORE_NUMBER)})\. ?(?=[0-9])")
# Initialisms that would be read as words; not in text that is all capitals.
_CAPITALS = re.compile(r"(?<![A-Z'] )\b(US|IT|LED)\b(?!'[A-Z]| [A-Z]{2})")

_HASHTAG = re.compile(r"#(?=\w)")
_DASH = re.compile(r"(?<=\S) -{1,3} (?=\S)|-{2,}")
_ARROW = re.compile(r"(?<![-=<])[-=]{1,2}>")
_COMPARED = re.compile(r"(?<=[\w)] )[<>](?= ?[\w(])|(?<=[0-9])[<>](?=[0-9])|[<>](?=[0-9])")
_REPEATED = re.compile(f"([{re.escape(''.join(_SYMBOLS))}])\\1{{2,}}")
_SYMBOL = re.compile(f"[{re.escape(''.join(_SYMBOLS))}]")
_BRACKETS = str.maketrans("[]{}<>|", "()()(),", "*`~^#")
_SPACE_BEFORE = re.compile(r" +(?=[,.!?;:…)])")
_DANGLING = re.compile(r"(?<=\w)-(?= |$)|(?<=\( )|(?<=\() +")


def normalize(text: str) -> str:
    """A text without markup as it is read aloud, on one line; `causerie.text.blocks` reads markup.

    Web addresses lose their scheme, query and fragment.
    """
    text = " ".join(text.translate(_TABLE).split())
    text = _EMAIL.sub(lambda match: _address(match[0]), text)
    text = _FILE_TYPE.sub(" dot ", _URL.sub(_url, text))
    text = _abbreviations(text)
    text = _ARROW.sub(" to ", text)
    text = _COMPARED.sub(lambda m: " less than " if m[0] == "<" else " greater than ", text)
    text = read_quantities(text)
    text = _DASH.sub("—", _HASHTAG.sub("hashtag ", text))
    text = _SYMBOL.sub(lambda match: f" {_SYMBOLS[match[0]]} ", _REPEATED.sub(r"\1", text))
    text = text.replace("_", " ").translate(_BRACKETS)
    return _SPACE_BEFORE.sub("", _DANGLING.sub("", " ".join(text.split())))


def _abbreviations(text: str) -> str:
    text = _INITIALS.sub(_initials, text)
    text = _INITIAL.sub(r"\1\2 ", text)
    text = _ABBREVIATION.sub(_abbreviation, text)
    text = _NUMBERED.sub(lambda match: _BEFORE_NUMBER[match[1]] + " ", text)
    text = _TITLE.sub(lambda match: _BEFORE_NAME[match[1]], text)
    text = _SUFFIX.sub(lambda match: _AFTER_NAME[match["short"]] + _stop(match), text)
    text = _CAPITALS.sub(lambda match: " ".join(match[0]), text)
    return text.replace("° C", "°C").replace("° F", "°F")


def _initials(match: re.Match[str]) -> str:
    return " ".join(match[0].replace(".", "").strip()) + _stop(match)


def _abbreviation(match: re.Match[str]) -> str:
    short = match["short"]
    return _ABBREVIATIONS[short] + (_stop(match) if short in _MAY_END else "")


def _stop(match: re.Match[str]) -> str:
    return "" if match["end"] is None else "."


def _url(match: re.Match[str]) -> str:
    found = match["full"] or match["bare"]
    kept = found.rstrip(".,;:!?)'\"")
    address = re.split("[?#]", kept, maxsplit=1)[0].rstrip("/")
    return _address(_ESCAPED.sub(" ", address)) + found[len(kept) :]


def _address(address: str) -> str:
    """An address in words: a.b@c.uk → a dot b at c dot U K."""
    words = []
    for piece in _ADDRESS_PIECE.findall(address):
        if piece.lower() in _LETTERED:
            piece = " ".join(piece.upper())
        words.append(_ADDRESS_SYMBOLS.get(piece, piece))
    return " ".join(words)


_TABLE = _Compatible(str.maketrans(_CHARACTERS))
