"""Reads the notation of chess, music, ratings, paragraphs, sizes and directions as words."""

from __future__ import annotations

import re

from causerie.text.rules import Rules

_COMPASS = {"N": "north", "S": "south", "E": "east", "W": "west"}
_PIECES = {"K": "king", "Q": "queen", "R": "rook", "B": "bishop", "N": "knight", "": ""}


_QUALITIES = {
    "m": "minor", "min": "minor", "maj": "major", "dim": "diminished", "aug": "augmented",
    "sus": "suspended",
}  # fmt: skip


def _chord(match: re.Match[str]) -> str:
    """A chord or a key: F#m7 → F sharp minor 7."""
    sign = {"#": "sharp", "♯": "sharp", "b": "flat", "♭": "flat", None: ""}[match["sign"]]
    quality = _QUALITIES.get(match["sharp"] or match["plain"], "")
    return " ".join(filter(None, [match["root"], sign, quality, match["number"]]))


def _move(match: re.Match[str]) -> str:
    """A move in chess: Nxe5+ → knight takes e5 check."""
    words = (
        _PIECES[match["piece"]],
        match["from"],
        "takes" if match["takes"] else "",
        match["to"],
        {"+": "check", "#": "checkmate", "": ""}[match["check"]],
    )
    return " ".join(filter(None, words))


def _stars(match: re.Match[str]) -> str:
    """A rating in stars: ★★★★☆ → four out of five stars. One star after a number is its unit."""
    full, empty = len(match["full"]), len(match["empty"])
    if full + empty == 1:
        return match[0]
    return f"{full} out of {full + empty} stars" if empty else f"{full} stars"


#: Puts words in place of chords, moves, stars, hearts, sections, sizes and directions.
read_notation = Rules(
    (
        (r"(?:(?<=\b[IiU] )|(?<=\b[Ww]e )|(?<=\b[Yy]ou ))(?:❤|<3(?= \w))", "love"),
        # Chords: Am7, F#m, Bbmaj7.
        (
            r"(?<![\w-])(?P<root>[A-G])(?:(?P<sign>[#♯♭b])(?P<sharp>m|maj|min|dim|aug|sus)?|"
            r"(?P<plain>m(?=7|9|11)|maj(?=7|9)|sus(?=[24])|dim|aug|min(?=7)))(?P<number>(?:6|7|"
            r"9|11|13|(?<=sus)[24])?)(?![\w-])"
            r"(?<!\b[A-G]b)(?<![A-G]♭)",
            _chord,
        ),
        (
            r"(?<=\b[A-G])(?:b|♭)(?= (?:major|minor|trumpet|clarinet|sax\w*|horn|blues|scale|"
            r"chord)\b)",
            " flat",
        ),
        (r"(?<=(?:major|minor|sharp) and )(?P<root>[A-G])b\b", r"\g<root> flat"),
        # Chess: Nf3, exd5, O-O.
        (
            r"(?<![\w-])(?P<piece>[KQRBN])(?P<from>[a-h]?[1-8]?)(?P<takes>x?)(?P<to>[a-h][1-8])"
            r"(?P<check>[+#]?)(?![\w-])",
            _move,
        ),
        (
            r"(?<![\w-])(?P<piece>)(?P<from>[a-h])(?P<takes>x)(?P<to>[a-h][1-8])(?P<check>[+#]?)(?![\w-])",
            _move,
        ),
        (
            r"\b(?P<pawn>[a-h][18])=(?P<piece>[QRBN])\b",
            lambda m: f"{m['pawn']} {_PIECES[m['piece']]}",
        ),
        (r"(?<![\w-])O-O(?P<long>-O)?(?![\w-])", lambda m: f"castles{' long' * bool(m['long'])}"),
        # One or more: file(s), box(es); but print(s).
        (
            r"(?<=[a-z]{3})(?<!print)(?<!\blen)(?<!\bstr)(?<!\bset)(?<!\bsum)(?<!sorted)"
            r"(?<!\bint)(?<!list)(?<!log)\((?P<ending>s|es|ren)\)(?![\w(])",
            r"\g<ending>",
        ),
        (r"(?<=\w) ?%ile(?P<s>s?)\b", r" percentile\g<s>"),
        (r"▲ ?(?=[$€£]?[0-9])", "up "),
        (r"▼ ?(?=[$€£]?[0-9])", "down "),
        (r"§§ ?", "sections "),
        (r"§ ?(?=[IVX])", "section "),
        (r"¶¶ ?", "paragraphs "),
        (r"(?<!\S)<(?P<file>[\w/]{1,40}\.[ch]\w{0,2})>", r"\g<file>"),  # #include <stdio.h>
        (r"(?P<full>[★⭐]{1,5})(?P<empty>☆{0,5})", _stars),
        (
            r"(?<=\bI-)(?P<road>[0-9]{1,3} )(?P<point>[NSEW])\b",
            lambda m: m["road"] + _COMPASS[m["point"]],
        ),
        (r"\b(?P<letter>[A-Z])(?P<first>[0-9]{1,2})[-–](?=(?P=letter)[0-9])", r"\1\2 to "),
        (r"\b(?P<low>X{0,3}S|M|L)[-–](?P<high>M|X{0,3}L|[2-5]XL)\b", r"\g<low> to \g<high>"),
        (r"\b(?:A[-–]Z|a[-–]z)\b", lambda m: f"{m[0][0]} to {m[0][-1]}"),
        (r"(?<![\w=])==(?=[^\s=])([^=]{1,100})(?<![\s=])==(?![\w=])", r"\1"),
        (
            r"(?<![\w.])(?P<lat>[0-9]{1,2}(?:\.[0-9]{1,8})?)°? ?(?P<ns>[NS]),? "
            r"(?P<long>[0-9]{1,3}(?:\.[0-9]{1,8})?)°? ?(?P<ew>[EW])\b",
            lambda m: f"{m['lat']}° {_COMPASS[m['ns']]}, {m['long']}° {_COMPASS[m['ew']]}",
        ),
        (r"(?<=[0-9][°'\"]) ?(?P<point>[NSEW])\b", lambda m: f" {_COMPASS[m['point']]}"),
    ),
    only_if=r"[a-h][1-8]|\b[A-G](?:[#♯♭b]|m[0-9]|maj|sus|dim|aug|min)|O-O|\((?:s|es|ren)\)"
    r"|%ile|§|¶¶|I-[0-9]|[A-Z][0-9]{1,2}[-–]|[Aa][-–][Zz]|[SML][-–][MX2-5L]|[❤★⭐▲▼]|<3"
    r"|<[\w/]+\.|[0-9][°'\"]? ?[NSEW]|[^ ]==",
    spaced=False,
)
