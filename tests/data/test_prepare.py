"""Preparing whole folders: what goes in comes out, or is accounted for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from causerie.data import process_recording as turns
from causerie.data.checks import Limits
from causerie.data.loudness import TARGET_LUFS, loudness
from causerie.data.report import Report
from causerie.data.shards import SpeechData, codec_fingerprint
from causerie.errors import ConfigError
from causerie.folder_lock import holds_only_lock, lock_folder
from tests.data import speech
from tests.data.prepared import run
from tests.test_docs import ROOT

TEXT = "Alpha bravo charlie. Delta echo."


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder with a recording for each thing that can happen."""
    folder = tmp_path / "talks"
    speech.write(folder / "ann" / "good.wav", TEXT)
    speech.write(folder / "ann" / "loud.wav", TEXT, level=0.8)
    speech.write(folder / "bob" / "wrong.wav", TEXT, said="golf hotel india. juliet")
    speech.write(folder / "bob" / "untold.wav", "", said="golf hotel india")
    speech.write(folder / "bob" / "quiet.wav", TEXT, said="")
    speech.write(folder / "clipped.wav", TEXT, level=3.0)
    speech.write(folder / "noisy.wav", TEXT)
    samples, rate = soundfile.read(folder / "noisy.wav")
    noise = np.random.default_rng(0).normal(0, 0.015, len(samples))
    soundfile.write(folder / "noisy.wav", samples * 0.3 + noise, rate)
    (folder / "broken.wav").write_bytes(b"no sound")
    (folder / "notes.md").write_text("?")
    return folder


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()}


def happened(report: Report) -> dict[str, list[str]]:
    return {
        entry.recording.name: [r.kind for o in entry.outcomes for r in o.reasons]
        for entry in report.entries
    }


def test_all_is_kept_or_accounted_for(mixed: Path, tmp_path: Path) -> None:
    report = run(mixed, tmp_path / "out")
    assert happened(report) == {
        "broken.wav": ["unreadable"],
        "clipped.wav": ["clipping"],
        "noisy.wav": ["noise"],
        "ann/good.wav": [],
        "ann/loud.wav": [],
        "bob/quiet.wav": ["no speech"],
        "bob/untold.wav": [],
        "bob/wrong.wav": ["transcript"],
    }
    assert report.left_out == (("notes.md", "not a sound file or .txt"),)
    totals = report.totals()
    assert (totals["turns"], totals["kept"], totals["dropped"]) == (8, 3, 5)
    assert sum(report.dropped_by_reason().values()) == 5
    parts = totals["kept_s"] + totals["dropped_s"] + totals["silence_s"]
    assert parts == pytest.approx(totals["recorded_s"], abs=0.05)
    assert list(report.speakers()) == ["ann", "bob"]

    data = SpeechData.open(tmp_path / "out")
    data.require_codec(speech.CODEC)
    assert [(turn.source, turn.text, turn.speaker) for turn in data.turns] == [
        ("ann/good.wav", TEXT, "ann"),
        ("ann/loud.wav", TEXT, "ann"),
        ("bob/untold.wav", "golf hotel india", "bob"),
    ]
    kept = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert len(kept["turns"]) == 8
    assert sum(turn["kept"] for turn in kept["turns"]) == 3
    assert kept["settings"]["codec"] == codec_fingerprint(speech.CODEC)
    lines = report.summary()
    assert lines[0].startswith("kept 3 of 8 turns · ")
    assert lines[0].endswith(" · 2 speakers · 3 conversations")
    assert lines[1].startswith("dropped 5: 1 ")
    assert lines[2:] == ["1 transcript written by the recognizer", "1 file left out: notes.md"]


def test_codes_are_those_of_the_trimmed_and_levelled_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    encode = turns.encode

    def listening(samples, codec):  # type: ignore[no-untyped-def]
        heard.append(samples)
        return encode(samples, codec)

    monkeypatch.setattr(turns, "encode", listening)
    for name, level in {"a": 0.02, "b": 0.3}.items():
        speech.write(tmp_path / "in" / f"{name}.wav", TEXT, level=level)
    run(tmp_path / "in", tmp_path / "out", limits=Limits(min_loudness=-80))
    # 0.02 is below what the detector takes for speech
    assert len(heard) == 1
    assert loudness(heard, 24_000) == pytest.approx(TARGET_LUFS, abs=0.1)
    data = SpeechData.open(tmp_path / "out")
    (turn,) = data.turns
    assert np.array_equal(data.codes_of(turn), encode(heard[0], speech.CODEC))
    assert turn.num_frames == -(-len(heard[0]) // 1920)
    assert turn.start_s == pytest.approx(0.4 - 0.15, abs=0.05)
    end_s = 0.4 + 5 * speech.WORD_S + 3 * speech.GAP_S + speech.PAUSE_S
    assert turn.end_s == pytest.approx(end_s + 0.3, abs=0.05)


def test_one_speaker_of_a_recording_keeps_its_own_contrasts(tmp_path: Path) -> None:
    soft, loud = speech.say("alpha bravo", level=0.1), speech.say("charlie delta", level=0.4)
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "a.wav", np.concatenate([soft, loud]), 24_000)
    middle = len(soft) / 24_000
    for second, same in (("ann", True), ("bob", False)):
        (tmp_path / "in" / "m.csv").write_text(
            f"audio,text,speaker,start,end\na.wav,alpha bravo,ann,0,{middle}\n"
            f"a.wav,charlie delta,{second},{middle},{2 * middle}\n"
        )
        report = run(tmp_path / "in", tmp_path / f"out {second}")
        one, two = (outcome.measured.loudness for outcome in report.kept)
        assert (one == two) is same


def test_a_long_recording_is_cut_with_its_transcript(tmp_path: Path) -> None:
    sentences = ["Alpha bravo charlie.", "Delta echo foxtrot.", "Golf hotel india.", "Juliet kilo."]
    speech.write(tmp_path / "in" / "a.wav", " ".join(sentences))
    report = run(tmp_path / "in", tmp_path / "out", limits=Limits(max_s=3.0))
    (talk,) = SpeechData.open(tmp_path / "out").conversations()
    assert [turn.text for turn in talk] == [" ".join(sentences[:2]), " ".join(sentences[2:])]
    assert [turn.turn for turn in talk] == [0, 1]
    assert talk[0].end_s <= talk[1].start_s
    assert report.notes_count() == {"cut at pauses into 2 pieces": 2}
    assert all(outcome.measured.cer == 0 for outcome in report.kept)


def test_a_long_recording_without_transcript_is_cut_and_written_down(tmp_path: Path) -> None:
    speech.write(tmp_path / "in" / "a.wav", "", said="alpha bravo charlie. delta echo foxtrot.")
    run(tmp_path / "in", tmp_path / "out", limits=Limits(max_s=2.0))
    texts = [turn.text for turn in SpeechData.open(tmp_path / "out").turns]
    assert texts == ["alpha bravo charlie", "delta echo foxtrot"]


def test_without_a_recognizer(tmp_path: Path) -> None:
    speech.write(tmp_path / "in" / "good.wav", "Golf hotel.", said="alpha bravo")  # nobody checks
    speech.write(tmp_path / "in" / "untold.wav", "", said="alpha bravo")
    speech.write(tmp_path / "in" / "long.wav", "Alpha bravo charlie. Delta echo foxtrot.")
    report = run(tmp_path / "in", tmp_path / "out", recognize=None, limits=Limits(max_s=2.0))
    assert happened(report) == {
        "good.wav": [], "long.wav": ["too long"], "untold.wav": ["no transcript"],
    }  # fmt: skip
    assert "cutting the transcript needs the recognizer" in report.dropped[0].reasons[0].detail
    assert report.summary()[-1].startswith("transcripts were not checked")


def conversation(folder: Path, order: str = "0123") -> None:
    """Four turns of two speakers in one recording, listed in some order."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = ["alpha bravo", "charlie delta", "echo foxtrot", "golf hotel"]
    parts = [speech.say(text) for text in texts]
    soundfile.write(folder / "a.wav", np.concatenate(parts), 24_000)
    edges = np.cumsum([0, *map(len, parts)]) / 24_000
    rows = [
        f"a.wav,{text},{'ab'[i % 2]},talk,{edges[i]},{edges[i + 1]}" for i, text in enumerate(texts)
    ]
    lines = ["audio,text,speaker,conversation,start,end", *(rows[int(i)] for i in order)]
    (folder / "m.csv").write_text("\n".join(lines))


@pytest.mark.parametrize("order", ["0123", "2031"])
def test_a_conversation_stays_in_order(tmp_path: Path, order: str) -> None:
    conversation(tmp_path / "in", order)
    run(tmp_path / "in", tmp_path / "out")
    (talk,) = SpeechData.open(tmp_path / "out").conversations()
    assert [(turn.turn, turn.speaker) for turn in talk] == [(0, "a"), (1, "b"), (2, "a"), (3, "b")]
    assert [turn.text.split()[0] for turn in talk] == ["alpha", "charlie", "echo", "golf"]
    assert {turn.conversation for turn in talk} == {"talk"}
    assert len({turn.shard for turn in talk}) == 1


def test_a_conversation_is_split_at_a_dropped_turn(tmp_path: Path) -> None:
    conversation(tmp_path / "in")
    path = tmp_path / "in" / "m.csv"
    path.write_text(path.read_text().replace("charlie delta", "juliet kilo"))
    report = run(tmp_path / "in", tmp_path / "out")
    talks = SpeechData.open(tmp_path / "out").conversations()
    assert [[(turn.conversation, turn.turn) for turn in talk] for talk in talks] == [
        [("talk", 0)], [("talk (2)", 2), ("talk (2)", 3)],
    ]  # fmt: skip
    assert [one.parts for one in report.split] == [("talk", "talk (2)")]
    assert "1 conversation split at a dropped turn" in report.summary()


def test_conversations_over_several_recordings_keep_the_order_of_the_list(tmp_path: Path) -> None:
    for name, text in {"z": "alpha bravo", "a": "charlie delta", "m": "echo foxtrot"}.items():
        speech.write(tmp_path / "in" / f"{name}.wav", "", said=text)
    (tmp_path / "in" / "m.jsonl").write_text(
        "\n".join(
            json.dumps({"audio": f"{name}.wav", "text": "", "conversation": talk})
            for name, talk in (("z", "one"), ("m", "two"), ("a", "one"))
        )
    )
    run(tmp_path / "in", tmp_path / "out")
    talks = SpeechData.open(tmp_path / "out").conversations()
    assert [[turn.text for turn in talk] for talk in talks] == [
        ["alpha bravo", "charlie delta"], ["echo foxtrot"],
    ]  # fmt: skip


def test_invalid_turns_are_dropped(tmp_path: Path) -> None:
    conversation(tmp_path / "in")
    rows = "a.wav,echo,x,late,90,91\na.wav,alpha,y,over,0,0.9\ngone.wav,alpha,z,gone,,\n"
    path = tmp_path / "in" / "m.csv"
    path.write_text(path.read_text() + "\n" + rows)
    kinds = happened(run(tmp_path / "in", tmp_path / "out"))
    assert kinds == {
        "a.wav": ["overlap", "outside the recording", "overlap"], "gone.wav": ["unreadable"],
    }  # fmt: skip


@pytest.mark.slow
def test_killed_runs_write_the_same_shards(mixed: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(mixed, whole)
    assert len(SpeechData.open(whole).turns) == 3
    assert (whole / "00001.jsonl").is_file()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    num_kept = []
    # 8 recordings, then codes and turns of each shard: the second kill is within the shards
    for number in (4, 8):
        command = [sys.executable, "-m", "tests.data.killed", str(mixed), str(killed), str(number)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == -9, done.stderr
        assert not (killed / "dataset.json").exists()
        num_kept.append(len(list((killed / "work").glob("??/*.safetensors"))))
    assert num_kept == [3, 8]
    assert (killed / "00000.jsonl").is_file()
    run(mixed, killed)
    assert contents(killed) == contents(whole)
    assert not list(killed.rglob("*.partial"))


def test_only_changed_recordings_are_processed_again(mixed: Path, tmp_path: Path) -> None:
    asked = []

    def hear(samples: np.ndarray) -> str:
        asked.append(len(samples))
        return speech.hear(samples)

    out = tmp_path / "out"
    run(mixed, out, recognize=hear)
    assert len(asked) == 4
    before = contents(out)
    asked.clear()
    run(mixed, out, recognize=hear)
    assert not asked
    assert contents(out) == before
    (mixed / "bob" / "wrong.txt").write_text("golf hotel india. juliet")
    report = run(mixed, out, recognize=hear)
    assert len(asked) == 1
    assert len(report.kept) == 4
    speech.write(mixed / "new.wav", "kilo lima")
    assert len(run(mixed, out, recognize=hear).kept) == 5
    assert len(asked) == 2
    run(mixed, out, recognize=hear, limits=Limits(max_cer=0.1))
    assert len(asked) > 2


def test_results_of_deleted_files_are_deleted(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(mixed, out)
    (mixed / "ann" / "good.wav").unlink()
    report = run(mixed, out)
    assert {turn.source for turn in SpeechData.open(out).turns} == {
        "ann/loud.wav",
        "bob/untold.wav",
    }
    assert ("ann/good.txt", "no sound file of this name") in report.left_out
    assert len(list((out / "work").glob("??/*.safetensors"))) == 7


def test_a_damaged_result_is_computed_again(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(mixed, out)
    before = contents(out)
    for path in (out / "work").glob("??/*.safetensors"):
        path.write_bytes(path.read_bytes()[:50])
    run(mixed, out)
    assert contents(out) == before


def test_progress_is_reported(mixed: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    run(mixed, tmp_path / "out", on_progress=lambda *step: steps.append(step))
    assert steps[0] == (0, 8, "broken.wav")
    assert [done for done, _, _ in steps] == list(range(9))


def test_the_report_is_written_if_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.wav").write_bytes(b"no sound")
    with pytest.raises(ConfigError, match=r"no turn of .* was kept \(1 unreadable; first: "):
        run(tmp_path / "in", tmp_path / "out")
    assert "unreadable" in (tmp_path / "out" / "report.html").read_text("utf-8")
    with pytest.raises(ConfigError, match="has no prepared speech"):
        SpeechData.open(tmp_path / "out")


def test_a_folder_in_use_is_refused(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with lock_folder(out), pytest.raises(ConfigError, match="out is in use by process"):
        run(mixed, out)
    assert holds_only_lock(out)
    run(mixed, out)


def test_folders_with_other_files_are_refused(mixed: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds the recordings"):
        run(mixed, mixed)
    out = tmp_path / "out"
    out.mkdir()
    (out / "00000.jsonl").write_text("mine")
    with pytest.raises(ConfigError, match="has other files"):
        run(mixed, out)
    assert (out / "00000.jsonl").read_text() == "mine"
    with pytest.raises(ConfigError, match="it is not a folder"):
        run(mixed, out / "00000.jsonl")
