"""`causerie talk` as people run it: a question is heard, recognized, answered, and heard again.

The question is of another engine, Whisper is the recognizer and the judge, and the sound card is a
stand-in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from causerie.audio.audio import Audio
from causerie.recognition.whisper import RATE, packaged_recognizer
from tests.patience import PATIENCE_S
from tests.talk.chat_server import chat_server

ROOT = Path(__file__).parent.parent.parent
QUESTION = ROOT / "docs/audio/teacher/02-heart.flac"
WORDS = "would you rather stay at home or go out for dinner"
ANSWER = "The next train to the city leaves at half past seven."


def letters(text: str) -> str:
    return " ".join("".join(c if c.isalpha() else " " for c in text.lower()).split())


def is_said(text: str, heard: str) -> bool:
    """Whether at most one word was heard otherwise: no two answers have the same seed."""
    words = text.split()
    return SequenceMatcher(None, words, heard.split()).ratio() > 1 - 2 / len(words)


def talk(folder: Path, *options: str) -> tuple[str, str]:
    """Ask the question; returns what was printed, and the words that the loudspeaker played."""
    recognize = packaged_recognizer()
    assert recognize is not None, "the extra talk brings Whisper base"
    microphone, loudspeaker = folder / "microphone.wav", folder / "loudspeaker.wav"
    noise = np.random.default_rng(0).standard_normal(24_000).astype(np.float32) * 0.001
    question = Audio.load(QUESTION).resampled(24_000)
    soundfile.write(microphone, np.concatenate([noise, question, noise]), 24_000)
    stand_in = str(Path(__file__).parent / "stand_in")
    env = {
        **os.environ,
        "MICROPHONE": str(microphone),
        "LOUDSPEAKER": str(loudspeaker),
        "PYTHONPATH": os.pathsep.join([stand_in, os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "causerie", "talk", *options]
    done = subprocess.run(
        command, env=env, cwd=folder, capture_output=True, text=True, timeout=2 * PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, letters(recognize(Audio.load(loudspeaker).resampled(RATE)))


@pytest.mark.slow
def test_the_echo_says_the_question(tmp_path: Path) -> None:
    printed, heard = talk(tmp_path, "--voice", "oscar", "--record", "talk.wav")
    assert is_said(WORDS, heard)
    assert letters(printed) == f"you {WORDS} reply {WORDS}"
    recorded, rate = soundfile.read(tmp_path / "talk.wav")
    assert (rate, recorded.shape[1]) == (24_000, 2)
    assert np.abs(recorded).max(axis=0).min() > 0.05  # both sides
    assert letters((tmp_path / "talk.txt").read_text()).count(WORDS) == 2


@pytest.mark.slow
def test_a_language_model_answers(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(body["messages"][-1]["content"])
        return [{"content": word + " "} for word in ANSWER.split()]

    with chat_server(answer) as url:
        printed, heard = talk(tmp_path, "--llm", url, "--llm-model", "any")
    assert [letters(text) for text in asked] == [WORDS]
    assert is_said(letters(ANSWER), heard)
    assert letters(printed) == f"you {WORDS} reply {letters(ANSWER)}"
