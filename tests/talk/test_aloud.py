"""`causerie talk` as people run it: a question is heard, recognized, answered, and heard again.

The question is of another engine, Whisper is the recognizer and the judge, and the sound card is a
stand-in.
"""

from __future__ import annotations

import os
import re
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

pytestmark = pytest.mark.aloud

ROOT = Path(__file__).parent.parent.parent
STAND_IN = str(Path(__file__).parent / "stand_in")
QUESTION = ROOT / "docs/audio/teacher/02-heart.flac"
WORDS = "would you rather stay at home or go out for dinner"
ANSWER = "The next train to the city leaves at half past seven."


def letters(text: str) -> str:
    return " ".join("".join(c if c.isalpha() else " " for c in text.lower()).split())


def is_said(text: str, heard: str) -> bool:
    """Whether at most one word was heard otherwise: no two answers have the same seed."""
    words = text.split()
    return SequenceMatcher(None, words, heard.split()).ratio() > 1 - 2 / len(words)


def run(folder: Path, *options: str) -> str:
    """Run `causerie talk`, whose microphone is a file in a folder; returns what it prints."""
    env = {
        **os.environ,
        "MICROPHONE": str(folder / "microphone.wav"),
        "LOUDSPEAKER": str(folder / "loudspeaker.wav"),
        "PYTHONPATH": os.pathsep.join([STAND_IN, os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "causerie", "talk", *options]
    done = subprocess.run(
        command, env=env, cwd=folder, capture_output=True, text=True, timeout=2 * PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def talk(folder: Path, *options: str) -> tuple[str, str]:
    """Ask the question; returns what was printed, and the words that the loudspeaker played."""
    recognize = packaged_recognizer()
    assert recognize is not None, "the extra talk brings Whisper base"
    noise = np.random.default_rng(0).standard_normal(24_000).astype(np.float32) * 0.001
    question = Audio.load(QUESTION).resampled(24_000)
    soundfile.write(folder / "microphone.wav", np.concatenate([noise, question, noise]), 24_000)
    printed = run(folder, *options)
    played = Audio.load(folder / "loudspeaker.wav")
    return printed, letters(recognize(played.resampled(RATE)))


def commands() -> list[str]:
    """The commands of docs/talk.md that need neither a language model nor a hand."""
    page = (ROOT / "docs/talk.md").read_text("utf-8")
    lines = re.findall(r"^causerie talk.*$", page, re.M)
    return [line for line in lines if "--llm" not in line and "--push-to-talk" not in line]


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    first, *others = commands()
    assert first == "causerie talk"
    printed, heard = talk(tmp_path)
    assert is_said(WORDS, heard)
    assert letters(printed) == f"you {WORDS} reply {WORDS}"
    assert others == ["causerie talk --devices"]
    assert run(tmp_path, "--devices") == "0 a file\n"


def test_the_echo_says_the_question(tmp_path: Path) -> None:
    printed, heard = talk(tmp_path, "--voice", "oscar", "--record", "talk.wav")
    assert is_said(WORDS, heard)
    assert letters(printed) == f"you {WORDS} reply {WORDS}"
    recorded, rate = soundfile.read(tmp_path / "talk.wav")
    assert (rate, recorded.shape[1]) == (24_000, 2)
    assert np.abs(recorded).max(axis=0).min() > 0.05  # both sides
    assert letters((tmp_path / "talk.txt").read_text()).count(WORDS) == 2


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
