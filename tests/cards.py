"""Stand-ins for the cards that torch sees."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

#: Kernel images of torch 2.13 for CUDA 13.
IMAGES = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@dataclass(frozen=True)
class Card:
    """A card.

    Attributes:
        capability: compute capability.
        free: bytes.
    """

    name: str
    capability: tuple[int, int]
    free: int = 24 * 10**9


H100 = Card("NVIDIA H100", (9, 0), 79 * 10**9)
RTX_3060 = Card("NVIDIA GeForce RTX 3060", (8, 6), 11 * 10**9)
RTX_4090 = Card("NVIDIA GeForce RTX 4090", (8, 9))
RTX_6090 = Card("NVIDIA GeForce RTX 6090", (13, 0))
T4 = Card("Tesla T4", (7, 5), 15 * 10**9)
V100 = Card("Tesla V100", (7, 0), 32 * 10**9)
GTX_1080 = Card("NVIDIA GeForce GTX 1080", (6, 1), 8 * 10**9)


def install(patch: pytest.MonkeyPatch, *cards: Card, images: list[str] | None = None) -> None:
    """Let torch see these cards."""

    def card(device: torch.device) -> Card:
        return cards[torch.device(device).index or 0]

    cuda = torch.cuda
    patch.setattr(torch.version, "cuda", "13.0")
    patch.setattr(cuda, "is_available", lambda: bool(cards))
    patch.setattr(cuda, "device_count", lambda: len(cards))
    patch.setattr(cuda, "get_arch_list", lambda: IMAGES if images is None else images)
    patch.setattr(cuda, "get_device_capability", lambda device: card(device).capability)
    patch.setattr(cuda, "get_device_name", lambda device: card(device).name)
    patch.setattr(cuda, "mem_get_info", lambda device: (card(device).free, 2 * card(device).free))
    patch.setattr(cuda, "memory_reserved", lambda _: 0)
    patch.setattr(cuda, "memory_allocated", lambda _: 0)
