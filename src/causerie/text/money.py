"""Writes amounts of money as words."""

from __future__ import annotations

import re

from causerie.text.numbers import cardinal, decimal, plural
from causerie.text.rules import Rule
from causerie.text.units import ARTICLE, NOUN_AHEAD, PERIOD, known, many, per

_CURRENCY = {
    "$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yen", ""),
    "₹": ("rupee", "paisa"), "₩": ("won", ""), "₽": ("ruble", "kopeck"), "₺": ("lira", ""),
    "₿": ("bitcoin", ""), "₫": ("dong", ""), "₴": ("hryvnia", ""), "₦": ("naira", ""),
    "₱": ("peso", "centavo"), "฿": ("baht", ""), "₪": ("shekel", ""), "円": ("yen", ""),
    "元": ("yuan", ""), "zł": ("zloty", ""), "Kč": ("Czech koruna", ""), "kr": ("krone", ""),
    "Rs": ("rupee", "paisa"),
    "USD": ("dollar", "cent"), "EUR": ("euro", "cent"),
    "GBP": ("pound", "penny"), "JPY": ("yen", ""), "CHF": ("Swiss franc", "centime"),
    "CAD": ("Canadian dollar", "cent"), "AUD": ("Australian dollar", "cent"),
    "NZD": ("New Zealand dollar", "cent"), "SEK": ("Swedish krona", ""),
    "NOK": ("Norwegian krone", ""), "DKK": ("Danish krone", ""), "CNY": ("yuan", ""),
    "RMB": ("yuan", ""), "INR": ("rupee", "paisa"), "KRW": ("won", ""), "BRL": ("real", "centavo"),
    "MXN": ("Mexican peso", "centavo"), "PLN": ("zloty", ""), "CZK": ("Czech koruna", ""),
    "HUF": ("forint", ""), "ZAR": ("rand", "cent"), "BTC": ("bitcoin", ""),
    "MX$": ("Mexican peso", "centavo"), "NT$": ("New Taiwan dollar", "cent"),
    "US$": ("dollar", "cent"), "C$": ("Canadian dollar", "cent"), "R$": ("real", "centavo"),
    "CA$": ("Canadian dollar", "cent"), "A$": ("Australian dollar", "cent"),
    "AU$": ("Australian dollar", "cent"), "NZ$": ("New Zealand dollar", "cent"),
    "HK$": ("Hong Kong dollar", "cent"), "S$": ("Singapore dollar", "cent"),
}  # fmt: skip
#: A pattern of the codes of currencies: USD.
CODES = "|".join(code for code in _CURRENCY if code.isascii() and code.isalpha())
#: The signs of currencies.
SIGNS = "".join(code for code in _CURRENCY if len(code) == 1)
_BEFORE = rf"(?<![A-Za-z])(?P<currency>[A-Z]{{0,2}}[{SIGNS}]|(?:zł|Kč|(?:{CODES})\.?)(?= ?[0-9]))"
_AFTER = rf"(?P<currency>[{SIGNS[1:]}]|zł|Kč|(?:{CODES})\b)"
_SCALES = {
    "mm": "million", "mil": "million", "bil": "billion", "cr": "crore", "l": "lakh",
    "k": "thousand", "m": "million", "b": "billion", "t": "trillion", "mn": "million",
    "bn": "billion", "tn": "trillion", "trn": "trillion",
}  # fmt: skip
_SCALE = (
    r"(?:(?! [A-Z] [A-Z]\b)(?: |-(?=[tmblc][a-z]{{3}}))?"
    r"(?P<{}scale>thousand|million|billion|trillion|lakh|crore|mil|bil|cr|[bmt]n|trn|MM|mm|"
    r"[kKmMbBtT])"
    r"(?![A-Za-z]))?"
)
_AMOUNT = (
    r"(?P<{0}whole>[0-9]{{1,3}}(?:,[0-9]{{3}}){{1,4}}|[0-9]{{1,15}})"
    r"(?:\.(?P<{0}part>[0-9]{{1,15}}))?"
)
_PER = (
    rf"(?:/(?P<per>(?:sq|cu|fl)\.? (?:ft|in|yd|mi?|oz)|{PERIOD}|[a-z]{{3,20}})(?!\w)"
    rf"(?:/(?P<then>{PERIOD}))?(?![\w/]))?"
)
_END = r"(?![0-9])"
_ADJECTIVE = rf"(?P<noun>{NOUN_AHEAD}|-(?=[a-z]))?"
# Things that have a price, in the singular before them also without an article: ten $5 bills.
_PRICED = re.compile(
    r"-?an?-[a-z]{3}| (?:bill|note|coin|ticket|fee|fine|gift card|coupon|stamp|deal|loan|budget|"
    r"grant|contract|"
    r"investment|jackpot|prize|settlement|lawsuit|mansion|price tag|discount|rebate|donation|"
    r"bonus)s?\b"
)


def _names(match: re.Match[str]) -> tuple[str, str]:
    """The currency and its hundredth; an unknown prefix of a sign is left out."""
    currency = match["currency"].rstrip(".")
    return _CURRENCY.get(currency) or _CURRENCY[currency[-1]]


def _single(match: re.Match[str]) -> str:
    words = _amount(match, "", one=_is_adjective(match))
    return f"{match['article'] or ''}{words}{_per(match)}"


def _with_cents_only(match: re.Match[str]) -> str:
    one, hundredth = _names(match)
    cents = str(int(match["part"].ljust(2, "0")))
    if not hundredth:
        return f"{decimal('0', match['part'])} {many(one)}"
    return f"{cardinal(cents)} {hundredth if cents == '1' else many(hundredth)}{_per(match)}"


def _continental(match: re.Match[str]) -> str:
    """An amount with a decimal comma: €1.299,99."""
    one, hundredth = _names(match)
    whole, part = match["whole"].replace(".", ""), match["part"]
    if not hundredth:
        return f"{decimal(whole, part)} {many(one)}{_per(match)}"
    return _coins(whole, part, one, hundredth) + _per(match)


def _range(match: re.Match[str]) -> str:
    if (match["part"] or match["high_part"]) and not match["high_scale"]:
        words = f"{_amount(match, '')} to {_amount(match, 'high_')}"
    else:
        low, high = (_number(match, group) for group in ("", "high_"))
        one = _names(match)[0]
        words = f"{low} to {high} {one if _is_adjective(match) else many(one)}"
    return f"{match['article'] or ''}{words}{_per(match)}"


def _is_adjective(match: re.Match[str]) -> bool:
    is_priced = _PRICED.match(match.string, match.end())
    return bool(is_priced or (match["article"] and match["noun"] is not None))


def _number(match: re.Match[str], group: str) -> str:
    words = decimal(match[group + "whole"].replace(",", ""), match[group + "part"] or "")
    scale = match[group + "scale"]
    return f"{words} {_SCALES.get(scale.lower(), scale)}" if scale else words


def _amount(match: re.Match[str], group: str, *, one: bool = False) -> str:
    unit, hundredth = _names(match)
    whole, part = match[group + "whole"].replace(",", ""), match[group + "part"] or ""
    if match[group + "scale"] or len(part) > 2 or not hundredth:
        single = one or (whole == "1" and not part and not match[group + "scale"])
        return f"{_number(match, group)} {unit if single else many(unit)}"
    if one and not part:
        return f"{cardinal(whole)} {unit}"
    return _coins(whole, part, unit, hundredth)


def _coins(whole: str, part: str, unit: str, hundredth: str) -> str:
    cents = str(int(part.ljust(2, "0"))) if part else "0"
    words = []
    if whole.strip("0") or cents == "0":
        words.append(f"{cardinal(whole)} {unit if whole == '1' else many(unit)}")
    if cents != "0":
        words.append(f"{cardinal(cents)} {hundredth if cents == '1' else many(hundredth)}")
    return " and ".join(words)


def _per(match: re.Match[str]) -> str:
    if not match["per"]:
        return ""
    if match["per"] == "ea":
        return " each"
    if match["per"] == "pp":
        return " per person"
    if match["then"]:
        return f" per {per(match['per'])} per {per(match['then'])}"
    if not known(match):
        return f" per {match['per']}" if len(match["per"]) > 2 else f" slash {match['per']}"
    period = per(match["per"])
    return f" {'an' if period in ('hour', 'ounce', 'acre') else 'a'} {period}"


def _cents(match: re.Match[str]) -> str:
    whole, part = match["whole"], match["part"] or ""
    is_one = (whole == "1" and not part) or _is_adjective(match)
    words = f"{match['article'] or ''}{decimal(whole, part)} cent{'' if is_one else 's'}"
    return words + _per(match)


_CODED = r"[0-9][0-9,]{0,19}(?:\.[0-9]{1,2})?[kKmMbB]?"
_LOW = _AMOUNT.format("") + _SCALE.format("")
_HIGH = _AMOUNT.format("high_") + _SCALE.format("high_")
_CONTINENTAL = r"(?P<whole>[0-9]{1,3}(?:\.[0-9]{3}){0,4}),(?P<part>[0-9]{2})"
MONEY: tuple[Rule, ...] = (
    # $1½ million → 1.5 million dollars
    (
        rf"(?P<sign>[{SIGNS}])(?P<whole>[0-9]{{1,3}}) ?(?P<part>1/2|1/4|3/4) "
        rf"(?=[mbtr]{{1,2}}illion)",
        lambda m: f"{m['sign']}{m['whole']}.{ {'1/2': '5', '1/4': '25', '3/4': '75'}[m['part']] }",
    ),
    # Accounts write what is lost in brackets: $(500).
    (
        rf"(?P<currency>[A-Z]{{0,2}}[{SIGNS}]) ?\((?P<amount>[0-9][0-9,.]{{0,20}} "
        rf"?(?:[kKmMbB]n?)?)\)"
        r"(?P<scale> [mbtr]{1,2}illion|)",
        lambda match: f"minus {match['currency']}{match['amount']}{match['scale']}",
    ),
    (
        rf"(?P<amount>[{SIGNS}][0-9.,]{{0,8}}[0-9]) (?P<per>ea|pp)\b\.?",
        lambda m: f"{m['amount']}/{m['per']}",
    ),
    # A code after the sign says which dollars: $20 CAD.
    (
        rf" ?(?<![A-Z])(?:US)?\$ ?(?P<amount>{_CODED}) ?(?P<code>USD|CAD|AUD|NZD|MXN)\b ?",
        lambda match: f"{match['code']} {match['amount']}",
    ),
    (
        r"\$(?P<whole>[0-9]{1,3})(?:\.(?P<part>[0-9]{1,3}))?[ -]"
        r"(?P<scale>[mbtr]{1,2}illion)-dollars?",
        lambda m: f"{decimal(m['whole'], m['part'] or '')} {m['scale']} dollar",
    ),
    (r"\$(?P<whole>[0-9]{1,3})s\b", lambda match: plural(cardinal(match["whole"]))),
    (rf"~(?=[{SIGNS}])", "about "),
    (rf"(?<![\w)])[-−](?=[{SIGNS}] ?[0-9])", "minus "),
    (
        rf"(?:(?<= )|(?<=\())–(?=[{SIGNS}][0-9])|"
        rf"(?<![\w)])[-−](?=[0-9][0-9.,]{{0,15}} ?(?:[{SIGNS[1:]}]|(?:{CODES})\b))",
        "minus",
    ),
    (rf"(?P<currency>[{SIGNS}])[-−](?=[0-9])", lambda match: f"minus {match['currency']}"),
    (rf"{_BEFORE} ?{_CONTINENTAL}(?![0-9]|[.,][0-9]){_PER}", _continental),
    (rf"(?<![0-9.,]){_CONTINENTAL} ?{_AFTER}{_PER}", _continental),
    (
        rf"{ARTICLE}{_BEFORE} ?{_LOW} ?[-–] ?(?:[{SIGNS}] ?)?{_HIGH}(?![0-9-]|[.,][0-9]){_PER}"
        rf"{_ADJECTIVE}",
        _range,
    ),
    (rf"{ARTICLE}{_BEFORE} ?{_LOW}{_END}{_PER}{_ADJECTIVE}", _single),
    (rf"{ARTICLE}(?<![0-9.,]){_LOW} ?{_AFTER}{_PER}{_ADJECTIVE}", _single),
    (rf"{_BEFORE} ?\.(?P<part>[0-9]{{1,2}})(?![0-9]){_PER}", _with_cents_only),
    (r"\b(?P<money>dollars?|cents?|euros?|pounds?) ?/(?=[0-9])", lambda m: f"{m['money']} per"),
)
CENTS: tuple[Rule, ...] = (
    (
        rf"{ARTICLE}(?<![0-9.,])(?P<whole>[0-9]{{1,15}})(?:\.(?P<part>[0-9]{{1,4}}))? ?¢{_PER}"
        rf"{_ADJECTIVE}",
        _cents,
    ),
    (
        rf"(?P<article>)¢ ?(?P<whole>[0-9]{{1,4}})(?P<part>)(?![0-9]|[.,][0-9]){_PER}",
        _cents,
    ),
)
