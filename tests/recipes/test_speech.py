"""make_speech.py with a voice that hums: its output, and resuming killed runs."""

from __future__ import annotations

import gzip
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from codec_training.aligned_speech import SpeechFolder

ANIMALS = "cat dog cow pig hen fox owl bee".split()
SENTENCES = [f"The {animal} is here." for animal in ANIMALS]
WORDS = {"the": "ðə", "is": "ɪz", "here": "hˈɪɹ", "one": "wˈʌn", "two": "tˈu", "three": "θɹˈi"}


class Hum:
    """Speaks 50 ms per symbol; does not know "z" unless `knows_z` is set."""

    knows_z = False

    def __init__(self, voice: Any) -> None:
        self.voice, self.spoken = voice, 0

    def knows(self, phonemes: str) -> bool:
        return self.knows_z or "z" not in phonemes

    def __call__(self, phonemes: str, seed: int) -> tuple[np.ndarray, list[int]]:
        self.spoken += 1
        if self.spoken > Kill.after:
            raise KeyboardInterrupt
        steps = np.repeat(np.arange(len(phonemes) + 2), 2)
        time = np.arange(len(steps) * 600) / 24_000
        return 0.9 * np.sin(2 * np.pi * (100 + seed) * time), steps.tolist()


class Kill:
    """How many utterances come before the process is killed."""

    after = 1_000_000


@pytest.fixture
def speech(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = importlib.import_module("make_speech")
    monkeypatch.setattr(module, "Speaker", Hum)
    monkeypatch.setattr(Hum, "knows_z", True)
    return module


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    """Sentences, and thirty dialogues of three turns."""
    sentences, dialogues = tmp_path / "sentences.txt", tmp_path / "dialogues.jsonl"
    sentences.write_text("\n".join(SENTENCES), "utf-8")
    rows = [
        {
            "conversation": f"d{number}",
            "turns": [
                {"speaker": "aba"[turn], "text": f"{'One two three'.split()[turn]}."}
                for turn in range(3)
            ],
        }
        for number in range(30)
    ]
    dialogues.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    entries = {**WORDS, "look": "lˈʊk", **{animal: f"kˈæ{animal}" for animal in ANIMALS}}
    lines = "".join(f"{word}\t{phonemes}\n" for word, phonemes in sorted(entries.items()))
    (tmp_path / "lexicon.txt.gz").write_bytes(gzip.compress(lines.encode()))
    return sentences, dialogues


def run(module: ModuleType, texts: tuple[Path, Path], out: Path, *arguments: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lexicon = texts[0].with_name("lexicon.txt.gz")
        command = ["make_speech.py", *map(str, (texts[0], lexicon, out)), *arguments]
        patch.setattr(sys, "argv", command)
        module.main()


def read(out: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_sentences_of_all_parts_are_all_sentences(
    speech: ModuleType, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    for part in "01":
        run(speech, texts, tmp_path / "out", "--part", part, "--of", "2")
    rows = read(tmp_path / "out", "heart0") + read(tmp_path / "out", "heart1")
    assert sorted(row["text"] for row in rows) == sorted(SENTENCES)
    assert {row["voice"] for row in rows} == {"heart"}
    assert not any("conversation" in row for row in rows)


def test_every_turn_is_spoken_once_by_the_voice_cast_for_it(
    speech: ModuleType, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    plan = speech.read_voices()
    for name in plan:
        hours = ("--hours", "1e-9")
        out = tmp_path / "out"
        run(speech, texts, out, "--voice", name, *hours, "--dialogues", str(texts[1]))
    utterances = SpeechFolder(out, 24_000).utterances
    assert {utterance.voice for utterance in utterances} == {*plan}
    turns: dict[str, dict[int, str]] = {}
    for utterance in utterances:
        if not utterance.conversation:
            continue
        assert not plan[utterance.voice].kept_aside
        assert utterance.turn not in turns.setdefault(utterance.conversation, {})
        turns[utterance.conversation][utterance.turn] = utterance.voice
    assert len(turns) == 30
    for conversation, spoken in turns.items():
        first, second = speech.cast(conversation, plan)
        assert spoken == {0: first, 1: second, 2: first}


def test_sentences_fill_the_hours(
    speech: ModuleType, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    run(speech, texts, tmp_path / "turns", "--hours", "1e-9", "--dialogues", str(texts[1]))
    last_turn = read(tmp_path / "turns", "heart0")[-1]
    enough = last_turn["start"] + last_turn["num_samples"] + 2 * 24_000
    hours = str(enough / 24_000 / 3600)
    run(speech, texts, tmp_path / "out", "--hours", hours, "--dialogues", str(texts[1]))
    *before, last = read(tmp_path / "out", "heart0")
    assert last["start"] < enough - 1 < last["start"] + last["num_samples"]
    places = ["conversation" in row for row in (*before, last)]
    assert places == sorted(places, reverse=True)  # dialogues first
    assert not all(places)


def test_a_killed_run_resumes_exactly(
    speech: ModuleType, texts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--hours", str(12 / 3600), "--dialogues", str(texts[1]))
    run(speech, texts, tmp_path / "whole", *arguments)
    for after in (3, 4, 1_000_000):
        monkeypatch.setattr(Kill, "after", after)
        if after < 1_000_000:
            with pytest.raises(KeyboardInterrupt):
                run(speech, texts, tmp_path / "killed", *arguments)
        else:
            run(speech, texts, tmp_path / "killed", *arguments)
    run(speech, texts, tmp_path / "killed", *arguments)  # done already: adds nothing
    for name in ("heart0.i16", "heart0.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_other_texts_are_not_mixed_in(
    speech: ModuleType, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    run(speech, texts, tmp_path)
    texts[0].write_text("\n".join(f"{text} Look!" for text in SENTENCES), "utf-8")
    with pytest.raises(SystemExit, match="made from other texts"):
        run(speech, texts, tmp_path)


def test_a_sentence_that_cannot_be_read_is_counted_and_a_turn_is_an_error(
    speech: ModuleType,
    texts: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Hum, "knows_z", False)  # nor "is"
    run(speech, texts, tmp_path)
    assert "8 sentences with unknown words left out" in " ".join(capsys.readouterr().out.split())
    texts[1].write_text(texts[1].read_text("utf-8").replace("One.", "Is."), "utf-8")
    with pytest.raises(SystemExit, match=r"heart cannot read 'Is.' in d\d+"):
        run(speech, texts, tmp_path, "--dialogues", str(texts[1]))


def test_ends_are_trimmed_and_peaks_lowered(speech: ModuleType) -> None:
    wave = np.zeros(48_000)
    wave[12_000:24_000] = 1.4
    tidied, first = speech.tidy(wave)
    assert first == 12_000 - 0.06 * 24_000
    assert len(tidied) == 12_000 - 1 + (0.06 + 0.16) * 24_000
    assert tidied.max() == pytest.approx(0.7)
    silent, first = speech.tidy(np.zeros(100))
    assert (len(silent), first) == (100, 0)
