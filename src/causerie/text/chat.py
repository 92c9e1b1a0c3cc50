"""Reads the short spellings of chats as the words they stand for: gr8, b4, ppl."""

from __future__ import annotations

from causerie.text.rules import Rules

_CHAT = {
    "gr8": "great", "l8": "late", "l8r": "later", "m8": "mate", "2nite": "tonight",
    "2moro": "tomorrow", "2morrow": "tomorrow",
    "str8": "straight", "w8": "wait",
    "ppl": "people", "sry": "sorry", "plz": "please", "cuz": "because", "luv": "love",
    "gf": "girlfriend", "bf": "boyfriend",
}  # fmt: skip
#: Puts words in place of those of chats: gr8, c u l8r.
read_chat = Rules(
    (
        (
            r"(?<![\w.])(?:gr8|l8r?|2nite|2moro|2morrow|str8|w8|"
            r"m8(?! (?:bolt|screw|nut|thread|washer|hole|rod|stud)s?\b))\b",
            lambda m: _CHAT[m[0]],
        ),
        (
            r"\bb4(?= (?:the|it|i|I|you|u|we|he|she|they|my|your|noon|midnight|bed|lunch|dinner|"
            r"breakfast|school|work|going|that|this|[0-9])\b)",
            "before",
        ),
        (
            r"(?:(?<=\bthx )|(?<=\bthanks )|(?<=\bgood )|(?<=\bluck )|(?<=\bwait ))"
            r"4(?= (?:u|you|ya|me|the|ur|your)\b)",
            "for",
        ),
        (r"(?<![\w'.-])ur(?![\w'.-])", "your"),
        (r"(?<![\w'.-])(?:ppl|sry|plz|cuz|luv)(?![\w'.-])", lambda m: _CHAT[m[0]]),
        # Without a person before it, gf may be gluten-free, or a command of vim.
        (
            r"(?:(?<=\b[Mm]y )|(?<=\b(?:[Hh]is|[Hh]er|our|[Yy]ur) )|(?<=\b(?:[Yy]our) )|"
            r"(?<=\b[Tt]heir )|(?<=\bur )|(?<='s )|(?<=\bex )|(?<=\bnew )|(?<=\bbest )|"
            r"(?<=\ba )|(?<=\bno ))(?:gf|bf)(?![\w'.-])",
            lambda m: _CHAT[m[0]],
        ),
    ),
    only_if=r"[a-z][48]|[2w][mn8]|\b4 |\bur\b|ppl|sry|plz|cuz|luv|[gb]f",
    spaced=False,
)
