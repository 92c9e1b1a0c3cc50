r"""Writes the commands of LaTeX as plain symbols and words: $\frac{a}{b}$ → a over b.

Language models write formulas so. Does not know numbers: `causerie.text.quantities` reads them.
"""

from __future__ import annotations

import re

_SYMBOLS = {
    "times": "×", "cdot": "×", "ast": "×", "div": "÷", "pm": "±", "mp": "minus or plus",
    "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠", "approx": "≈",
    "sim": "≈", "equiv": "is equivalent to", "infty": "∞", "to": "→", "rightarrow": "→",
    "Rightarrow": "implies", "implies": "implies", "iff": "if and only if", "circ": "°",
    "degree": "°", "partial": "partial", "nabla": "nabla", "in": "in", "notin": "not in",
    "cup": "union", "cap": "intersection", "subset": "subset of", "forall": "for all",
    "exists": "there exists", "sum": "the sum", "prod": "the product", "int": "the integral",
    "lim": "the limit", "ldots": "…", "cdots": "…", "dots": "…", "mid": "given", "neg": "not",
    "land": "and", "lor": "or", "ell": "l", "hbar": "h bar", "quad": " ", "qquad": " ",
    "left": "", "right": "", "big": "", "Big": "", "displaystyle": "", "limits": "",
    "angle": "∠", "triangle": "triangle", "therefore": "therefore", "perp": "⊥", "parallel": "∥",
    "propto": "∝", "leftarrow": "←", "emptyset": "∅", "setminus": "minus", "prime": "prime",
    "mapsto": "maps to", "gg": "is much greater than", "ll": "is much less than",
    "varepsilon": "epsilon", "varphi": "phi",
}  # fmt: skip
_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega sin cos tan cot sec "
    "log ln exp max min gcd det dim deg mod arcsin arccos arctan sinh cosh tanh"
).split()
_WORDS = _SYMBOLS | {name: name for name in _NAMES}
# Patterns are compiled when a text first needs them.
# $x^2$ is a formula, $5 and $6 are amounts.
_FORMULA = (
    r"\$\$(?P<display>[^$]{1,500})\$\$"
    r"|\$(?P<short>[A-Za-z|{\\][^$\s\"]{1,20}|[0-9][0-9.,]{0,15}\\?%?)\$(?![\w{])"
    r"|\$(?=[A-Za-z]\$|"
    r"[^$]{0,500}[\\^_=<>+])(?P<inline>(?!\s)(?![0-9][^$]*(?<![\\a-z])[a-z]{4})[^\s$][^$\"]{0,500})"
    r"(?<! )\$(?![0-9])"
)
_PRODUCT = r"(?<![\\{A-Za-z])(?!in\b|is\b|if\b|or\b|at\b|to\b|of\b|by\b)[a-z]{2}\b(?!\()"
_TEXT = r"\\(?:text|mathrm|mathbf|mathbb|mathit|operatorname|boxed|vec|hat|bar)\{([^{}]*)\}"
_FRACTION = r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}((?=[a-z]))?"
_ROOT = r"\\sqrt(?:\[(?P<degree>[0-9n])\])?\{(?P<value>[^{}]*)\}"
_BOUNDS = (
    r"\\(?P<name>sum|prod|int|lim)(?:\\limits)?(?:_?\{(?P<low>[^{}]*)\}|_(?P<first>\w))?"
    r"(?:\^(?:\{(?P<high>[^{}]*)\}|(?P<last>\\infty|\w)))?"
)
_ENVIRONMENT = r"\\begin\{(?P<name>[a-z]{2,12}\*?)\}(?P<inside>.{0,800}?)\\end\{(?P=name)\}"
_MARGIN = r"\\(?:begin|end)\{[a-z]{2,12}\*?\}"  # of one that is longer
_CHOICE = r"\\[dt]?binom\{([^{}]*)\}\{([^{}]*)\}"
_LOG = r"\\log_\{?(\w{1,3})\}?"
_RAISED = r"\^\{([^{}]*)\}|\^(?=\\circ)"
_LOWERED = r"_\{([^{}]*)\}"
_COMMAND = r"\\([A-Za-z]{2,12})"
_ROOTS = {None: "square", "2": "square", "3": "cube"}
_DRIVE = r"\b[A-Z]:\\"
_DEPTH = 4


def read_latex(text: str) -> str:
    """The text with symbols and words in place of LaTeX's commands; paths stay."""
    if "$" in text:
        text = re.sub(_FORMULA, _formula, text)
    if ("\\" not in text and "^{" not in text) or re.search(_DRIVE, text):
        return text
    text = re.sub(_MARGIN, " ", re.sub(_ENVIRONMENT, _environment, text))
    text = re.sub(_CHOICE, r" \1 choose \2 ", re.sub(_TEXT, r"\1", text))
    text = re.sub(_LOG, r" log base \1 of ", re.sub(_BOUNDS, _bounds, text))
    for _ in range(_DEPTH):  # the innermost first
        text = re.sub(_RAISED, _raised, re.sub(_LOWERED, r" \1 ", text))
        text = re.sub(_ROOT, _root, re.sub(_FRACTION, _fraction, text))
    return re.sub(_COMMAND, _command, text)


def _formula(match: re.Match[str]) -> str:
    formula = (match["display"] or match["short"] or match["inline"]).replace("-", "−")
    formula = formula.replace("\\%", "%")
    return re.sub(_PRODUCT, lambda product: " ".join(product[0]), formula)


def _environment(match: re.Match[str]) -> str:
    """The lines between begin and end, without their marks."""
    return re.sub(r"\\{1,2}(?=[\s,])", ",", match["inside"].replace("&", " "))


def _fraction(match: re.Match[str]) -> str:
    above, below = match[1].strip(), match[2].strip()
    if above.isdigit() and below.isdigit():
        return f" {above}/{below}{',' if match[3] is not None else ''} "  # half, m
    above, below = (re.sub("^d(?=[a-z]$)", "d ", part) for part in (above, below))
    return f" {above} over {below} "


def _root(match: re.Match[str]) -> str:
    degree = match["degree"]
    return f" the {_ROOTS.get(degree) or f'{degree}th'} root of {match['value']} "


def _bounds(match: re.Match[str]) -> str:
    low, high = match["low"] or match["first"], match["high"] or match["last"]
    if match["name"] == "lim":
        return f"\\lim as {(low or '').replace(chr(92) + 'to', ' goes to ')} of "
    words = f"\\{match['name']} "
    words += f"from {low} " if low else ""
    return words + (f"to {high} of " if high else "of ")


def _raised(match: re.Match[str]) -> str:
    power = (match[1] or "").strip().replace("−", "-")
    if match[1] is None or power == "\\circ":
        return power
    return (
        f"^{power}"
        if re.fullmatch("[-+]?[0-9]+|[A-Za-z]", power)
        else f" to the power of {power.replace('-', '−')} "
    )


def _command(match: re.Match[str]) -> str:
    word = _WORDS.get(match[1])
    return match[0] if word is None else f" {word} "
