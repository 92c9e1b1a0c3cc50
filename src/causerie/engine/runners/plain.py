"""The reference runner: torch, one slot after the other. All other runners are tested against it.

It computes each request alone, so its results do not depend on other requests, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.codec.mimi import DecoderState, Mimi
from causerie.codec.source_filter import SourceFilterState
from causerie.engine.runner import BrokenSlotsError, Draw, Preparation, Rows, SavedRows
from causerie.model.csm import CSM
from causerie.model.sampling import gumbel_noise, sample, stop_log_probability
from causerie.nn.kv_cache import KVCache, SavedPositions

#: Initial positions of a slot; they double when it needs more.
FIRST_ROWS = 128


@dataclass
class Slot:
    """All the state of one request.

    Attributes:
        hidden: (1, D), hidden state of the latest row.
        codes: (1, K), drawn but not read yet.
        codec: the codec's state, from the first frame on.
        stop: log-probability of a stop in the latest step.
    """

    cache: KVCache
    hidden: Tensor | None = None
    codes: Tensor | None = None
    codec: DecoderState | SourceFilterState | None = None
    stop: float = -math.inf


class PlainRunner:
    """A `Runner` that calls the model's and the codec's own functions, on any device.

    A slot's memory is allocated when the slot reads, and grows with its rows.
    """

    row_invariant = False

    def __init__(self, model: CSM, codec: Mimi, num_slots: int) -> None:
        self.num_slots, self.max_rows = num_slots, model.config.max_frames
        self.num_codebooks = model.config.num_codebooks
        self.frame_size, self.frame_rate = codec.config.frame_size, codec.config.frame_rate
        self.sample_rate = codec.config.sample_rate
        self._model, self._codec = model, codec
        self._slots: list[Slot | None] = [None] * num_slots
        self._depth_cache = self._new_cache(self.num_codebooks, depth=True)

    def reset(self, slot: int) -> None:
        """Empty the slot."""
        self._slots[slot] = None

    def prefill(self, slot: int, rows: Rows) -> None:
        """Read the next rows of a prompt."""
        state = self._state(slot, len(rows))
        with torch.inference_mode():
            read = torch.from_numpy(rows.astype(np.int64))[None].to(self._device)
            state.hidden = self._model.prefill(read.clamp(min=0), read >= 0, state.cache)

    def step(self, draws: Sequence[Draw]) -> NDArray[np.int32]:
        """The next frame (B, K) of each of B different slots."""
        codes = np.zeros((len(draws), self.num_codebooks), np.int32)
        broken = []
        for row, draw in enumerate(draws):
            drawn, is_finite = self._next_frame(draw)
            codes[row] = drawn[0].cpu().numpy()
            if not is_finite:
                broken.append(draw.slot)
        if broken:
            dtype = self._model.projection.weight.dtype
            raise BrokenSlotsError(dtype, slots=broken, codes=codes)
        return codes

    @torch.inference_mode()
    def _next_frame(self, draw: Draw) -> tuple[Tensor, bool]:
        """Codes (1, K), and whether the logits are finite."""
        state = self._state(draw.slot, 0)
        if state.codes is not None:
            self._state(draw.slot, 1)
            state.hidden = self._model.backbone_step(state.codes, state.cache)
        assert state.hidden is not None, "the slot has read no prompt"
        sampling, num_codes = draw.sampling, self._codec.config.codebook_size
        seeds = torch.tensor([sampling.seed], device=self._device)
        noise = gumbel_noise(seeds, draw.frame, self.num_codebooks, num_codes)
        latest = state.hidden

        def choose(logits: Tensor, codebook: int) -> Tensor:
            nonlocal latest
            latest = logits  # NaN propagates to those of the last codebook
            temperature, top_k = sampling.temperature, sampling.top_k
            if codebook:
                temperature, top_k = sampling.depth_temperature, sampling.depth_top_k
            # Reserved codes, which the codec does not know, are never drawn.
            logits = logits[:, :num_codes]
            if codebook:
                return sample(logits, temperature, top_k, noise[:, codebook])
            state.stop = float(stop_log_probability(logits))
            return sample(logits, temperature, top_k, noise[:, 0], draw.stop_bias)

        state.codes = self._model.depth_decode(state.hidden, self._depth_cache, choose)
        return state.codes, bool(latest.isfinite().all())

    def stops(self, slots: Sequence[int]) -> NDArray[np.float32]:
        """Log-probabilities (B,) of a stop in the latest step of these slots."""
        return np.array([self._state(slot, 0).stop for slot in slots], np.float32)

    @torch.inference_mode()
    def decode(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Audio (B, frame_size) of the next frame (B, K) of each of B different slots."""
        audio = np.empty((len(slots), self.frame_size), np.float32)
        for row, slot in enumerate(slots):
            state = self._state(slot, 0)
            if state.codec is None:
                state.codec = self._codec.new_decoder_state()
            frame = torch.from_numpy(codes[row].astype(np.int64)).to(self._device)
            pcm = self._codec.decode_step(frame[None, :, None], state.codec)
            audio[row] = pcm[0, 0].float().cpu().numpy()
        return audio

    def save(self, slot: int, num_rows: int) -> SavedRows:
        """A copy of the keys and values of the slot's first rows."""
        cache = self._state(slot, 0).cache
        assert num_rows <= cache.length, "the slot has read fewer rows"
        with torch.inference_mode():
            return cache.save(0, num_rows)

    def load(self, slot: int, saved: SavedRows, num_rows: int) -> None:
        """Load the first saved rows into a slot that was just reset."""
        assert isinstance(saved, SavedPositions)
        assert num_rows <= saved.num_rows
        cache = self._state(slot, num_rows).cache
        assert cache.length == 0, "the slot was not reset"
        with torch.inference_mode():
            cache.load(0, saved, num_rows)
            cache.advance(num_rows)

    def preparations(self) -> tuple[Preparation, ...]:
        """None: the first call is as fast as others."""
        return ()

    @property
    def _device(self) -> torch.device:
        return self._model.projection.weight.device

    def _state(self, slot: int, num_new: int) -> Slot:
        """A slot whose cache has room for `num_new` new rows."""
        state = self._slots[slot]
        if state is None:
            state = self._slots[slot] = Slot(self._new_cache(max(FIRST_ROWS, num_new)))
        old = state.cache
        needed = old.length + num_new
        if needed > old.max_length:
            with torch.inference_mode():
                state.cache = self._new_cache(max(needed, 2 * old.max_length))
                state.cache.keys[:, :, :, : old.length] = old.keys[:, :, :, : old.length]
                state.cache.values[:, :, :, : old.length] = old.values[:, :, :, : old.length]
                state.cache.advance(old.length)
        return state

    def _new_cache(self, num_rows: int, *, depth: bool = False) -> KVCache:
        config = self._model.config.depth if depth else self._model.config.backbone
        length = num_rows if depth else min(num_rows, self.max_rows)
        dtype = self._model.projection.weight.dtype
        with torch.inference_mode():
            return KVCache(config, 1, length, device=self._device, dtype=dtype)
