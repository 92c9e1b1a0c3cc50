"""Reads the length of a pause: of SSML's break, and of [pause 0.5s] as people write it."""

from __future__ import annotations

import re

from causerie.errors import TextError

#: The longest pause, in seconds.
MAX_PAUSE_S = 10.0
#: Seconds of a break by its strength: Azure's values, as the standard has none.
STRENGTHS = {
    "none": 0.0, "x-weak": 0.25, "weak": 0.5, "medium": 0.75, "strong": 1.0, "x-strong": 1.25,
}  # fmt: skip
_TIME = re.compile(r"\+?(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(ms|s)")
#: A pause within brackets, parentheses or stars.
WRITTEN = (
    r"(?:(?P<length>short|brief|long|dramatic)\s+)?(?:pauses?|break|silence|beat)"
    r"(?:[\s:=]+(?:for\s+)?(?P<number>\d{1,5}(?:\.\d{0,6})?|\.\d{1,6})\s*"
    r"(?P<unit>ms|msec|milliseconds?|s|secs?|seconds?)?)?"
)
_LENGTHS = {None: "medium", "short": "weak", "brief": "weak", "long": "x-strong",
            "dramatic": "x-strong"}  # fmt: skip


def break_seconds(time: str | None, strength: str | None) -> float:
    """The seconds of SSML's break.

    Raises:
        TextError: its time or its strength is invalid.
    """
    if time is None:
        strength = strength or "medium"
        if strength not in STRENGTHS:
            raise TextError(
                f"a break's strength is one of {', '.join(STRENGTHS)}, not {strength!r}"
            )
        return STRENGTHS[strength]
    match = _TIME.fullmatch(time.strip())
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else -1.0
    if not 0 <= seconds <= MAX_PAUSE_S:
        raise TextError(
            f"a break's time is like 500ms or 1.5s, at most {MAX_PAUSE_S:g}s, not {time!r}"
        )
    return seconds


def written_seconds(match: re.Match[str]) -> float:
    """The seconds of a match of `WRITTEN`, which may be more than `MAX_PAUSE_S`."""
    if match["number"] is None:
        return STRENGTHS[_LENGTHS[match["length"] and match["length"].lower()]]
    unit = (match["unit"] or "s").lower()
    return float(match["number"]) / (1000 if unit.startswith("m") else 1)
