"""Devices by name: which cards torch can use, and why not the others."""

from __future__ import annotations

import pytest
import torch

from causerie.device import (
    card_problem,
    cuda_problem,
    find_device,
    find_dtype,
    half_dtype,
    usable_cards,
)
from causerie.errors import ConfigError
from tests import cards

ZERO, CPU = torch.device("cuda", 0), torch.device("cpu")


def failing(message: str) -> None:
    raise RuntimeError(message)


def test_torch_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(ConfigError, match=r"'cuda' is not available: torch .* without CUDA; use"):
        find_device("cuda")
    assert find_device("auto") == CPU


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "The NVIDIA driver on your system is too old (found version 12020). Please update your "
            "GPU driver by downloading and installing a new version",
            "The NVIDIA driver on your system is too old (found version 12020)",
        ),
        (
            "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
            "Found no NVIDIA driver on your system",
        ),
        ("Unexpected error from cudaGetDeviceCount()\nand more", "Unexpected error from cuda"),
    ],
)
def test_what_the_driver_lacks_is_said(
    said: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.install(monkeypatch)
    monkeypatch.setattr(torch.cuda, "init", lambda: failing(said))
    with pytest.raises(ConfigError) as caught:
        find_device("cuda:0")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Please" not in str(caught.value)
    assert find_device("auto") == CPU


def test_a_driver_without_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    cards.install(monkeypatch)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    assert "nvidia-smi" in (cuda_problem() or "")


@pytest.mark.parametrize("card", [cards.T4, cards.RTX_3060, cards.RTX_4090, cards.H100])
def test_cards_that_work(card: cards.Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """sm_86 runs on 8.9, as any image of the same generation that is not newer."""
    cards.install(monkeypatch, card)
    assert card_problem(ZERO) is None
    assert find_device("auto") == ZERO
    assert find_device("cuda") == torch.device("cuda")


def test_newer_cards_compile_what_is_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    cards.install(monkeypatch, cards.RTX_6090)
    assert card_problem(ZERO) is None
    cards.install(monkeypatch, cards.RTX_6090, images=["sm_80", "sm_90a"])
    assert "has kernels for 8.0, 9.0" in (card_problem(ZERO) or "")


@pytest.mark.parametrize("card", [cards.GTX_1080, cards.V100])
def test_cards_without_kernels(card: cards.Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """They pass `is_available`, and fail at the first operation."""
    cards.install(monkeypatch, card)
    capability = ".".join(map(str, card.capability))
    with pytest.raises(ConfigError) as caught:
        find_device("cuda")
    assert f"{card.name} has compute capability {capability}" in str(caught.value)
    assert "kernels for 7.5, 8.0" in str(caught.value)
    assert find_device("auto") == CPU


def test_auto_passes_over_cards_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    cards.install(monkeypatch, cards.GTX_1080, cards.RTX_3060)
    assert usable_cards() == [torch.device("cuda", 1)]
    assert find_device("auto") == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match=r"cuda:2.* is not available; use one of auto, cuda:0"):
        find_device("cuda:2")


def test_auto_is_not_apples_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name only: for models, an estimate decides."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device("auto") == CPU
    assert find_device("mps") == torch.device("mps")


def test_amds_cards_are_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    cards.install(monkeypatch, cards.Card("AMD Instinct MI300X", (9, 4)), images=["gfx942"])
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert find_device("auto") == ZERO
    assert half_dtype(ZERO) is torch.bfloat16


@pytest.mark.parametrize(
    ("card", "dtype"),
    [(cards.T4, torch.float16), (cards.RTX_3060, torch.bfloat16), (cards.H100, torch.bfloat16)],
)
def test_turing_has_no_bfloat16(
    card: cards.Card, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.install(monkeypatch, card)
    assert find_dtype("auto", ZERO) is dtype
    assert find_dtype("auto", torch.device("cuda")) is dtype
    assert find_dtype("bfloat16", ZERO) is torch.bfloat16  # if it is asked for
    assert find_dtype("auto", CPU) is torch.float32
