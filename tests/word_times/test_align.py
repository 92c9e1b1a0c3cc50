"""Words are found in speech where they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from causerie.text.split import whole
from causerie.tts import TTS
from causerie.word_times.align import phone_model, word_times
from causerie.word_times.features import HOP_S, NUM_FEATURES, features
from causerie.word_times.phones import PHONES, english, written_words

SENTENCES = [
    "The waiter brought us two plates of rice.",
    "It costs $5 at 10:30, Dr. Smith!",
    "My neighbor plays the trumpet.",
]
PAUSE_S = 0.6


def phones(text: str) -> list[tuple[str, str]]:
    return [(word.text, word.phones) for word in written_words(whole(text).sentences, english())]


def test_words_have_the_phones_of_what_is_said_for_them() -> None:
    found = dict(phones("**Dr.** Smith paid $5 at 10:30 — cheap!"))
    assert list(found) == ["Dr.", "Smith", "paid", "$5", "at", "10:30", "—", "cheap!"]
    assert found["Dr."] == english().word("doctor").replace("ˈ", "")
    assert found["$5"] == "fIvdɑləɹz"
    assert found["10:30"] == "tɛnθɜɹTi"
    assert found["—"] == ""
    assert found["cheap!"] == "ʧip"


def test_an_unknown_word_has_phones_for_its_letters() -> None:
    ((_, said),) = phones("Zyqx")
    assert said
    assert set(said) <= set(PHONES)


@pytest.fixture(scope="module")
def reply() -> tuple[np.ndarray, list[tuple[str, int]], list[tuple[float, float]]]:
    """Three sentences with pauses, each a piece, and where the sound of each begins and ends."""
    tts = TTS.from_pretrained()
    parts, pieces, sounds, at = [], [], [], 0
    for sentence in SENTENCES:
        spoken = tts.generate(sentence, voice="clara", seed=3).samples
        loud = np.flatnonzero(np.abs(spoken) > 0.05 * np.abs(spoken).max())
        spoken = np.concatenate([spoken, np.zeros(round(PAUSE_S * 24_000), np.float32)])
        sounds.append(((at + loud[0]) / 24_000, (at + loud[-1]) / 24_000))
        parts.append(spoken)
        pieces.append((sentence, len(spoken)))
        at += len(spoken)
    return np.concatenate(parts), pieces, sounds


def test_sentences_begin_and_end_with_their_sound(reply) -> None:  # type: ignore[no-untyped-def]
    samples, pieces, sounds = reply
    words = word_times(samples, 24_000, pieces)
    assert [word.text for word in words] == " ".join(SENTENCES).split()
    lasts = [word for word in words if word.ends_sentence]
    firsts = [words[0], *(words[words.index(word) + 1] for word in lasts[:-1])]
    for first, last, (start, end) in zip(firsts, lasts, sounds, strict=True):
        assert first.start_s == pytest.approx(start, abs=0.12)
        assert last.end_s == pytest.approx(end, abs=0.2)


def test_one_piece_is_aligned_as_well_as_several(reply) -> None:  # type: ignore[no-untyped-def]
    samples, pieces, _ = reply
    several = word_times(samples, 24_000, pieces)
    one = word_times(samples, 24_000, [(" ".join(SENTENCES), len(samples))])
    assert [word.text for word in one] == [word.text for word in several]
    differences = [abs(a.start_s - b.start_s) for a, b in zip(one, several, strict=True)]
    assert max(differences) < 0.1


def test_words_follow_each_other_even_in_too_little_audio(reply) -> None:  # type: ignore[no-untyped-def]
    samples, _, _ = reply
    for number in (0, 100, 2_400, 24_000, len(samples)):
        words = word_times(samples[:number], 24_000, [(" ".join(SENTENCES), number)])
        assert len(words) == len(" ".join(SENTENCES).split())
        for one, two in itertools.pairwise(words):
            assert 0 <= one.start_s <= one.end_s <= two.start_s <= two.end_s
        assert words[-1].end_s <= number / 24_000 + HOP_S


def test_features_do_not_depend_on_loudness_or_much_on_the_rate(reply) -> None:  # type: ignore[no-untyped-def]
    samples, _, _ = reply
    plain = features(samples, 24_000)
    assert plain.shape == (len(samples) // 240, NUM_FEATURES)
    assert np.allclose(plain, features(samples * 0.1, 24_000), atol=0.05)


def test_the_model_knows_every_phone() -> None:
    model = phone_model()
    assert model.means.shape == ((len(PHONES) + 1) * 3, NUM_FEATURES)
    assert (model.variances > 0).all()
    assert (model.durations >= 1).all()
