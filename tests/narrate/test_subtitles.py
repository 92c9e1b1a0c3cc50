"""Subtitles have the words as written, in order, in cues that can be read."""

from __future__ import annotations

import itertools
import json
import re

from causerie.narrate.subtitles import CUE_CHARS, CUE_S, LINE_CHARS, cues, subtitles
from causerie.word_times.align import WordTime

TEXT = "It was $5 at 10:30, & the <cat> slept. " * 4 + "word " * 60


def words(pause_after: int = 10) -> list[WordTime]:
    found, at = list[WordTime](), 0.2
    for number, word in enumerate(TEXT.split()):
        found.append(WordTime(word, at, at + 0.3, word.endswith(".")))
        at += 1.5 if number == pause_after else 0.35
    return found


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def test_cues_are_short_and_end_with_sentences_and_pauses() -> None:
    found = list(cues(words()))
    assert [word for cue in found for word in cue] == words()
    for cue in found:
        assert len(" ".join(word.text for word in cue)) <= CUE_CHARS
        assert cue[-1].end_s - cue[0].start_s <= CUE_S
        assert not any(word.ends_sentence for word in cue[:-1])
    assert words()[10] in [cue[-1] for cue in found]


def test_srt_has_numbers_times_and_two_lines() -> None:
    blocks = subtitles(words(), "srt").strip().split("\n\n")
    times = []
    for number, block in enumerate(blocks, 1):
        first, clock, *lines = block.split("\n")
        assert first == str(number)
        match = re.fullmatch(r"(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})", clock)
        assert match is not None
        times.append((seconds(match[1]), seconds(match[2])))
        assert 1 <= len(lines) <= 2
        assert all(len(line) <= LINE_CHARS + 10 for line in lines)
    assert all(one[0] < one[1] <= two[0] for one, two in itertools.pairwise(times))
    said = " ".join(" ".join(block.split("\n")[2:]) for block in blocks)
    assert said.split() == TEXT.split()


def test_vtt_has_the_time_of_each_word() -> None:
    text = subtitles(words(), "vtt")
    assert text.startswith("WEBVTT\n\n00:00:00.200 --> ")
    assert "&lt;cat&gt;" in text
    assert "&amp;" in text
    inner = re.findall(r"<(\d\d:\d\d:\d\d\.\d{3})>", text)
    starts = [seconds(clock) for clock in re.findall(r"^(\S+) -->", text, re.M)]
    assert len(inner) + len(starts) == len(words())
    assert sorted([*map(seconds, inner), *starts]) == [round(word.start_s, 3) for word in words()]


def test_json_lists_the_words() -> None:
    listed = json.loads(subtitles(words(), "json"))
    assert listed[2] == {"word": "$5", "start": 0.9, "end": 1.2}
    assert len(listed) == len(words())


def test_hours_are_counted() -> None:
    assert "01:02:03,456 -->" in subtitles([WordTime("late", 3723.456, 3724.0)], "srt")
