"""`causerie merge`, and adapters in `say` and `info`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import causerie
from causerie import TTS
from causerie.checkpoint import save
from causerie.cli import app
from causerie.train.lm.config import Lora
from causerie.train.lm.lora import add_adapters, save_adapter
from tests import tiny


@pytest.fixture
def adapter(tiny_folder: Path, tmp_path: Path) -> Path:
    """An adapter as `causerie train lm` writes it, with random weights."""
    lora = Lora(rank=2, alpha=6.0, parts=("backbone", "depth", "heads"))
    model = tiny.csm()
    add_adapters(model, lora, seed=0)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    save_adapter(model, lora, tmp_path / "adapter", str(tiny_folder))
    return tmp_path / "adapter"


def run(*arguments: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == code, done.stderr
    return done.stderr if code else done.stdout


@pytest.mark.parametrize("layout", ["causerie", "transformers"])
def test_merge_writes_a_model_that_speaks_like_the_adapter(
    adapter: Path, tiny_folder: Path, tmp_path: Path, layout: str
) -> None:
    out = tmp_path / "merged"
    assert run("merge", adapter, out, "--layout", layout) == (
        f"wrote {out}: {adapter} merged into {tiny_folder}\n"
    )
    options = {"seed": 3, "max_duration_s": 0.4}
    audio = [
        TTS.from_pretrained(place, device="cpu").generate("Hello.", **options).samples.tobytes()
        for place in (adapter, out, tiny_folder)
    ]
    assert audio[0] == audio[1] != audio[2]


def test_merge_keeps_the_dtype_of_the_base(adapter: Path, tmp_path: Path) -> None:
    checkpoint = tiny.checkpoint()
    checkpoint.model.half()
    save(tmp_path / "half", checkpoint)
    run("merge", adapter, tmp_path / "out", "--base", tmp_path / "half")
    dtypes = {n: t.dtype for n, t in load_file(tmp_path / "out" / "model.safetensors").items()}
    assert {d for n, d in dtypes.items() if n.startswith("model.")} == {torch.float16}
    assert {d for n, d in dtypes.items() if n.startswith("codec.")} == {torch.float32}


def test_info_and_say_take_an_adapter(adapter: Path, tiny_folder: Path, tmp_path: Path) -> None:
    out = run("info", "--model", adapter, "--device", "cpu")
    assert f"\n  adapter of     {tiny_folder}\n" in out
    assert "\n  weights        float32\n" in out
    assert "adapter of" not in run("info", "--model", tiny_folder, "--device", "cpu")
    sound = tmp_path / "a.wav"
    run("say", "Hi.", "--model", adapter, "-o", sound, "--max-duration", "0.4", "--device", "cpu")
    assert sound.stat().st_size > 10_000


def test_voices_of_an_adapter_are_its_own_and_those_of_its_base(adapter: Path) -> None:
    config = adapter / "adapter_config.json"
    values = json.loads(config.read_text()) | {"base_model_name_or_path": "petit"}
    config.write_text(json.dumps(values))
    bundled = run("voices").splitlines()
    (adapter / "voices").mkdir()
    voice = Path(causerie.__file__).parent / "assets" / "petit" / "voices" / "heart.safetensors"
    shutil.copyfile(voice, adapter / "voices" / "anna.safetensors")
    listed = run("voices", "--model", adapter).splitlines()
    assert listed[: len(bundled)] == bundled
    assert [line.split()[0] for line in listed[len(bundled) :]] == ["anna"]


def test_merge_that_cannot_be(adapter: Path, tiny_folder: Path, tmp_path: Path) -> None:
    assert "exists and is not an empty folder" in run("merge", adapter, tiny_folder, code=2)
    whole = run("merge", tiny_folder, tmp_path / "out", code=2)
    assert "is a whole model, not an adapter" in whole
    assert "is not an adapter" in run(
        "merge", tiny_folder, tmp_path / "out", "--base", tiny_folder, code=2
    )
    config = adapter / "adapter_config.json"
    values = json.loads(config.read_text()) | {"base_model_name_or_path": "/gone"}
    config.write_text(json.dumps(values))
    message = run("say", "Hi.", "--model", adapter, code=2)
    assert f"causerie merge {adapter} OUT --base MODEL" in message
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()
