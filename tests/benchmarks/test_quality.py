"""quality.py: divergences from the plain model, and the table of settings."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from causerie.errors import ConfigError
from causerie.model.sampling import noise
from causerie.native import library
from causerie.nn.kv_cache import KVCache
from tests import tiny

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def quality() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("quality")


def test_logits_are_those_of_the_utterance(quality: ModuleType) -> None:
    """They equal the logits that its frames were sampled from, step by step."""
    checkpoint = tiny.checkpoint()
    (utterance,) = quality.speak(checkpoint, ["Good morning."])
    logits = quality.plain_logits(checkpoint, utterance)
    model, config = checkpoint.model, checkpoint.model.config
    assert logits.shape == (len(utterance.codes), config.num_codebooks, tiny.CODEBOOK_SIZE)
    cache = KVCache(config.backbone, 1, 128)
    depth = KVCache(config.depth, 1, config.num_codebooks)
    rows = torch.from_numpy(utterance.request.rows).long()[None]
    with torch.inference_mode():
        hidden = model.prefill(rows.clamp(min=0), rows >= 0, cache)
        for frame, codes in enumerate(utterance.codes[:5]):
            seen: list[torch.Tensor] = []

            def give(
                given: torch.Tensor, codebook: int, codes: object = codes, seen: object = seen
            ) -> torch.Tensor:
                seen.append(given[0, : tiny.CODEBOOK_SIZE])  # type: ignore[attr-defined]
                return torch.tensor([codes[codebook]]).long()  # type: ignore[index]

            drawn = model.depth_decode(hidden, depth, give)
            torch.testing.assert_close(torch.stack(seen), logits[frame], rtol=0, atol=1e-4)
            hidden = model.backbone_step(drawn, cache)
    sampling = utterance.request.sampling
    gumbel = noise(torch.tensor([sampling.seed]), 0, 0, tiny.CODEBOOK_SIZE)
    chosen = logits[0, 0] / sampling.temperature
    chosen[chosen < chosen.topk(min(50, tiny.CODEBOOK_SIZE)).values[-1]] = -torch.inf
    assert (chosen + gumbel[0]).argmax() == utterance.codes[0, 0]


def test_divergence(quality: ModuleType) -> None:
    even = torch.zeros(4, 3, 2)
    odd = torch.tensor([0.0, 1.0986123]).expand(4, 2, 2)  # one to three
    expected = 0.5 * torch.tensor([0.5 / 0.25, 0.5 / 0.75]).log().sum()
    found = quality.compare([even], [odd])
    assert found["kl_semantic"] == pytest.approx(float(expected), abs=1e-5)
    assert found["kl_acoustic"] == pytest.approx(float(expected), abs=1e-5)
    assert quality.compare([odd], [odd]) == {"kl_semantic": 0, "kl_acoustic": 0, "agreement": 1}


def test_settings(quality: ModuleType) -> None:
    one = quality.parse("bf16+int4/16", 32)
    assert (one.formats, one.num_codebooks) == (("bfloat16", "int4"), 16)
    assert quality.usual_settings(32)[-3:] == ["fp32/24", "fp32/16", "fp32/8"]
    assert quality.usual_settings(3)[-1] == "fp32/2"
    for name in ("fp32/1", "fp32/40", "fp32/all", "int2"):
        with pytest.raises(ConfigError):
            quality.parse(name, 32)


def test_the_whole(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality, "load", lambda name: tiny.checkpoint())
    words = ["tiny", "--no-words", "--count", "1", "--given", "1", "--threads", "1"]
    status = quality.main([*words, "--only", "fp32,int4,fp32/3"])
    out, err = capsys.readouterr()
    if library.problem():  # no native kernels are built here
        assert (status, err.count("\n")) == (2, 1)
        return
    assert status == 0
    exact, coarse, fewer = (json.loads(line) for line in out.splitlines()[:3])
    assert exact["kl_semantic"] < 1e-6 < coarse["kl_semantic"]
    assert exact["agreement"] > coarse["agreement"]
    assert fewer["num_codebooks"] == 3
    assert "| int4 | " in out
    assert "tiny: 1 sentences" in out
