"""Subtitles from the times of words: SubRip (srt), WebVTT (vtt), and the words alone (json)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from causerie.word_times.align import WordTime

FORMATS = ("srt", "vtt", "json")
#: Two lines of 42 characters for at most 7 seconds, as broadcasters have it.
LINE_CHARS, CUE_CHARS, CUE_S = 42, 84, 7.0
#: A pause that ends a cue, and the time that a cue stays after its last word.
PAUSE_S, LINGER_S = 0.7, 0.3


def subtitles(words: Sequence[WordTime], format: str) -> str:
    """The contents of a file of subtitles.

    Args:
        format: one of `FORMATS`.
    """
    if format == "json":
        facts = [
            {"word": word.text, "start": round(word.start_s, 2), "end": round(word.end_s, 2)}
            for word in words
        ]
        return json.dumps(facts, ensure_ascii=False, indent=0) + "\n"
    found = list(cues(words))
    blocks = ["WEBVTT"] if format == "vtt" else []
    for number, cue in enumerate(found, 1):
        following = found[number][0].start_s if number < len(found) else float("inf")
        end = min(following, max(word.end_s for word in cue) + LINGER_S)
        if format == "vtt":
            times = f"{_clock(cue[0].start_s, '.')} --> {_clock(end, '.')}"
            blocks.append(f"{times}\n{_lines(cue, has_times=True)}")
        else:
            times = f"{_clock(cue[0].start_s, ',')} --> {_clock(end, ',')}"
            blocks.append(f"{number}\n{times}\n{_lines(cue)}")
    return "\n\n".join(blocks) + "\n"


def cues(words: Sequence[WordTime]) -> Iterator[list[WordTime]]:
    """The words of each cue. It ends with its sentence, at a pause, or when it is full."""
    cue: list[WordTime] = []
    for word in words:
        if cue:
            size = len(" ".join(w.text for w in [*cue, word]))
            if (
                size > CUE_CHARS
                or word.end_s - cue[0].start_s > CUE_S
                or word.start_s - cue[-1].end_s > PAUSE_S
                or cue[-1].ends_sentence
            ):
                yield cue
                cue = []
        cue.append(word)
    if cue:
        yield cue


def _lines(cue: Sequence[WordTime], *, has_times: bool = False) -> str:
    """The text of a cue on one line or two, with the time of each word but the first in a vtt."""
    text = " ".join(word.text for word in cue)
    split = 0
    if len(text) > LINE_CHARS:  # after the word that makes the lines most equal
        sizes = [len(" ".join(word.text for word in cue[:n])) for n in range(1, len(cue))]
        split = 1 + min(range(len(sizes)), key=lambda n: abs(len(text) - 2 * sizes[n]), default=-1)
    parts: list[str] = []
    for number, word in enumerate(cue):
        written = word.text
        if has_times:
            written = written.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            written = f"<{_clock(word.start_s, '.')}>{written}" if number else written
        parts.append(("" if not number else "\n" if number == split else " ") + written)
    return "".join(parts)


def _clock(seconds: float, point: str) -> str:
    """A time such as 01:02:03.450."""
    whole, millis = divmod(round(1000 * seconds), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{point}{millis:03}"
