"""Training a codec's decoder on a voice, without changing the codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from causerie.audio.audio import Audio
from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig
from causerie.data.shards import codec_fingerprint
from causerie.errors import ConfigError
from causerie.finetune.decoder import STEPS, VoiceRecipe, adapt, default_steps, shift_pitch
from tests import tiny

RATE = 24_000


def tone(hertz: float, seconds: float = 1.0) -> torch.Tensor:
    return 0.3 * torch.sin(2 * torch.pi * hertz * torch.arange(int(seconds * RATE)) / RATE)


def recordings() -> list[Audio]:
    return [Audio(samples=tone(hertz, 0.5).numpy(), sample_rate=RATE) for hertz in (150, 220)]


def recipe(steps: int) -> VoiceRecipe:
    return VoiceRecipe(steps=steps, batch=2, window_frames=8, warmup=1, versions=1)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_shift_pitch_keeps_the_length(factor: float) -> None:
    found = shift_pitch(tone(300), factor, RATE)
    assert found.shape == (RATE,)
    middle = found[RATE // 4 : 3 * RATE // 4]
    peak = int(torch.fft.rfft(middle * torch.hann_window(len(middle))).abs().argmax())
    assert peak * RATE / len(middle) == pytest.approx(300 * factor, abs=3)
    assert shift_pitch(tone(300, 0.01), factor, RATE).shape == (240,)  # shorter than a window


DECODERS = pytest.mark.parametrize(
    ("config", "trained"),
    [
        (tiny.mimi_config(), {"upsample", "decoder_transformer", "decoder"}),
        (tiny.source_filter_config(), {"decoder"}),
    ],
    ids=["seanet", "source-filter"],
)


@DECODERS
def test_only_the_decoder_learns(config: MimiConfig, trained: set[str], tmp_path: Path) -> None:
    codec = tiny.mimi(config=config)
    before, fingerprint = (
        {n: t.clone() for n, t in codec.state_dict().items()},
        codec_fingerprint(codec),
    )
    seen: list[float] = []
    adapt(
        codec, recordings(), recipe(12), tiny.NUM_CODEBOOKS, tmp_path / "state.pt",
        on_step=lambda step, numbers: seen.append(numbers["mel"]),
    )  # fmt: skip
    moved = {
        n.split(".")[0] for n, t in codec.state_dict().items() if not torch.equal(t, before[n])
    }
    assert moved == trained
    assert codec_fingerprint(codec) == fingerprint
    assert np.mean(seen[-3:]) < np.mean(seen[:3])


@pytest.mark.slow
@DECODERS
def test_a_killed_run_resumes_exactly(
    config: MimiConfig, trained: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts, again = (tiny.mimi(config=config) for _ in range(3))
    adapt(whole, recordings(), recipe(4), tiny.NUM_CODEBOOKS, tmp_path / "whole.pt")

    def kill(step: int, numbers: dict[str, float]) -> None:
        if step == 2:
            raise KeyboardInterrupt

    state = tmp_path / "parts.pt"
    monkeypatch.setattr("causerie.finetune.decoder.SAVE_EVERY", 1)
    with pytest.raises(KeyboardInterrupt):
        adapt(parts, recordings(), recipe(4), tiny.NUM_CODEBOOKS, state, on_step=kill)
    adapt(again, recordings(), recipe(4), tiny.NUM_CODEBOOKS, state)
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    with pytest.raises(ConfigError, match="steps was 4, is 5"):
        adapt(tiny.mimi(config=config), recordings(), recipe(5), tiny.NUM_CODEBOOKS, state)


def test_a_large_codec_is_not_trained() -> None:
    assert default_steps(tiny.mimi()) == STEPS
    with torch.device("meta"):
        assert default_steps(Mimi(MimiConfig())) == 0
