"""Writes dates, times and decades as words."""

from __future__ import annotations

import re

from causerie.text.numbers import cardinal, digits, link, ordinal, plural, two_digits, year
from causerie.text.rules import Rule, alternatives
from causerie.text.units import many, per

MONTHS = (
    "January February March April May June July August September October November December"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SHORT_MONTHS = {month[:3]: month for month in MONTHS} | {"Sept": "September"}
SHORT_DAYS = {day[:3]: day for day in DAYS} | {
    "Tues": "Tuesday", "Weds": "Wednesday", "Thur": "Thursday", "Thurs": "Thursday",
}  # fmt: skip

_MONTH = {name.lower(): month for name, month in SHORT_MONTHS.items()}
_MONTH |= {month.lower(): month for month in MONTHS}
_MONTH_NAME = rf"(?P<month>{alternatives([*MONTHS, *SHORT_MONTHS])})"
_YEAR = r"(?P<year>[12][0-9]{3})(?![0-9]|[.,:][0-9])"
_DAY_END = r"(?:st|[nr]?d|th)?\b(?![:/.][0-9]|,[0-9]|%)"
_ZONES = "ET EST EDT CT CST CDT MT MST MDT PT PST PDT UTC GMT BST CET CEST IST JST AEST".split()
#: Names after "9 a.m." in the same sentence: days, months and time zones, also as letters.
AFTER_TIME = (
    rf"(?:{alternatives([*DAYS, *MONTHS, *SHORT_DAYS, *SHORT_MONTHS])}"
    rf"|{'|'.join(' ?'.join(zone) for zone in _ZONES)}|Eastern|Central|Mountain|Pacific)\b"
)
_HALF_DAY = (
    r"(?: {0,2}(?P<half>[AaPp])\.? ?[Mm]\b(?!'s)"
    rf"(?:\.(?!\s{{1,3}}(?!{AFTER_TIME})[A-Z]|\s{{0,3}}$))?)"
)
# A day and a month without a year are a date after these words; a fraction otherwise.
_BEFORE_DATE = "|".join(
    rf"(?<=\b{word} )"
    for word in (
        *"on On by By since Since until Until due Due before after from dated today".split(),
        *("week of", "Week of", "weekend of", "night of", "morning of"),
        *DAYS,
        *(f"{day}," for day in DAYS),
    )
)
_DENOMINATORS = frozenset("2 3 4 5 6 8 16 32".split())
# Denominators that nobody uses: 10/31 and 06/01 are dates, 7/16 a part of an inch.
_ONLY_DAYS = "1[345789]|2[1-9]|3[01]|0[1-9](?! season)|(?<=0[1-9]/)[12][0-9](?! season)"
_DECADE_BEFORE = "|".join(
    rf"(?<=\b{word} )|(?<=\b{word}-)"
    for word in (
        "the The her Her his His their Their my My our your early mid Mid late low high upper and"
    ).split()
)
_ERA = (
    r"(?=[ -]?(?:music|movies?|films?|hits?|kids?|fashion|style|pop|rock|era|child|nostalgia|disco|"
    r"funk|punk|soul|metal|rap|hip hop|synth\w*|dance|party|vibes?|look|aesthetic|decor|sitcoms?|"
    r"shows?|cartoons?|classics?|bands?|songs?|icons?|thrillers?|horror|cars?|themed?|inspired)\b)"
)


# Before a date that needs no article: my 3 May appointment.
_DETERMINED = re.compile(
    r"\b(?:the|an?|this|that|every|each|my|your|his|her|its|our|their|last|next) $", re.I
)
_SO_LONG = re.compile(r" ?(?:elapsed|remaining|left|long|in length|total)\b")
_LASTED = re.compile(
    r"\b(?:time (?:was|of|is)|took|takes|lasted|lasts|ran|finish\w*|duration:?|length:?|timer|"
    r"countdown)(?: in| for| of)? $|\b(?:ran|won|did) (?:\S{1,8} ){1,3}in $",
    re.I,
)


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
    if not _DETERMINED.search(match.string[max(0, match.start() - 8) : match.start()]):
        words = f"the {words}"
    return f"{words}, {year(match['year'])}" if match["year"] else words


def _days_month(match: re.Match[str]) -> str:
    first, day = (ordinal(str(int(match[name]))) for name in ("first", "day"))
    words = f"the {first} {link(match['link'])} the {day} of {_month_of(match)}"
    return f"{words}, {year(match['year'])}" if match["year"] else words


def _month_days(match: re.Match[str]) -> str:
    low, high = (ordinal(str(int(match[day]))) for day in ("day", "last"))
    words = f"{_month_of(match)} {low} to {high}"
    return f"{words}, {year(match['year'])}" if match["year"] else words


def _month_year(match: re.Match[str]) -> str:
    return f"{_month_of(match)} {year(match['year'])}"


def _year_first(match: re.Match[str]) -> str:
    return _date(match["month"], match["day"], match["year"]) or match[0]


def _month_first(match: re.Match[str]) -> str:
    """A date with the month first, as in the United States, if that is possible."""
    first, second = match["first"], match["second"]
    return _date(first, second, match["year"]) or _date(second, first, match["year"]) or match[0]


def _day_first(match: re.Match[str]) -> str:
    first, second = match["first"], match["second"]
    return _date(second, first, match["year"]) or _date(first, second, match["year"]) or match[0]


def _without_year(match: re.Match[str]) -> str:
    return _date(match["first"], match["second"]) or match[0]


def _two_dates(match: re.Match[str]) -> str:
    """Two dates, unless they may be fractions: 5/1–5/7; but 1/4–1/2."""
    ends = (match["first"], match["second"]), (match["third"], match["fourth"])
    low, high = (_date(*end) for end in ends)
    if not (low and high) or all(_may_be_fraction(*end) for end in ends):
        return match[0]
    return f"{low} {link(match['link'])} {high}"


def _may_be_fraction(above: str, below: str) -> bool:
    return int(above) < int(below) and below in _DENOMINATORS


def _date(month: str, day: str, of_year: str = "") -> str:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return ""
    words = f"{MONTHS[int(month) - 1]} {ordinal(str(int(day)))}"
    if len(of_year) == 2:
        of_year = ("19" if int(of_year) >= 70 else "20") + of_year
    return f"{words}, {year(of_year)}" if of_year else words


def _numbered_month(match: re.Match[str]) -> str:
    month = int(match["month"])
    return f"{MONTHS[month - 1]} {year(match['year'])}" if 1 <= month <= 12 else match[0]


def _year_month(match: re.Match[str]) -> str:
    """2024-05 → May twenty twenty four; 2009-10 may be two years."""
    return match[0] if match["year"][2:] < match["month"] else _numbered_month(match)


def _time(match: re.Match[str]) -> str:
    hour, minute, second = match["hour"], match["minute"], match["second"]
    if int(hour) > 59 or int(minute) > 59:
        return match[0]
    if int(hour) > 24 and not second:  # minutes and seconds
        return f"{cardinal(hour)} {'minutes' if minute == '00' else two_digits(minute)}"
    if second and (
        _LASTED.search(match.string[max(0, match.start() - 20) : match.start()])
        or _SO_LONG.match(match.string, match.end())
    ):
        return _long(hour, minute, second)
    second = "" if second == "00" else second
    words = [cardinal(str(int(hour)))]
    if minute != "00":
        words.append(two_digits(minute))
    elif not match["half"] and not second:
        words.append("o'clock" if 1 <= int(hour) <= 12 else "hundred" if int(hour) else "hours")
    if second:
        words.append(f"and {cardinal(str(int(second)))} second{'' if int(second) == 1 else 's'}")
    return " ".join([*words, *_half_day(match)])


def _clock(match: re.Match[str]) -> str:
    if match["per"] and match["minute"] == "00" and not match["second"]:
        return f"{cardinal(str(int(match['hour'])))} minutes per {per(match['per'])}"
    words = _time(match) + (f" {match['short'].upper()} M" if match["short"] else "")
    return words + (f" per {per(match['per'])}" if match["per"] else "")


def _long(*parts: str) -> str:
    """A duration: ("2", "03", "23") → two hours, three minutes and twenty three seconds."""
    *first, last = [
        f"{cardinal(str(int(part)))} {unit if int(part) == 1 else many(unit)}"
        for part, unit in zip(parts, ("hour", "minute", "second"), strict=True)
        if int(part)
    ] or ["zero seconds"]
    return f"{', '.join(first)} and {last}" if first else last


def _hour(match: re.Match[str]) -> str:
    return " ".join([cardinal(match["hour"]), *_half_day(match)])


def _half_day(match: re.Match[str]) -> list[str]:
    return [match["half"].upper(), "M"] if match["half"] else []


_MAGNITUDES = {
    1: "tens", 2: "hundreds", 3: "thousands", 4: "tens of thousands", 5: "hundreds of thousands",
    6: "millions",
}  # fmt: skip


def _decades(match: re.Match[str]) -> str:
    number = match["number"]
    return plural("two thousand" if number == "2000" else year(number))


def _possessive(match: re.Match[str]) -> str:
    """The possessive of a year or a product: 1989's hits, Windows 11's menu; but all 1's."""
    if len(match["year"]) < 4 and not match["name"]:
        return match[0]
    return f"{match['name']}{year(match['year'])}'s"


def _short_year(match: re.Match[str]) -> str:
    return "two thousand" if match["year"] == "00" else two_digits(match["year"])


_THREE = "|".join(month[:3] for month in MONTHS)  # 1 Jan.-31 Mar.
DATES: tuple[Rule, ...] = (
    # Between two dates in digits.
    (
        r"(?<=[0-9]/[12][0-9]{3}) ?[-–] ?(?=[0-9]{1,2}/[0-9])"
        r"|(?<=[0-9]-[0-9]{2}) ?– ?(?=[12][0-9]{3}-[0-9])|(?<='[0-9]{2})[-–](?='[0-9]{2}\b)"
        rf"|(?<=[0-9]{{4}})[-–](?='[0-9]{{2}}\b)|(?<=[0-9] (?:{_THREE}))\.?[-–](?=[0-9]{{1,2}} "
        rf"(?:{_THREE}))",
        "to",
    ),
    (
        r"(?P<name>\b(?:[Ee]xp(?:ires?|iry|iration|\.)?(?: date)?|[Vv]alid (?:thru|"
        r"through|until)):? (?:on |in )?)"
        r"(?P<month>0[1-9]|1[0-2])/(?P<year>[0-9]{2})(?![0-9/])",
        lambda m: f"{m['name']}{MONTHS[int(m['month']) - 1]} {year('20' + m['year'])}",
    ),
    (
        r"(?<![0-9/.-])(?P<year>[12][0-9]{3})(?P<mark>[-/]|\.(?=[0-9]{2}\.[0-9]{2}))"
        r"(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})(?![0-9/-]|\.[0-9])T?",
        _year_first,
    ),
    (
        r"(?<![0-9/-])(?P<year>19[0-9]{2}|20[0-9]{2})-(?P<month>0[1-9]|1[0-2])(?![0-9/-])",
        _year_month,
    ),
    (
        r"(?<![0-9/-])(?P<first>[0-9]{1,2})(?P<mark>[-/])(?P<second>[0-9]{1,2})(?P=mark)"
        r"(?P<year>[12][0-9]{3})(?![0-9/-])",
        _month_first,
    ),
    (
        r"(?<![0-9/])(?P<first>[0-9]{1,2})/(?P<second>[0-9]{1,2})/(?P<year>[0-9]{2})(?![0-9/])",
        _month_first,
    ),
    (
        r"(?<![0-9.])(?P<first>[0-9]{1,2})\.(?P<second>[0-9]{1,2})\.(?P<year>[12][0-9]{3})"
        r"(?![0-9]|\.[0-9])",
        _day_first,
    ),
    (
        r"(?<![0-9.])(?P<first>[0-3][0-9])\.(?P<second>[01][0-9])\.(?P<year>[0-9]{2})"
        r"(?![0-9]|\.[0-9])",
        _day_first,
    ),
    (
        r"(?<![0-9/])(?P<month>[0-9]{1,2})/(?P<year>19[0-9]{2}|20[0-9]{2})(?![0-9/])",
        _numbered_month,
    ),
    (
        r"(?<![0-9/])(?P<year>(?:19|20)[0-9]{2})/(?P<last>[0-9]{2})(?![0-9/])",
        lambda match: f"{year(match['year'])} {two_digits(match['last'])}",
    ),
    (r"(?<![0-9/])9/11(?![0-9/])", "nine eleven"),
    (
        r"(?:(?<=\b[Ff]rom )|(?<![0-9/.])(?=[0-9/]+[-–]))(?P<first>1[0-2]|0?[1-9])/"
        r"(?P<second>[0-3]?[0-9])(?P<link> to | until | through |[-–])"
        r"(?P<third>1[0-2]|0?[1-9])/(?!(?P=second)\b)"
        r"(?P<fourth>[0-3]?[0-9])(?![0-9/%]|\.[0-9]| of\b)",
        _two_dates,
    ),
    (
        rf"(?:{_BEFORE_DATE})(?P<first>1[0-2]|0?[1-9])/(?P<second>[0-3]?[0-9])"
        r"(?![0-9/%]|\.[0-9]| (?:of|an?)\b| to [0-9]{1,2}/)",
        _without_year,
    ),
    (
        r"(?<![0-9/.,$])(?P<first>1[0-2]|0?[1-9])/(?P<second>[0-3]?[0-9])"
        r"(?= (?:e-?mail|meeting|call|game|deadline|appointment|episode|update|session)s?\b)",
        lambda m: m[0] if _may_be_fraction(m["first"], m["second"]) else _without_year(m),
    ),
    (  # 31/12 is no fraction
        r"(?<![0-9/.,$ ] )(?<![0-9/.,$])(?P<second>1[3-9]|2[0-9]|3[01])/(?P<first>1[12])"
        r"(?![0-9/%\"]|\.[0-9]| ?(?:in\b|inch|=|of\b))",
        _without_year,
    ),
    (
        rf"(?<![0-9/.,$])(?P<first>1[0-2]|0?[1-9])/(?P<second>{_ONLY_DAYS})"
        r"(?![0-9/%]| (?:of|in)\b)",
        _without_year,
    ),
    (
        rf"\b{_MONTH_NAME}\b\.? (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)? ?[-–] ?"
        rf"(?P<last>[0-9]{{1,2}})(?:st|nd|rd|th)?(?![0-9])(?:,? {_YEAR})?",
        _month_days,
    ),
    (rf"\b{_MONTH_NAME}\b\.? (?P<day>[0-9]{{1,2}}){_DAY_END}(?:,? {_YEAR})?", _month_day),
    (rf"(?<![0-9-])(?P<day>[0-9]{{1,2}})-{_MONTH_NAME}-{_YEAR}", _day_month),
    (
        rf"(?<![0-9-])(?P<day>[0-9]{{1,2}})-{_MONTH_NAME}-(?P<short>[0-9]{{2}})(?P<year>)\b",
        lambda m: f"{_day_month(m)}, {year('20' + m['short'])}",
    ),
    (
        rf"(?<![\w-]){_MONTH_NAME}-(?P<year>[0-9]{{2}})(?![\w-])",
        lambda m: f"{_month_of(m)} {two_digits(m['year'])}",
    ),
    (
        r"(?<![0-9.,/])(?:[Tt]he )?(?P<first>[0-9]{1,2})(?:st|nd|rd|th)?"
        r"(?P<link> ?[-–] ?| to | and )(?:the )?(?P<day>[0-9]{1,2})(?:st|nd|rd|th)? "
        rf"(?:of )?{_MONTH_NAME}\b\.?(?:,? {_YEAR})?",
        _days_month,
    ),
    (
        rf"(?<![0-9.,])(?P<day>[0-9]{{1,2}})(?:st|[nr]?d|th)? (?:of )?{_MONTH_NAME}\b\.?"
        rf"(?:,? {_YEAR})?",
        _day_month,
    ),
    (rf"\b{_MONTH_NAME}\b\.?,? {_YEAR}", _month_year),
)
#: Short names of the books of the Bible, before a chapter.
SHORT_BOOKS = {
    "Gen": "Genesis", "Ex": "Exodus", "Exod": "Exodus", "Lev": "Leviticus", "Num": "Numbers",
    "Deut": "Deuteronomy", "Josh": "Joshua", "Judg": "Judges", "Sam": "Samuel", "Kgs": "Kings",
    "Chr": "Chronicles", "Chron": "Chronicles", "Neh": "Nehemiah", "Ps": "Psalm", "Pss": "Psalms",
    "Prov": "Proverbs", "Eccl": "Ecclesiastes", "Eccles": "Ecclesiastes",
    "Song of Sol": "Song of Solomon", "Isa": "Isaiah", "Is": "Isaiah", "Jer": "Jeremiah",
    "Lam": "Lamentations", "Ezek": "Ezekiel", "Dan": "Daniel", "Hos": "Hosea", "Mic": "Micah",
    "Hab": "Habakkuk", "Zech": "Zechariah", "Mal": "Malachi", "Matt": "Matthew", "Mt": "Matthew",
    "Mk": "Mark", "Lk": "Luke", "Jn": "John", "Rom": "Romans", "Cor": "Corinthians",
    "Gal": "Galatians", "Eph": "Ephesians", "Phil": "Philippians", "Col": "Colossians",
    "Thess": "Thessalonians", "Tim": "Timothy", "Heb": "Hebrews", "Jas": "James", "Pet": "Peter",
    "Rev": "Revelation",
}  # fmt: skip
_MORE_BOOKS = (
    *"Job Ruth Ezra Esther Joel Amos Obadiah Jonah Nahum Acts Titus Jude Surah Quran".split(),
    *("Qur'an", "Song of Songs"),
)
_BOOK = alternatives([*SHORT_BOOKS.values(), *_MORE_BOOKS])
# Short for a book before a dot or after a number only: 2 Tim 1:7; but call Tim 1:30.
_NAMES = "Dan|Sam|Tim|Col|Mic|Mal|Pet"
# First Corinthians; verses five to seven.
_BIBLE = (
    rf"(?:\b(?P<volume>[123]|I{{1,3}}) )?\b(?:(?P<book>{_BOOK})|"
    rf"(?P<short>{alternatives(SHORT_BOOKS)})(?:\.|(?<!\b(?:{_NAMES}))(?<!\bIs)|(?<=[123I] "
    rf"(?:{_NAMES})))) "
    r"(?P<chapter>[0-9]{1,3}):(?P<verse>[0-9]{1,3})"
    r"(?: ?[-–] ?(?:(?P<then>[0-9]{1,3}):)?(?P<last>[0-9]{1,3}))?(?![0-9:]| ?[AaPp]\.?[Mm]\b)"
)


def _verses(match: re.Match[str]) -> str:
    volume = match["volume"] or ""
    words = [
        ordinal(str(len(volume)) if volume.startswith("I") else volume) if volume else "",
        match["book"] or SHORT_BOOKS[match["short"]],
        cardinal(match["chapter"]),
        cardinal(match["verse"]),
        "to" if match["last"] else "",
        *(cardinal(match[one]) for one in ("then", "last") if match[one]),
    ]
    return " ".join(filter(None, words))


_DAY_LETTERS = {
    "M": "Monday", "T": "Tuesday", "Tu": "Tuesday", "W": "Wednesday", "Th": "Thursday",
    "F": "Friday", "Sa": "Saturday", "Su": "Sunday",
}  # fmt: skip
#: Days of a timetable: M/W/F, Tu/Th; but M/F may be male or female.
DAY_LETTERS = re.compile(
    r"(?<![\w/])(?=(?:[MTWF]/){2}|[A-Za-z/]{0,5}(?:Th|Tu|Sa|Su)\b|[MTW]/[TWF] (?:at )?[0-9])"
    r"(?:M|Tu?|W|Th|F|Sa|Su)(?:/(?:M|Tu?|W|Th|F|Sa|Su)){1,4}(?![\w/])"
    r"|(?<![\w-])(?:M|Tu|W)[-–](?:Th|Sa|Su)(?![\w-])"
)


def days_of_letters(match: re.Match[str]) -> str:
    """M/W/F → Monday, Wednesday, Friday; M–Th → Monday to Thursday."""
    ends = re.split("[-–]", match[0])
    if len(ends) == 2:
        return " to ".join(_DAY_LETTERS[letter] for letter in ends)
    return ", ".join(_DAY_LETTERS[letter] for letter in match[0].split("/"))


VERSES: tuple[Rule, ...] = (
    (_BIBLE, _verses),
    (
        r"(?<![\w.])(?P<volume>[123]) (?:(?P<short>Sam|Kgs|Chr|Chron|Cor|Thess|Tim|Pet|Jn)"
        r"(?:\.|(?= [0-9]))|"
        r"(?P<book>Corinthians|Thessalonians|Chronicles|(?:Kings|Samuel|Timothy|Peter|John)"
        r"(?= [0-9])))",
        lambda m: f"{ordinal(m['volume'])} {m['book'] or SHORT_BOOKS[m['short']]}",
    ),
)
TIMES: tuple[Rule, ...] = (
    (
        r"(?<![0-9:])1:(?=[0-9]{1,3}(?:,?[0-9]{3})? (?:scale|ratio|models?|maps?|dilution|odds)\b)",
        "one to",
    ),
    (r"(?<=[0-9]:[0-9]{2}) ?(?:hrs|h)\b", "hours"),
    (r"(?<=[0-9]:[0-9]{2})(?:\.[0-9]{1,6})?Z\b", "U T C"),
    (
        r"(?<![\w.,:])(?P<minutes>[0-9]{1,2}):(?P<seconds>[0-5][0-9])\.(?P<part>[0-9]{1,3})(?![\w.])",
        lambda m: f"{cardinal(m['minutes'])} {two_digits(m['seconds'])} point {digits(m['part'])}",
    ),
    (
        r"(?<![0-9.,])(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?"
        rf"(?![0-9]|:[0-9]|,[0-9]{{3}})(?:{_HALF_DAY}|(?P<short>[ap])\b)?(?:/(?P<per>mi|km)\b)?",
        _clock,
    ),
    (
        r"(?<![\w.,:])(?P<hour>1[0-2]|[1-9])(?P<minute>[0-5][0-9]) ?(?P<half>[AaPp])\.?[Mm]\b",
        lambda m: f"{cardinal(m['hour'])} {two_digits(m['minute'])} {m['half'].upper()} M",
    ),
    (
        r"(?<![\w.,:])(?P<first>[0-9]{1,2})(?P<half>[ap])(?P<link> ?[-–] "
        r"?)(?=[0-9]{1,2}(?::[0-9]{2})?[ap]\b)",
        lambda m: f"{cardinal(m['first'])} {m['half'].upper()} M to",
    ),
    (
        r"(?<= M to )(?P<last>[0-9]{1,2})(?P<half>[ap])\b",
        lambda m: f"{cardinal(m['last'])} {m['half'].upper()} M",
    ),
    (rf"(?<![0-9.,])(?P<hour>[0-9]{{1,2}})\.(?P<minute>[0-5][0-9])(?P<second>){_HALF_DAY}", _time),
    (rf"(?<![0-9.,])(?P<hour>[0-9]{{1,2}}){_HALF_DAY}", _hour),
)
DECADES: tuple[Rule, ...] = (
    (
        r"(?<=\b[Tt]he )(?P<first>[2-9]0) {1,2}to {1,2}(?P<number>[2-9]0)s\b",
        lambda m: f"{cardinal(m['first'])} to {plural(cardinal(m['number']))}",
    ),
    (
        r"(?<![0-9.,])1(?P<zeros>0{1,5}|0{1,3},000|,000|,000,000)s(?= (?:of|and)\b)",
        lambda match: _MAGNITUDES[match["zeros"].count("0")],
    ),
    (r"(?<![0-9.,'])(?P<number>[2-9]0)s(?=,? (?:(?:and|or|to|&) )?(?:the )?'?[2-9]0s\b)", _decades),
    (r"(?<![0-9.,'])(?P<number>(?:1[0-9]|20)[0-9]0)'?s\b", _decades),
    (
        r"(?P<link>(?<=eties)|(?<=enties)|(?<=irties)|(?<=orties)|(?<=fties)|(?<=xties)|"
        r"(?<=ghties)) {0,2}(?:to|[-–]) {0,2}(?P<number>[1-9]0)s\b",
        lambda m: f" to {_decades(m)}",
    ),
    (r"(?<![\w'.,:])'?00s\b", "two thousands"),
    (r"(?<![\w'])'(?P<number>[1-9]0)s\b", _decades),
    (rf"(?:{_DECADE_BEFORE}|(?<=ies  & ))(?P<number>[1-9]0)'?s\b", _decades),
    (r"(?<=ing )(?P<number>20)s\b", _decades),
    (rf"(?<![0-9.,'])(?P<number>[2-9]0)s\b{_ERA}", _decades),
    (
        r"(?<=\bof )(?P<number>[2-9]0)s\b|(?<=\bin )(?P<other>[2-9]0)s\b",
        lambda match: plural(cardinal(match["number"] or match["other"])),
    ),
    (
        r"(?P<name>\b(?!The |All )[A-Z][A-Za-z]{2,20} |)(?<![0-9.,'-])"
        r"(?P<year>1[1-9][0-9][1-9]|20[0-9][1-9]|(?<=[a-z] )[1-9][0-9]?(?<!0)(?='s [A-Za-z]))'s\b"
        r"(?! and\b)",
        _possessive,
    ),
    (r"(?<![0-9.,'-])(?P<number>[0-9]{1,4})'s\b", _decades),
    (r"(?<=[QH][1-4])'(?P<year>[0-9]{2})\b", _short_year),
    (r"(?<![\w'])'(?P<year>[0-9]{2})(?![0-9]|(?:er)?s\b)", _short_year),
)
