"""Cutting at pauses, and transcripts at the same places."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causerie.data.activity import RATE, Span, silero, speech_spans
from causerie.data.cut import LEAD_S, TAIL_S, cut, split_text, with_margins
from tests.data import speech


def spans(*times: float) -> list[Span]:
    return [Span(a, b) for a, b in zip(times[::2], times[1::2], strict=True)]


def test_short_speech_stays_whole() -> None:
    talk = spans(0, 2, 3, 5)
    assert cut(talk, 20, 1.5) == [talk]
    assert cut([], 20, 1.5) == []


def test_the_longest_pause_of_the_later_half_is_taken() -> None:
    a, b, c, d = talk = spans(0, 2, 3.4, 6, 6.9, 9, 9.3, 12)
    assert cut(talk, 10, 2) == [[a, b], [c, d]]


def test_long_pauses_are_cut_always() -> None:
    a, b = talk = spans(0, 1, 4, 5)
    assert cut(talk, 20, 2) == [[a], [b]]
    assert cut(talk, 20, 3) == [[a, b]]


def test_speech_without_a_pause_stays_long() -> None:
    a, b = talk = spans(0, 30, 30.3, 33)
    assert cut(talk, 10, 1.5) == [[a], [b]]


@given(st.lists(st.tuples(st.floats(0.1, 8), st.floats(0.2, 3)), max_size=40))
def test_nothing_is_lost_and_pieces_are_short_enough(lengths: list[tuple[float, float]]) -> None:
    talk, now = [], 0.0
    for said, pause in lengths:
        talk.append(Span(now, now + said))
        now += said + pause
    pieces = cut(talk, 10, 1.5)
    assert [span for piece in pieces for span in piece] == talk
    assert all(piece[-1].end_s - piece[0].start_s <= 10 for piece in pieces)
    margins = with_margins(pieces, Span(0, now))
    assert all(a.end_s <= b.start_s for a, b in pairwise(margins))
    for piece, margin in zip(pieces, margins, strict=True):
        assert margin.start_s <= piece[0].start_s
        assert margin.end_s >= piece[-1].end_s
        assert margin.duration_s <= 10 + LEAD_S + TAIL_S + 1e-9


def test_margins_stay_within() -> None:
    piece = spans(1, 2)
    assert with_margins([piece], Span(0.95, 2.1)) == [Span(0.95, 2.1)]
    assert with_margins([piece], Span(0, 9)) == [Span(1 - LEAD_S, 2 + TAIL_S)]


@pytest.mark.parametrize(
    ("text", "heard", "parts"),
    [
        ("One two, three. Four!", ["one two three", "four"], ["One two, three.", "Four!"]),
        ("One two three four", ["one too", "three for"], ["One two", "three four"]),
        ("One two uh three", ["one two", "three"], ["One two uh", "three"]),
        ("One two", ["one two", ""], ["One two", ""]),
        ("One two", ["", "one two"], ["", "One two"]),
        ("One two", ["", ""], ["One two", ""]),
    ],
)
def test_a_transcript_is_cut_where_it_was_heard(
    text: str, heard: list[str], parts: list[str]
) -> None:
    assert split_text(text, heard) == parts


@given(
    st.lists(st.sampled_from(speech.WORDS)),
    st.lists(st.lists(st.sampled_from(speech.WORDS)).map(" ".join), min_size=1),
)
def test_no_word_of_a_transcript_is_lost(words: list[str], heard: list[str]) -> None:
    parts = split_text(" ".join(words), heard)
    assert len(parts) == len(heard)
    assert " ".join(parts).split() == words


def test_spans_are_where_the_words_are() -> None:
    samples = speech.say("alpha bravo. charlie", RATE)
    first, second = speech_spans(samples, speech.detect)
    assert first.start_s == pytest.approx(0.4, abs=0.04)
    assert first.end_s == pytest.approx(0.4 + 0.65, abs=0.04)
    assert second.start_s == pytest.approx(0.4 + 0.65 + 0.6, abs=0.04)
    assert speech_spans(np.zeros(RATE, np.float32), speech.detect) == []


def test_silero_finds_speech_and_no_noise() -> None:
    import soundfile
    import soxr

    from tests.test_docs import ROOT

    samples, rate = soundfile.read(ROOT / "docs" / "audio" / "hello.flac", dtype="float32")
    silence = np.zeros(RATE, np.float32)
    samples = np.concatenate([silence, soxr.resample(samples, rate, RATE), silence])
    detect = silero()
    found = speech_spans(samples, detect)
    duration_s = len(samples) / RATE
    assert found
    assert 0.9 < found[0].start_s < 1.5
    assert duration_s - 1.5 < found[-1].end_s < duration_s - 0.9
    noise = np.random.default_rng(0).normal(0, 0.05, 3 * RATE).astype(np.float32)
    assert speech_spans(noise, detect) == []
