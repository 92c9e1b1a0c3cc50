"""The usual length of a text: by sounds and pauses, at the pace of the voice. When words end."""

from __future__ import annotations

import pytest

from causerie.reply.length import usual_length, words_until
from causerie.text.front_end import FrontEnd
from causerie.text.split import split, whole
from causerie.tts import TTS
from causerie.voice_file import BUNDLED
from causerie.word_times.align import word_times

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


# -- the words that end in the first seconds -------------------------------------------------------

#: Each with a seed.
SENTENCES = [
    "The train to the coast leaves from platform four every hour, and it stops at all stations.",
    "Your total is $1,250.50, which includes the tax and the delivery to your door.",
    "The NASA report and the FBI files were sent to the CEO of IBM last Monday.",
    "Well... let me think. No, I do not believe that we have met before.",
]


def test_words_end_about_when_they_are_heard() -> None:
    petit = TTS.from_pretrained(device="cpu")
    differences = list[int]()
    for seed, text in enumerate(SENTENCES):
        audio = petit.generate(text, voice="bruno", seed=seed)
        spoken = word_times(audio.samples, audio.sample_rate, [(text, len(audio.samples))])
        for number in range(1, round(audio.duration_s / 0.08)):
            heard = sum(word.end_s <= number * 0.08 + 0.02 for word in spoken)
            said = words_until(text, number * 0.08, audio.duration_s).split()
            assert text.split()[: len(said)] == said
            differences.append(len(said) - heard)
    assert sum(abs(one) <= 1 for one in differences) > 0.85 * len(differences)
    assert sum(one > 0 for one in differences) < 0.2 * len(differences)


MARKED = (
    'My [tomato soup](/təmˈɑːtoʊ/) and **two bold words** are <sub alias="ten">10</sub> dollars.'
)


def test_no_markup_is_cut() -> None:
    (piece,) = split(MARKED, 140)
    parts = [words_until(piece, number / 20, 4.0) for number in range(80)]
    plain = "My tomato soup and two bold words are ten pence."
    assert parts[-1] == MARKED  # the whole text is as it is written
    assert len(set(parts)) == 10  # none, and each of the words
    assert [part for part in parts if part != MARKED and not plain.startswith(part)] == []
    front_end = FrontEnd.load("phonemes", BUNDLED)
    heard = next(part for part in parts if part.endswith("soup"))
    assert front_end(heard).text == "mI təmˈɑtO,"
    assert front_end(piece).text.startswith("mI təmˈɑtO ænd tˈu")


def test_a_long_text_takes_little_time() -> None:
    text = whole("One fish swims here. " * 10_000)
    assert len(words_until(text, 500.0, 1000.0).split()) == pytest.approx(20_000, abs=10)


def test_nothing_ends_before_speech_begins() -> None:
    assert words_until("One fish.", 0.2, 2.0) == ""
    assert words_until("One fish.", 0.2, 0.3) == ""
    assert words_until("— One fish.", 0.5, 2.0) == ""  # a dash is no word
    assert words_until("— One fish.", 1.4, 2.0) == "— One"
    assert words_until("One fish.", 1.9, 2.0) == "One fish."
