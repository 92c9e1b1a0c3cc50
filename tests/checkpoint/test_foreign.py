"""Weights in formats that causerie does not read: one line that names the format and a cure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from causerie.checkpoint import load
from causerie.errors import CheckpointError

CSM = r"use sesame/csm-1b, or unsloth/csm-1b"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("csm-1b-q4_0.gguf", rf"csm-1b-q4_0\.gguf holds weights in the format of GGUF.*{CSM}"),
        ("Marvis-q8.GGUF", r"format of GGUF.*use Marvis-AI/marvis-tts-250m-v0\.2-transformers"),
        ("misotts.gguf", r"format of GGUF.*use MisoLabs/MisoTTS"),
        ("weights.npz", rf"format of MLX.*{CSM}"),
    ],
)
@pytest.mark.parametrize("is_folder", [True, False])
def test_files(tmp_path: Path, name: str, message: str, is_folder: bool) -> None:
    place = tmp_path / "model"
    place.mkdir()
    (place / name).write_bytes(b"GGUF")
    (place / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=message):
        load(place if is_folder else place / name)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["backbone.layers.0.attn.q_proj.scales", "text_embeddings.weight"], "for MLX"),
        (["model.text_embeddings.weight"], "for MLX"),
        (["embed_text_tokens.weight", "lm_head.weight.absmax"], "that bitsandbytes quantized"),
        (["embed_text_tokens.weight", "lm_head.qweight"], "that GPTQ or AWQ quantized"),
    ],
)
def test_tensors(tmp_path: Path, names: list[str], message: str) -> None:
    folder = tmp_path / "marvis-tts-250m-v0.2-MLX-8bit"
    folder.mkdir()
    tensors = {name: torch.zeros(2, dtype=torch.uint8) for name in names}
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder)
    assert "Marvis-AI/marvis-tts-250m-v0.2-transformers" in str(caught.value)


def test_a_folder_of_anything(tmp_path: Path) -> None:
    save_file({f"layer.{n}": torch.zeros(1) for n in range(5_000)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="holds no CSM of a known layout") as caught:
        load(tmp_path)
    assert len(str(caught.value)) < 1_000


def test_a_folder_of_checkpoints_names_the_latest(tmp_path: Path) -> None:
    for step in (60, 100, 20):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"holds no weights; .*checkpoint-100 does: give"):
        load(tmp_path)
