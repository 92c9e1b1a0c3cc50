"""train.py export: what it refuses, and what it writes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from causerie.checkpoint import load
from causerie.codec.mimi import Mimi
from causerie.model.csm import CSM


@pytest.fixture
def train(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = importlib.import_module("train")
    monkeypatch.delitem(sys.modules, "train")  # too common a name to leave behind
    return found


def run(train: ModuleType, patch: pytest.MonkeyPatch, *arguments: str) -> None:
    threads = str(torch.get_num_threads())
    patch.setattr(sys, "argv", ["train.py", "export", *arguments, "--threads", threads])
    train.main()


def write_states(train: ModuleType, work: Path, decoder: int, lm: int) -> tuple[Mimi, CSM]:
    """State files of untrained modules that claim so many steps."""
    tokenizer = train.TextTokenizer.load(train.ASSETS / "tokenizer.json")
    codec = Mimi(train.codec_config(train.NUM_CODEBOOKS))
    model = CSM(train.model_config(tokenizer.vocab_size))
    for phase, step, name, module in (
        ("decoder", decoder, "codec", codec),
        ("lm", lm, "model", model),
    ):
        (work / phase).mkdir(parents=True)
        state = {"step": step, "modules": {name: module.state_dict()}}
        torch.save(state, work / phase / "state.pt")
    return codec, model


@pytest.mark.parametrize("short", ["decoder", "lm"])
def test_an_unfinished_training_is_exported_only_if_asked(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: str
) -> None:
    steps = {"decoder": train.DECODER.steps, "lm": train.LM.steps}
    wanted = steps[short]
    steps[short] -= 1
    codec, model = write_states(train, tmp_path / "work", **steps)
    arguments = [str(tmp_path / name) for name in ("speech", "work", "out")]
    with pytest.raises(SystemExit, match=rf"{short}/state.pt is at step {wanted - 1} of {wanted}"):
        run(train, monkeypatch, *arguments)
    assert not (tmp_path / "out").exists()
    run(train, monkeypatch, *arguments, "--unfinished")
    written = load(tmp_path / "out", device=torch.device("cpu"), dtype=torch.float32)
    for ours, theirs in ((written.model, model), (written.codec, codec)):
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], tensor.half().float()), name
