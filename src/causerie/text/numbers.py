"""Writes numbers as American English words. Does not know the text around them.

Numbers are strings of ASCII digits, with leading zeros and of any length; numbers beyond trillions
are read digit by digit.
"""

from __future__ import annotations

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
#: The words below a hundred.
NUMBER_WORDS = frozenset([*_UNITS, *_TENS[2:]])
_SCALES = ("", " thousand", " million", " billion", " trillion")
_MAX_DIGITS = 3 * len(_SCALES)
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip


def digits(number: str) -> str:
    """The digits of a number: "205" → two zero five."""
    return " ".join(_UNITS[int(digit)] for digit in number)


def cardinal(number: str) -> str:
    """A count: "1205" → one thousand two hundred five; "007" → zero zero seven."""
    if len(number) > _MAX_DIGITS or (number[0] == "0" and len(number) > 1):
        return digits(number)
    groups = []
    for power in range((len(number) - 1) // 3, -1, -1):
        group = int(number) // 1000**power % 1000
        if group:
            groups.append(_below_thousand(group) + _SCALES[power])
    return " ".join(groups) or "zero"


def ordinal(number: str) -> str:
    """A rank: "21" → twenty first."""
    return to_ordinal(cardinal(number))


def to_ordinal(words: str) -> str:
    """The rank of a count in words: twenty one → twenty first."""
    before, space, last = words.rpartition(" ")
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return before + space + last


def decimal(whole: str, fraction: str = "") -> str:
    """A measure: ("3", "05") → three point zero five."""
    words = cardinal(whole or "0")
    return f"{words} point {digits(fraction)}" if fraction else words


def year(number: str) -> str:
    """A year of one to four digits: "1905" → nineteen oh five; "2010" → twenty ten."""
    if len(number) != 4 or number[0] == "0" or number[1:3] == "00":
        return cardinal(number)  # 2000 to 2009 are two thousand …
    century = cardinal(number[:2])
    if number[2:] == "00":
        return century + " hundred"
    return f"{century} {two_digits(number[2:])}"


def two_digits(number: str) -> str:
    """The second half of a year or time: "05" → oh five; "30" → thirty."""
    return "oh " + digits(number[1]) if number[0] == "0" else cardinal(number)


def label(number: str) -> str:
    """A number that names something: "305" → three oh five; "1080" → ten eighty."""
    if number[0] == "0" or not 3 <= len(number) <= 4:
        return digits(number) if len(number) > 2 else cardinal(number)
    if number.endswith("00"):
        return year(number) if number[1] != "0" else cardinal(number)
    if number[1:3] == "00":
        return cardinal(number)
    return f"{cardinal(number[:-2])} {two_digits(number[-2:])}"


def exponent(number: str) -> str:
    """The words after a base: "2" → squared; "6" → to the sixth; "-3" → to the minus three."""
    if number.startswith("-"):
        return f"to the minus {cardinal(number[1:])}"
    return {"2": "squared", "3": "cubed"}.get(number) or f"to the {ordinal(number)}"


def link(written: str) -> str:
    """The word between the ends of a range: "-" → to; "and" stays."""
    return written.strip(" -–") or "to"


def plural(words: str) -> str:
    """Plural of the last word: nineteen ninety → nineteen nineties."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith(("x", "s")) else "s")


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_UNITS[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10])
        rest %= 10
    if rest:
        words.append(_UNITS[rest])
    return " ".join(words)
