"""Training of the source-filter decoder: its windows, its two parts, and exact resume."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from causerie.codec.source_filter import ENVELOPE_HZ, SourceFilter
from causerie.config import HOP
from causerie.errors import ConfigError
from tests import tiny
from tests.recipes.targets import FRAMES, HOPS, write_targets


@pytest.fixture
def module(recipe: Path) -> ModuleType:
    assert recipe
    return importlib.import_module("codec_training.source_filter")


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    for seed, (name, pitch_hz) in enumerate({"low": 100.0, "high": 220.0}.items()):
        write_targets(tmp_path / "targets" / name, pitch_hz, seed)
    (tmp_path / "targets" / "broken.partial").mkdir()
    return tmp_path / "targets"


def test_windows_are_parts_of_utterances(module: ModuleType, targets: Path) -> None:
    folder = module.TargetFolder(targets)
    assert len(folder.voices) == 2
    recipe = module.SourceFilterRecipe(steps=9, batch=16, window_frames=10)
    windows = folder.windows(recipe, 3)
    assert windows.codes.shape == (16, tiny.NUM_CODEBOOKS, 10)
    assert windows.pcm.shape == (16, 1, 10 * HOPS * HOP)
    assert windows.envelope.shape == (16, 10 * HOPS, len(ENVELOPE_HZ))
    drawn = windows.codes[:, 0, 0] >= 8
    assert 2 < drawn.sum() < 14
    level = windows.codes[:, 0] % 4
    expected = -4 + level.repeat_interleave(HOPS, 1)
    torch.testing.assert_close(windows.envelope[..., 0], expected.float(), atol=0.01, rtol=0)
    low = windows.codes[:, 0, 0] % 8 < 4
    assert (windows.tracks.pitch[low] == 100).all()
    assert (windows.tracks.pitch[~low] == 220).all()
    again = folder.windows(recipe, 3)
    assert torch.equal(again.pcm, windows.pcm)
    assert not torch.equal(folder.windows(recipe, 4).pcm, windows.pcm)
    often = dataclasses.replace(recipe, favorite="high", favored=15)
    assert (folder.windows(often, 3).tracks.pitch == 220).float().mean() > 0.75
    long = module.SourceFilterRecipe(steps=9, batch=2, window_frames=FRAMES + 2)
    padded = folder.windows(long, 0)
    assert (padded.pcm[..., -2 * HOPS * HOP :] == 0).all()
    assert (padded.tracks.voiced[:, -2 * HOPS :] == 0).all()


def test_targets_must_exist(module: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"decoder_targets\.py"):
        module.TargetFolder(tmp_path)


def test_it_learns_parameters(module: ModuleType, targets: Path, tmp_path: Path) -> None:
    recipe = module.SourceFilterRecipe(
        steps=46, batch=4, window_frames=8, warmup=3, lr=1e-2, drawn=0.0
    )
    seen: list[dict[str, float]] = []
    codec = tiny.mimi(config=tiny.source_filter_config())
    before = {name: weight.clone() for name, weight in codec.state_dict().items()}
    trained = module.train_source_filter(
        codec, recipe, targets, tmp_path / "out", on_step=lambda _, numbers: seen.append(numbers)
    )
    assert len(seen) == 46
    assert not {"mel", "features"} & seen[-1].keys()
    assert np.mean([n["envelope"] for n in seen[-5:]]) < 0.5 * seen[0]["envelope"]
    assert np.mean([n["pitch"] for n in seen[-5:]]) < 0.5 * seen[0]["pitch"]
    moved = {n for n, w in trained.state_dict().items() if not torch.equal(w, before[n])}
    assert moved
    assert all(name.startswith("decoder.") for name in moved)
    assert isinstance(trained.decoder, SourceFilter)


def test_it_learns_from_waveforms_alone(module: ModuleType, targets: Path, tmp_path: Path) -> None:
    recipe = module.SourceFilterRecipe(
        steps=40, speaks=True, batch=4, window_frames=8, warmup=3, lr=1e-2, drawn=0.0,
        parameter_weight=0.0,
    )  # fmt: skip
    seen: list[dict[str, float]] = []
    codec = tiny.mimi(config=tiny.source_filter_config())
    module.train_source_filter(
        codec, recipe, targets, tmp_path / "out", on_step=lambda _, numbers: seen.append(numbers)
    )
    assert np.mean([n["mel"] for n in seen[-5:]]) < 0.7 * seen[0]["mel"]
    assert {"features", "discriminator"} <= seen[0].keys()


def test_the_encoder_is_trained_for_the_codebooks_as_they_are(
    module: ModuleType, targets: Path, tmp_path: Path
) -> None:
    encoding = module.EncoderRecipe(
        steps=20, quantize_from=0, dropout=0.2, spectrum_weight=0.0, phone_weight=1.0
    )
    recipe = module.SourceFilterRecipe(
        steps=20, speaks=True, batch=6, window_frames=8, warmup=3, lr=3e-3, drawn=0.2,
        encoding=encoding, feature_distance_weight=3.0,
    )  # fmt: skip
    seen: list[dict[str, float]] = []
    codec = tiny.mimi(config=tiny.source_filter_config())
    before = {name: weight.clone() for name, weight in codec.state_dict().items()}
    recognizer = module.PhoneRecognizer(24_000, dim=8)
    unchanged = {name: weight.clone() for name, weight in recognizer.state_dict().items()}
    trained = module.train_source_filter(
        codec, recipe, targets, tmp_path / "out", recognizer=recognizer,
        on_step=lambda _, numbers: seen.append(numbers),
    )  # fmt: skip
    assert np.mean([n["phones"] for n in seen[-4:]]) < 0.8 * seen[0]["phones"]
    first, last = (np.mean([n["phone_features"] for n in part]) for part in (seen[:5], seen[-5:]))
    assert last < first
    assert all(torch.equal(w, unchanged[n]) for n, w in recognizer.state_dict().items())
    moved = {n for n, w in trained.state_dict().items() if not torch.equal(w, before[n])}
    parts = {name.split(".")[0] for name in moved}
    assert {"encoder", "encoder_transformer", "downsample", "quantizer", "decoder"} == parts
    assert not [name for name in moved if "centroids" in name]


def test_a_killed_run_resumes_exactly(module: ModuleType, targets: Path, tmp_path: Path) -> None:
    recipe = module.SourceFilterRecipe(steps=4, speaks=True, batch=2, window_frames=6, warmup=1)

    def run(out: Path, kill_at: int | None = None) -> dict[str, torch.Tensor]:
        def kill(step: int, numbers: dict[str, float]) -> None:
            if step == kill_at:
                raise KeyboardInterrupt

        codec = tiny.mimi(config=tiny.source_filter_config())
        module.train_source_filter(codec, recipe, targets, out, on_step=kill, save_every=1)
        weights: dict[str, torch.Tensor] = codec.state_dict()
        return weights

    whole = run(tmp_path / "whole")
    for kill_at in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", kill_at)
        assert torch.load(tmp_path / "parts" / "state.pt")["step"] == kill_at
    resumed = run(tmp_path / "parts")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_fine_shape_of_the_envelope_is_deepened(module: ModuleType) -> None:
    codec = tiny.mimi(config=tiny.source_filter_config())
    assert isinstance(codec.decoder, SourceFilter)
    latent = torch.randn(1, codec.decoder.input.in_features, 3)
    plain = codec.decoder.predict(latent)
    module.sharpen(codec.decoder)
    sharp = codec.decoder.predict(latent)
    for name in ("pitch", "voicing", "aperiodicity"):
        torch.testing.assert_close(getattr(sharp, name), getattr(plain, name))
    before, after = (dct(found.envelope.detach()[0].numpy()) for found in (plain, sharp))
    np.testing.assert_allclose(after[:, :5], before[:, :5], atol=1e-3)
    np.testing.assert_allclose(after[:, 60:], 1.35 * before[:, 60:], rtol=2e-3, atol=1e-3)
    ratio = np.linalg.norm(after, axis=0) / np.linalg.norm(before, axis=0)
    assert (np.diff(ratio) > -1e-4).all()
    module.sharpen(codec.decoder, undo=True)
    again = codec.decoder.predict(latent)
    torch.testing.assert_close(again.envelope, plain.envelope, atol=1e-4, rtol=1e-4)


def dct(rows: np.ndarray) -> np.ndarray:
    size = rows.shape[-1]
    waves = np.cos(np.pi / size * np.arange(size)[:, None] * (np.arange(size) + 0.5))
    return rows @ waves.T
