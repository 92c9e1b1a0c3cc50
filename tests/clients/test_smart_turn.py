"""smart-turn with the weights in pipecat: its features, and whether sentences are finished."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

from causerie.audio.audio import Audio
from causerie.talk.activity import RATE
from causerie.talk.smart_turn import SmartTurn, find_smart_turn
from causerie.talk.turn_detector import ASK_MS
from tests.talk.test_smart_turn import TOLERANCE, features, in_pipecats_length, speech

SENTENCES = Path(__file__).parents[2] / "docs" / "audio" / "teacher"


def found() -> SmartTurn:
    model = find_smart_turn()
    assert model is not None
    return model


@pytest.mark.parametrize("seconds", [0.3, 3.7, 8.0, 11.0])
def test_features_are_those_of_pipecat(seconds: float) -> None:
    theirs = compute_whisper_log_mel_features(in_pipecats_length(speech(seconds)))
    assert np.abs(features(speech(seconds)) - theirs).max() < TOLERANCE


def test_finished_sentences_and_those_that_are_cut() -> None:
    """Ten sentences of another engine, whole and cut at three places, each with a pause.

    By the noise in the pause, it takes 9 or 10 of the whole ones for finished, and 9 to 14 of the
    others.
    """
    model = found()
    pause = np.random.default_rng(0).normal(0, 0.0005, ASK_MS * RATE // 1000).astype(np.float32)
    whole, cut = [], []
    for path in sorted(SENTENCES.glob("*.flac")):
        samples = Audio.load(path).resampled(RATE)
        end = np.flatnonzero(np.abs(samples) > 0.02)[-1] + 1
        whole.append(model(np.concatenate([samples[:end], pause])))
        for share in (0.4, 0.6, 0.8):
            cut.append(model(np.concatenate([samples[: round(share * end)], pause])))
    assert len(whole) == 10
    assert sum(probability > 0.5 for probability in whole) >= 9
    assert sum(probability > 0.5 for probability in cut) <= 15


def test_the_latest_8_seconds_count() -> None:
    model = found()
    assert model(speech(11.0)) == model(speech(11.0)[-8 * RATE :])
