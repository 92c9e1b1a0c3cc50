"""A whole evaluation: a tiny model, and tools that hear what the tests say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from causerie.audio.audio import Audio
from causerie.errors import ConfigError, TextError, UnknownVoiceError
from causerie.evaluate import adaptation, consistency, homographs, run, speaking
from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.dnsmos import WORST
from causerie.evaluate.page import page
from causerie.evaluate.prosody import Prosody
from causerie.evaluate.report import LINES, Report
from causerie.evaluate.run import METRICS, check_metrics, evaluate
from causerie.evaluate.sentences import read_sentences
from causerie.evaluate.speaking import Speaking
from causerie.evaluate.tools import Tools
from causerie.prompt import Segment
from causerie.tts import TTS
from causerie.voices import Voice
from tests import tiny
from tests.evaluate.sounds import audio, tone

SENTENCES = ["Good morning.", "It is late.", "Where are you?"]


@pytest.fixture(scope="module")
def tts() -> TTS:
    return TTS(tiny.checkpoint())


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny random model never ends by itself; and few words are enough."""
    monkeypatch.setattr(speaking, "MAX_DURATION_S", 0.4)
    for name, module, items in (
        ("homographs", homographs, homographs.HOMOGRAPHS[:1]),
        ("consistency", consistency, consistency.VARIANTS[:1]),
        ("adaptation", adaptation, adaptation.PAIRS[:2]),
    ):

        def few(speaker: Speaking, measure=module.measure, items=items):  # type: ignore[no-untyped-def]
            return measure(speaker, items)

        monkeypatch.setattr(run, "CONTEXT_METRICS", {**run.CONTEXT_METRICS, name: few})
    # and its noise has no pitch
    monkeypatch.setattr(adaptation, "MIN_CHANGE", dict.fromkeys(adaptation.MIN_CHANGE, -100))
    monkeypatch.setattr(adaptation, "prosody", loud)


def loud(audio: Audio, text: str) -> Prosody:
    """A prosody whose every part is the level."""
    level = float(20 * np.log10(np.sqrt(np.mean(audio.samples**2))))
    return Prosody(pitch=level, range=level, pace=level, loudness=level)


def tools() -> Tools:
    return Tools(
        recognizer=lambda samples: "good morning",
        encoder=lambda audio: np.abs(np.fft.rfft(audio.samples)[:64]).astype(np.float32),
        scorer=lambda audio: dict.fromkeys(WORST, 3.0),
    )


def test_every_metric_has_figures_and_descriptions(tts: TTS, tmp_path: Path) -> None:
    steps: list[str] = []
    report = evaluate(
        tts,
        SENTENCES,
        voices=[voice(tts)],
        recordings=[audio(tone(0.5))],
        tools=tools(),
        out=tmp_path / "out",
        on_progress=lambda what, done, total: steps.append(what),
    )
    assert set(LINES) - {"similarity_across"} == {
        name for name in report.numbers if "/" not in name
    }
    assert set(report.tables) == {"clips", "codec", "homographs", "consistency", "adaptation"}
    assert [row["text"] for row in report.tables["clips"]] == SENTENCES
    assert {"speaking", "measuring wer", "codec", "homographs"} <= set(steps)

    facts = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert facts["numbers"] == report.numbers
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    cells = re.findall("<td[^>]*>([^<]*)</td>", page)
    assert set(report.numbers) <= set(cells)
    assert {"It is late.", "good morning"} <= set(cells)
    assert page.count("<svg") == 6
    sounds = re.findall('src="([^"]*)"', page)
    assert len(sounds) >= 3
    assert all((tmp_path / "out" / sound).is_file() for sound in sounds)
    samples = tmp_path / "out" / "samples"
    counts = {folder.name: len(list(folder.glob("*.flac"))) for folder in samples.iterdir()}
    assert counts == {"clips": 3, "homographs": 2, "consistency": 4, "adaptation": 16}
    assert soundfile.info(samples / "clips" / "001.flac").duration == pytest.approx(0.4)


def voice(tts: TTS) -> Voice:
    codes = torch.randint(1, 30, (tiny.NUM_CODEBOOKS, 4))
    return Voice(name="ada", speaker=1, segments=(Segment(speaker=1, text="Hm.", codes=codes),))


def test_same_seed_same_report_and_another_seed_another(tts: TTS) -> None:
    def found(seed: int) -> str:
        only = ["similarity", "silence", "duration", "homographs"]
        return evaluate(tts, SENTENCES, seed=seed, only=only, tools=tools()).to_json()

    assert found(3) == found(3)
    assert found(3).replace("3", "") != found(4).replace("4", "").replace("3", "")


def test_metrics_do_not_depend_on_each_other(tts: TTS) -> None:
    alone = evaluate(tts, SENTENCES, only=["homographs"], tools=tools())
    among = evaluate(tts, SENTENCES, only=["homographs", "silence"], tools=tools())
    assert alone.tables["homographs"] == among.tables["homographs"]
    assert "clips" not in alone.tables


def test_sentences_and_voices_repeat_with_other_seeds(tts: TTS) -> None:
    report = evaluate(
        tts, SENTENCES[:2], voices=[0, 1, 2], count=5, seed=10, only=["stopping"], tools=tools()
    )
    rows = report.tables["clips"]
    assert [row["voice"] for row in rows] == ["0", "1", "2", "0", "1"]
    assert [row["text"] for row in rows] == [SENTENCES[n % 2] for n in range(5)]
    assert [row["seed"] for row in rows] == [10, 11, 12, 13, 14]
    assert report.numbers == {"stopped": 0.0, "empty": 0.0}


def test_voice_is_compared_with_its_own_sound_or_what_is_given(tts: TTS) -> None:
    ada = voice(tts)
    own = Speaking(tts, voices=[ada]).speak("Hello.", ada).like
    assert [round(one.duration_s, 2) for one in own] == [0.32]  # four frames
    given = (audio(tone(1)),)
    speaker = Speaking(tts, voices=[ada, 3], like={"ada": given})
    assert speaker.speak("Hello.", ada).like == given
    assert speaker.speak("Hello.", speaker.voices[1]).like == ()
    with pytest.raises(ConfigError, match="recordings are given for bea, but"):
        Speaking(tts, voices=[ada], like={"bea": given})


def test_invalid_arguments_are_refused_before_anything_is_spoken(
    tts: TTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(TTS, "generate", never)
    with pytest.raises(ConfigError, match=r"no metric bleu: wer, similarity, .*consistency"):
        evaluate(tts, SENTENCES, only=["wer", "bleu"], tools=tools())
    with pytest.raises(ConfigError, match="codec needs recordings"):
        evaluate(tts, SENTENCES, only=["codec"], tools=tools())
    with pytest.raises(ConfigError, match="0 utterances of 3 sentences"):
        evaluate(tts, SENTENCES, count=0, only=["stopping"], tools=tools())
    with pytest.raises(UnknownVoiceError, match="no voice 'bea'"):
        evaluate(tts, SENTENCES, voices=["bea"], only=["stopping"], tools=tools())


def test_all_metrics_run_by_default_codec_with_recordings() -> None:
    assert check_metrics(None, has_recordings=True) == list(METRICS)
    assert set(METRICS) - set(check_metrics(None, has_recordings=False)) == {"codec"}
    assert check_metrics(["speed", "wer"], has_recordings=False) == ["wer", "speed"]


def test_rows_of_one_clip_are_joined() -> None:
    report = Report(model="m")
    report.add(Measured(numbers={"a": 1.0}, rows=[{"x": 1}, {}]), "clips")
    report.add(Measured(numbers={"b": 2.0}, rows=[{"y": 2}, {"y": 3}]), "clips")
    assert report.tables == {"clips": [{"x": 1, "y": 2}, {"y": 3}]}
    assert report.numbers == {"a": 1.0, "b": 2.0}
    assert report.lines() == ["a 1", "b 2"]


def test_a_page_without_clips_has_no_section_for_them() -> None:
    found = page(Report(model="a < b", numbers={"codec_db": 2.5}), {})
    assert "Evaluation of a &lt; b" in found
    assert "codec round trip 2.50 dB" in found
    assert "<h2>Clips" not in found


def test_clips_from_any_source_are_measured() -> None:
    report = Report(model="files")
    run.measure_clips(
        [Clip(text="Good day.", audio=audio(tone(1)))], report, ["wer", "stopping"], tools()
    )
    assert report.numbers["wer"] == 0.5
    assert "stopped" not in report.numbers


def test_sentences_are_lines_that_are_not_blank(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("One.\n\n  Two.  \n", "utf-8")
    assert read_sentences(path) == ["One.", "Two."]
    path.write_text("\n \n", "utf-8")
    with pytest.raises(TextError, match="are empty"):
        read_sentences(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TextError, match="are not UTF-8 text"):
        read_sentences(path)
    with pytest.raises(TextError, match="cannot read the sentences"):
        read_sentences(tmp_path / "none.txt")
