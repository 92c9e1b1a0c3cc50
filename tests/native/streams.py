"""Streams of random codes, decoded by the native decoders and by the codec in torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig
from causerie.native.decoder import SlotDecoder

Codes = NDArray[np.int32]


def random_codes(config: MimiConfig, num_frames: int, seed: int = 0) -> Codes:
    """(T, K)."""
    shape = (num_frames, config.num_codebooks)
    return np.random.default_rng(seed).integers(config.codebook_size, size=shape, dtype=np.int32)


def in_torch(codec: Mimi, codes: Codes) -> NDArray[np.float32]:
    """Audio (T, frame_size) of codes (T, K), frame by frame."""
    state = codec.new_decoder_state()
    frames = torch.from_numpy(codes).long()[:, None, :, None]  # (T, 1, K, 1)
    return torch.cat([codec.decode_step(frame, state)[:, 0] for frame in frames]).numpy()


def alone(decoder: SlotDecoder, codes: Codes, slot: int = 0) -> NDArray[np.float32]:
    """Audio (T, frame_size) of codes (T, K) in a slot of its own."""
    decoder.reset(slot)
    return np.concatenate([decoder.decode([slot], frame[None]) for frame in codes])


class Streams:
    """Slots whose streams begin, wait and end at random."""

    def __init__(self, decoder: SlotDecoder) -> None:
        self.decoder = decoder
        self.running: dict[int, tuple[list[Codes], list[NDArray[np.float32]]]]
        self.running = {slot: ([], []) for slot in range(decoder.num_slots)}
        self.ended = []

    def run(self, num_calls: int) -> Iterator[tuple[Codes, NDArray[np.float32]]]:
        """The codes (T, K) of every stream, and its sound (T, frame_size)."""
        rng = np.random.default_rng(0)
        config = self.decoder.config
        for _ in range(num_calls):
            num_slots = int(rng.integers(1, self.decoder.num_slots + 1))
            slots = [int(slot) for slot in rng.permutation(self.decoder.num_slots)[:num_slots]]
            if rng.random() < 0.2:
                self._restart(slots[0])
            codes = rng.integers(config.codebook_size, size=(num_slots, config.num_codebooks))
            sound = self.decoder.decode(slots, codes.astype(np.int32))
            for slot, *heard in zip(slots, codes, sound, strict=True):
                for kept, new in zip(self.running[slot], heard, strict=True):
                    kept.append(new)
        for slot in self.running:
            self._restart(slot)
        for codes, sound in self.ended:
            yield np.stack(codes), np.stack(sound)

    def _restart(self, slot: int) -> None:
        if self.running[slot][0]:
            self.ended.append(self.running[slot])
        self.running[slot] = ([], [])
        self.decoder.reset(slot)
