"""Language model training: gradients in parts, resume, and precision."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from causerie.config import CSMConfig, LlamaConfig
from causerie.errors import ConfigError
from causerie.model.csm import CSM
from causerie.train.lm.batches import collate, parts_of
from causerie.train.lm.config import LMRecipe, Lora, Samples
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.lora import add_adapters
from causerie.train.lm.optimizers import make_optimizer
from causerie.train.lm.training import LMTraining, new_model
from causerie.train.loop import OnStep
from tests import tiny
from tests.train.killed import run_and_kill

LLAMA = LlamaConfig(num_layers=2, dim=16, num_heads=2, num_kv_heads=1, head_dim=8, ffn_dim=32)
SIZES = CSMConfig(
    backbone=LLAMA, depth=LLAMA, num_codebooks=3, audio_vocab_size=23, text_vocab_size=260
)
SAMPLES = Samples(
    batch=6, turns=(0.5, 0.5), joined=(0.7, 0.3), depth_share=0.5, any_speaker=0.5,
    history_noise=0.1,
)  # fmt: skip
RECIPE = LMRecipe(steps=6, lr=1e-2, warmup=2, samples=SAMPLES, precision="fp32", ema=0.5)


def corpus(count: int = 12) -> Corpus:
    random = np.random.default_rng(0)
    codes = [
        random.integers(1, 20, size=(size, 3)).astype(np.int16)
        for size in random.integers(3, 9, size=count)
    ]
    return Corpus(
        words=[f"The cat sat {i}." for i in range(count)],
        spoken=[f"The cat sat {i}." for i in range(count)],
        speakers=["A"] * count,
        num_frames=np.array([len(c) for c in codes]),
        conversations=[[i] for i in range(count)],
        codes_of=lambda index: codes[index],
    )


def training(
    at: Path, recipe: LMRecipe = RECIPE, lora: Lora | None = None, **options: Any
) -> LMTraining:
    options = {"tokenizer": tiny.tokenizer(), "save_every": 2, **options}
    model = new_model(SIZES, recipe.seed)
    with torch.no_grad():  # what adds to the residual stream starts at zero, which hides errors
        tiny.randomize(model)
    if lora is not None:
        add_adapters(model, lora, seed=0)
    return LMTraining(model, recipe, corpus(), state=at / "state.pt", **options)


def gradients(run: LMTraining) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in run.model.named_parameters() if p.grad is not None}


def test_all_parts_learn(tmp_path: Path) -> None:
    run = training(tmp_path)
    run.add_gradients(0)
    found = gradients(run)
    assert found.keys() == dict(run.model.named_parameters()).keys()
    for name, gradient in found.items():
        assert gradient.abs().sum() > 0, name


def test_the_stop_row_alone_trains_backbone_projection_and_depth_decoder(tmp_path: Path) -> None:
    run = training(tmp_path)
    batch = collate(run.sampler(0))
    stops = batch.predicted & (batch.frames[..., :-1] == 0).all(-1)
    assert stops.sum(1).min() >= 1  # codes of the corpus are above 0
    total, first, rest = run.objective(
        batch.frames, batch.mask, batch.inputs, stops, stops, float(stops.sum()), float(stops.sum())
    )
    total.backward()
    for name, gradient in gradients(run).items():
        assert gradient.abs().sum() > 0, name
    # code 0 is a code as any other: its logit rises
    assert run.model.codebook0_head.weight.grad[0] @ run.model.codebook0_head.weight.grad[0] > 0
    assert first > 0
    assert rest > 0


@pytest.mark.parametrize("change", [{"micro_rows": 250}, {"micro_rows": 1}, {"recompute": True}])
def test_parts_and_recomputed_layers_give_the_gradients_of_the_whole(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    whole = training(tmp_path)
    other = training(tmp_path, dataclasses.replace(RECIPE, **change))
    numbers = whole.add_gradients(3), other.add_gradients(3)
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-6)
    expected, found = gradients(whole), gradients(other)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=2e-7, rtol=1e-5)


def test_parts_hold_the_whole_batch_within_their_rows(tmp_path: Path) -> None:
    examples = training(tmp_path).sampler(0)
    parts = parts_of(examples, 250)
    assert [e for part in parts for e in part] == examples
    assert 1 < len(parts) < len(examples)
    sizes = [len(part) * max(len(example.rows) for example in part) for part in parts]
    assert max(sizes) <= 250


def test_a_conversation_has_the_same_loss_in_a_batch_and_alone(tmp_path: Path) -> None:
    """Padded rows are learned as if each conversation were by itself."""
    run = training(tmp_path)
    examples = run.sampler(1)
    rows = float(sum(e.predicted.sum() for e in examples))
    kept = float(sum(e.depth_kept.sum() for e in examples))
    with torch.no_grad():
        together = run.objective(*run._arguments(examples), rows, kept)
        alone = [run.objective(*run._arguments([example]), rows, kept) for example in examples]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(whole, torch.stack(parts).sum())


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_killed_run_resumes_exactly(tmp_path: Path, optimizer: str) -> None:
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer)

    def train(at: Path, on_step: OnStep | None = None) -> LMTraining:
        run = training(at, recipe)
        run.run(on_step)
        return run

    whole = train(tmp_path / "whole")
    run_and_kill(lambda kill: train(tmp_path / "part", kill))
    resumed = train(tmp_path / "part")
    assert_same(whole.model.state_dict(), resumed.model.state_dict())
    assert_same(whole.weights(), resumed.weights())
    assert not torch.equal(
        whole.weights()["codebook0_head.weight"], whole.model.codebook0_head.weight
    )


def test_a_changed_recipe_is_refused_unless_allowed(tmp_path: Path) -> None:
    training(tmp_path).run()
    changed = dataclasses.replace(RECIPE, lr=0.5, samples=dataclasses.replace(SAMPLES, batch=7))
    wanted = r"recipe.lr was 0.01, is 0.5; recipe.samples.batch was 6, is 7\).*--allow-changes"
    with pytest.raises(ConfigError, match=wanted):
        training(tmp_path, changed)
    assert training(tmp_path, changed, allow_changes=True).step == 6
    with pytest.raises(ConfigError, match="extra was None, is 1"):
        training(tmp_path, facts={"extra": 1})


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    training(tmp_path).run()
    sizes = dataclasses.replace(SIZES, audio_vocab_size=24)
    with pytest.raises(ConfigError, match=r"model.audio_vocab_size was 23, is 24"):
        LMTraining(CSM(sizes), RECIPE, corpus(), tiny.tokenizer(), tmp_path / "state.pt")
    with pytest.raises(ConfigError, match="does not fit this model"):
        LMTraining(
            CSM(sizes), RECIPE, corpus(), tiny.tokenizer(), tmp_path / "state.pt",
            allow_changes=True,
        )  # fmt: skip


def test_an_infinite_loss_ends_the_run(tmp_path: Path) -> None:
    run = training(tmp_path)
    with torch.no_grad():
        run.model.projection.weight[0, 0] = torch.inf
    with pytest.raises(ConfigError, match="the gradient norm of step 0 is nan: lower lr"):
        run.run()
    assert not (tmp_path / "state.pt").exists()


def test_milestones_come_after_their_steps_and_at_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    run = training(tmp_path, dataclasses.replace(RECIPE, steps=5))
    run.run(on_milestone=lambda step: seen.append((step, run.step)), every=2)
    assert seen == [(2, 2), (4, 4), (5, 5)]


@pytest.fixture
def fast_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with instructions for bf16."""
    monkeypatch.setattr("causerie.train.lm.training.has_fast_bf16", lambda device: True)


def test_bf16_is_fp32_where_it_would_be_emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    rough = training(tmp_path, dataclasses.replace(RECIPE, precision="bf16"), Lora(rank=2))
    assert {p.dtype for p in rough.model.parameters()} == {torch.float32}
    exact = training(tmp_path, RECIPE, Lora(rank=2))
    assert rough.add_gradients(0) == exact.add_gradients(0)


@pytest.mark.usefixtures("fast_bf16")
def test_bf16_learns_nearly_the_same_and_keeps_fp32_weights(tmp_path: Path) -> None:
    exact, rough = (
        training(tmp_path),
        training(tmp_path, dataclasses.replace(RECIPE, precision="bf16")),
    )
    ours, theirs = exact.add_gradients(0), rough.add_gradients(0)
    assert ours != theirs
    assert ours == pytest.approx(theirs, rel=0.02)
    assert {p.dtype for p in rough.model.parameters()} == {torch.float32}


@pytest.mark.usefixtures("fast_bf16")
@pytest.mark.parametrize(
    "parts",
    [("backbone", "depth"), pytest.param(("backbone", "heads"), marks=pytest.mark.slow)],
)
def test_frozen_weights_in_bf16_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: tuple[Any, ...]
) -> None:
    recipe = dataclasses.replace(RECIPE, precision="bf16")
    lora = Lora(rank=2, parts=parts)
    halved = training(tmp_path / "halved", recipe, lora)
    monkeypatch.setattr("causerie.train.lm.training.halve_frozen", lambda model: {})
    whole = training(tmp_path / "whole", recipe, lora)
    assert {p.dtype for p in whole.model.parameters()} == {torch.float32}
    for name, parameter in halved.model.named_parameters():
        is_whole = parameter.requires_grad or "embedding" in name or "norm" in name
        assert parameter.dtype == (torch.float32 if is_whole else torch.bfloat16), name
    for step in range(2):
        assert halved.add_gradients(step) == whole.add_gradients(step)
    assert_same(gradients(halved), gradients(whole))
    for run in (halved, whole):
        run.run()
    assert_same(halved.weights(), whole.weights())
    assert halved.loss_of(corpus()) == whole.loss_of(corpus())


def test_the_fused_optimizer_steps_as_the_plain_one() -> None:
    ours, theirs = new_model(SIZES, 0), new_model(SIZES, 0)
    fused = make_optimizer(ours, RECIPE)
    groups = [
        {**group, "params": [dict(theirs.named_parameters())[name] for name in names]}
        for group, names in zip(fused.param_groups, names_of(ours, fused), strict=True)
    ]
    plain = torch.optim.AdamW([{**group, "fused": False} for group in groups])
    torch.manual_seed(0)
    for _ in range(3):
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        fused.step()
        plain.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-6)


def names_of(model: CSM, optimizer: torch.optim.Optimizer) -> list[list[str]]:
    """Names of the parameters of each group."""
    names = {id(p): name for name, p in model.named_parameters()}
    return [[names[id(p)] for p in group["params"]] for group in optimizer.param_groups]


def test_training_memorizes_the_codes(tmp_path: Path) -> None:
    samples = Samples(batch=6, depth_share=0.5)
    recipe = dataclasses.replace(RECIPE, steps=60, warmup=5, samples=samples, ema=0.0)
    run = training(tmp_path, recipe, save_every=100)
    before = run.loss_of(corpus())
    run.run()
    after = run.loss_of(corpus())
    assert after["held_out_codebook0"] < 0.7 * before["held_out_codebook0"]
    assert after["held_out_rest"] < 0.9 * before["held_out_rest"]


def test_contradictory_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="codebook_weights has 3 numbers, but the model has 2"):
        training(tmp_path, dataclasses.replace(RECIPE, codebook_weights=(1.0, 1.0, 1.0)))


def test_codebook_weights_scale_the_acoustic_terms(tmp_path: Path) -> None:
    both = training(tmp_path).add_gradients(0)["rest"]
    weights = ((1.0, 0.0), (0.0, 1.0))
    each = [
        training(tmp_path, dataclasses.replace(RECIPE, codebook_weights=w)).add_gradients(0)["rest"]
        for w in weights
    ]
    assert sum(each) == pytest.approx(both, rel=1e-6)
