"""Writes measures, fractions, arithmetic and plain numbers as words.

`read_quantities` takes text that `causerie.text.normalize` has prepared. Dates, money and digit
strings have modules of their own; their rules run first. Digits are ASCII here.
"""

from __future__ import annotations

import re

from causerie.text.calendar import DATES, DECADES, TIMES, VERSES
from causerie.text.digit_strings import DIGIT_STRINGS
from causerie.text.money import CENTS, CODES, MONEY, SIGNS
from causerie.text.numbers import (
    cardinal,
    decimal,
    digits,
    exponent,
    label,
    ordinal,
    plural,
    to_ordinal,
    two_digits,
    year,
)
from causerie.text.rules import Rule, Rules
from causerie.text.units import (
    ARTICLE,
    NOUN_AHEAD,
    PERIOD,
    UNIT,
    UNITS,
    known,
    many,
    per,
)

# A number: at most 15 digits before the point, or groups of three; the point only before digits.
_NUMBER = r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,15})(?:\.(?P<part>[0-9]{1,15}))?"
_START, _END = r"(?<![0-9.,])", r"(?![0-9])"
_FINE_DENOMINATORS = frozenset("10 12 16 20 32 64 100 1000".split())
_DENOMINATORS = {"2": "half", "4": "quarter"}
_RATED = re.compile(
    r"\b(?:rat(?:e[sd]?|ing)|scor(?:e[sd]?|ing)|gives?|gave|got|a solid)(?: \w{1,6})?:? $|stars? "
    r"\($",
    re.I,
)
_COUNTED = re.compile(
    r"\b(?:step|part|page|day|task|question|episode|phase|round|stage|chapter|slide|lesson|lap|"
    r"week|level|set|item) $",
    re.I,
)
_GROUP = re.compile(
    r"(?:rating|score|stars?|points?|marks?)\b|(?!inches|miles|hours|cups|ounces|pounds|yards|"
    r"acres)[a-z]{3,20}s\b|people\b|would\b"
)
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
# A 10 in pipe, a 10 by 12 ft room: the singular before a noun, after an article or a hyphen.
_ARTICLE = ARTICLE.replace("[Ii]ts", "[Ii]ts|(?<=[0-9] )by")
_SIZED = r"(?:x|×|by|tall|wide|long|deep|high|thick|across)\b"
_INCHES_BEFORE = (
    r"(?=[,;:)!?]| ?[=≈]|\.?$|\. ?[A-Z]|"
    rf" \([0-9]|(?= {_SIZED})| of (?:rain|snow)\b)"
)


def _number(match: re.Match[str]) -> str:
    return decimal(match["whole"].replace(",", ""), match["part"] or "")


# Things that a measure before them describes, in the singular: 35mm film.
_MEASURED = re.compile(
    # perhaps after a name: a 2.0L V6 engine, 55" 4K screen
    r"(?: (?!I |A )(?:[A-Z]|[0-9]+ ?(?:[A-Z]|p\b))[A-Za-z0-9]{0,12}){0,4}"
    r" (?:film|lens|camera|sprint|race|dash|winds?|hose|pipe|screw|drill|cable|screens?|monitors?|"
    r"display|battery|charg(?:ing|ers?)|speakers?|bulbs?|drives?|adapter|motor|panels?|files?|"
    r"bottles?|bags?|"
    r"commute|walk|hike|ride|jog|run|swim|fence|wall|ladder|rope|"
    r"angles?|turns?|bend|slope|heat|rotation|"
    r"services?|delivery|support|access|care|shifts?|clock|calls?|meetings?|breaks?|waits?|timer|"
    r"cans?|buckets?|jugs?|glass(?:es)?|mugs?|jars?|steaks?|burgers?|boxes|tanks?|tins?|pots?|"
    r"barrels?|plates?|kettlebells?|backpacks?|boards?|poles?|rulers?|tape|skillet|pans?|"
    r"dish(?:es)?|"
    r"chips?|process|nodes?|engine|ammo|pistols?|guns?|bullets?|rounds?|weights?|dumbbells?|water|"
    r"freestyle|hurdles|"
    r"doses?|drums?|kegs?|crates?|sacks?|vials?|tubes?|beakers?|flasks?|pools?|fastballs?|"
    r"dogs?|cats?|baby|babies|child|m[ae]n|wom[ae]n|turkeys?|vests?|sandbags?|formats?|windows?|"
    r"relay|radius|speed limit|vinyl|pizzas?|laptops?|tablets?|T V|V[0-9]{1,2})\b"
    r"|\.?\) (?:can|jar|package|pkg|bag|bottle|box|tin|container|bar)s?\b"
)


_ELECTRIC = re.compile(r"[0-9] ?[km]?[VWΩ]\b|\b(?:volt|watt|ohm)s?\b")

_FORCE = re.compile(r"\b(?:forces?|thrust|tension|friction|loads?|weight|newton)\b")

# 20kg kettlebells; a 10,000 mAh, 20 W power bank.
_THINGS = re.compile(
    r" (?!(?:plus|always|perhaps|towards|afterwards|besides|sometimes|was|has|is|equals|weighs|"
    r"costs|"
    r"lasts|feels|makes|means|seems|looks|comes|goes|gives|takes|gets|needs|does|falls|sounds)\b)"
    r"(?!carbs|oats|almonds|nuts)[a-z]{2,20}(?<![su])s\b(?! (?:the|a|an|it|than)\b)"
)
_SERIES_BEFORE = re.compile(r"\b[Aa]n? [0-9.,]{1,8} ?[A-Za-zΩ]{1,4}, $")
_SERIES = re.compile(r", [0-9.,]{1,8} ?[A-Za-zΩ]{1,4} [a-z]{3}")


def _measure(match: re.Match[str]) -> str:
    if not known(match):
        return match[0]
    name, whole = UNITS[match["unit"]], match["whole"].replace(",", "")
    attributive = match["hyphen"] or (match["article"] and match["noun"] is not None)
    after = match.string[match.end() : match.end() + 80]
    attributive = attributive or _MEASURED.match(after)
    attributive = attributive or (match["article"] and _SERIES.match(after))
    attributive = attributive or (
        match["unit"].isalpha()
        and match[0].endswith(match["unit"])
        and match[0][-len(match["unit"]) - 1].isdigit()
        and _THINGS.match(after)
    )
    before = match.string[max(0, match.start() - 24) : match.start()]
    attributive = attributive or (match["noun"] is not None and _SERIES_BEFORE.search(before))
    single = attributive or (whole == "1" and not match["part"])
    words = f"{match['article'] or ''}{_number(match)} {name if single else many(name)}"
    return words + "".join(f" per {per(match[one])}" for one in ("per", "then") if match[one])


_WEATHER = re.compile(
    r"(?i:\b(?:temp\w*|degrees|highs?|lows?|heat\w*|bake|oven|cold|hot|warm|cool|weather|"
    r"preheat|sunny|"
    r"cloudy|rain\w*|snow\w*|wind\w*|fever|outside|forecast|chilly|freezing|feels like)\b)"
)


def _weather(match: re.Match[str]) -> str:
    """Degrees, in a text about heat: a high of 72F."""
    name = "Fahrenheit" if match["scale"] == "F" else "Celsius"
    return f"degrees {name}" if _is_near(_WEATHER, match) else match[0]


def _amps(match: re.Match[str]) -> str:
    """A after a number, in a text with volts or watts."""
    return "amps" if _is_near(_ELECTRIC, match) else match[0]


def _newtons(match: re.Match[str]) -> str:
    if match["per"]:
        return f"newtons per {per(match['per'])}"
    return "newtons" if _is_near(_FORCE, match) else match[0]


def _is_near(words: re.Pattern[str], match: re.Match[str]) -> bool:
    return bool(words.search(match.string, max(0, match.start() - 100), match.end() + 100))


def _after_power(match: re.Match[str]) -> str:
    if not known(match):
        return match[0]
    words = f"{match['power']} {many(UNITS[match['unit']])}"
    return f"{words} per {per(match['per'])}" if match["per"] else words


def _rate(match: re.Match[str]) -> str:
    if not known(match):
        return match[0]
    return f"{match['noun']} per {per(match['per'])}"


def _two_units(match: re.Match[str]) -> str:
    """Feet and inches, pounds and ounces, in the singular before a noun: a 5 lb. 8 oz. baby."""
    units = ("foot", "inch") if match["feet"] else ("pound", "ounce")
    single = match["article"] and match["noun"] is not None
    single = single or _MEASURED.match(match.string, match.end())
    numbers = (match["feet"] or match["pounds"], match["inches"] or match["ounces"])
    return (match["article"] or "") + " ".join(
        f"{cardinal(number)} {unit if single or number == '1' else many(unit)}"
        for number, unit in zip(numbers, units, strict=True)
    )


def _duration(match: re.Match[str]) -> str:
    """1h 30m, 2h30, 45m 10s."""
    words = []
    for unit in ("hour", "minute", "second"):
        if (number := match[f"{unit}s"]) and number != "00":
            words.append(f"{cardinal(str(int(number)))} {unit if int(number) == 1 else unit + 's'}")
    return " ".join(words)


def _angle(match: re.Match[str]) -> str:
    """An angle in degrees, minutes and seconds: 48°51'24"."""
    parts = []
    for unit in ("degree", "minute", "second"):
        if number := match[f"{unit}s"]:
            whole, _, part = number.lstrip("0").partition(".")
            parts.append(f"{decimal(whole or '0', part)} {unit if number == '1' else many(unit)}")
    return " ".join(parts)


def _feet(match: re.Match[str]) -> str:
    """Feet, or foot before a noun: a 10' by 12' room."""
    after = match.string[match.end() : match.end() + 80]
    one = re.match(
        r"(?: by [0-9]{1,3}')? (?!(?:tall|wide|long|deep|high|and|but)\b)[a-z]{3}", after
    )
    return f"{cardinal(match['feet'] or match['more'])} {'foot' if one else 'feet'}"


def _height(match: re.Match[str]) -> str:
    half = " and a half" if match["half"] else ""
    return f"{cardinal(match['feet'])} foot {cardinal(match['inches'])}{half}"


def _inches(match: re.Match[str]) -> str:
    single = match["article"] is not None and (match["article"] or "-" in match[0])
    single = single or _MEASURED.match(match.string, match.end())
    single = single or (match["whole"] == "1" and not match["part"])
    return f"{match['article'] or ''}{_number(match)} {'inch' if single else 'inches'}"


def _inch_marks(match: re.Match[str]) -> str:
    """Inches, unless the mark closes a quotation."""
    return match[0] if _ends_quotation(match) else _inches(match)


_QUOTATION = re.compile(r"(?:^|[\s(\[])\"[^\"]*\Z")


def _ends_quotation(match: re.Match[str]) -> bool:
    return bool(_QUOTATION.search(match.string[max(0, match.start() - 300) : match.start()]))


def _nth(match: re.Match[str]) -> str:
    return ordinal(match["whole"].replace(",", "")) + (match["many"] or "")


def _fraction(match: re.Match[str]) -> str:
    unit = {**UNITS, "in": "inch", '"': "inch"}.get(match["unit"])
    if unit is None or (match["unit"] == '"' and _ends_quotation(match)):
        return f"{_out_of(match) or _parts(match)} {match['unit'] or ''}"
    is_before_noun = match.string[match.start("unit") - 1] == "-"  # a 3 1/2-oz. bar
    return f"{_parts(match)} {many(unit) if match['whole'] and not is_before_noun else unit}"


def _out_of(match: re.Match[str]) -> str:
    """A rating, a share of a group, or a part of a series: rated 8/10, 7/10 users, step 3/5."""
    before = match.string[max(0, match.start() - 20) : match.start()]
    if match["whole"]:
        return ""
    if _COUNTED.search(before):
        return f"{cardinal(match['above'])} of {cardinal(match['below'])}"
    after = match["unit"] or match.string[match.end() + 1 : match.end() + 20]
    is_rated = match["below"] in ("5", "10", "100") and (
        _RATED.search(before)
        or _GROUP.match(after)
        or (
            before.endswith((" a ", " an "))
            and not match.string[match.end() :].strip()[:1].isalpha()
        )
    )
    is_all = match["above"] == match["below"] not in ("1", "20", "50")
    if not is_rated and not is_all:
        return ""
    return f"{cardinal(match['above'])} out of {cardinal(match['below'])}"


_EQUALS, _SHARE_OF = re.compile(" ?="), re.compile(r" ?(?:=|(?:of|on)\b)")


def _parts(match: re.Match[str]) -> str:
    above, below = match["above"], match["below"]
    is_split = above == below or (len(below) == 2 and int(above) + int(below) == 100)
    if is_split and not match["whole"]:  # fifty fifty, eighty twenty
        return f"{cardinal(above)} {cardinal(below)}"
    if _EQUALS.match(match.string, match.end()) and int(above) > int(below) > 1:
        words = f"{cardinal(above)} divided by {cardinal(below)}"
    elif (above, below) == ("4", "20") and not _SHARE_OF.match(match.string, match.end("below")):
        words = "four twenty"
    elif int(below) < 2 or (len(below) > 1 and below not in _FINE_DENOMINATORS):
        words = f"{cardinal(above)} over {cardinal(below)}"
    else:
        name = _DENOMINATORS.get(below) or to_ordinal(cardinal(below)).removeprefix("one ")
        plural = "halves" if name == "half" else name + "s"
        words = f"{cardinal(above)} {name if above == '1' else plural}"
    if not match["whole"]:
        return words
    if above == "1":
        words = ("an " if below == "8" else "a ") + words.removeprefix("one ")
    return f"{cardinal(match['whole'])} and {words}"


def _pixels(match: re.Match[str]) -> str:
    return f"{label(match['width'])} by {label(match['height'])}"


def _power(match: re.Match[str]) -> str:
    written = match[0].lstrip("^ ").translate(_POWERS).replace("−", "-").replace("+", "")
    return exponent(written)


def _scientific(match: re.Match[str]) -> str:
    power = match["power"].replace("−", "-").lstrip("+")
    sign, power = ("-", power[1:]) if power.startswith("-") else ("", power)
    words = f"{_number(match)} times ten {exponent(sign + (power.lstrip('0') or '0'))}"
    if not match["unit"]:
        return words
    return f"{words} {many(UNITS[match['unit']])}" if known(match) else f"{words} {match['unit']}"


def _year_alone(match: re.Match[str]) -> str:
    return year(match["year"])


def _years(match: re.Match[str]) -> str:
    return f"{year(match['first'])} to {two_digits(match['last'])}"


_WRITTEN: tuple[Rule, ...] = (  # how numbers are written: 1 000 000, 1_000_000, 10,5 kg
    (r"(?<=[0-9]) ?mm Hg\b", lambda match: " mmHg"),
    (r"(?<=[0-9]) ?ft-lbs?\b\.?", lambda match: " foot pounds"),
    (r"(?<=[0-9]) ?lbs?-ft\b\.?", lambda match: " pound feet"),
    (  # £2 10s., 2s. 6d.
        r"(?:(?<=£[0-9] )|(?<=£[0-9]{2} )|(?<![\w.])(?=[0-9]{1,2}s\. [0-9]{1,2}d\b))"
        r"(?P<shillings>[0-9]{1,2})s\b\.?(?: (?P<pence>[0-9]{1,2})d\b\.?)?",
        lambda m: f"{m['shillings']} shillings" + (f" {m['pence']} pence" if m["pence"] else ""),
    ),
    (
        r"(?<![0-9.,/-])(?<![0-9] )[1-9][0-9]{0,2}(?: [0-9]{3}){1,4},[0-9]{1,2}(?![0-9,])",
        lambda match: match[0].replace(" ", "").replace(",", "."),
    ),
    (
        r"(?<![0-9.,/-])(?<![0-9] )[1-9][0-9]{0,2}(?:(?: [0-9]{3}){2,4}| 000)(?! ?[0-9])",
        lambda match: match[0].replace(" ", ""),
    ),
    (
        r"(?:(?<=[€$£])|(?<=[€$£] ))[1-9][0-9]{0,2}(?: [0-9]{3}){1,3}(?! ?[0-9])|"
        r"(?<![0-9.,/-])(?<![0-9] )[1-9][0-9]{1,2} [0-9]{3}(?= [a-z])",
        lambda match: match[0].replace(" ", ""),
    ),
    (r"(?<![0-9.,'])[0-9]{1,3}(?:'[0-9]{3}){1,4}\b", lambda match: match[0].replace("'", "")),
    (
        r"(?<![0-9.,])[0-9]{1,2}(?:,[0-9]{2}){1,4},[0-9]{3}(?![0-9,])",
        lambda match: match[0].replace(",", ""),
    ),
    (
        r"(?<![0-9.,])[0-9]{1,3}(?:\.[0-9]{3}){1,4},[0-9]{1,2}(?![0-9.,€£])(?! ?[€£])",
        lambda match: match[0].replace(".", "").replace(",", "."),
    ),
    (
        r"(?<=[0-9]) ?M(?:io|rd)\b\.?",
        lambda match: " million" if "io" in match[0] else " billion",
    ),
    (
        r"(?<![0-9.,])[0-9]{1,3},[0-9]{1,2}(?= (?:million|billion|trillion)\b)",
        lambda match: match[0].replace(",", "."),
    ),
    (
        r"(?<![0-9.,])[0-9]{1,3}\.[0-9]00(?= ?€)|(?:(?<=€)|(?<=€ ))[0-9]{1,3}\.[0-9]00(?![0-9.,])",
        lambda match: match[0].replace(".", ""),
    ),
    (r"(?<=[0-9])-(?=[mbtr]{1,2}illion [a-ce-z])", lambda match: " "),
    (r"(?<![0-9.,])(?P<number>[0-9]{1,3})[kK](?= (?:ft|mi|km|lbs?)\b)", r"\g<number>,000"),
    (  # in 2s and 3s
        r"(?<![\w.,])(?P<first>[2-9])s (?P<link>and|or) (?P<second>[2-9])s\b",
        lambda m: f"{plural(cardinal(m['first']))} {m['link']} {plural(cardinal(m['second']))}",
    ),
    (  # 2×4s
        r"(?<![0-9.,])(?P<first>[0-9]{1,2})[x×](?P<number>[0-9]{1,2})s\b",
        lambda match: f"{match['first']} by {plural(cardinal(match['number']))}",
    ),
    (
        r"(?<![0-9_.,])[0-9]{1,3}(?:_[0-9]{3}){1,4}(?![0-9_])",
        lambda match: match[0].replace("_", ""),
    ),
    (
        r"(?<![0-9.,])[0-9]{1,3}(?:\.[0-9]{3}){2}(?![0-9.])",
        lambda match: match[0].replace(".", ""),
    ),
    (
        rf"(?<![0-9.,])(?P<number>[0-9]{{1,3}},[0-9]{{1,2}}) ?(?P<unit>{UNIT})(?![\w/])",
        lambda match: match[0].replace(",", ".") if known(match) else match[0],
    ),
    (r"[⁰¹²³⁴-⁹]{1,3}/[0-9]{1,3}", lambda match: match[0].translate(_POWERS)),
    (
        r"(?<=[0-9])(?P<unit> ?(?:[A-Za-zμ]{1,3}/(?:s|cm|dm|mm)|(?:kg/)?(?:km|cm|mm|ft|mi|m)))"
        r"\^?(?P<power>[23])(?!\w|\.\w)",
        lambda match: match["unit"] + {"2": "²", "3": "³"}[match["power"]],
    ),
)
_MANY = (
    "people|users|views|likes|words|followers|downloads|copies|jobs|homes|subscribers|steps|"
    "customers|miles|dollars|euros|tokens|requests|params|parameters|weights"
)
_SCALES = {
    "k": "thousand", "m": "million", "b": "billion", "bn": "billion", "mn": "million",
    "mil": "million", "trn": "trillion",
}  # fmt: skip
_SIGNS: tuple[Rule, ...] = (
    (
        r"(?<![0-9/])(?P<beats>[2-9]|12)/(?P<of>[248])"
        r"(?= (?:time|meter|beat|rhythm|at [0-9]{2,3} ?bpm)\b)",
        lambda m: f"{m['beats']} {m['of']}",
    ),
    (
        r"(?:(?<=batting )|(?<=hitting )|(?<=hit )|(?<!\w))\.(?P<hits>[0-9]{3})"
        r"(?:(?<=batting ....)|(?<=hitting ....)|(?<=hit ....)|(?= (?:avg|average|hitter|team|"
        r"club|ball|batting|season|"
        r"record)\b))\b",
        lambda m: label(m["hits"]),
    ),
    (
        r"(?<![\w.])\.(?P<size>[1-9][0-9])"
        r"(?=[- ](?:cal(?:iber)?|rifle|pistol|revolver|handgun|gun|magnum|bullet|round|ammo|"
        r"[Ss]pecial)s?\b)",
        lambda m: cardinal(m["size"]),
    ),
    (r"\bf/(?=[0-9])", "f"),
    (
        r"(?<=number )(?P<year>[0-9]{2})-(?P<digits>[0-9]{2,5})(?![0-9-])",
        lambda m: f"{cardinal(m['year'])} {label(m['digits'])}",
    ),
    (
        r"(?<![\w/.:])(?P<above>[0-9]{1,3})/(?=(?:(?<=\b1/)[abcij]|[knpqrtuvwxyz])(?![\w/']|\.\w))",
        lambda m: f"{m['above']} over",
    ),
    (r"(?<=°[CF])/(?=[-−]?[0-9]{1,3} ?°)", "or"),
    (r"(?<=[0-9] )% (?=[0-9]{1,9}(?: ?[=!<>,;:)?]| is\b|\.?$))", "mod"),
    (r"(?<![\w)%°])–(?=[0-9.]{1,6} ?[°%])", "minus"),
    (r"(?<=[0-9]%) [-–] (?=[0-9.]{1,6}%)|(?<=[0-9]{3})[-–](?=about [0-9])", "to"),
    (r"(?<=\b[0-9][A-Z])[-–](?=[A-Z]\b)|(?<=\b[0-9]{2}[A-Z])[-–](?=[A-Z]\b)", "to"),
    (r"(?<=[0-9])/(?=(?:5|10|100) (?:stars?|points?)\b)", "out of"),
    (r"(?<=[0-9]\.[0-9])/(?=(?:5|10|100)\b)", "out of"),
    (r"(?<=[0-9]) ?x ?(?=10[\^⁻⁰¹²³⁴-⁹]|[0-9.,]{1,12} ?=)", "times"),
    (
        r"(?P<ask>\b(?:[Ww]hat(?:'s| is)|[Cc]alculate) [0-9.,]{1,12}) ?x ?"
        r"(?=[0-9.,]{1,12}(?:\?|$))",
        lambda match: f"{match['ask']} times ",
    ),
    (
        r"(?<![0-9.,])(?P<width>[0-9]{3,4}) ?[x×] ?(?P<height>[0-9]{3,4})(?![0-9]| ?[cm]?m\b)",
        _pixels,
    ),
    (
        r"(?<![0-9./½])(?P<width>[0-9.]{1,4})\" ?[x×] ?(?P<height>[0-9.]{1,4})\"",
        lambda match: f"{match['width']} by {match['height']} inches",
    ),
    (
        r"(?:(?<=[0-9][m\"'])|(?<=[0-9] m)|(?<=[0-9 ](?:cm|mm|km|ft|in))|(?<=[0-9] (?:in|"
        r"ft)\.)) ?[x×] ?(?=[0-9])",
        "by",
    ),
    (
        r"(?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,2})(?= (?:vision|stainless|steel)\b)",
        lambda m: f"{m['a']} {m['b']}",
    ),
    (r"(?<![\w'])(?P<feet>[0-9]{1,2})' ?[-–] ?(?=[0-9]{1,2}')", lambda m: f"{m['feet']} feet to"),
    (r"(?<=[0-9][\"'])[-–](?=[0-9])", "to"),
    (r"(?:(?<=[0-9]°[CF])|(?<=[0-9] °[CF])) ?[-–] ?(?=[0-9])|(?<=[0-9]°) ?[-–] ?(?=[0-9])", "to"),
    (r"(?<=\bx86)-(?=64)", ""),
    (r"(?<![\w-])(?<!day )10-4(?=[,.!]|$)", "ten four"),
    (r"(?<=[0-9])\.(?=x\b)", "point"),
    (r"(?<![0-9-])(?P<half>[1-9]0)-(?P=half)(?![0-9-])", lambda m: f"{m['half']} {m['half']}"),
    (
        rf"(?<![\w.,]){_NUMBER}[eE](?P<power>[-−+]?[0-9]{{1,3}})(?![\w.])"
        rf"(?: (?P<unit>{UNIT})(?![\w/]))?",
        _scientific,
    ),
    (r"(?<=[0-9%)]) ?[-−] ?(?=[0-9]{1,9} ?=)", "minus"),
    (r"(?<=/[0-9])[-–](?=[0-9]{1,2}/[0-9])", "to"),
    (
        r"(?:(?<=[A-Za-z]-[0-9])|(?<=[A-Za-z]-[0-9]\.[0-9])|(?<=[a-z][0-9]\.[0-9])|(?<=[a-z][0-9]))"
        r"-(?=[0-9]{1,3}[BbMm]\b)",
        " ",
    ),
    (r"(?<=\^[0-9])-(?=[0-9]|[a-z](?![a-z]{2}))", "minus"),
    (  # 60 km/h–80 km/h
        rf"(?P<low>(?<=[0-9]) ?(?P<unit>{UNIT})(?:/(?P<per>{PERIOD}))?)(?:-| ?– ?)"
        r"(?=[0-9][0-9.,]{0,9} ?(?P=unit)(?![A-Za-z]))",
        lambda m: f"{m['low'].lstrip()} to" if known(m) and m["unit"] != "s" else m[0],
    ),
    (r"(?<=[0-9%])(?:-| ?– ?)(?=[0-9])(?![0-9]{1,2}/[0-9])", "to"),
    (r"(?<=[⁰¹²³⁴-⁹])(?: ?– ?(?=[0-9])|-(?=10[⁰¹²³⁴-⁹]))", "to"),
    (r"(?<=[⁰¹²³⁴-⁹])[-−](?=[0-9]|[a-z](?![a-z]))", "minus"),
    (r"(?<=[0-9][ap]m) ?[-–] ?(?=[0-9])|(?<=[0-9] (?:B C|C E|A D)) ?[-–] ?(?=[0-9]|A D)", "to"),
    (r"(?<=\bG M T)[-−](?=[0-9])|(?<=\bU T C)[-−](?=[0-9])", "minus"),
    (  # sizes 2T–4T
        r"(?<=[0-9])(?P<letter>[A-Z])[-–](?=[0-9]{1,2}(?P=letter)\b)",
        lambda m: f"{m['letter']} to",
    ),
    (r"(?<=per hour) ?[-–] ?(?=[0-9])|(?<=[0-9] B C E) ?[-–] ?(?=[0-9])", "to"),
    (r"(?:(?<=[AP] M)|(?<=[0-9 ][AP]M)) ?[-–] ?(?=[0-9])", "to"),
    (r"(?<=[0-9](?:st|nd|rd|th))[-–](?=[0-9])|(?<=[0-9]0s)[-–](?='?[0-9])", "to"),
    (
        r"(?<=noon)[-–](?=[0-9])|(?<=midnight)[-–](?=[0-9])|(?<=[0-9mM])[-–](?=(?:noon|midnight)\b)"
        r"|(?<=[0-9]{4})[-–](?=(?:present|today|now)\b)",
        "to",
    ),
    (r"(?<=\b[12][0-9]{3}) - (?=[12][0-9]{3}\b(?! ?=))", "to"),
    (
        r"(?<=[0-9]) - (?=[0-9.,]{1,9}%? (?!equals|is|plus|minus|times|and|or)[a-z]{3})",
        "to",
    ),
    (r"(?<=[0-9]) [-−] (?=[0-9])", "minus"),
    (r"(?:(?<=[0-9][a-z])|(?<=[a-z][²³])|(?<=\b[b-hj-z])) [-−] (?=[0-9]|[a-z]\b)", "minus"),
    (r"(?<=[a-z0-9][⁰¹²³⁴-⁹]) [-−] (?=[0-9a-z(])", "minus"),
    (r"(?<=\([a-z])[-−](?=[0-9a-z]\))", "minus"),
    (r"(?<=[0-9nk])!(?= ?[=/*×+]| - |\)| is | equals )", "factorial"),
    (
        r"(?<=[0-9])(?P<unit>[a-z]{2})(?=[²³]? ?[+=−)])",
        lambda match: match[0] if known(match) else " ".join(match[0]),
    ),
    (
        rf"(?<=[0-9]) ?[★⭐](?:(?P<noun>{NOUN_AHEAD})|)",
        lambda m: "stars" if m["noun"] is None else "star",
    ),
    (r"\b(?:1x|once)(?: per|/)(?=(?: |)(?:day|week|month|year|hour)\b)", "once per"),
    (r"(?<=[0-9])x/(?=(?:day|week|month|year|hour)\b)", "times per"),
    (r"(?<![\w)^-])[-−](?=\.?[0-9])", "minus "),
    (
        r"(?<=[0-9])×(?=[0-9.]{1,4}(?:-(?:in|ft|cm)\b| (?!is|equals|plus|minus|times|or|and)"
        r"[a-z]{3}))",
        "by",
    ),
    (r"(?<=[0-9]) ?[x×] ?(?=[0-9.]{1,6} ?(?:[cm]?m|in|ft)\b(?! ?=))", "by"),
    (r"(?<=[0-9)]) ?[*×] ?(?=[0-9(])", "times"),
    (r"(?<=[0-9)])\*(?=[a-z]\b)|(?<=\b[a-z])\*(?=[0-9])", "times"),
    (r"(?<=[0-9]) ?x ?(?=[0-9])", "by"),
    (
        r"(?<=[0-9])x(?= (?:as|more|less|the|an?|per|daily|weekly|monthly|[a-z]{2,12}er)\b)",
        "times",
    ),
    (r"(?<=[0-9]) ?÷ ?(?=[0-9])", "divided by"),
    (r"(?<=[0-9]) / (?=[0-9])", "divided by"),
    (
        rf"(?<=[0-9])\+ (?P<unit>{UNIT})(?![\w²³'/])",
        lambda match: f"plus {many(UNITS[match['unit']]) if known(match) else match['unit']}",
    ),
    (r"(?<=[0-9])\+(?= [a-z])", "plus"),
    (r"(?<=[0-9])\*(?= ?[a-z])", "star"),
    (r"# ?(?=[0-9])", "number "),
    (
        r"(?<![A-Z] )\bT[-–−](?=[0-9]{1,3} ?(?:s\b|sec|min|hour|hr|day))",
        "T minus",
    ),
    (r"(?<=[0-9])~(?=[0-9])|(?<=\bK)–(?=[0-9]{1,2}\b)", "to"),
    (r"~ ?(?=[0-9])|~(?=[A-Za-z])", "about"),
)
_SPOONS = {"C": "cup", "c": "cup", "T": "tablespoon", "t": "teaspoon"}
_INGREDIENTS = (
    "sugar|flour|milk|water|butter|oil|salt|pepper|cream|vanilla|rice|broth|stock|cheese|honey|"
    "baking|brown|white|all|olive|vegetable|chopped|diced|sliced|shredded|grated|lemon|soy|vinegar|"
    "yeast|cinnamon|ground|melted|fresh|minced|sifted|packed|heavy|sour|cocoa|oats|nuts"
)
_MORE = re.compile(r"(?<![0-9/.,])(?!1 ?$)[0-9]{1,3} ?$|[0-9] [0-9]/[0-9] ?$|\.[0-9]+ ?$")
_PRESSURE = re.compile(
    r"\b(?:a (?:low|high) of|pressures?|barometer|storms?|hurricanes?|cyclones?)\b", re.I
)
_MEASURES: tuple[Rule, ...] = (
    (
        r"(?<![0-9.,^])(?<!\^[-−])(?P<noun>[0-9][0-9.,]{0,9}[⁰¹²³⁴-⁹]{0,3}"
        r" {1,2}(?:[A-Za-z]{1,12} {1,2}){0,3}"
        rf"(?:[a-z]{{3,20}}|[A-Z] [0-9A-Z])) {{0,2}}/(?P<per>{PERIOD})\b",
        _rate,
    ),
    (r"(?:(?<=[2-5][0-9]{2})|(?<=[0-9]\.[0-9]))F\b", "degrees Fahrenheit"),
    (r"(?:(?<=[0-9]{2})|(?<= [0-9]))(?P<scale>[FC])\b", _weather),
    (r"(?<=\b[12][0-9]{2})C\b", "degrees Celsius"),
    (
        r"(?:(?<=[Pp]rep: )|(?<=[Cc]ook: )|(?<=[Tt]otal: ))(?P<minutes>[0-9]{1,3}) ?m\b",
        lambda m: f"{m['minutes']} min",
    ),
    (
        r"(?<=[0-9])[ -]pt\b\.?(?= (?:shot|shooter|range|line|lead|game|play|field|font|type))",
        "point",
    ),
    (
        r"(?:(?<=[A-Z])|(?<=[A-Za-z]-)|(?<= by ))(?P<number>[0-9]{1,2})'?s\b",
        lambda m: cardinal(m["number"]) + "'s" if "'" in m[0] else plural(cardinal(m["number"])),
    ),
    (
        rf"(?<=[0-9]) ?(?P<unit>{UNIT})/"
        r"(?=[0-9]{1,4} ?(?:km|mi|kg|g|mg|mL|ml|L|min|h|hrs?|s)\b)",
        lambda match: f"{many(UNITS[match['unit']])} per" if known(match) else match[0],
    ),
    (r"(?<=[0-9]) ?-?y/?o\b", "year old"),
    (r"(?<=[0-9]) ?mo? old\b", "months old"),
    (r"(?<=[0-9]) ?st\.?(?= [0-9]{1,2} ?lbs?\b)|(?<=[02-9])st\b|(?<=\b11)st\b", "stone"),
    (
        rf"(?<=[0-9]) ?(?P<spoon>[CcTt])\b\.?(?= (?:{_INGREDIENTS})\b)",
        lambda m: (
            many(_SPOONS[m["spoon"]])
            if _MORE.search(m.string, 0, m.start())
            else _SPOONS[m["spoon"]]
        ),
    ),
    (
        r"(?:(?<=\b1)|(?<=[/½¼¾]))(?<!/1) c\.(?= [a-z])"
        r"|(?<=/[0-9]) c(?:\.(?= [a-z]|$)|(?= [a-z]{3}))",
        "cup",
    ),
    (r"(?<=[0-9]) c\.(?= [a-z])", "cups"),
    (
        r"\b(?P<pressure>9[0-9]{2}|10[0-9]{2}) mb\b",
        lambda m: f"{cardinal(m['pressure'])} millibars" if _PRESSURE.search(m.string) else m[0],
    ),
    (r"(?<=[0-9]) K(?=[.,;)]| ?$| (?:and|or|to)\b)", "kelvin"),
    (r"(?<=[0-9]) ?A(?= (?:fuse|breaker|circuit|current|supply|outlet|charger)\b)", "amp"),
    (r"(?<=[0-9]) ?A(?=[,.;)]|$| (?:and|at|or)\b)", _amps),
    (
        r"(?<=[0-9]) ?N(?:/(?P<per>kg|m|cm|mm)\b|(?=[,.;)]|$| (?:and|at|or|of|on|is|acts?)\b))",
        _newtons,
    ),
    (
        r"(?<![0-9])(?P<degrees>[0-9]{1,3})° ?(?P<minutes>[0-9]{1,2})' ?"
        r"(?:(?P<seconds>[0-9]{1,2}(?:\.[0-9]{1,4})?)(?:\"|''))?",
        _angle,
    ),
    (rf"(?<=[0-9])(k|K|m|M|bn|B)(?=\+| (?:{_MANY})\b)", lambda match: _SCALES[match[1].lower()]),
    (r"(?<=[0-9]\.[0-9])K\b", "thousand"),
    (r"(?:(?<=[0-9]{2})|(?<=\.[0-9])|(?<=(?:bout|over|than) [0-9]))M(?![\w/])", "million"),
    (r"(?<=\b[124-9])M(?=[,.;)]|$| (?:in|and|or|to)\b)", "million"),
    (r"(?<=[0-9]) ?bp(?= (?:cut|hike|rise|increase|move|drop|decline)\b)", "basis point"),
    (
        r"(?<=[0-9]) ?(?P<scale>mn|bn|trn|mil)\b(?!/| thick)",
        lambda m: _SCALES[m["scale"]],
    ),
    (r"(?<=[0-9]{4}) ?bps\b", "bits per second"),
    (r"(?<![.,][0-9] )(?<=[0-9] )pp\.(?! ?[0-9])", "pages"),
    (r"\b[qQ](?P<hours>[0-9]{1,2}) ?h(?:rs?)?\b", lambda m: f"every {cardinal(m['hours'])} hours"),
    (
        r"(?P<article>\b(?:[Aa]n?|[Tt]he) )(?P<feet>[0-9]{1,3})'(?= [a-z]{3})",
        lambda match: f"{match['article']}{cardinal(match['feet'])} foot",
    ),
    (
        r"(?<![\w.,])(?P<hours>[0-9]{1,3}) ?h ?(?P<minutes>[0-9]{1,2}) ?(?:m(?:ins?)?)?"
        r"(?: ?(?P<seconds>[0-9]{1,2}) ?s)?(?![\w²³'/]|\.[0-9])",
        _duration,
    ),
    (
        r"(?<![\w.,])(?P<hours>)(?P<minutes>[0-9]{1,3}) ?m(?:ins?)? ?(?P<seconds>[0-9]{1,2}) ?s"
        r"(?![\w²³'/]|\.[0-9])",
        _duration,
    ),
    (r"(?<=[0-9])/(?=[0-9]{2,3} ?mmHg)", "over"),
    (
        r"(?<![\w'])(?P<feet>[0-9]{1,3})'(?= by | ?(?:tall|wide|long|deep|high)\b| ?$|[.,] )"
        r"|(?<= by )(?P<more>[0-9]{1,3})'(?![0-9])",
        _feet,
    ),
    (r"(?<![0-9])(?P<hours>)(?P<minutes>[0-9]{1,3})'(?P<seconds>1[2-9]|[2-5][0-9])\"", _duration),
    (r"(?<![0-9])(?P<feet>[0-9])' ?(?P<inches>1[01]|[0-9])(?P<half> 1/2)?(?:\"|''|\b)", _height),
    (
        rf"{ARTICLE}(?<![0-9.,])(?:(?P<feet>[0-9]{{1,3}})[ -]?(?:ft|feet|foot)\.?,? ?"
        r"(?P<inches>1[01]|[0-9])[ -]?(?:in(?:ches|ch)?\b(?:\.(?= [a-z]|[,;)]))?(?! the\b)|\")"
        r"|(?P<pounds>[0-9]{1,3})[ -]?lbs?\.?,? ?(?P<ounces>1[0-5]|[0-9])[ -]?"
        rf"oz\b(?:\.(?= [a-z]|[,;)]))?)(?P<noun>{NOUN_AHEAD})?",
        _two_units,
    ),
    (
        rf"(?P<article>\b[Aa]n? |(?<![0-9.,/])(?=[0-9.,]{{1,20}}-in)|(?<= by )){_NUMBER}[ -]?in\.?"
        r"(?= [a-z])"
        r"(?! (?:the|a|my|this)\b)",
        _inches,
    ),
    (
        rf"(?P<article>)(?<![0-9.,/]){_NUMBER} ?in\b(?:\.(?= [a-z])|{_INCHES_BEFORE})",
        _inches,
    ),
    (rf"(?P<article>\b[Aa]n? )?(?<![0-9.,/]){_NUMBER}\"(?![0-9])", _inch_marks),
    (
        rf"{_ARTICLE}(?<![0-9.,^])(?<![0-9]/)(?<!\^[-−]){_NUMBER}(?:(?P<hyphen>-)|"
        rf" )?(?P<unit>{UNIT})"
        rf"(?:/(?P<per>{PERIOD}))?(?:/(?P<then>day|d|h|hr|min|dose)\b)?(?![A-Za-z0-9²³'])"
        r"(?!/[A-Za-z])(?!(?<=[0-9 ][A-Z]) (?!D C|A C)[A-Z]\b)"
        rf"(?:\.(?= [a-z]))?(?P<noun>{NOUN_AHEAD})?",
        _measure,
    ),
    (
        rf"(?P<power>10(?:[⁻⁺]?[⁰¹²³⁴-⁹]{{1,3}}|\^[-−]?[0-9]{{1,3}})) (?P<unit>{UNIT})"
        rf"(?:/(?P<per>{PERIOD}))?(?![\w²³'/])",
        _after_power,
    ),
    (
        r"(?<![\w/²³])(?P<unit>[A-Za-zμ]{1,3}(?:[²³]|(?=/[a-z]{1,2}[²³])))/"
        rf"(?P<per>{PERIOD})(?![\w²³'/])",
        lambda match: (
            f"{many(UNITS[match['unit']])} per {per(match['per'])}" if known(match) else match[0]
        ),
    ),
    (
        rf"{_START}(?<![0-9]/)(?P<whole>[0-9]{{1,3}}(?:,[0-9]{{3}}){{1,4}}|[0-9]{{1,15}})"
        r"(?:(?:st|nd|rd|th)(?P<many>s?)|ST|ND|RD|TH)\b",
        _nth,
    ),
    (  # the 49ers and 76ers
        r"(?<![\w.,])'?(?P<number>[1-9][0-9])ers\b",
        lambda m: cardinal(m["number"]).removesuffix("e") + "ers",
    ),
    (r"(?:(?<=[0-9])|(?<=[a-z]{3}s))/(?=(?:day|week|month|year|hour)\b)", "per"),
    (r"(?<![0-9/-])24[/-]7(?![0-9/-])", "twenty four seven"),
    (r"(?<![0-9/])24/7/365(?![0-9/])", "twenty four seven three sixty five"),
    (
        r"(?<![0-9/.,])(?:(?P<whole>[0-9]{1,4})[ -])?"
        r"(?P<above>[0-9]{1,3})/(?P<below>1000|[0-9]{1,3})(?:ths?\b|rds?\b)?(?![0-9/]|\.[0-9])"
        rf"(?:[ -]?(?P<unit>{UNIT}|in|\")(?![\w²³'/])(?:\.(?= [a-z]))?)?",
        _fraction,
    ),
    (r"(?<=[0-9]) ?/ ?(?=[0-9])", "slash"),
    (r"(?<=[0-9]):(?=[0-9])", "to"),
    (r"(?<=[A-Za-z0-9)])(?:[⁻⁺]?[⁰¹²³⁴-⁹]{1,3}| ?\^ ?[-−+]?[0-9]{1,6})", _power),
    (r"(?<=[0-9])-(?=[A-Za-z])", ""),
)
_NUMBERS: tuple[Rule, ...] = (
    (
        r"(?<![0-9.,])(?P<first>1[1-9][0-9]{2}|20[0-9]{2}) to (?P<last>[0-9]{2})(?![0-9]|"
        r"[.,][0-9])",
        _years,
    ),
    (
        r"(?<![0-9.,])(?P<year>1[1-9][0-9]{2}|20[0-9]{2}|[12][0-9]{3}(?= (?:A D|C E|B C)\b)|"
        r"(?:(?<=\b[Ii]n )|(?<=\b[Ss]ince )|(?<=\b[Uu]ntil )|(?<=\b[Yy]ear )|"
        r"(?=.... (?:and|or|to) 1[0-9]{3}\b))10[0-9]{2}|"
        r"(?:(?<=\b[IiOo]n )|(?<=\b[Ss]ince )|(?<=\b[Uu]ntil )|(?<=\b[Yy]ear )|(?<=\b[Bb]y )|"
        r"(?<=20[0-9]{2} or )|(?<=20[0-9]{2} and )|(?<=20[0-9]{2} to ))2[1-4][0-9]{2})"
        r"(?![0-9]|[.,][0-9])",
        _year_alone,
    ),
    (
        r"(?<![0-9])(?P<number>1080|1440|2160|720|480|360)(?=[pi](?![a-z]))",
        lambda m: label(m["number"]),
    ),
    (rf"{_START}(?P<whole>)\.(?P<part>[0-9]{{1,15}}){_END}", _number),
    (rf"(?<![0-9]){_NUMBER}{_END}", _number),
    (r"[0-9]+", lambda match: digits(match[0])),
)
_MONTH_OR_MARK = r"[0-9][-/.][0-9]|[0-9][-–]'|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_RULES = (
    Rules(
        _WRITTEN,
        only_if=r"mm Hg|[0-9](?:k |[x×][0-9]+s)|ft-lb|lbs?-ft|[0-9][ _.,'*][0-9*]|"
        r"[0-9]s(?:\.| and| or) [0-9]|"
        r"-[mbt]r?illion|[⁰¹²³⁴-⁹]/"
        r"|[0-9] ?[A-Za-zμ/]{1,6}\^?[23]",
        spaced=False,
    ),
    Rules(VERSES, only_if="[a-z]\\.? [0-9]{1,3}:[0-9]|[123] [A-Z][a-z]+(?:\\.| [0-9]|ians|cles)"),
    Rules(DATES, only_if=_MONTH_OR_MARK),
    Rules(DIGIT_STRINGS, only_if=r"[0-9]{3}|[0-9][.-][0-9]|[vV]\.?[0-9]|0[0-9] |\+[0-9]|\bx[0-9]"),
    Rules(MONEY, only_if=rf"[{SIGNS}łč]|\b(?:{CODES})|(?:cent|dollar|euro|pound)s?/"),
    Rules(CENTS, only_if="¢"),
    Rules(_SIGNS, only_if="[^0-9A-Za-wyz ,:;?!'()]"),
    Rules(TIMES, only_if="[0-9](?::[0-9]| {0,2}[AaPp])"),
    Rules(DECADES, only_if="[0-9]'?s|'[0-9]{2}"),
    Rules(_MEASURES, only_if=r"[0-9⁰¹²³⁴-⁹]"),
    Rules(_NUMBERS, only_if="[0-9]"),
)
_HYPHEN_LEFT = re.compile(r"(?<=\w) {1,3}-(?=[A-Za-z])")  # of 3½-inch
_ANY_DIGIT = re.compile(r"[0-9⁰¹²³⁴-⁹]")


def read_quantities(text: str) -> str:
    """The text with words in place of all digits; may contain extra spaces."""
    if not _ANY_DIGIT.search(text):
        return text
    for rules in _RULES:
        text = rules(text)
    return _HYPHEN_LEFT.sub(" ", text)
