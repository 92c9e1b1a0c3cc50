"""Reads the functions, quotients, products and absolute values of formulas as words.

`causerie.text.quantities` reads their numbers and operators, `causerie.text.latex` LaTeX.
"""

from __future__ import annotations

import re

from causerie.text.rules import Rules

_FUNCTIONS = {"sin": "sine", "cos": "cosine", "tan": "tangent"}


def _function(match: re.Match[str]) -> str:
    """A function before its argument: f'(x) → f prime of (x); log2(8) → log base 2 of (8)."""
    if match["base"]:
        return f"log base {match['base']} of ("
    name = _FUNCTIONS.get(match["name"], match["name"])
    return f"{name}{' prime' * bool(match['prime'])} of ("


#: Puts words in place of functions, derivatives, quotients and absolute values.
read_formulas = Rules(
    (
        (r"(?<=\bP\([A-Z])\|(?=[A-Z]\))", " given "),
        (r"(?<=\b[a-z])'(?= ?[=+])", " prime"),
        (r"(?<![\w'])n!(?!\w)(?! ?[=*+/])", "n factorial"),
        (r"\blog_?(?P<base>[0-9]{1,2}) (?=[0-9a-z])", r"log base \g<base> of "),
        # Of formulas: (a+b)/(c+d), x = a/b, (-b).
        (
            r"(?:(?<=\)) ?/ ?|(?<=\b[a-z])(?<![\w/.'][a-z])/(?=[a-z] [+=*×−-])"
            r"|(?<=[+=*×−-] [a-z])/)(?=[0-9]{0,3}[a-z](?![A-Za-z/'])|[0-9]+ ?[a-z]?(?![\w/])|\()",
            " over ",
        ),
        (r"(?<=\()[-−](?=[a-z] [±+−*/-])|(?<=[\w^]\()[-−](?=[a-z]\))", "minus "),
        (
            r"(?<![\w.\\])(?P<name>[fghFGHPOT]|sin|cos|tan|ln|exp|sinh|cosh|tanh|"
            r"log_?(?P<base>[0-9]*))"
            r"(?P<prime>'?)\((?!s\))(?=[^()]{1,30}\))",
            _function,
        ),
        (
            r"\b(?P<name>sin|cos|tan)(?=[²³]| ?[αβθφω]|\^2)",
            lambda m: _FUNCTIONS[m["name"]] + " " * (m.string[m.end()] not in " ²³^"),
        ),
        # y = mx + b
        (r"(?<== )([a-z])([a-z])(?=[²³]?(?: ?[+−]| - ))", lambda m: f"{m[1]} {m[2]}"),
        # F = ma
        (
            r"(?<=\b[A-Za-z] = )(?!no|it|me|us|on|in|up|at|to|my|so|do|if|or|as|an|am|be|by|is|of)"
            r"([a-z])([a-z])(?=[²³]?(?:[.,;:)]|$))",
            lambda m: f"{m[1]} {m[2]}",
        ),
        (r"\bd([a-z])/d([a-z])\b", lambda m: f"d {m[1]} over d {m[2]}"),
        (
            r"\|(?P<value>[\w+−-][^|]{0,20})(?<! )\|(?= ?[=<>≤≥+])",
            lambda m: f" the absolute value of {m['value']}",
        ),
    ),
    only_if=r"\w'?\(|log[0-9]|\) ?/|\b[a-z]/[a-z]\b|\([-−][a-z]|\w' ?[=+]|n!|/d|\||= [a-z]{2}|"
    r"\b(?:sin|cos|tan)[²³^ αβθφω]",
    spaced=False,
)
