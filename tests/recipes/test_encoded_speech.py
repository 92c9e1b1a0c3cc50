"""Encoded utterances as a corpus for language model training."""

from __future__ import annotations

import numpy as np
from codec_training.aligned_speech import Utterance
from encoded_speech import EncodedSpeech


def test_corpus_of_dialogues_and_single_utterances() -> None:
    places = [("a", "", 0), ("b", "d", 1), ("a", "d", 2), ("b", "", 0)]  # voice, dialogue, turn
    utterances = [
        Utterance(
            part=0, text="", phonemes="", start=0, num_samples=1, trimmed_s=0.0, durations=(),
            voice=voice, conversation=conversation, turn=turn,
        )
        for voice, conversation, turn in reversed(places)
    ]  # fmt: skip
    found = EncodedSpeech.of(utterances, [*np.arange(8).reshape(4, 1, 2)]).corpus()
    assert [list(numbers) for numbers in found.conversations] == [[0], [2, 1], [3]]
    assert list(found.speakers) == ["b", "a", "b", "a"]
    assert found.codes_of(2).tolist() == [[4, 5]]
