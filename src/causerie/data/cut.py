"""Cuts speech at its pauses, and its transcript at the same places."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from causerie.data.activity import Span
from causerie.data.letters import letters

#: Silence to keep before and after speech, so that no first or last sound is lost.
LEAD_S, TAIL_S = 0.15, 0.3


def cut(spans: Sequence[Span], max_s: float, max_pause_s: float) -> list[list[Span]]:
    """Cut spans into pieces of at most `max_s`, as far as there are pauses to cut at.

    Cuts at every pause longer than `max_pause_s`, and at the longest pause in the second half of a
    piece that is still too long.
    """
    pieces: list[list[Span]] = []
    current: list[Span] = []
    for span in spans:
        if current and span.start_s - current[-1].end_s > max_pause_s:
            pieces.append(current)
            current = []
        current.append(span)
        while len(current) > 1 and current[-1].end_s - current[0].start_s > max_s:
            at = _best_cut(current, max_s)
            pieces.append(current[:at])
            current = current[at:]
    return [*pieces, current] if current else pieces


def _best_cut(spans: Sequence[Span], max_s: float) -> int:
    """The index of the span to cut before."""
    options = range(1, len(spans))
    late = [i for i in options if spans[i - 1].end_s - spans[0].start_s >= max_s / 2]
    fitting = [i for i in late if spans[i - 1].end_s - spans[0].start_s <= max_s]
    return max(fitting or options, key=lambda i: spans[i].start_s - spans[i - 1].end_s)


def with_margins(pieces: Sequence[Sequence[Span]], within: Span) -> list[Span]:
    """The interval of each piece: some silence around it, without its neighbours."""
    out = []
    for index, piece in enumerate(pieces):
        low, high = within.start_s, within.end_s
        if index > 0:
            low = (pieces[index - 1][-1].end_s + piece[0].start_s) / 2
        if index + 1 < len(pieces):
            high = (piece[-1].end_s + pieces[index + 1][0].start_s) / 2
        out.append(Span(max(low, piece[0].start_s - LEAD_S), min(high, piece[-1].end_s + TAIL_S)))
    return out


def split_text(text: str, recognized: Sequence[str]) -> list[str]:
    """Split a transcript into one part per recognized text, by the best alignment of words.

    No word is lost: words that were not recognized go with the word before them.
    """
    words = text.split()
    recognized_words = [
        (letters(word), piece) for piece, part in enumerate(recognized) for word in part.split()
    ]
    if not recognized_words:
        return [text, *[""] * (len(recognized) - 1)]
    place = [-1] * len(words)
    matcher = difflib.SequenceMatcher(
        a=[letters(word) for word in words],
        b=[word for word, _ in recognized_words],
        autojunk=False,
    )
    for kind, a1, a2, b1, b2 in matcher.get_opcodes():
        if kind in ("equal", "replace"):
            for a in range(a1, a2):
                place[a] = recognized_words[b1 + (a - a1) * (b2 - b1) // (a2 - a1)][1]
    before = next((piece for piece in place if piece >= 0), 0)
    parts: list[list[str]] = [[] for _ in recognized]
    for word, piece in zip(words, place, strict=True):
        before = piece if piece >= 0 else before
        parts[before].append(word)
    return [" ".join(part) for part in parts]
