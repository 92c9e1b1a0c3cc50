"""Encoded utterances as a corpus for language model training."""

from __future__ import annotations

import numpy as np
from codec_training.aligned_speech import Utterance
from encoded_speech import EncodedSpeech


def test_corpus_of_dialogues_and_single_utterances() -> None:
    places = [  # voice, dialogue, turn; the fourth turn of the dialogue is missing
        ("a", "", 0), ("b", "d", 1), ("a", "d", 2), ("b", "", 0), ("a", "d", 4), ("b", "d", 5),
    ]  # fmt: skip
    utterances = [
        Utterance(
            part=0, text="", phonemes="", start=0, num_samples=1, trimmed_s=0.0, durations=(),
            voice=voice, conversation=conversation, turn=turn,
        )
        for voice, conversation, turn in reversed(places)
    ]  # fmt: skip
    found = EncodedSpeech.of(utterances, [*np.arange(12).reshape(6, 1, 2)]).corpus()
    assert [list(numbers) for numbers in found.conversations] == [[2], [5], [4, 3], [1, 0]]
    assert list(found.speakers) == ["b", "a", "b", "a", "b", "a"]
    assert found.codes_of(2).tolist() == [[4, 5]]
