"""What users get wrong, each with the error that they get."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from causerie.audio import io
from causerie.audio.audio import Audio
from causerie.audio.resample import mono, resample
from causerie.cli import app
from causerie.codes import load_codes, save_codes
from causerie.errors import (
    AudioError,
    CauserieError,
    CheckpointError,
    ConfigError,
    PromptTooLongError,
    TextError,
    UnknownVoiceError,
)
from causerie.prompt import Segment
from causerie.text.front_end import FrontEnd
from causerie.text.pronounce import Lexicon
from causerie.tts import TTS
from causerie.voices import Voice
from tests import tiny

RATE = 24_000
GOOD = np.full(4_800, 0.1, np.float32)


@pytest.fixture(scope="module")
def tts() -> TTS:
    return TTS(tiny.checkpoint())


def said(audio: Any = None, **more: Any) -> list[Segment]:
    if isinstance(audio, (list, np.ndarray)):
        more.setdefault("sample_rate", RATE)
    return [Segment(speaker=0, text=more.pop("text", "Before."), audio=audio, **more)]


def codes(value: int = 1, shape: tuple[int, ...] = (5, 3), dtype: Any = torch.long) -> torch.Tensor:
    return torch.full(shape, value, dtype=dtype)


def spoil(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[7] = value
    return array


# -- generate --------------------------------------------------------------------------------------

GENERATE: dict[str, tuple[dict[str, Any], type[CauserieError], str]] = {
    "half a character": ({"text": "Hello \ud83d"}, TextError, "half a character, '\\ud83d' at 6"),
    "empty text": ({"text": ""}, TextError, "text is empty"),
    "blank text": ({"text": " \n\t\u00a0"}, TextError, "text is empty"),
    "text of bytes": ({"text": b"Hello"}, TextError, "must be a string, not bytes"),
    "no text": ({"text": None}, TextError, "must be a string, not NoneType"),
    "text beyond the context": ({"text": "a" * 200}, PromptTooLongError, "the model has 128"),
    "long text that ends beyond the context": (
        {"text": "Hello. " * 35 + "\n" + "a" * 200}, PromptTooLongError, "the model has 128",
    ),
    "negative temperature": ({"temperature": -0.1}, ConfigError, "temperature must be"),
    "NaN temperature": ({"temperature": math.nan}, ConfigError, "not nan"),
    "temperature in words": ({"temperature": "hot"}, ConfigError, "not 'hot'"),
    "negative top_k": ({"top_k": -1}, ConfigError, "top_k must be a whole number"),
    "fractional top_k": ({"top_k": 2.5}, ConfigError, "not 2.5"),
    "zero duration": ({"max_duration_s": 0}, ConfigError, "seconds above 0, not 0"),
    "negative duration": ({"max_duration_s": -3}, ConfigError, "not -3"),
    "NaN duration": ({"max_duration_s": math.nan}, ConfigError, "not nan"),
    "endless duration": ({"max_duration_s": math.inf}, ConfigError, "not inf"),
    "duration in words": ({"max_duration_s": "long"}, ConfigError, "not 'long'"),
    "negative seed": ({"seed": -1}, ConfigError, "seed must be a whole number"),
    "huge seed": ({"seed": 2**63}, ConfigError, "from 0 to 2^63 - 1"),
    "fractional seed": ({"seed": 0.5}, ConfigError, "not 0.5"),
    "unknown voice": ({"voice": "nobody"}, UnknownVoiceError, "no voice 'nobody'"),
    "missing voice file": ({"voice": "no.safetensors"}, CheckpointError, "does not exist"),
    "negative speaker": ({"voice": -1}, ConfigError, "speaker must be"),
    "fractional voice": ({"voice": 1.5}, ConfigError, "voice must be a name, a voice file"),
    "voice of bytes": ({"voice": b"0"}, ConfigError, "not b'0'"),
    "negative numpy speaker": ({"voice": np.int64(-1)}, ConfigError, "speaker must be"),
    "voice without a list": (
        {"voice": Voice(name="a", segments=said()[0])}, ConfigError, "must be a list of Segments",  # type: ignore[arg-type]
    ),
    "context without a list": (
        {"context": Segment(speaker=0, text="a")}, ConfigError, "not Segment: write [segment]",
    ),
    "context of numbers": ({"context": 7}, ConfigError, "must be a list of Segments, not int"),
    "half a character in the context": (
        {"context": said(GOOD, text="\udc80")}, TextError, "context segment 1: text holds half",
    ),
    "context of strings": ({"context": ["Hi"]}, ConfigError, "must be a Segment, not str"),
    "context not said": ({"context": said()}, AudioError, "neither audio nor codes"),
    "context without a word": (
        {"context": said(GOOD, text="...")}, TextError, "context segment 1: nothing in",
    ),
    "zero-length context": ({"context": said(GOOD[:0])}, AudioError, "is empty"),
    "zero-length Audio": (
        {"context": said(Audio(samples=GOOD[:0], sample_rate=RATE))}, AudioError, "is empty",
    ),
    "NaN audio": (
        {"context": said(spoil(GOOD, math.nan))},
        AudioError, "context segment 1: audio holds 1 samples that are not",
    ),
    "infinite audio": ({"context": said(spoil(GOOD, math.inf))}, AudioError, "NaN or inf"),
    "audio of three dimensions": (
        {"context": said(GOOD.reshape(2, 2, -1))}, AudioError, "not (2, 2, 1200)",
    ),
    "audio of strings": ({"context": said(["a", "b"])}, AudioError, "array of numbers"),
    "rate of zero": (
        {"context": said(GOOD, sample_rate=0)},
        AudioError, "context segment 1: audio has a sample rate of 0",
    ),
    "rate in kHz": ({"context": said(GOOD, sample_rate=24)}, AudioError, "give it in Hz"),
    "missing audio file": (
        {"context": said("no.wav")},
        AudioError, "context segment 1 (no.wav): audio file no.wav cannot be opened",
    ),
    "context file of text": (
        {"context": said(__file__)}, AudioError, "input.py): audio cannot be read as sound",
    ),
    "audio beyond the context": (
        {"context": said(np.zeros(129 * 1_920, np.float32))}, PromptTooLongError, "cut its audio",
    ),
    "codes beyond the context": (
        {"context": said(codes=codes(shape=(5, 129)))},
        PromptTooLongError, "context segment 1 needs 142 positions",
    ),
    "code too large": ({"context": said(codes=codes(32))}, AudioError, "this codec's are 0 … 31"),
    "code too small": ({"context": said(codes=codes(-1))}, AudioError, "run from -1 to -1"),
    "fractional codes": (
        {"context": said(codes=codes(dtype=torch.float32))}, AudioError, "whole numbers",
    ),
    "too few codebooks": (
        {"context": said(codes=codes(shape=(4, 3)))}, AudioError, "have 4 codebooks; this model",
    ),
    "codes of three dimensions": (
        {"context": said(codes=codes(shape=(1, 5, 3)))}, AudioError, "(1, 5, 3)",
    ),
    "codes without frames": (
        {"context": said(codes=codes(shape=(5, 0)))}, AudioError, "is empty",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "error", "message"), GENERATE.values(), ids=GENERATE.keys())
def test_generate(
    tts: TTS, given: dict[str, Any], error: type[CauserieError], message: str
) -> None:
    with pytest.raises(error) as caught:
        tts.generate(**{"text": "Hello", "max_duration_s": 0.1, **given})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(error):  # at once, not when the first piece is asked for
        tts.stream(**{"text": "Hello", "max_duration_s": 0.1, **given})


def test_segment_of_codes_that_are_no_tensor() -> None:
    with pytest.raises(AudioError, match="codes must be a tensor, not list"):
        said(codes=[[1]])


def test_numpy_speakers_are_plain_numbers_after_all(tts: TTS, tmp_path: Path) -> None:
    plain = tts.generate("Hello", voice=3, seed=1, max_duration_s=0.1)
    numpy = tts.generate("Hello", voice=np.int64(3), seed=1, max_duration_s=0.1, context=None)  # type: ignore[arg-type]
    assert np.array_equal(plain.samples, numpy.samples)
    voice = tts.make_voice("ada", said(GOOD), speaker=np.int32(2))  # type: ignore[arg-type]
    assert Voice.load(voice.save(tmp_path / "ada.safetensors")).speaker == 2
    assert type(Segment(speaker=np.uint8(1), text="a").speaker) is int  # type: ignore[arg-type]


def test_emoji_only_for_a_reader_of_words() -> None:
    with pytest.raises(TextError, match="can be spoken"):
        FrontEnd("phonemes", Lexicon({"hello": "həlˈO"}))("\N{GRINNING FACE}\N{ROCKET}")


def test_stereo_of_44_kilohertz_is_fine(tts: TTS) -> None:
    context = said(np.stack((GOOD, -GOOD / 2), axis=1), sample_rate=44_100)
    assert len(tts.generate("Hello", context=context, max_duration_s=0.1).samples) == 1_920


# -- checkpoints -----------------------------------------------------------------------------------


def change_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def truncate(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


LOAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing folder": (shutil.rmtree, "is not a file, a folder or a hub id"),
    "empty folder": (lambda f: [p.unlink() for p in f.iterdir()], "holds no weights"),  # type: ignore[arg-type]
    "no config": (lambda f: (f / "config.json").unlink(), "no CSM of a known layout"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "holds no weights"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "bad JSON": (lambda f: truncate(f / "config.json", 30), "config.json cannot be read as JSON"),
    "unknown config key": (
        lambda f: change_config(f, lambda c: c["model"].update(wings=2)), "wings",
    ),
    "wrong type in the config": (
        lambda f: change_config(f, lambda c: c["model"].update(num_codebooks="five")), "'five'",
    ),
    "version to come": (lambda f: change_config(f, lambda c: c.update(version=99)), "version 99"),
    "unknown front end": (
        lambda f: change_config(f, lambda c: c.update(front_end="runes")), "'runes'",
    ),
    "no lexicon": (
        lambda f: change_config(f, lambda c: c.update(front_end="phonemes")), "lexicon.txt.gz",
    ),
    "corrupt weights": (
        lambda f: truncate(f / "model.safetensors", 1_000), "model.safetensors cannot be read",
    ),
    "weights of nonsense": (
        lambda f: (f / "model.safetensors").write_bytes(b"nonsense" * 9),  # type: ignore[arg-type]
        "model.safetensors cannot be read",
    ),
    "missing tensor": (
        lambda f: change_tensors(f, lambda t: [t.pop("model.projection.weight")]),  # type: ignore[arg-type]
        "projection.weight",
    ),
    "surplus tensor": (
        lambda f: change_tensors(f, lambda t: t.update({"model.tail": torch.zeros(1)})), "tail",
    ),
    "wrong shape": (
        lambda f: change_tensors(f, lambda t: t.update({"model.projection.weight": torch.ones(2)})),
        "projection.weight",
    ),
    "damaged tokenizer": (
        lambda f: truncate(f / "tokenizer.json", 99), "tokenizer.json is no tokenizer.json",
    ),
    "negative depth temperature": (
        lambda f: change_config(f, lambda c: c["generation"].update(depth_temperature=-1.0)),
        "temperature must be a number from 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), LOAD.values(), ids=LOAD.keys())
def test_load(
    tiny_folder: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(tiny_folder, folder)
    spoil(folder)
    with pytest.raises(CheckpointError) as caught:
        TTS.from_pretrained(folder, device="cpu")
    assert message in str(caught.value).replace(str(tmp_path), "")  # which names the test


def test_weights_that_are_not_finite(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(tiny_folder, folder)
    nan = torch.full((64,), math.nan)
    change_tensors(folder, lambda t: t.update({"model.backbone.norm.weight": nan}))
    with pytest.raises(CheckpointError, match="not finite"):
        TTS.from_pretrained(folder, device="cpu").generate("Hello")


@pytest.mark.parametrize("device", ["abacus", "cpu:7", "cuda:99", ""])
def test_unknown_device(tiny_folder: Path, device: str) -> None:
    with pytest.raises(ConfigError, match="use one of auto"):
        TTS.from_pretrained(tiny_folder, device=device)


@pytest.mark.parametrize("dtype", ["float8", "int8", "", torch.int64])
def test_unknown_dtype(tiny_folder: Path, dtype: str) -> None:
    with pytest.raises(ConfigError, match="use one of auto, float32"):
        TTS.from_pretrained(tiny_folder, device="cpu", dtype=dtype)


# -- sound files -----------------------------------------------------------------------------------


def wav(folder: Path, samples: np.ndarray = GOOD) -> Path:
    path = folder / "a.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path


READ: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda f: f.unlink(), "cannot be opened: No such file"),
    "a folder": (lambda f: (f.unlink(), f.mkdir()), "cannot be opened"),
    "no bytes": (lambda f: truncate(f, 0), "cannot be read as sound"),
    "cut in the header": (lambda f: truncate(f, 20), "cannot be read as sound"),
    "no samples": (lambda f: wav(f.parent, GOOD[:0]), "is empty"),
    "text": (lambda f: f.write_text("Hello"), "opus, mp3 and m4a files work"),
    "NaN": (lambda f: wav(f.parent, spoil(GOOD, math.nan)), "not finite"),
}


@pytest.mark.parametrize(("spoil_file", "message"), READ.values(), ids=READ.keys())
def test_read(tmp_path: Path, spoil_file: Callable[[Path], object], message: str) -> None:
    path = wav(tmp_path)
    spoil_file(path)
    with pytest.raises(AudioError) as caught:
        io.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_wav_cut_in_its_samples_gives_those_it_has(tmp_path: Path) -> None:
    path = wav(tmp_path)
    whole, _ = io.read(path)
    truncate(path, path.stat().st_size // 2)
    part, _ = io.read(path)
    assert 0 < len(part) < len(whole)
    assert np.array_equal(part, whole[: len(part)])


@pytest.mark.parametrize("name", ["a.wma", "a", "a.wav.txt", ".wav"])
def test_unsupported_extension(tmp_path: Path, name: str) -> None:
    with pytest.raises(AudioError, match=r"use one of \.wav, \.flac, \.ogg"):
        Audio(samples=GOOD, sample_rate=RATE).save(tmp_path / name)


def test_samples_that_are_no_sound() -> None:
    with pytest.raises(AudioError, match="not finite"):
        Audio(samples=spoil(GOOD, math.nan), sample_rate=RATE)
    with pytest.raises(AudioError, match="array of numbers"):
        mono(["a"])
    with pytest.raises(AudioError, match="not finite"):
        io.write("a.wav", spoil(GOOD, math.inf), RATE)
    with pytest.raises(AudioError, match="too short"):
        resample(GOOD[:1], 768_000, 1_000)


# -- files of codes and voices ---------------------------------------------------------------------


def test_files_of_codes(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(AudioError, match="does not exist"):
        load_codes(path, 32)
    path.write_bytes(b"nonsense")
    with pytest.raises(AudioError, match="cannot be read as codes"):
        load_codes(path, 32)
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(AudioError, match="holds no codes"):
        load_codes(path, 32)
    save_codes(path, codes(99))
    with pytest.raises(AudioError, match="run from 99 to 99"):
        load_codes(path, 32)
    with pytest.raises(AudioError, match="cannot write"):
        save_codes(tmp_path / "no/such/a.safetensors", codes())


def test_voice_of_another_model(tts: TTS) -> None:
    segment = Segment(speaker=0, text="a", codes=codes(shape=(32, 4)))
    with pytest.raises(AudioError, match="segment 1 of voice ada have 32 codebooks"):
        tts.generate("Hello", voice=Voice(name="ada", segments=(segment,)))


# -- the command line ------------------------------------------------------------------------------

COMMANDS: dict[str, tuple[list[str], str]] = {
    "no text": (["say"], "give one text"),
    "two texts": (["say", "Hello", "-f", "a.txt"], "give one text"),
    "empty text": (["say", "", "-o", "a.wav"], "text is empty"),
    "missing text file": (["say", "-f", "no.txt"], "no.txt cannot be opened"),
    "unsupported extension": (["say", "Hello", "-o", "a.wma"], "use one of .wav, .flac, .ogg"),
    "missing folder for sound": (["say", "Hello", "-o", "no/a.wav"], "there is no folder no"),
    "missing folder for codes": (
        ["codec", "encode", "no.wav", "-o", "no/a.safetensors"],
        "there is no folder no",
    ),
    "missing folder for what was decoded": (
        ["codec", "decode", "no.safetensors", "-o", "no/a.wav"],
        "there is no folder no",
    ),
    "unknown voice": (["say", "Hello", "-o", "a.wav", "--voice", "nobody"], "no voice 'nobody'"),
    "unknown device": (["say", "Hello", "-o", "a.wav", "--device", "abacus"], "use one of auto"),
    "unknown dtype": (["say", "Hello", "-o", "a.wav", "--dtype", "float8"], "use one of auto"),
    "negative temperature": (["say", "Hello", "-o", "a.wav", "--temperature", "-1"], "not -1.0"),
    "temperature in words": (["say", "Hello", "--temperature", "hot"], "causerie say --help"),
    "negative top-k": (["say", "Hello", "-o", "a.wav", "--top-k", "-1"], "top_k must be"),
    "zero duration": (["say", "Hello", "-o", "a.wav", "--max-duration", "0"], "not 0.0"),
    "seed out of range": (["say", "Hello", "-o", "a.wav", "--seed", str(2**63)], "2^63 - 1"),
    "missing context": (["say", "Hello", "--context", "no.json"], "no.json cannot be opened"),
    "out-dir and output": (["say", "Hello", "-o", "a.wav", "--out-dir", "d"], "exclude each other"),
    "JSON and sound at once": (["say", "Hello", "-o", "-", "--json"], "both write to standard"),
    "unknown option": (["say", "Hello", "--loud"], "No such option"),
    "unknown command": (["sing", "Hello"], "No such command"),
    "missing sound": (["codec", "encode", "no.wav", "-o", "a.safetensors"], "cannot be opened"),
    "codes into a wav": (["codec", "encode", "no.wav", "-o", "a.wav"], ".safetensors file"),
    "missing codes": (["codec", "decode", "no.safetensors", "-o", "a.wav"], "does not exist"),
    "codes into text": (["codec", "decode", "no.safetensors", "-o", "a.txt"], "use one of .wav"),
    "no output": (["codec", "decode", "no.safetensors"], "causerie codec decode --help"),
    "missing model": (["info", "--model", "./nowhere"], "nowhere"),
}


@pytest.mark.parametrize(("arguments", "message"), COMMANDS.values(), ids=COMMANDS.keys())
def test_command_line(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments[0] in ("say", "codec"):
        arguments = [*arguments, "--model", str(tiny_folder)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.startswith("causerie: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{", "is not JSON"),
        ('{"speaker": 0}', "must hold a list of turns, not dict"),
        ('["Hi"]', 'turn 1 must be an object such as {"speaker": 0'),
        ('[{"speaker": 0, "text": "Hi"}]', "missing keys ['audio']"),
        ('[{"speaker": 0, "text": "Hi", "audio": "a.wav", "mood": 1}]', "unknown keys ['mood']"),
        ('[{"speaker": "0", "text": "Hi", "audio": "a.wav"}]', "speaker must be int, not '0'"),
        ('[{"speaker": true, "text": "Hi", "audio": "a.wav"}]', "speaker must be int, not True"),
        ('[{"speaker": 0, "text": "Hi", "audio": "a.wav"}]', "a.wav cannot be opened"),
    ],
)
def test_malformed_conversation(
    tiny_folder: Path, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "context.json"
    path.write_text(content)
    arguments = ["say", "Hello", "--model", str(tiny_folder), "--context", str(path)]
    done = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "a.wav")])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
