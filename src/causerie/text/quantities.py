"""Writes dates, times, money, measures, phone numbers and plain numbers as words.

`read_quantities` takes text that `causerie.text.normalize` has prepared. The rules run in order,
the most specific first. Each matches a bounded length, so that time is linear in the length of the
text. Digits are ASCII here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from causerie.text.numbers import (
    cardinal,
    decimal,
    digits,
    ordinal,
    plural,
    to_ordinal,
    two_digits,
    year,
)

_MONTHS = (
    "January February March April May June July August September October November December"
).split()
_MONTH = (
    {m[:3].lower(): m for m in _MONTHS} | {m.lower(): m for m in _MONTHS} | {"sept": "September"}
)
_MONTH_NAME = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_YEAR = r"(?P<year>[12][0-9]{3})(?![0-9]|[.,:][0-9])"

# A number: at most 15 digits before the point, or groups of three; the point only before digits.
_NUMBER = r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,15})(?:\.(?P<part>[0-9]{1,15}))?"
_START, _END = r"(?<![0-9.,])", r"(?![0-9])"
_SCALE = r"(?P<scale>thousand|million|billion|trillion|bn|[kKmMB])\b"
_SCALE_WORD = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion"}

_CURRENCY = {
    "$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yen", ""),
    "₹": ("rupee", "paisa"), "₩": ("won", ""), "usd": ("dollar", "cent"), "eur": ("euro", "cent"),
    "gbp": ("pound", "penny"), "jpy": ("yen", ""), "chf": ("franc", "centime"),
}  # fmt: skip
_SAME_IN_PLURAL = frozenset({"yen", "won", "hertz", "kilohertz", "megahertz", "gigahertz"})
_IRREGULAR = {"penny": "pence", "foot": "feet", "inch": "inches", "paisa": "paise"}

_UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer",
    "μm": "micrometer", "μg": "microgram",
    "mi": "mile", "ft": "foot", "yd": "yard", "kg": "kilogram", "g": "gram", "mg": "milligram",
    "lb": "pound", "lbs": "pound", "oz": "ounce", "l": "liter", "L": "liter", "ml": "milliliter",
    "mL": "milliliter", "cl": "centiliter", "gal": "gallon", "h": "hour", "hr": "hour",
    "hrs": "hour", "min": "minute", "mins": "minute", "s": "second", "sec": "second",
    "secs": "second", "ms": "millisecond", "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte",
    "GB": "gigabyte", "TB": "terabyte", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz",
    "GHz": "gigahertz", "W": "watt", "kW": "kilowatt", "kWh": "kilowatt hour", "V": "volt",
    "dB": "decibel", "px": "pixel", "kcal": "kilocalorie", "cal": "calorie",
    "mph": "mile per hour", "kph": "kilometer per hour", "km/h": "kilometer per hour",
    "m/s": "meter per second", "fps": "frame per second", "Mbps": "megabit per second",
    "km²": "square kilometer", "m²": "square meter", "cm²": "square centimeter",
    "m³": "cubic meter", "cm³": "cubic centimeter", "sq ft": "square foot",
    "°C": "degree Celsius", "°F": "degree Fahrenheit", "°": "degree", "%": "percent",
}  # fmt: skip
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_FINE_DENOMINATORS = frozenset({"10", "16", "20", "32", "64", "100"})
_DENOMINATORS = {"2": "half", "4": "quarter"}
_HALF_DAY = r"(?: {0,2}(?P<half>[AaPp])\.? ?[Mm]\b(?:\.(?!\s{1,3}[A-Z]|\s{0,3}$))?)"


def _month_of(match: re.Match[str]) -> str:
    return _MONTH[match["month"].lower()]


def _month_day(match: re.Match[str]) -> str:
    if not 1 <= int(match["day"]) <= 31:
        return match[0]
    words = f"{_month_of(match)} {ordinal(str(int(match['day'])))}"
    return f"{words}, {year(match['year'])}" if match["year"] else words


def _day_month(match: re.Match[str]) -> str:
    if not 1 <= int(match["day"]) <= 31:
        return match[0]
    words = f"{ordinal(str(int(match['day'])))} of {_month_of(match)}"
    return f"{words}, {year(match['year'])}" if match["year"] else words


def _month_year(match: re.Match[str]) -> str:
    return f"{_month_of(match)} {year(match['year'])}"


def _iso_date(match: re.Match[str]) -> str:
    return _date(match["year"], match["month"], match["day"]) or match[0]


def _slash_date(match: re.Match[str]) -> str:
    """A date with the month first, as in the United States, if that is possible."""
    month, day = match["first"], match["second"]
    if int(month) > 12:
        month, day = day, month
    return _date(match["year"], month, day) or match[0]


def _date(of_year: str, month: str, day: str) -> str:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return ""
    return f"{_MONTHS[int(month) - 1]} {ordinal(str(int(day)))}, {year(of_year)}"


def _time(match: re.Match[str]) -> str:
    hour, minute, second = match["hour"], match["minute"], match["second"]
    if int(hour) > 24 or int(minute) > 59:
        return match[0]
    words = [cardinal(str(int(hour)))]
    if minute != "00":
        words.append(two_digits(minute))
    elif not match["half"] and not second:
        words.append("o'clock" if 1 <= int(hour) <= 12 else "hundred" if int(hour) else "hours")
    if second:
        words.append(f"and {cardinal(str(int(second)))} second{'' if int(second) == 1 else 's'}")
    return " ".join([*words, *_half_day(match)])


def _hour(match: re.Match[str]) -> str:
    return " ".join([cardinal(match["hour"]), *_half_day(match)])


def _half_day(match: re.Match[str]) -> list[str]:
    return [match["half"].upper(), "M"] if match["half"] else []


def _number(match: re.Match[str]) -> str:
    return decimal(match["whole"].replace(",", ""), match["part"] or "")


def _money(match: re.Match[str]) -> str:
    one, hundredth = _CURRENCY[match["currency"].lower()]
    whole, part = match["whole"].replace(",", ""), match["part"] or ""
    if match["scale"]:
        scale = _SCALE_WORD.get(match["scale"].lower(), match["scale"].lower())
        return f"{decimal(whole, part)} {scale} {_many(one)}"
    if len(part) > 2 or not hundredth:
        return f"{decimal(whole, part)} {_count(one, whole, part)}"
    cents = str(int(part.ljust(2, "0"))) if part else "0"
    words = []
    if whole.strip("0") or cents == "0":
        words.append(f"{cardinal(whole)} {_count(one, whole)}")
    if cents != "0":
        words.append(f"{cardinal(cents)} {_count(hundredth, cents)}")
    return " and ".join(words)


def _cents(match: re.Match[str]) -> str:
    return f"{cardinal(match['whole'])} {_count('cent', match['whole'])}"


def _measure(match: re.Match[str]) -> str:
    whole = match["whole"].replace(",", "")
    return f"{_number(match)} {_count(_UNITS[match['unit']], whole, match['part'] or '')}"


def _many(one: str) -> str:
    """The plural of a currency or unit: mile per hour → miles per hour."""
    head, per, rest = one.partition(" per ")
    if head == "percent" or head in _SAME_IN_PLURAL:
        return one
    first, space, last = head.rpartition(" ")
    if first == "degree":
        return f"degrees {last}"
    return first + space + _IRREGULAR.get(last, last + "s") + per + rest


def _count(one: str, whole: str, part: str = "") -> str:
    return one if whole == "1" and not part else _many(one)


def _height(match: re.Match[str]) -> str:
    return f"{cardinal(match['feet'])} foot {cardinal(match['inches'])}"


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"[0-9]+", match[0])
    return ("plus " if match[0][0] == "+" else "") + ", ".join(map(digits, groups))


def _dotted(match: re.Match[str]) -> str:
    """A version or a network address."""
    parts = match["parts"].split(".")
    before = "version " if match["v"] else ""
    if len(parts) == 4:
        return before + " dot ".join(digits(p) if len(p) == 3 else cardinal(p) for p in parts)
    return before + " point ".join(map(cardinal, parts))


def _version(match: re.Match[str]) -> str:
    return "version " + _number(match)


def _nth(match: re.Match[str]) -> str:
    return ordinal(match["whole"].replace(",", ""))


def _fraction(match: re.Match[str]) -> str:
    above, below = match["above"], match["below"]
    if above == below and not match["whole"]:  # fifty fifty
        return f"{cardinal(above)} {cardinal(below)}"
    if int(below) < 2 or (len(below) > 1 and below not in _FINE_DENOMINATORS):
        words = f"{cardinal(above)} over {cardinal(below)}"
    else:
        name = _DENOMINATORS.get(below) or to_ordinal(cardinal(below))
        many = "halves" if name == "half" else name + "s"
        words = f"{cardinal(above)} {name if above == '1' else many}"
    if not match["whole"]:
        return words
    if above == "1":
        words = ("an " if below == "8" else "a ") + words.removeprefix("one ")
    return f"{cardinal(match['whole'])} and {words}"


def _year_alone(match: re.Match[str]) -> str:
    return year(match["year"])


def _long(match: re.Match[str]) -> str:
    return digits(match[0])


def _decades(match: re.Match[str]) -> str:
    number = match["number"]
    return plural("two thousand" if number == "2000" else year(number))


def _money_range(match: re.Match[str]) -> str:
    one = _CURRENCY[match["currency"]][0]
    return f"{cardinal(match['low'])} to {cardinal(match['high'])} {_many(one)}"


def _month_days(match: re.Match[str]) -> str:
    low, high = (ordinal(str(int(match[day]))) for day in ("day", "last"))
    return f"{_month_of(match)} {low} to {high}"


_DECADE_BEFORE = "|".join(
    rf"(?<=\b{word} )" for word in "the her his their my early mid late".split()
)
_Reading = Callable[[re.Match[str]], str] | str
_PATTERNS: dict[str, tuple[tuple[str, _Reading], ...]] = {
    "dates": (
        (
            r"(?<![0-9-])(?P<year>[12][0-9]{3})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?![0-9-])T?",
            _iso_date,
        ),
        (
            r"(?<![0-9/])(?P<first>[0-9]{1,2})/(?P<second>[0-9]{1,2})/(?P<year>[12][0-9]{3})"
            r"(?![0-9/])",
            _slash_date,
        ),
        (
            rf"\b{_MONTH_NAME}\b\.? (?P<day>[0-9]{{1,2}}) ?[-–] ?(?P<last>[0-9]{{1,2}})(?![0-9])",
            _month_days,
        ),
        (
            rf"\b{_MONTH_NAME}\b\.? (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?\b(?![:/.][0-9]|,[0-9]|%)"
            rf"(?:,? {_YEAR})?",
            _month_day,
        ),
        (
            rf"{_START}(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH_NAME}\b\.?"
            rf"(?:,? {_YEAR})?",
            _day_month,
        ),
        (rf"\b{_MONTH_NAME}\b\.?,? {_YEAR}", _month_year),
    ),
    "chains": (
        (r"(?<![0-9+])\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{2,4}\)?){2,4}(?![0-9])", _phone),
        (
            r"(?<![0-9.-])(?:1[ .-])?(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"
            r"(?![0-9])",
            _phone,
        ),
        (r"(?<![0-9.-])[0-9]{3}-[0-9]{4}(?![0-9-])", _phone),
        (r"(?<![0-9-])[0-9]{1,6}(?:-[0-9]{1,6}){2,6}(?![0-9-])", _phone),
        (
            r"(?:\b(?P<v>[vV])\.? ?|(?<![0-9.]))(?P<parts>[0-9]{1,4}(?:\.[0-9]{1,4}){2,5})"
            r"(?![0-9])",
            _dotted,
        ),
        (rf"\b[vV]\.?{_NUMBER}{_END}", _version),
    ),
    "money": (
        (r"(?<![\w)])[-−](?=[$€£¥₹₩] ?[0-9])", "minus "),
        (
            r"(?P<currency>[$€£¥₹₩])(?P<low>[0-9]{1,9}) ?[-–] ?[$€£¥₹₩]?(?P<high>[0-9]{1,9})"
            r"(?![0-9.,])",
            _money_range,
        ),
        (
            rf"(?:\b(?:US|A|C))?(?P<currency>[$€£¥₹₩]) ?{_NUMBER}(?: ?{_SCALE})?{_END}",
            _money,
        ),
        (
            rf"{_START}{_NUMBER}(?: ?{_SCALE})? ?(?P<currency>[€£¥₹₩]|(?:USD|EUR|GBP|JPY|CHF)\b)",
            _money,
        ),
        (rf"{_START}(?P<whole>[0-9]{{1,15}}) ?¢", _cents),
    ),
    "signs": (
        (r"(?<=[0-9])(?:-| ?– ?)(?=[0-9])", "to"),
        (r"(?<=[0-9][ap]m) ?[-–] ?(?=[0-9])", "to"),
        (r"(?<=[0-9]) [-−] (?=[0-9])", "minus"),
        (r"(?<![\w)-])[-−](?=\.?[0-9])", "minus "),
        (r"(?<=[0-9]) ?[*×] ?(?=[0-9])", "times"),
        (r"(?<=[0-9]) ?x ?(?=[0-9])", "by"),
        (r"(?<=[0-9]) ?÷ ?(?=[0-9])", "divided by"),
        (r"(?<=[0-9]) ?\^ ?(?=[0-9])", "to the power of"),
        (r"(?<=[0-9])-(?=[A-Za-z])", ""),
        (r"# ?(?=[0-9])", "number "),
        (r"~ ?(?=[0-9])", "about "),
    ),
    "times": (
        (
            rf"{_START}(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})(?::(?P<second>[0-9]{{2}}))?"
            rf"(?![0-9:]){_HALF_DAY}?",
            _time,
        ),
        (rf"{_START}(?P<hour>[0-9]{{1,2}}){_HALF_DAY}", _hour),
    ),
    "decades": (
        (r"(?<![0-9.,'])(?P<number>(?:1[0-9]|20)[0-9]0)'?s\b", _decades),
        (r"(?<![\w'])'(?P<number>[2-9]0)s\b", _decades),
        (rf"(?:{_DECADE_BEFORE})(?P<number>[2-9]0)s\b", _decades),
        (r"(?<![0-9.,'])(?P<number>[0-9]{1,4})'s\b", _decades),
    ),
    "measures": (
        (r"(?<![0-9])(?P<feet>[0-9])' ?(?P<inches>1[01]|[0-9])(?:\"|''|\b)", _height),
        (rf"{_START}{_NUMBER}[ -]?(?P<unit>{_UNIT})(?![A-Za-z0-9²³/'])", _measure),
        (
            rf"{_START}(?P<whole>[0-9]{{1,3}}(?:,[0-9]{{3}}){{1,4}}|[0-9]{{1,15}})"
            r"(?:st|nd|rd|th)\b",
            _nth,
        ),
        (r"(?<![0-9/])24/7(?![0-9/])", "twenty four seven"),
        (r"(?<![0-9/])9/11(?![0-9/])", "nine eleven"),
        (
            r"(?<![0-9/.,])(?:(?P<whole>[0-9]{1,4})[ -])?"
            r"(?P<above>[0-9]{1,3})/(?P<below>[0-9]{1,3})"
            r"(?![0-9/]|\.[0-9])",
            _fraction,
        ),
        (r"(?<=[0-9]) ?/ ?(?=[0-9])", "slash"),
        (r"(?<=[0-9]):(?=[0-9])", "to"),
    ),
    "numbers": (
        (r"(?<![0-9.,])(?P<year>1[1-9][0-9]{2}|20[0-9]{2})(?![0-9]|[.,][0-9])", _year_alone),
        (rf"{_START}(?P<whole>)\.(?P<part>[0-9]{{1,15}}){_END}", _number),
        (rf"(?<![0-9]){_NUMBER}{_END}", _number),
        (r"[0-9]+", _long),
    ),
}
_RULES = tuple(
    (re.compile(pattern), reading) for rules in _PATTERNS.values() for pattern, reading in rules
)
_ANY_DIGIT = re.compile(r"[0-9]")


def read_quantities(text: str) -> str:
    """The text with words in place of all digits; may contain extra spaces."""
    if not _ANY_DIGIT.search(text):
        return text
    for pattern, reading in _RULES:
        text = pattern.sub(_spaced(reading), text)
    return text


def _spaced(reading: _Reading) -> Callable[[re.Match[str]], str]:
    if isinstance(reading, str):
        return lambda _: f" {reading} "
    return lambda match: f" {reading(match)} "
