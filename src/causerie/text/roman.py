"""Writes Roman numerals as words: chapter IV → chapter four, Henry VIII → Henry the eighth."""

from __future__ import annotations

import re

from causerie.text.numbers import cardinal, ordinal, year
from causerie.text.rules import Rules

_COUNTED = (
    "chapter part act scene volume vol book section article title phase type stage class grade "
    "level tier category appendix figure table war bowl unit round mark episode season group "
    "schedule annex canto psalm sonnet symphony apollo step division quadrant factor "
    "saturn fantasy auto civilization fighter movement amendment page pages lecture lesson exhibit "
    "theorem vatican rocky issue"
).split()
_REIGNED = (
    "Henry Louis Elizabeth George Charles Edward Richard James William Philip Ferdinand "
    "Napoleon Pius Benedict Paul Leo Francis Gregory Innocent Urban Clement Alexander Nicholas "
    "Peter Catherine Mary Frederick Wilhelm Otto Rudolf Leopold Albert Ivan Ramses Thutmose "
    "Darius Xerxes Ptolemy Haakon Harald Olav Christian Carl Gustav Oscar Alfonso Felipe "
    "Umberto Mehmed Murad Selim Suleiman Theodosius Constantine Justinian Sixtus Boniface "
    "Robert Malcolm Harold Stephen Joseph Margaret Isabella John Juan Carlos Edmund Baldwin "
    "Frederik Willem Maximilian Amenhotep Antiochus Seleucus Mithridates Cosimo Thomas David "
    "Michael Samuel Julius Victor Emmanuel Ludwig Manuel Pedro Magnus Erik Eric Christopher Adrian "
    "Eugene Callixtus Basil Casimir Sigismund Hugh Hussein Abdullah Hassan Rama Cyrus Artaxerxes "
    "Bayezid Ahmed Abdul Seti Beatrix Margrethe Matilda Anne Sancho Valdemar Canute Montezuma"
).split()
_NUMERAL = r"(?=[IVX]|[LC][IVXLC])C{0,2}(?:X[CL]|L?X{0,3})(?:I[XV]|V?I{0,3})(?<=[IVXLC])"
_BELOW_40 = r"(?=[IVX]{2})X{0,3}(?:I[XV]|V?I{0,3})(?<=[IVX])"
_SMALL_NUMERAL = (
    r"(?=[ivx]{2})x{0,3}(?:i[xv]|v?i{0,3})|"
    r"(?:(?<=act )|(?<=scene )|(?<=chapter ))[ivx](?=[.,;:)]|$)|[ivx](?= ?[-–] ?[ivx]{1,4}\b)"
)
# Others after it: parts I and II, books I–IV.
_LINK = r"(?:,? (?:and|or|to|of|through|vs\.?|versus) |, | ?& | ?[-–] ?)"
_COUNTED_NAMES = "|".join(f"[{w[0].upper()}{w[0]}]{w[1:]}|{w.upper()}" for w in _COUNTED)
_ROMAN_COUNT = (
    rf"\b(?P<before>(?:(?:{_COUNTED_NAMES})[sS]?|GTA|WrestleMania)"
    rf"(?: [0-9]{{1,3}}(?:,? (?:and|or|to)| &))?) "
    rf"(?:(?P<numeral>{_NUMERAL})|(?P<small>{_SMALL_NUMERAL}))(?P<letter>[AB]|)"
    rf"(?P<more>[-–][ivx]{{1,5}}\b|(?:{_LINK}(?:(?=[IVXLC]{{2}}){_NUMERAL}\b|V\b|X\b))*)"
    r"(?![\w'&/-])"
)
_ROMAN_RANK = (
    rf"(?<=\b)(?P<before>(?:(?:King|Queen|Pope|Emperor|Tsar|Czar|Sultan|Prince|Pharaoh) "
    rf"[A-Z][a-z]+|(?:{'|'.join(_REIGNED)})(?: [A-Z][a-z]+)?)) (?P<numeral>{_NUMERAL})\b"
    rf"(?P<more>(?:{_LINK}(?:(?=[IVXLC]{{2}}){_NUMERAL}\b|V\b))*)(?![&/-])"
)
_ROMAN_CENTURY = (
    rf"(?P<before>\b[Tt]he |)\b(?P<numeral>{_NUMERAL})(?= (?:[Cc]entury|[Dd]ynasty|Olympi|Corps))"
)
_ROMAN_NAME = (
    rf"\b(?P<before>(?!(?:The|An?|This|That|My|Your|His|Her|In|On|At|And|If|With|For|From|By|To|Of|"
    rf"But|Or|As|So|Is|Are|Was|When|While|New|Use|Your|Our|No)\b)[A-Z][a-z]+|(?!FROM|WITH|THIS|"
    rf"THAT|YOUR)[A-Z]{{4,}}|[A-Z]{{1,2}}[0-9]{{1,4}}) "
    rf"(?P<numeral>{_BELOW_40})\b(?P<more>(?:{_LINK}{_BELOW_40}\b)*)"
    r"(?! (?:drip|line|fluid|bag|therapy|pump|antibiotic)|[&/-])"
)
# Chords and the like: I–IV–V, ii–V–I; but not I-II alone, which may be a range, nor I-I-I did it.
_ROMAN_ROW = (
    r"(?<![\w-])(?!(?:[Ii][-–])+[Ii](?![-–\w]))(?:[IViv]{1,3}[-–]){2,7}[IViv]{1,3}(?![\w-])"
)
_ROMAN_YEAR = r"\bM(?:CM|DC{0,3}|M)(?:X[CL]|L?X{0,3})(?:I[XV]|V?I{0,3})\b"
_ROMAN_ITEM = (  # i) wash; ii) dry
    r"(?<![\w])(?<!of \()(?P<numeral>i(?=\).{0,200}\bii\))|ii|iii|iv|vi{1,3}|ix)(?=\))"
)
# The number of a heading or an item: II. Methods, iv. Results; but I. Newton, V. Woolf.
_ROMAN_HEADING = (
    rf"^(?P<numeral>{_BELOW_40}"
    r"|I(?=\. (?:Introduction|Overview|Background)\b)"
    r"|[iv]|ii|iii|iv|vi{1,3}|ix|xi{0,3})\.(?= [A-Z])"
)
_ROMAN_ALONE = rf"^(?P<numeral>{_BELOW_40})$"
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN_BOOK = (
    r"\bI{1,3}(?= (?:Corinthians|Samuel|Kings|Chronicles|Thessalonians)\b)"
    r"|\bI{2,3}(?= (?:Timothy|Peter|John)\b)"
)
_WORLD_WAR = r"\bWW(?:(?P<roman>I{1,2})|(?P<digit>[12]))\b"


def _count(match: re.Match[str]) -> str:
    numeral = match["numeral"] or match["small"].upper()
    if numeral == "I" and _is_pronoun(match):
        return match[0]
    more = re.sub(r"[IVXLCivx]+\b", lambda m: cardinal(str(_value(m[0].upper()))), match["more"])
    more = re.sub(" ?[-–] ?", " to ", more)
    letter = match.groupdict().get("letter")  # stage IIIB
    return (
        f"{match['before']} {cardinal(str(_value(numeral)))}{f' {letter}' if letter else ''}{more}"
    )


def _is_pronoun(match: re.Match[str]) -> bool:
    """Whether I after a word in small letters is the pronoun: the part I liked."""
    return match["before"][0].islower() and bool(re.match(" [a-z]", match.string[match.end() :]))


def _century(match: re.Match[str]) -> str:
    return f"{match['before']}{ordinal(str(_value(match['numeral'])))}"


# Richard I reigned; but Richard I know.
_REIGNS = re.compile(
    " (?:ruled|reigned|conquered|invaded|founded|succeeded|abdicated|ascended|died|became)\\b"
)
_AFTER_FIRST = re.compile(rf"{_REIGNS.pattern}|(?: of| was| and|'s|[.,;:)!?]|$)")
_TITLE = re.compile("King|Queen|Pope|Emperor|Tsar|Czar|Sultan")


def _rank(match: re.Match[str]) -> str:
    numeral = match["numeral"]
    if (
        numeral == "I"
        and not _TITLE.match(match["before"])
        and not _AFTER_FIRST.match(match.string[match.end() :])
    ):
        return match[0]
    after_initial = len(numeral) == 1 and re.match(" [A-Z][a-z]", match.string[match.end() :])
    if after_initial or (numeral == "X" and match["before"] == "Malcolm"):
        return match[0]
    more = re.sub(r"[IVXLC]+\b", lambda m: f"the {ordinal(str(_value(m[0])))}", match["more"])
    more = re.sub(" ?[-–] ?", " to ", more)
    return f"{match['before']} the {ordinal(str(_value(numeral)))}{more}"


def _year(match: re.Match[str]) -> str:
    """A year, unless it is a degree: she is an MD."""
    return match[0] if len(match[0]) == 2 else year(str(_value(match[0])))


def _row(match: re.Match[str]) -> str:
    return " ".join(cardinal(str(_value(one.upper()))) for one in re.split("[-–]", match[0]))


def _value(numeral: str) -> int:
    """The number of a valid Roman numeral."""
    values = [_VALUES[letter] for letter in numeral]
    return sum(
        -value if any(later > value for later in values[at + 1 : at + 2]) else value
        for at, value in enumerate(values)
    )


#: Puts words in place of Roman numerals.
read_roman_numerals = Rules(
    (
        (_ROMAN_BOOK, lambda match: ordinal(str(len(match[0])))),
        (_WORLD_WAR, lambda m: f"World War {cardinal(m['digit'] or str(len(m['roman'])))}"),
        (_ROMAN_COUNT, _count),
        (_ROMAN_ITEM, lambda match: cardinal(str(_value(match["numeral"].upper())))),
        (_ROMAN_HEADING, lambda match: cardinal(str(_value(match["numeral"].upper()))) + ","),
        (_ROMAN_ALONE, lambda match: cardinal(str(_value(match["numeral"])))),
        (_ROMAN_CENTURY, _century),
        (_ROMAN_RANK, _rank),
        (_ROMAN_NAME, lambda m: (_rank if _REIGNS.match(m.string, m.end()) else _count)(m)),
        (_ROMAN_ROW, _row),
        (_ROMAN_YEAR, _year),
    ),
    only_if=r"\bI{1,3} [A-Z]|[IVX] [Cc]ent|[0-9] [IVX]{2}|[A-Za-z] [IVXLC]+[AB]?\b|^[IVX]+(?:\.|$)|"
    r"& [IVXLC]{2}|[IViv][-–][IViv]{1,3}[-–]|^[ivx]+\.|[a-z] [ivx]+\b|\bii\)|\bWW[I12]|\bM[CMD]",
    spaced=False,
)
