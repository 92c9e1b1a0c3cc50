"""The recognizer's loading, without its weights."""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from causerie.errors import ConfigError
from causerie.recognition import whisper
from causerie.recognition.whisper import Whisper, packaged_recognizer, packaged_whisper
from causerie.tts import TTS


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packages with a model's halves, and an empty cache."""
    for number, name in enumerate(("half_one", "half_two"), 1):
        data = tmp_path / "site" / name / "data"
        data.mkdir(parents=True)
        (data.parent / "__init__.py").write_text("")
        (data / f"model.bin.part{number}").write_bytes(b"%d" % number * 3)
    for file in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / "site" / "half_one" / "data" / file).write_text(file)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(whisper, "_PARTS", ("half_one", "half_two"))
    monkeypatch.setenv("CAUSERIE_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("packages")
def test_halves_are_put_together_once() -> None:
    folder = packaged_whisper()
    assert folder is not None
    assert (folder / "model.bin").read_bytes() == b"111222"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.bin", "tokenizer.json", "vocabulary.txt",
    ]  # fmt: skip
    (folder / "model.bin").write_bytes(b"kept")
    assert packaged_whisper() == folder
    assert (folder / "model.bin").read_bytes() == b"kept"


class FakeModel:
    """faster-whisper's, as far as it is used."""

    supported_languages = ("en", "de")

    def __init__(self, where: str, **options: object) -> None:
        if "missing" in where:
            raise RuntimeError(f"Unable to open file 'model.bin' in model '{where}'")
        self.where, self.options = where, options

    def transcribe(self, samples: np.ndarray, **options: object) -> tuple[list[object], None]:
        self.options |= options
        parts = [" Hello,", " you. "]
        return [types.SimpleNamespace(text=part) for part in parts], None


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("faster_whisper")
    module.__spec__ = ModuleSpec("faster_whisper", None)
    module.WhisperModel = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", module)


@pytest.mark.usefixtures("fake", "packages")
def test_it_writes_what_it_hears(tmp_path: Path) -> None:
    whisper = Whisper(language="auto", threads=2)
    assert whisper.name == "Whisper base"
    assert whisper.model.where == str(tmp_path / "cache" / "whisper-base-ct2")
    assert whisper(np.ones(160, np.float32)) == "Hello, you."
    assert whisper(np.zeros(0, np.float32)) == ""
    assert whisper.model.options["language"] is None
    assert whisper.model.options["temperature"] == 0.0  # no dice: the same text every time
    assert whisper.model.options["cpu_threads"] == 2


@pytest.mark.usefixtures("fake", "packages")
def test_recognizers_of_its_languages_share_one_model() -> None:
    english, german = packaged_recognizer(), packaged_recognizer("de")
    assert english is not None
    assert german is not None
    assert english.model is german.model
    assert (english.language, german.language) == ("en", "de")
    assert packaged_recognizer("English") is None


@pytest.mark.slow
def test_quick_hears_the_same_sentence() -> None:
    whisper = packaged_recognizer()
    if whisper is None:
        pytest.skip("Whisper is not installed")
    text = "The meeting has been moved to the afternoon."
    samples = TTS.from_pretrained().generate(text, seed=1).resampled(16_000)
    for heard in (whisper.quick(samples), whisper(samples)):
        assert heard.rstrip(".") == text.rstrip(".")
    assert whisper.quick(np.zeros(0, np.float32)) == ""


@pytest.mark.usefixtures("fake")
def test_without_packages_it_takes_the_hub_s_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper, "_PARTS", ("no_such_part", "nor_this"))
    assert Whisper().model.where == "base"
    assert Whisper("small").model.where == "small"
    with pytest.raises(ConfigError, match=r"recognizer './missing' \(Unable to open"):
        Whisper("./missing")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ConfigError, match=r'pip install "causerie\[data\]"'):
        Whisper()
