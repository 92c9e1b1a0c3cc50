"""What is spoken of SSML."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causerie.errors import TextError
from causerie.text.ssml import MAX_DEPTH, Line, is_ssml, read_ssml


def said(inner: str) -> list[tuple[str | None, str, float]]:
    """Voice, text and pause of each line, and what follows the last."""
    script = read_ssml(f"<speak>{inner}</speak>")
    assert script.tail_s == 0
    return [(line.voice, line.text, line.pause_s) for line in script.lines]


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("Hello there.", "Hello there."),
        ("  Fish &amp; chips,\n at 5 &lt; 6.  ", "Fish & chips, at 5 < 6."),
        ("<![CDATA[a < b]]>", "a < b"),
        ("<p>One</p><p>Two!</p>Three", "One. Two! Three"),
        ("<p><s>One, two</s><s>Three?</s></p>", "One, two. Three?"),
        ("<s></s>One", "One"),
        ('The <sub alias="World Wide Web Consortium">W3C</sub> says', None),
        ('I am <say-as interpret-as="characters">a1b</say-as>.', "I am A 1 B ."),
        ('Call <say-as interpret-as="digits">911</say-as> now', "Call 9 1 1 now"),
        ("Hello<desc>a dog barks</desc> you", "Hello you"),
        ("Mark <mark name='x'/>here", "Mark here"),
    ],
)
def test_what_is_one_line(inner: str, text: str | None) -> None:
    expected = text or "The World Wide Web Consortium says"
    assert said(inner) == [(None, expected, 0.0)]
    assert read_ssml(f"<speak>{inner}</speak>").notes == []


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ("", 0.75),
        ('time="500ms"', 0.5),
        ('time="1.5s"', 1.5),
        ('time="+2s"', 2.0),
        ('time=".25s"', 0.25),
        ('strength="none"', 0.0),
        ('strength="x-weak"', 0.25),
        ('strength="strong"', 1.0),
        ('strength="weak" time="3s"', 3.0),
    ],
)
def test_breaks(attributes: str, seconds: float) -> None:
    assert said(f"One <break {attributes}/> two.") == [(None, "One", 0.0), (None, "two.", seconds)]


def test_breaks_add_up_and_are_kept_at_both_ends() -> None:
    script = read_ssml(
        '<speak><break time="1s"/>One<break time="2s"/><break time="1s"/>!<break time="3s"/>'
        "</speak>"
    )
    assert script.lines == [Line(voice=None, text="One!", pause_s=1.0)]
    assert script.tail_s == 6.0


def test_voices_are_those_of_their_elements() -> None:
    inner = 'A <voice name="theo">B <voice name="mia">C</voice> D</voice> E <voice>F</voice>'
    assert [(voice, text) for voice, text, _ in said(inner)] == [
        (None, "A"), ("theo", "B"), ("mia", "C"), ("theo", "D"), (None, "E"), (None, "F"),
    ]  # fmt: skip


def test_what_does_nothing_is_noted_once() -> None:
    script = read_ssml(
        '<speak xmlns="http://www.w3.org/2001/10/synthesis" version="1.1" xml:lang="en">'
        '<prosody rate="slow">One</prosody> <prosody>two</prosody> <amazon:effect>three'
        '</amazon:effect> <say-as interpret-as="date">four</say-as> <sub>five</sub></speak>'
    )
    assert [line.text for line in script.lines] == ["One two three four five"]
    assert [note.split()[1] for note in script.notes] == [
        "<prosody>", "<amazon:effect>", "<say-as>", "<sub>",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("<speak>Hello", "no element found, in line 1, column 12"),
        ("<speak>a & b</speak>", "not well-formed"),
        ("<speak>&nbsp;</speak>", "undefined entity"),
        ("<speak><p>a</speak>", "mismatched tag"),
        ("<speak></speak><speak></speak>", "junk after document element"),
        ("Hello", "syntax error"),
        ("", "no element found"),
        ("<p>Hello</p>", "must begin with <speak>"),
        ('<!DOCTYPE speak [<!ENTITY a "b">]><speak>&a;</speak>', "a DTD is not read"),
        ('<?xml version="1.0"?><!-- a --><!DOCTYPE speak><speak>a</speak>', "a DTD is not read"),
        ('<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak>a</speak>', "a DTD is not read"),
        ("<speak>" * 40 + "</speak>" * 40, f"more than {MAX_DEPTH} elements"),
        ('<speak><break time="soon"/></speak>', "500ms or 1.5s"),
        ('<speak><break time="11s"/></speak>', "at most 10s"),
        ('<speak><break time="-1s"/></speak>', "500ms or 1.5s"),
        ('<speak><break strength="loud"/></speak>', "x-strong, not 'loud'"),
        ("<speak>" + "a<break/>" * 201 + "</speak>", "more than 200 parts"),
        ("<speak>\ud800</speak>", "half a character"),
        ("<speak>\0</speak>", "not well-formed"),
    ],
)
def test_invalid_documents_give_one_line_errors(document: str, words: str) -> None:
    with pytest.raises(TextError, match="the SSML cannot be read: ") as caught:
        read_ssml(document)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<speak>a</speak>", True),
        ("\ufeff \n<speak version='1.0'>a</speak>", True),
        ('<?xml version="1.0"?>\n<speak>a</speak>', True),
        ("<SPEAK>a</SPEAK>", True),
        ('<!DOCTYPE speak PUBLIC "-//W3C//DTD SYNTHESIS 1.0//EN" "a.dtd"><speak>a</speak>', True),
        ('<?xml version="1.0"?>\n<!-- a > b -->\n<!DOCTYPE a [<!ENTITY b "c">]>\n<speak>', True),
        ("<!-- a <speak>", False),
        ("<!DOCTYPE html><html>", False),
        ("<speak", True),
        ("<speaker>a", False),
        ("I said <speak>", False),
        ("Hello", False),
        ("", False),
    ],
)
def test_what_is_meant_as_ssml(text: str, expected: bool) -> None:
    assert is_ssml(text) is expected


PARTS = st.sampled_from(
    ["a", " b. ", "!", "<break/>", "<p>", "</p>", "<s>", "</s>", "<voice name='theo'>", "</voice>",
     "<sub alias='x'>", "</sub>", "<say-as interpret-as='characters'>", "</say-as>", "<b>", "</b>",
     "<desc>", "</desc>", "&amp;", "&", "<", "\n"]
)  # fmt: skip


@settings(max_examples=1_000, deadline=None, derandomize=True)
@given(st.lists(PARTS, max_size=12))
def test_anything_is_read_or_refused_and_no_line_is_without_words(parts: list[str]) -> None:
    try:
        script = read_ssml(f"<speak>{''.join(parts)}</speak>")
    except TextError:
        return
    for line in script.lines:
        assert any(char.isalnum() for char in line.text)
        assert "<" not in line.text
        assert line.text == " ".join(line.text.split())
    assert {line.voice for line in script.lines} <= {None, "theo"}
