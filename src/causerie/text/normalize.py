"""Writes numbers, abbreviations, symbols and addresses as words, for a lexicon.

Words and their punctuation do not change, nor do characters without an English reading (emoji,
other scripts), which the caller reports. Does not know phonemes; `causerie.text.quantities` reads
numbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from causerie.text.abbreviations import read_abbreviations
from causerie.text.addresses import option, read_addresses
from causerie.text.capitals import read_capitals
from causerie.text.digit_strings import CODES
from causerie.text.formulas import read_formulas
from causerie.text.latex import read_latex
from causerie.text.notation import read_notation
from causerie.text.numbers import cardinal
from causerie.text.quantities import read_quantities
from causerie.text.roman import read_roman_numerals
from causerie.text.rules import Rules
from causerie.text.units import read_products

_KEPT = "¯…–—°⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺™®©×÷"


class _Compatible(dict[int, str | int]):
    """A table for str.translate that maps compatibility characters (１, 𝐚, ﬁ, ℃) to plain ones."""

    def __missing__(self, code: int) -> str | int:
        plain: str | int = code
        if code > 127:
            plain = unicodedata.normalize("NFKC", chr(code))
            if len(plain) > 1 and "\u2044" in plain:  # ⅞ → 7/8
                plain = " " + plain.replace("\u2044", "/")
        self[code] = plain
        return plain


_CHARACTERS: dict[str, str | int] = {
    **{kept: kept for kept in _KEPT},
    "\u2044": "/", "ⁿ": "^n", "µ": "μ",
    "’": "'", "‘": "'", "′": "'", "“": '"', "”": '"', "„": '"', "″": '"', "«": '"', "»": '"',
    "№": "No.", "₤": "£", "™": "", "®": "", "†": "", "‡": "", "¿": "", "¡": "",
    "\u00ad": "", "\u200b": "", "\u200d": "", "\ufe0f": "", "\ufeff": "",
    "‐": "-", "‑": "-", "‒": "–", "―": "—", "·": " ",
    **dict(zip("ᵢⱼₖₗₘₙₚₜₓₐₑₒ", (f" {letter} " for letter in "ijklmnptxaeo"), strict=True)),
    "º": "°", "\r": "\n", "\t": " ", "\f": "\n", "\v": "\n", "\u2028": "\n", "\u2029": "\n",
}  # fmt: skip

_SYMBOLS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "±": "plus or minus",
    "≈": "is about", "≠": "is not equal to", "≤": "is at most", "≥": "is at least", "×": "times",
    "÷": "divided by", "⋅": "times", "°": "degrees", "§": "section", "²": "squared", "³": "cubed",
    "π": "pi",
    "√": "square root of", "∞": "infinity", "→": "to", "←": "from", "$": "dollars", "€": "euros",
    "£": "pounds", "¥": "yen", "¢": "cents", "₹": "rupees", "/": "slash",
    "\\": "backslash", "©": "copyright", "‰": "per mille", "¶": "paragraph",
    "−": "minus", "↑": "up", "↓": "down", "⇒": "implies", "∈": "in", "∉": "not in", "∪": "union",
    "∩": "intersection", "⊂": "subset of", "∀": "for all", "∃": "there exists", "∑": "sum of",
    "∆": "delta",
    "∏": "product of", "∫": "integral of", "∂": "partial", "∇": "nabla", "∴": "therefore",
    "∠": "angle", "⊥": "perpendicular to", "∥": "parallel to", "♭": "flat", "♯": "sharp",
    "↔": "to", "⇔": "if and only if", "¬": "not", "∧": "and", "∨": "or", "∛": "cube root of",
    "‱": "per ten thousand", "⟶": "to", "∣": "given",
    "∝": "is proportional to", "≡": "is equivalent to", "∅": "the empty set",
}  # fmt: skip
_INDEX = re.compile(r"(?<![A-Za-z])([a-z])([₀-₉]{1,2})(?![₀-₉²³⁰-⁹⁺⁻])")
_CODES = Rules(
    CODES, only_if=r"[0-9⁰¹²³⁴-⁹⁺⁻+]|#[A-Fa-f]|\b[A-Z][a-z]?(?:Cl|OH|O|S|Br)\b|[a-zA-Z]\([IV]"
)
#: Pictures of characters, and their codes: :-), ^_^, :smile:. They are not read. Between spaces, so
#: that no punctuation of a word is lost; a heart only after words.
EMOTICON = re.compile(
    r"(?<!\S)(?:(?:>?[:;]['^o]?-?|[8B]-)[)(\]\[DPpOo|\\/*]|=[)(D])(?!\w)|(?<=[!?.])[:;]-?[DP](?!\w)"
    r"|(?<!\S)(?:\^_*\^|-__*-|[oO]_[oO]|T_T|\\o/|[xX]D|¯[^\s¯ツ]*ツ[^\s¯]*¯)(?![\w^])"
    r"|(?<=[a-z.!]{2} )</?3(?!\w)|(?<!\w )</?3(?= ?[.!]?$)"
    r"|(?<!\S):[a-z][a-z0-9_+]{2,30}:(?=\s|$|[.,!?])"
)
_DECORATION = re.compile(r"^[=~#_-]{3,} | [=~#_-]{3,}$")  # === End ===
# Tags in code or written out: the `<div>` element.
_ELEMENT = re.compile(
    r"(?:(?<!\w)<|<(?=/))(?P<slash>/?)(?P<name>[A-Za-z][A-Za-z0-9-]{0,20}"
    r"(?: [\w-]+=[^<>]{0,80}[^<>/ ])?) ?/?>"
)
_OPERATORS = {"&&": " and ", "||": " or ", "!": "not "}
_OPERATOR = re.compile(r"&&|\|\||(?:(?<=[(&|=] )|(?<=[(&|])|(?<=\bif ))!(?=[a-z(])")
# price * quantity, a*b; SELECT * FROM t, COUNT(*)
_STAR = re.compile(
    r"(?P<power>(?<=[\w)\]])(?:\*\*| \*\* )(?=[0-9(-]|[A-Za-z]\b))|"
    r"(?P<times>(?<=[a-z0-9_)\]])(?<!\b[Pp]ress) \* (?=[a-z0-9_(])|(?<=\b[a-z])\*(?=[a-z]\b))"
    r"|(?:(?<=\bSELECT )|(?<=\bselect )|(?<=\b[Pp]ress )|(?<=\w\())\*(?=[ ).,])"
    r"|(?<=/)\*(?= |$|[).,!])"
)
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξορστυφχψωϕΓΔΘΛΞΣΦΨΩ",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron rho "
        "sigma tau upsilon phi chi psi omega phi "
        "gamma delta theta lambda xi sigma phi psi omega".split(),
        strict=True,
    )
)
_GREEK_LETTER = re.compile(f"(?:(?<![^\\W\\d_])|(?<=\\b[A-Za-z]))[{''.join(_GREEK)}](?![Ͱ-Ͽ])")
_COMPARISONS = {"===": "=", "!==": "≠", ">=": "≥", "<=": "≤", "!=": "≠", "==": "="}
_COMPARISON = re.compile("[!=]==(?!=)|(?<![!=])[<>!=]=(?!=)")
# Without a word before them: ≥ 18 → at least 18.
_RELATIONS = {"≥": "at least ", "≤": "at most ", "≈": "about "}
_RELATION = re.compile(
    r"(?:(?<=[,;:(] )|(?<=[,;:(])|^)[≥≤≈]|(?:(?<=[a-z]{2} )|(?<=\ba ))[≥≤≈](?=[$€£]?[0-9])"
)
_FIRST_ARROW = re.compile("^ ?[→←] ?")
# Of blood: O- donors, AB+ blood.
_BLOOD = re.compile(
    r"(?:(?<=\b[ABO])|(?<=\bA B)|(?<=\bAB))[+-](?= (?:blood|donors?|type|plasma|cells)\b)"
)
_MINUS_GRADE = re.compile(
    r"(?<=\b[ABCDO])-(?= (?:grade|average|student|rating|for\b|in\b)|$|[.,;])"
)
_TO_A_POWER = re.compile(r"(?<=[A-Za-z0-9)])\^(?P<minus>[-−])?(?=[A-Za-z]\b|\()")
_OPTION = re.compile(  # git push --force; ls -l
    r"(?<=[A-Za-z0-9] )--[a-z]+(?:-[a-z]+)*(?=[ =,.;:)]|$)"
    r"|(?:(?<=[a-z]{2} )|(?<=\b[A-Z] [A-Z] ))-(?=[A-Za-z]\b(?!-)|[b-df-hj-np-tv-xz]{2,4}\b)"
)
_DASH = re.compile(r"(?<=\S) -{1,3} (?=\S)|-{2,}")
_ARROW = re.compile(r"(?<![-=<])[-=]{1,2}>")
_COMPARED = re.compile(r"(?<=[\w)²³°%∞!] )[<>](?= ?[-−$€£~]?\.?[\w(])|[<>](?=[$€£~]?\.?[0-9])")
_VARIABLE = re.compile(r"(?<!\w)\$(?=[A-Za-z_])")
_DOLLAR_FOR_S = re.compile(r"(?<=[A-Za-z])\$(?=[A-Za-z])")
_REPEATED = re.compile(f"([{re.escape(''.join(_SYMBOLS))}])\\1{{2,}}")
_SYMBOL = re.compile(f"[{re.escape(''.join(_SYMBOLS))}]")
_BRACKETS = str.maketrans("[]{}<>|", "()()(),", "*`~^#")
_SPACE_BEFORE = re.compile(r" +(?=[,.!?;:…)])|(?<=[a-z]) +(?='s\b(?!'))")
_DANGLING = re.compile(r"(?<=\w)-(?= |$)|(?<=\( )|(?<=\() +")


def normalize(text: str, *, spells: bool = True, knows: Callable[[str], bool] | None = None) -> str:
    """A text without markup as it is read aloud, on one line; `causerie.text.blocks` reads markup.

    Web addresses lose their scheme, query and fragment.

    Args:
        spells: write the letters of initialisms apart.
        knows: whether a lexicon has a word in small letters; see `read_capitals`.
    """
    text = read_products(read_latex(text))
    text = _INDEX.sub(_index, text)
    text = " ".join(text.translate(_TABLE).split())
    text = _ELEMENT.sub(lambda m: f" {'slash ' * bool(m['slash'])}{m['name']} ", text)
    text = read_formulas(read_notation(_DECORATION.sub("", text)))
    text = read_addresses(_CODES(EMOTICON.sub("", text)))
    text = read_roman_numerals(read_abbreviations(text))
    text = read_capitals(text, knows) if spells else text
    text = _STAR.sub(_star, text)
    text = _OPERATOR.sub(lambda match: _OPERATORS[match[0]], text)
    text = _COMPARISON.sub(lambda match: _COMPARISONS[match[0]], _ARROW.sub(" to ", text))
    text = _COMPARED.sub(lambda m: " less than " if m[0] == "<" else " greater than ", text)
    text = _FIRST_ARROW.sub("", _RELATION.sub(lambda match: _RELATIONS[match[0]], text))
    text = _BLOOD.sub(lambda match: " positive" if match[0] == "+" else " negative", text)
    text = _TO_A_POWER.sub(_to_a_power, _MINUS_GRADE.sub(" minus", text))
    text = read_quantities(text)
    text = _GREEK_LETTER.sub(lambda match: f" {_GREEK[match[0]]} ", text)
    text = _OPTION.sub(option, text)
    text = _DOLLAR_FOR_S.sub("s", text)
    text = _VARIABLE.sub("dollar ", _DASH.sub("—", text))
    text = _SYMBOL.sub(lambda match: f" {_SYMBOLS[match[0]]} ", _REPEATED.sub(r"\1", text))
    text = text.replace("_", " ").translate(_BRACKETS)
    return _SPACE_BEFORE.sub("", _DANGLING.sub("", " ".join(text.split())))


def _star(match: re.Match[str]) -> str:
    """A star between two values, two of them, or one that stands for all: SELECT *."""
    return "^" if match["power"] else " times " if match["times"] else "star"


def _index(match: re.Match[str]) -> str:
    """A variable with its index: m₁m₂ → m one m two."""
    return f"{match[1]} {cardinal(unicodedata.normalize('NFKC', match[2]))} "


def _to_a_power(match: re.Match[str]) -> str:
    return f" to the {'minus ' * bool(match['minus'])}"


_TABLE = _Compatible(str.maketrans(_CHARACTERS))
