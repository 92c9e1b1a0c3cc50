"""Writes numbers that are names as words: phone and card numbers, codes, versions, addresses.

Their digits are read one by one or in pairs, not as one number.
"""

from __future__ import annotations

import re

from causerie.text.numbers import (
    cardinal,
    decimal,
    digits,
    label,
    link,
    plural,
    two_digits,
    year,
)
from causerie.text.rules import Rule

# After these words a number is read digit by digit.
_END = r"(?!\w|[.,:/-][0-9])"
_CODE = (
    r"(?<![A-Za-z])(?P<name>(?:(?:[Pp]ass|[Zz]ip |ZIP |[Pp]ost)?[Cc]ode|ZIP|[Zz]ip(?=:? [0-9])|"
    r"PIN|S K U|E A N|U P C|"
    r"O T P|[Pp]assword|[Aa]ccount|[Aa]cct|S S N|I S B N|C V [VC]|I D|[Ee]xtension|[Ss]erial|"
    r"[Tt]racking|[Cc]onfirmation)\.?(?: (?:number|no\.?|code|is|was))*:?)(?P<mark># | #?)"
    r"(?P<digits>[0-9]{3,20}(?:[ -][0-9]{3,4}){0,7})" + _END
)
_NUMBERED = (
    r"(?P<name>\b(?:[Oo]rder|[Cc]ase|[Tt]icket|[Rr]eference|[Ii]nvoice|[Pp]hone|[Pp]olicy|[Mm]ember"
    r"|[Cc]ard|[Ff]ax|[Tt]el)(?: (?:number|no\.?|is))*:?|\b[Ee]nding in"
    r"|\b(?:[Cc]ard|[Aa]ccount|[Nn]umber|Visa|Amex|Master[Cc]ard|Discover|I B A N)(?: "
    r"[a-z]{1,10}){0,3} end(?:s|ed|ing)(?: in| with)?"
    r"|\b[Ll]ast (?:four|[34])(?: digits)?(?: of [a-z ]{1,20})?(?: are| is)?:?"
    r"|\b(?:[Tt]ext|T X T) [\"']?[A-Za-z]{1,20}[\"']? to)"
    r"(?P<mark> #?)(?P<digits>[0-9]{4,20}(?:(?:-[0-9]| [0-9]{2})[0-9]{2,8}){0,7})" + _END
)
_CALLED = (
    r"\b(?P<name>[Cc]all|[Cc]alled|[Cc]alling|[Dd]ial|[Dd]ialed|[Rr]ing|[Pp]hone|or|and)"
    r"(?P<mark> )(?P<digits>[2-9]11)" + _END
)
# Also without a word before it; but a Porsche 911.
_EMERGENCY_CALL = (
    r"(?<![\w$€£.,:/-])(?<!Porsche )(?P<digits>911)"
    r"(?= (?:calls?|operators?|dispatch\w*|emergency|services?|centers?|system)\b|"
    r"(?<!\ba 911)(?:$|[.!?](?:$| [A-Z])))"
)
_SHORT_CODE = r"\b(?P<name>[Tt]ext|[Dd]ial|[Cc]all)(?P<mark> )(?P<digits>[0-9]{5,20})" + _END
# The emergency numbers of other countries are words elsewhere: 112 or 999 people.
_EMERGENCY = (
    r"\b(?P<name>(?:[Cc]all|[Cc]alled|[Cc]alling|[Dd]ial|[Dd]ialed|[Rr]ing|[Pp]hone)"
    r")(?P<mark> )(?P<digits>112|999|988|000|10[0-9]|11[0-9])"
    r"(?! (?:people|times|more|of)\b)" + _END
)
_OR_EMERGENCY = (
    r"(?P<name>(?:nine one one|nine nine nine|one one two)[^.!?0-9]{1,60}?)(?P<mark> )"
    r"(?P<digits>112|999|911|000|11[0-9]|10[0-9])" + _END
)
_LABELED = (
    r"\b(?P<name>(?:[Rr]oom|[Ss]uite|[Ff]light|[Hh]ighway|[Rr]oute|[Ii]nterstate|[Ee]rror|[Gg]ate|"
    r"[Bb]oeing|[Aa]irbus|[Xx]box|Microsoft|Porsche|Peugeot|Ferrari|Cessna|GeForce|Snapdragon|Bus|"
    r"Form|"
    r"Bio|Chem|Econ|Psych|Calc|Math|English|History|Physics|Biology|Chemistry|Psychology|"
    r"R T X|G T X|R X|H T T P|R F C|[Aa]partment|[Uu]nit|[Bb]ox|"
    r"[Pp]ort(?: to| is|:)?|[Aa]rea code)(?:'?s)?:?)"
    r" #?(?P<digits>[0-9]{3,4})"
    r"(?:(?P<link> ?[-–] ?| to | and )(?P<last>[0-9]{3,4})|(?P<letter>[A-Z]))?" + _END
)
_STREET = (
    r"(?<![0-9.,$€£/-])(?P<digits>[0-9]{3,5})(?P<letter>[A-D])?"
    r"(?= (?:(?:North|South|East|West|[NSEW]\.?) )?"
    r"(?:[A-Z][a-z]{1,20} ){1,2}"
    r"(?:Street|Avenue|Drive|Road|Lane|Boulevard|Court|Place|Way|Square)\b)"
)


# A number sign after these is no hashtag.
_BEFORE_NUMBER_SIGN = "|".join(
    rf"(?<=\b[{word[0].upper()}{word[0]}]{word[1:]}{mark} )"
    for word in (
        "order case ticket ref reference invoice confirmation conf booking tracking serial model "
        "item part policy batch lot account flight"
    ).split()
    for mark in ("", ":", r"\.")
)
# Of which people name the isotopes: ¹⁴C → carbon 14.
_ISOTOPES = {
    "C": "carbon", "H": "hydrogen", "He": "helium", "K": "potassium", "N": "nitrogen",
    "O": "oxygen", "P": "phosphorus", "S": "sulfur", "Co": "cobalt", "Fe": "iron",
    "Sr": "strontium", "Tc": "technetium", "I": "iodine", "Cs": "cesium", "Pb": "lead",
    "Rn": "radon", "Ra": "radium", "Th": "thorium", "U": "uranium", "Pu": "plutonium",
}  # fmt: skip
_ELEMENTS = "He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ca|Cr|Mn|Fe|Co|Ni|Cu|Zn|Br|Ag|Sn|Ba|Au|Hg|Pb|[HBCNOFPSKIU]"


def _groups(match: re.Match[str]) -> str:
    groups = re.findall(r"[0-9]+", match[0])
    return ("plus " if match[0][0] == "+" else "") + ", ".join(map(digits, groups))


def _vanity(match: re.Match[str]) -> str:
    """1-800-FLOWERS → one eight hundred flowers."""
    area = match["area"]
    read = f"{cardinal(area[0])} hundred" if area.endswith("00") else digits(area)
    parts = match["word"].lower().split("-")
    word = " ".join(digits(part) if part.isdigit() else part for part in parts)
    return f"{'one ' if match['one'] else ''}{read}, {word}"


def _dotted(match: re.Match[str]) -> str:
    """A version or a network address."""
    parts = match["parts"].split(".")
    before = "version " if match["v"] else ""
    after = f" colon {label(match['port'])}" if match["port"] else ""
    if len(parts) == 4:
        read = " dot ".join(map(_octet, parts))
    else:
        read = " point ".join(map(cardinal, parts))
    return before + read + after


def _octet(digits_: str) -> str:
    """A part of a network address: its digits if there are three."""
    return digits(digits_) if len(digits_) == 3 else cardinal(digits_)


def _version(match: re.Match[str]) -> str:
    return "version " + decimal(match["whole"], match["part"] or "")


def _characters(match: re.Match[str]) -> str:
    """Letters and digits one by one: Xk9 → X K nine."""
    return " ".join(_character(c) for c in match[0] if c != " ")


def _character(one: str) -> str:
    return digits(one) if one.isdigit() else one.upper()


_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
# An element, a number after one, or a group: (NH4)2.
_PARTS = (
    rf"(?:{_ELEMENTS}|(?<=[A-Za-z)])[0-9]|\((?=[A-Z][A-Za-z0-9]{{1,6}}\)[0-9])"
    r"|(?<=[A-Za-z0-9])\)(?=[0-9]))"
)


_CURRENCY = re.compile("(?:CHF|CNY|INR)[0-9]+")


def _formula(match: re.Match[str]) -> str:
    """A chemical formula or ion: H2SO4 → H 2 S O 4; Ca²⁺ → C A 2 plus."""
    formula, charge = match["formula"], match["charge"]
    elements = re.findall("[A-Z][a-z]?", formula)
    if _CURRENCY.fullmatch(formula):  # CHF5
        return match[0]
    if not charge and (
        len(elements) < 2
        or (len(set(elements)) == 1 and formula != formula.upper())
        or not re.search("[A-Z][a-z]?[A-Z]|[a-z][0-9]*[A-Z]|[A-Z][0-9]+[A-Z][a-z]", formula)
    ):  # F16, M1, B2B
        return match[0]
    words = " ".join(re.findall(r"[0-9]+|[A-Za-z]", formula)).upper()
    if not charge:
        return words
    charge = charge.translate(_RAISED)
    return f"{words} {charge[:-1]} {'plus' if charge[-1] == '+' else 'minus'}"


_CHARGES = {"I": "one", "II": "two", "III": "three", "IV": "four", "V": "five", "VI": "six",
            "VII": "seven"}  # fmt: skip


def _charged(match: re.Match[str]) -> str:
    return f"{_ISOTOPES.get(match['element'], match['element'])} {_CHARGES[match['roman']]}"


def _code(match: re.Match[str]) -> str:
    """A token that switches between letters and digits, unless it is a chemical formula."""
    token = match[0]
    if re.fullmatch("[A-Z]{1,3}[0-9]{2,4}[a-z]{3,10}", token):  # A320neo
        return re.sub("(?<=[0-9])(?=[a-z])", " ", token)
    switches = len(re.findall(r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])", token))
    if (
        switches < 2
        or re.fullmatch(r"[0-9]+(?:[xp][0-9]+)+", token)
        or re.fullmatch(r"(?:[A-Z][a-z]?[0-9]{0,2}){2,9}", token)
    ):
        return token
    return _characters(match)


def _named_digits(match: re.Match[str]) -> str:
    written = match["name"] + match["mark"]
    is_named = re.search(r"\b[Nn](?:umber|o\.?)\b", written)
    name = re.sub(" #|# ", "" if is_named else " number", written)
    return f"{name} {', '.join(map(digits, re.split('[ -]', match['digits'])))}"


def _named_label(match: re.Match[str]) -> str:
    words = f"{match['name']} {label(match['digits'])}"
    if not match["last"]:
        return f"{words} {match['letter']}" if match["letter"] else words
    return f"{words} {link(match['link'])} {label(match['last'])}"


def _military(match: re.Match[str]) -> str:
    """0800 → oh eight hundred; 1430 → fourteen thirty."""
    hour, minute = match["hour"] or match["early"], match["minute"] or match["past"]
    words = f"oh {cardinal(hour[1])}" if hour[0] == "0" else cardinal(hour)
    words = f"{words} {'hundred' if minute == '00' else two_digits(minute)}"
    return f"{words} hours" if match[0].endswith(("s", "h")) else words


def _street(match: re.Match[str]) -> str:
    return f"{label(match['digits'])} {match['letter'] or ''}"


def _service(match: re.Match[str]) -> str:
    """The code of a telephone's service: *67 → star six seven; #31# → hash three one hash."""
    if match[0][0] == "#" != match[0][-1]:
        return match[0]
    marks = {"*": "star", "#": "hash"}
    return " ".join(marks.get(one) or digits(one) for one in match[0])


# IPv6 and MAC: fe80::1, 00:1A:2B:3C:4D:5E.
_HARDWARE_ADDRESS = (
    r"(?<![\w:])(?=[0-9A-Fa-f:]{0,37}(?:::|(?:[0-9A-Fa-f]{1,4}:){5}))(?=[0-9A-Fa-f:]{0,38}[0-9])"
    r"(?:::)?[0-9A-Fa-f]{1,4}(?:::?[0-9A-Fa-f]{1,4}){1,7}(?:::)?(?![\w:])"
)


def _characters_and_colons(match: re.Match[str]) -> str:
    return " ".join("colon" if one == ":" else _character(one) for one in match[0])


def _groups_of_code(match: re.Match[str]) -> str:
    """A serial number in groups: 00-9921-B."""
    return ", ".join(" ".join(map(_character, part)) for part in match[0].split("-"))


def _hash(match: re.Match[str]) -> str:
    return f"hash {_characters(match)}".replace("#", "")


def _named_version(match: re.Match[str]) -> str:
    """A version in two numbers, or a range of them: Python 3.10-3.14."""
    found = f"{match['name']} {cardinal(match['whole'])} point {two_digits(match['part'])}"
    if not match["to"]:
        return found
    whole, part = match["last"].split(".")
    last = two_digits(part) if len(part) == 2 else cardinal(part)
    return f"{found} to {cardinal(whole)} point {last}"


# Before the initialisms are read: tokens of letters and digits.
CODES: tuple[Rule, ...] = (
    (r"(?<=[A-Za-z])~(?P<small>[0-9]{1,2})~", lambda match: digits(match["small"])),  # H~2~O
    # Names with a dot: X.509, M.2, H.264.
    (
        r"(?<![\w.-])(?P<letter>[HEXQGT](?=\.[0-9]{3})|M(?=\.2\b))\.(?P<digits>[0-9]{1,4})"
        r"(?![\w%]|\.[0-9])",
        lambda m: f"{m['letter']} dot {label(m['digits'])}",
    ),
    (r"(?<![\w.-])(?P<letter>[A-Z])\.(?=[0-9]{1,2}(?![\w%]|\.[0-9]))", lambda m: m["letter"]),
    # Chips: 8xH100, A100-80GB.
    (r"(?<![\w.])(?P<count>[1-9][0-9]{0,2})x(?=[A-Z]{1,3}[0-9])", lambda m: cardinal(m["count"])),
    (r"(?<=\b[A-Z][0-9]{3})-(?=[0-9]{2,3} ?GB\b)", " "),
    # Of an ion or an oxide: Fe(III).
    (rf"\b(?P<element>{_ELEMENTS})\((?P<roman>I{{1,3}}|IV|VI{{0,2}})\)", _charged),
    (r"(?<![0-9])(?P<count>[2-9])x(?=[0-9]{2,4} ?m\b)", lambda m: f"{cardinal(m['count'])} by"),
    (
        r"\b(?:(?P<one>1)-)?(?P<area>8(?:00|33|44|55|66|77|88)|900)-"
        r"(?P<word>(?=[A-Z0-9-]{0,12}[A-Z]{3}|[A-Z]{2})[A-Z0-9]{1,12}(?:-[A-Z0-9]{1,12}){0,2})\b",
        _vanity,
    ),
    (
        r"(?:(?<=[Cc]all )|(?<=[Dd]ial )|(?<=[Tt]ext )|(?=555))(?<![\w-])"
        r"(?P<digits>[2-9][0-9]{2})-(?P<word>[A-Z]{4})\b",
        lambda match: f"{digits(match['digits'])}, {match['word'].lower()}",
    ),
    (
        r"(?<![\w&])#(?=[A-Z]{1,4}-?[0-9]{0,8}-[A-Z0-9])"
        rf"|(?:{_BEFORE_NUMBER_SIGN})#(?=[A-Z0-9-]{{0,12}}[0-9])(?=[A-Z0-9-]{{0,12}}[A-Z])"
        r"(?=[A-Z0-9-]{3,24}(?!\w))",
        "number",
    ),
    (r"(?<!\S)[*#][0-9]{2,3}#?(?![\w#])", _service),
    (r"#(?=[0-9A-Fa-f]{0,5}[A-Fa-f])(?=[A-Fa-f]{0,5}[0-9])[0-9A-Fa-f]{6}\b", _hash),
    (
        r"#(?:(?P<same>[A-Fa-f])(?P=same){2}|(?=[0-9A-Fa-f]{0,2}[A-Fa-f])(?=[A-Fa-f]{0,2}[0-9])"
        r"[0-9A-Fa-f]{3})\b",
        _hash,
    ),
    (r"\b0x[0-9A-Fa-f]{1,16}\b", _characters),
    (
        rf"(?<!\S)(?P<mass>[⁰¹²³⁴-⁹]{{1,3}})(?P<element>{'|'.join(_ISOTOPES)})\b",
        lambda m: f"{_ISOTOPES[m['element']]} {m['mass'].translate(_RAISED)}",
    ),
    # A number whose other digits are hidden: **** 1234, XXX-XX-6789.
    (
        r"(?P<said>\b[Ee]nd(?:ing|s|ed) (?:in|with) )?(?<![\w*•])(?=[*•]{3}|[*•]{2}-|[xX]{3})"
        r"(?:[*•]{2,16}[ -]?|[xX]{2,4}-|[xX]{4} ){1,4}(?P<digits>[0-9]{3,5})(?!\w)",
        lambda match: f"{match['said'] or 'ending in '}{digits(match['digits'])}",
    ),
    # The docket of a court: 1:24-cv-00123.
    (
        r"(?<![\w-])(?:(?P<court>[0-9]):)?(?P<year>[0-9]{2})-(?P<kind>c[vr]|mc|md|"
        r"mj)-(?P<digits>[0-9]{2,6})\b",
        lambda m: " ".join(
            [
                *([digits(m["court"])] if m["court"] else []),
                cardinal(m["year"]),
                *m["kind"].upper(),
                digits(m["digits"]),
            ]
        ),
    ),
    (_HARDWARE_ADDRESS, _characters_and_colons),
    (
        r"(?<![\w-])(?:(?=[0-9-]{1,24}[A-Z])[0-9]{1,8}(?:-[0-9A-Z]{1,8}){2,6}"
        r"|[A-Z]{1,4}[0-9]{1,4}-[0-9]{1,5}[A-Z]{1,2})(?![\w:-])",
        _groups_of_code,
    ),
    (
        rf"\b(?P<formula>{_PARTS}{{1,12}})(?P<charge>[¹²³⁴]?[⁺⁻]|(?<=[a-z])[1-4]?\+"
        r"|(?<=Cl|Br|OH|O3)-(?!-)|(?<=[A-Z])[1-4]?-(?= ions?\b))(?![\w+])",
        _formula,
    ),
    (
        rf"(?:(?<!\w)|"
        rf"(?<![^ +(][2-9])(?<=[2-9]))(?P<formula>(?=[A-Za-z(]{{1,8}}\)?[0-9]){_PARTS}{{2,12}}"
        rf"|(?=[A-Z][a-z]?[A-Z])(?!NaN)(?=[A-Z]*[a-z])(?:{_ELEMENTS}){{2,3}})(?P<charge>)(?!\w)",
        _formula,
    ),
    (
        r"(?:(?<=\bIBAN )|(?<=\bIBAN: )|\b(?=\w{4} (?:[0-9A-Z]{4} ){3}))[A-Z]{2}[0-9]{2}"
        r"(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?\b",
        _characters,
    ),
    (
        r"\b(?:[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}|[A-Z][0-9][A-Z] [0-9][A-Z][0-9])\b",
        _characters,
    ),
    (
        r"\b(?P<line>AA|AC|AF|AY|BA|DL|EK|EY|IB|KL|LH|LX|NH|QF|QR|SK|SQ|TK|UA|VS|WN) ?"
        r"(?P<digits>[0-9]{2,4})(?= (?:depart|leave|land|arrive|board|takes? off|is (?:late|delayed"
        r"|on time|boarding))|(?: from| to) [A-Z][a-z])",
        lambda match: f"{' '.join(match['line'])} {label(match['digits'])}",
    ),
    (r"(?<=\bFlight )[A-Z]{2} ?[0-9]{3,4}\b|(?<=\bflight )[A-Z]{2} ?[0-9]{3,4}\b", _characters),
    (
        r"(?<![\w./@#-])(?=[A-Za-z]{0,19}[0-9])(?=[0-9]{0,19}[A-Za-z])[A-Za-z0-9]{6,20}(?![\w/@-]|"
        r"\.\w)",
        _code,
    ),
)
DIGIT_STRINGS: tuple[Rule, ...] = (
    (r"(?<=[a-z] )# ?(?=\(?[0-9]{3}[).-])", "number"),
    (
        r"(?<=\bI S O )(?P<digits>[0-9]{4,5}):(?P<year>[12][0-9]{3})\b",
        lambda match: f"{label(match['digits'])} {year(match['year'])}",
    ),
    (
        r"(?<![0-9.,])(?P<hour>[01][0-9]|2[0-4])(?P<minute>[0-5][0-9])"
        r"(?: ?(?:hours|hrs|h)\b|(?=[zZ]\b))|(?<=\b[Aa]t )(?P<early>0[0-9])(?P<past>[0-5][0-9])\b",
        _military,
    ),
    (_CODE, _named_digits),
    (_NUMBERED, _named_digits),
    (_CALLED, _named_digits),
    (_EMERGENCY_CALL, lambda match: digits(match["digits"])),
    (_SHORT_CODE, _named_digits),
    (_EMERGENCY, _named_digits),
    (_OR_EMERGENCY, _named_digits),
    (
        r"(?P<name>\b(?:Boeing|Airbus A?) ?|(?<![\w$€£.,-])(?=7[0-8]7-(?:[1-9]00|[89]|10)\b))"
        r"(?P<first>[37][0-9]{2})-(?P<digits>[0-9]{1,4})\b",
        lambda m: f"{m['name']} {label(m['first'])} {label(m['digits'])}",
    ),
    (  # Python 3.11, Ubuntu 22.04
        r"\b(?P<name>Python|Ubuntu|Node|J S|Golang|"
        r"Go(?= 1\.[0-9]{2}(?! (?:miles|kilometers|km|meters|feet|inches|blocks)\b))|"
        r"P H P|Ruby|Kubernetes|Docker|Linux|"
        r"Kernel|"
        r"mac O S|CUDA|PyTorch|Terraform) (?P<whole>[1-9][0-9]?)\.(?P<part>[0-9]{2})(?![\w%]|"
        r"\.[0-9])(?:(?P<to>[-–])(?=[1-9][0-9]?\.[0-9]{1,2}(?![\w%]|\.[0-9])))?"
        r"(?P<last>(?(to)[1-9][0-9]?\.[0-9]{1,2}|))",
        _named_version,
    ),
    (_LABELED, _named_label),
    (
        r"\b(?P<digits>7[0-8]7)(?:(?P<plural>s\b)|(?<=\b[Aa] 7.7)(?=[,.;)]|$)|"
        r"(?= (?:[Mm]ax|MAX|jets?|planes?|Dreamliners?|airliners?)\b))",
        lambda match: label(match["digits"]) + (match["plural"] or ""),
    ),
    (
        r"\b(?P<digits>40[1-9]|50[1-9])(?= (?:[Nn]ot [Ff]ound|[Ff]orbidden|[Uu]nauthorized|"
        r"[Bb]ad [Gg]ateway|[Ee]rror|[Pp]age|[Ss]tatus)\b)",
        lambda match: label(match["digits"]),
    ),
    (  # of two ports: 8080:80
        r"(?<![\w.:])(?P<first>[1-9][0-9]{3,4}):(?P<second>[0-9]{2,5})(?![\w:])",
        lambda match: f"{label(match['first'])} colon {label(match['second'])}",
    ),
    (  # Ryzen 7950X
        r"(?<![\w.,$€£-])(?P<digits>[0-9]{4})(?=(?:X|XT|XTX|U|H|HX|HQ|HS|KF|KS|XE|Ti)\b)",
        lambda match: label(match["digits"]),
    ),
    (_STREET, _street),
    (r"(?<=[A-Z])-[0-9]{1,8}(?:-[0-9]{1,8}){1,4}(?![\w-])", _groups),
    (r"(?<=\b[A-Z])(?P<digits>[0-9]{3})s\b", lambda match: plural(label(match["digits"]))),
    (
        r"(?:(?<=[A-Z])[-_]?|(?<=[a-z]{3})(?:-(?![0-9]+s))?)(?P<digits>[0-9]{3,4})(?![0-9]|"
        r"[.,:/-][0-9])",
        lambda match: label(match["digits"]),
    ),
    (r"(?<=[0-9][A-Z])-(?P<digits>[0-9]{5,12})\b", lambda match: digits(match["digits"])),
    (r"(?<=\b[A-Z][0-9]{2})-(?P<digits>[0-9]{3,8})\b", lambda match: digits(match["digits"])),
    (r"(?:(?<=alpha)|(?<=beta)|(?<=R C)|(?<=dev))\.(?=[0-9])", "point"),
    (r"(?<=[A-Za-z][0-9])-(?P<digits>[0-9]{3,4})(?![0-9])", lambda match: label(match["digits"])),
    (
        r"(?<=[A-Za-z][0-9])-(?P<first>[0-9]{2})(?P<digits>[0-9]{3})(?![0-9])",
        lambda match: f"{cardinal(match['first'])} {label(match['digits'])}",
    ),
    (
        r"(?<![\w.,$-])(?P<digits>10[0-9]{2})-(?=(?:M I S C|N E C|I N T|D I V|E Z)\b)",
        lambda m: label(m["digits"]),
    ),
    (
        r"\b802\.11(?P<letters>[a-z]{0,2})\b",
        lambda match: f"eight oh two point eleven {' '.join(match['letters'].upper())}",
    ),
    (  # 501(c)(3)
        r"\b(?P<digits>50[1-9]|40[1-9]|52[79]) "
        r"?\((?P<letter>[a-z])\)(?:\((?P<number>[0-9]{1,2})\))?",
        lambda m: " ".join(
            [label(m["digits"]), m["letter"], *([cardinal(m["number"])] if m["number"] else [])]
        ),
    ),
    (r"\b(?P<digits>1040|1099|1098)(?=-?(?:E Z|[A-Z]{1,4})\b)", lambda m: label(m["digits"])),
    (
        r"\b(?P<digits>40[13]) ?\(?(?P<letter>[kb])\b\)?",
        lambda match: f"{label(match['digits'])} {match['letter']}",
    ),
    (
        r"(?:(?<=[-.][0-9]{4}) ?|(?<=\b[Cc]all )|(?<=\b[Dd]ial )|"
        r"(?<=\bat )(?=x[0-9]{4})|(?<=xtension is )|\b[Ee]xt(?:ension|\.)? ?)"
        r"x(?P<digits>[0-9]{1,5})\b",
        lambda match: f"extension {label(match['digits'])}",
    ),
    (
        r"(?<![0-9+])\+(?=(?:[ .()-]{0,2}[0-9]){7})[0-9]{1,3}"
        r"(?:[ .-]?\(?[0-9]{1,6}\)?){2,6}(?![0-9])",
        _groups,
    ),
    (
        r"(?<![0-9.-])(?:1[ .-])?(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}(?![0-9])",
        _groups,
    ),
    (r"(?<![0-9.-])[0-9]{3}-[0-9]{4}(?![0-9-])", _groups),
    (r"(?<![0-9.-])(?:[0-9]{5}-[0-9]{4}|[0-9]{2}-[0-9]{7})(?![0-9-])", _groups),
    (r"(?<![0-9.,-])(?:[0-9]{4} ){3}[0-9]{4}(?![0-9])", _groups),
    (r"(?<![0-9.,-])[2-9][0-9]{2} (?!19|20)[0-9]{4}(?![0-9]|[.,][0-9])", _groups),
    (
        r"(?<![0-9.,-])\(?0[0-9]{1,4}\)?(?: [0-9]{2,8}(?:-[0-9]{1,8})?){1,5}(?![0-9]|[.,:/][0-9])",
        _groups,
    ),
    (r"(?<![0-9.,-])3[47][0-9]{2} [0-9]{6} [0-9]{5}(?![0-9])", _groups),
    (r"(?<![0-9.,-])[2-9][0-9]{2}[2-9][0-9]{6}(?![0-9]|[.,][0-9])", _groups),
    (r"(?<![0-9-])[0-9]{1,6}(?:-[0-9]{1,9}){2,6}(?![0-9-])", _groups),
    (
        r"(?<![0-9.])(?P<first>(?:[0-9]{1,3}\.){3}[0-9]{1,3})"
        r"(?: ?[-–] ?(?=(?:[0-9]{1,3}\.){3}[0-9])|[-–](?P<last>[0-9]{1,3})(?!\.?[0-9]))",
        lambda m: f"{m['first']} to {_octet(m['last']) if m['last'] else ''}",
    ),
    (
        r"(?:\b(?P<v>[vV])\.? ?|(?<![0-9.]))(?P<parts>[0-9]{1,4}(?:\.[0-9]{1,6}){2,5})"
        r"(?::(?P<port>[0-9]{2,5}))?(?![0-9])",
        _dotted,
    ),
    (
        r"(?<!\bI P )\b(?:v\.?|V(?=[0-9]{1,15}\.[0-9]))(?P<whole>[0-9]{1,15})"
        r"(?:\.(?P<part>[0-9]{1,15}))?"
        r"(?![0-9]| ?[=²³])",
        _version,
    ),
)
