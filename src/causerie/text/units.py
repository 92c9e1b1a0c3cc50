"""The names of units of measurement and their plurals."""

from __future__ import annotations

import re

from causerie.text.rules import Rules

UNITS = {
    "kms": "kilometer", "kgs": "kilogram", "cms": "centimeter", "mgs": "milligram",
    "gb": "gigabyte", "mb": "megabyte", "tb": "terabyte", "hz": "hertz", "khz": "kilohertz",
    "mhz": "megahertz", "ghz": "gigahertz", "mbps": "megabit per second",
    "gbps": "gigabit per second", "kwh": "kilowatt hour", "mah": "milliamp hour",
    "mls": "milliliter", "gals": "gallon", "ozs": "ounce", "sqft": "square foot",
    "sqm": "square meter", "mW": "milliwatt", "kA": "kiloamp", "mEq": "milliequivalent",
    "bhp": "brake horsepower", "pct": "percent", "mya": "million year ago",
    "Mya": "million year ago",
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer",
    "μm": "micrometer", "μg": "microgram", "mcg": "microgram", "μs": "microsecond",
    "Å": "angstrom", "ly": "light year", "mi": "mile", "nmi": "nautical mile", "ft": "foot",
    "yd": "yard", "yds": "yard",
    "kg": "kilogram", "g": "gram", "mg": "milligram", "ng": "nanogram",
    "lb": "pound", "lbs": "pound", "oz": "ounce",
    "fl oz": "fluid ounce", "fl. oz": "fluid ounce", "l": "liter",
    "L": "liter", "ml": "milliliter", "mL": "milliliter", "cl": "centiliter", "dl": "deciliter",
    "dL": "deciliter", "μL": "microliter", "μl": "microliter",
    "gal": "gallon", "qt": "quart", "qts": "quart", "gsm": "G S M", "pt": "pint",
    "tbsp": "tablespoon", "Tbsp": "tablespoon",
    "tsp": "teaspoon", "Tsp": "teaspoon",
    "h": "hour", "hr": "hour", "hrs": "hour", "min": "minute", "mins": "minute", "s": "second",
    "sec": "second", "secs": "second", "ms": "millisecond", "ns": "nanosecond", "yr": "year",
    "yrs": "year", "mo": "month", "mos": "month", "wk": "week", "wks": "week",
    "bit": "bit", "kbit": "kilobit", "Mbit": "megabit", "Gbit": "gigabit",
    "kb": "kilobit", "Mb": "megabit", "Gb": "gigabit",
    "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "PB": "petabyte", "KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte", "TiB": "tebibyte",
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz",
    "W": "watt", "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "TW": "terawatt",
    "Wh": "watt hour", "kWh": "kilowatt hour", "MWh": "megawatt hour", "GWh": "gigawatt hour",
    "TWh": "terawatt hour", "kVA": "kilovolt amp", "V": "volt", "kV": "kilovolt", "mV": "millivolt",
    "mA": "milliamp",
    "mAh": "milliamp hour", "Ω": "ohm", "kΩ": "kilohm", "MΩ": "megohm", "J": "joule",
    "kJ": "kilojoule", "MJ": "megajoule", "GJ": "gigajoule", "eV": "electron volt",
    "keV": "kiloelectron volt", "MeV": "megaelectron volt", "GeV": "gigaelectron volt",
    "Pa": "pascal", "hPa": "hectopascal", "kPa": "kilopascal", "MPa": "megapascal",
    "GPa": "gigapascal", "atm": "atmosphere", "kN": "kilonewton", "pF": "picofarad",
    "nF": "nanofarad", "μF": "microfarad", "mH": "millihenry", "lx": "lux",
    "mM": "millimolar", "μM": "micromolar", "nM": "nanomolar",
    "mSv": "millisievert", "μSv": "microsievert", "mmol": "millimole", "μmol": "micromole",
    "kt": "knot", "kts": "knot", "pts": "point", "gpm": "gallon per minute",
    "mmHg": "millimeter of mercury", "inHg": "inch of mercury",
    "dB": "decibel", "px": "pixel", "kcal": "kilocalorie", "cal": "calorie", "hp": "horsepower",
    "ha": "hectare", "mol": "mole", "mph": "mile per hour", "kph": "kilometer per hour",
    "mpg": "mile per gallon",
    "fps": "frame per second", "kbps": "kilobit per second", "Mbps": "megabit per second",
    "Gbps": "gigabit per second", "Tbps": "terabit per second", "bps": "basis point",
    "pp": "percentage point", "bbl": "barrel", "Gt": "gigaton",
    "rpm": "R P M", "bpm": "beat per minute", "BPM": "beat per minute", "dpi": "dot per inch",
    "ppi": "pixel per inch", "wpm": "word per minute", "psi": "P S I", "ppm": "part per million",
    "ppb": "part per billion",
    "cc": "C C", "Ah": "amp hour", "lm": "lumen", "MP": "megapixel", "Nm": "newton meter",
    "km²": "square kilometer", "m²": "square meter", "cm²": "square centimeter",
    "mm²": "square millimeter", "in²": "square inch", "yd²": "square yard", "in³": "cubic inch",
    "yd³": "cubic yard",
    "ft²": "square foot", "mi²": "square mile",
    "m³": "cubic meter", "cm³": "cubic centimeter", "mm³": "cubic millimeter",
    "km³": "cubic kilometer", "ft³": "cubic foot", "kg²": "square kilogram",
    **{
        f"{short}{dot} {unit}": f"{name} {one}"
        for short, name in (("sq", "square"), ("cu", "cubic")) for dot in ("", ".")
        for unit, one in (("ft", "foot"), ("in", "inch"), ("yd", "yard"), ("mi", "mile"),
                          ("m", "meter"), ("km", "kilometer"), ("cm", "centimeter"))
    },
    "°C": "degree Celsius", "°F": "degree Fahrenheit", "°": "degree", "%": "percent",
}  # fmt: skip
_PERIODS = {
    "s²": "second squared", "day": "day", "d": "day", "week": "week", "month": "month",
    "year": "year", "y": "year", "hour": "hour", "minute": "minute", "second": "second",
    "night": "night", "person": "person", "piece": "piece", "page": "page", "game": "game",
    "user": "user", "kilo": "kilo", "pound": "pound", "unit": "unit", "dose": "dose",
    "seat": "seat", "serving": "serving", "request": "request", "student": "student",
    "customer": "customer", "employee": "employee", "session": "session",
    "sh": "share", "share": "share",
}  # fmt: skip
_SAME_IN_PLURAL = frozenset(
    "yen won yuan dong baht naira rand forint lira percent hertz kilohertz megahertz gigahertz "
    "millimolar micromolar nanomolar horsepower lux".split()
) | {"brake horsepower", *(name for name in UNITS.values() if name.isupper())}
_IRREGULAR = {
    "penny": "pence", "foot": "feet", "inch": "inches", "paisa": "paise", "real": "reais",
    "krona": "kronor", "krone": "kroner",
}  # fmt: skip

# What may be a unit; `known` looks it up. Alternatives of all units would be slow.
UNIT = r"%|°[CF]?|(?:sq\.? |cu\.? |fl\.? )?[A-Za-zμΩÅ]{1,5}[²³]?"
# The singular before a noun: a 10 mm pipe, the $20 bill; "the $20 that I owe" has the plural.
ARTICLE = (
    r"(?P<article>\b(?:[Aa]n?|[Tt]he|[Tt]h(?:is|at)|[Ee](?:very|ach)|[Mm]y|[Yy]our|[Hh]is|[Hh]er|"
    r"[Ii]ts|[Oo]ur|[Tt]heir) )?"
)
NOUN_AHEAD = (
    r"(?= (?!(?:that|which|who|was|were|is|are|be|from|with|and|or|but|for|has|had|have|will|"
    r"would|should|can|could|may|might|must|than|then|they|the|you|he|she|we|it|of|to|in|on|at|"
    r"by|as|if|an?|between|into|per|each|every|away|over|under|above|below|after|before|because|"
    r"since|until|when|while|where|left|off|out|up|apart|ahead|down|today|ago|later|more|less|not|"
    r"so|plus|during|about|around|now|yesterday|came|goes|went)\b)(?:[A-Za-z]{2}|[A-Z] [A-Z]\b))"
)
#: What may follow a slash: 5 kg/m³, $5/mo.
PERIOD = r"[A-Za-zμ]{1,8}[²³]?"


_FACTOR = r"(?:[A-Za-zμµΩ]{1,5}|°[CF])⁻?[¹²³⁴]?"
_FACTORS = re.compile(r"([/(·⋅ ]*)([A-Za-zμµΩ°]+)(⁻?)([¹²³⁴]?)")
# A product of small letters without a number before it is one of variables: m·g·h.
_PRODUCT = (
    rf"(?:(?<=[0-9⁰¹²³⁴-⁹])|(?<=[0-9⁰¹²³⁴-⁹] )|(?<![\w·⋅])(?=[^·⋅/ ]{{0,3}}[A-Z]))"
    rf"{_FACTOR}(?:(?:[·⋅]| (?=[A-Za-z]{{1,3}}⁻)){_FACTOR}){{0,3}}(?:/{_FACTOR}|/\({_FACTOR}"
    rf"(?:[·⋅]{_FACTOR}){{1,2}}\))?"
    r"(?![\w·⋅/])"
)
_IN_PRODUCT = re.compile("[·⋅]|[A-Za-z]⁻")
_IN_PRODUCTS = UNITS | {"N": "newton", "K": "kelvin", "C": "coulomb", "A": "amp", "T": "tesla"}
_RAISED = {"": "", "¹": "", "²": " squared", "³": " cubed", "⁴": " to the fourth"}


def _product(match: re.Match[str]) -> str:
    if not _IN_PRODUCT.search(match[0]):
        return match[0]
    above, last, plural, below = "", "", "", ""
    for mark, symbol, minus, power in _FACTORS.findall(match[0]):
        name = _IN_PRODUCTS.get(symbol.replace("µ", "μ")) or (mark and _PERIODS.get(symbol))
        if not name:
            return match[0]
        if minus or mark.startswith("/"):
            below += f" per {name}{_RAISED[power]}"
        elif below:
            below += f" {name}{_RAISED[power]}"
        else:
            above += f"{last} "
            last, plural = name + _RAISED[power], many(name) + _RAISED[power]
    is_one = re.search(r"(?<![0-9.,])1 ?$", match.string[max(0, match.start() - 4) : match.start()])
    return f"{above} {last if is_one else plural}{below}"


#: Puts words in place of products of units: N·m²/kg², J/(mol·K), m s⁻¹.
read_products = Rules(((_PRODUCT, _product),), only_if=_IN_PRODUCT.pattern, spaced=False)


def known(match: re.Match[str]) -> bool:
    """Whether the groups "unit" and "per" of a match, if it has them, are units."""
    groups = match.groupdict()
    unit, period = groups.get("unit"), groups.get("per")
    return (unit is None or unit in UNITS) and (
        period is None or period in UNITS or period in _PERIODS
    )


def many(name: str) -> str:
    """The plural of a currency or unit: mile per hour → miles per hour."""
    for link in (" per ", " of ", " ago"):
        head, found, rest = name.partition(link)
        if found:
            return many(head) + found + rest
    if name in _SAME_IN_PLURAL:
        return name
    first, space, last = name.rpartition(" ")
    if first == "degree":
        return f"degrees {last}"
    return first + space + _IRREGULAR.get(last, last + "s")


def per(symbol: str) -> str:
    """One unit, as it is read after "per": m³ → cubic meter. Another word is itself."""
    return _PERIODS.get(symbol) or UNITS.get(symbol, symbol)
