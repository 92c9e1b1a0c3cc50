"""The usual length of a text: by sounds and pauses, at the pace of the voice."""

from __future__ import annotations

import pytest

from causerie.reply.length import usual_length

RATE = 12.5
SENTENCE = "The meeting tomorrow morning has been moved to the afternoon."


def seconds(text: str, earlier: list[tuple[str, int]] | None = None, kind: str = "plain") -> float:
    return usual_length(text, kind, earlier or [], RATE).mean / RATE


def test_an_ordinary_sentence_has_an_ordinary_pace() -> None:
    assert len(SENTENCE) / seconds(SENTENCE) == pytest.approx(14, abs=2)


def test_the_last_stop_need_not_be_written() -> None:
    assert seconds("Chapter one") == seconds("Chapter one.")


@pytest.mark.parametrize(
    ("longer", "shorter"),
    [
        ("Well, yes, so it is.", "Well yes so it is."),
        ("In 1987 it began.", "In it began."),
        ("The FBI came.", "The fbi came."),
        ("你好,世界。", "ab,cd."),
    ],
)
def test_what_takes_longer(longer: str, shorter: str) -> None:
    assert seconds(longer) > seconds(shorter)


def test_capitals_throughout_are_no_initialisms() -> None:
    assert seconds("STOP THE CAR NOW.") == seconds("Stop the car now.")


def test_stress_marks_have_no_length() -> None:
    assert seconds("hˈələ", kind="phonemes") == seconds("hələ", kind="phonemes")


def test_the_pace_of_earlier_turns_counts() -> None:
    usual = usual_length(SENTENCE, "plain", [], RATE)
    slow = usual_length(SENTENCE, "plain", [(SENTENCE, round(1.5 * usual.mean))] * 2, RATE)
    assert 1.3 < slow.mean / usual.mean < 1.5
    assert slow.deviation / slow.mean < usual.deviation / usual.mean


@pytest.mark.parametrize(("num_frames", "factor"), [(2000, 2.0), (1, 0.5)])
def test_a_wrong_transcript_is_not_believed(num_frames: int, factor: float) -> None:
    earlier = [(SENTENCE * 3, num_frames)]
    assert factor / 1.3 < seconds(SENTENCE, earlier) / seconds(SENTENCE) < factor * 1.3
