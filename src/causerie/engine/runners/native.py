"""The runner for CPUs: a whole frame in one call of the native kernels.

Slots are computed together, with results equal to the bit to those of each slot alone. Weights are
packed once, in one format for each part. After that, only the embedding tables of the model are
used, in place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.codec.mimi import Mimi
from causerie.engine.runner import BrokenSlotsError, Draw, Preparation, Rows, SavedRows
from causerie.errors import ConfigError
from causerie.model.csm import CSM
from causerie.model.llama import Block, Llama
from causerie.native.codec import native_decoder
from causerie.native.csm import LayerWeights, NativeCsm, NativeDraw, Part, SavedCache
from causerie.native.decoder import Weights
from causerie.native.library import load
from causerie.native.products import FORMATS, Floats, Format, Pool


class NativeRunner:
    """A `Runner` by the native kernels.

    Args:
        max_rows: positions of a slot; the model's own by default.
        num_codebooks: codes drawn per frame; fewer than K are faster and sound coarser. Rows of
            prompts keep their width; drawn frames are read with the other codebooks masked out.
        backbone_format, depth_format: storage of the weights; by default lossless: fp32 for a
            model in fp32, bf16 for one in bf16 or fp16.
        codec_format: the same for the codec.
        num_threads: 0 uses all that this process may use.
        kernels: by default the fastest that this machine runs.

    Raises:
        ConfigError: there are no native kernels, or a setting is out of range.
    """

    row_invariant = True

    def __init__(
        self,
        model: CSM,
        codec: Mimi,
        num_slots: int,
        *,
        max_rows: int | None = None,
        num_codebooks: int | None = None,
        backbone_format: Format | None = None,
        depth_format: Format | None = None,
        codec_format: Weights = "float32",
        num_threads: int = 0,
        kernels: str | None = None,
    ) -> None:
        config = model.config
        self.num_slots, self.max_rows = num_slots, max_rows or config.max_frames
        self.num_codebooks = num_codebooks or config.num_codebooks
        if not 2 <= self.num_codebooks <= config.num_codebooks:
            raise ConfigError(
                f"num_codebooks must be 2 … {config.num_codebooks}, not {self.num_codebooks}"
            )
        self.frame_size, self.frame_rate = codec.config.frame_size, codec.config.frame_rate
        self.sample_rate = codec.config.sample_rate
        exact: Format = "float32" if model.projection.weight.dtype == torch.float32 else "bfloat16"
        self.formats: dict[Part, Format] = {
            "backbone": _format(backbone_format or exact),
            "depth": _format(depth_format or exact),
        }
        self._pool = Pool(num_threads, load(kernels))
        self._config = config
        self._csm = _packed(model, codec.config.codebook_size, self)
        self._codec = native_decoder(codec, num_slots, codec_format, self._pool)
        self._lengths = [0] * num_slots  # rows read, and the drawn one
        self._stops = np.zeros(num_slots, np.float32)

    @property
    def kernels(self) -> str:
        """The kernels in use: "avx512", "avx2" or "generic"."""
        return self._pool.library.kernels

    @property
    def num_threads(self) -> int:
        """The number of threads."""
        return self._pool.num_threads

    def reset(self, slot: int) -> None:
        """Empty the slot; its memory stays allocated."""
        self._csm.reset(slot)
        self._codec.reset(slot)
        self._lengths[slot] = 0

    def prefill(self, slot: int, rows: Rows) -> None:
        """Read the next one or more rows of a prompt."""
        assert len(rows), "no rows"
        assert self._csm.length(slot) == self._lengths[slot], "a drawn frame was not read"
        self._lengths[slot] += len(rows)
        assert self._lengths[slot] <= self.max_rows, "the slot is full"
        full = np.full((len(rows), self._config.num_codebooks + 1), -1, np.int32)
        full[:, : rows.shape[1] - 1] = rows[:, :-1]
        full[:, -1] = rows[:, -1]
        assert full[:, :-1].max() < self._config.audio_vocab_size
        assert full[:, -1].max() < self._config.text_vocab_size
        self._csm.prefill(slot, full)

    def step(self, draws: Sequence[Draw]) -> NDArray[np.int32]:
        """The next frame (B, K) of each of B different slots."""
        codes, broken, stops = self._csm.step(self._drawing(draws))
        self._stops[[draw.slot for draw in draws]] = stops
        if broken.any():
            form = " and ".join(dict.fromkeys(self.formats.values()))
            raise BrokenSlotsError(
                form,
                slots=[draw.slot for draw, wrong in zip(draws, broken, strict=True) if wrong],
                codes=codes,
            )
        return codes

    def stops(self, slots: Sequence[int]) -> NDArray[np.float32]:
        """Log-probabilities (B,) of a stop in the latest step of these slots."""
        return self._stops[list(slots)]

    def logits(self, draws: Sequence[Draw], codes: NDArray[np.int32]) -> Floats:
        """Teacher-forced logits (B, K, codes) of the next frames, given their codes (B, K).

        They measure how far formats differ.
        """
        shape = (len(draws), self.num_codebooks, self._csm.num_codes)
        assert codes.shape == shape[:2]
        out = np.empty(shape, np.float32)
        forced = np.ascontiguousarray(codes, np.int32)
        self._csm.step(self._drawing(draws), forced, out)
        return out

    def hidden(self, slot: int) -> Floats:
        """The backbone's hidden state (D,) after the slot's last row."""
        return self._csm.hidden(slot, self._config.backbone.dim)

    def decode(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Audio (B, frame_size) of the next frame (B, K) of each of B different slots."""
        return self._codec.decode(slots, codes)

    def save(self, slot: int, num_rows: int) -> SavedRows:
        """A copy of the keys and values of the slot's first rows."""
        assert 0 < num_rows <= self._csm.length(slot), "the slot has read fewer rows"
        return self._csm.save(slot, num_rows)

    def load(self, slot: int, saved: SavedRows, num_rows: int) -> None:
        """Load the first saved rows into a slot that was just reset."""
        assert isinstance(saved, SavedCache)
        assert 0 < num_rows <= saved.num_rows
        assert self._lengths[slot] == 0, "the slot was not reset"
        self._csm.reset(slot)  # allocates its memory
        self._csm.load(slot, saved, num_rows)
        self._lengths[slot] = num_rows

    def preparations(self) -> tuple[Preparation, ...]:
        """None: the first call is as fast as others."""
        return ()

    def _drawing(self, draws: Sequence[Draw]) -> list[NativeDraw]:
        assert len({draw.slot for draw in draws}) == len(draws), "a slot twice"
        for draw in draws:
            assert 0 < self._lengths[draw.slot] <= self.max_rows, "no prompt, or the slot is full"
            self._lengths[draw.slot] += 1
        return [
            NativeDraw(
                slot=draw.slot,
                seed=draw.sampling.seed,
                frame=draw.frame,
                temperature=draw.sampling.temperature,
                depth_temperature=draw.sampling.depth_temperature,
                top_k=draw.sampling.top_k or 0,
                depth_top_k=draw.sampling.depth_top_k or 0,
                stop_bias=draw.stop_bias,
            )
            for draw in draws
        ]


def _format(name: Format) -> Format:
    if name not in FORMATS:
        raise ConfigError(f"a format must be one of {', '.join(FORMATS)}, not {name!r}")
    return name


def _packed(model: CSM, num_codes: int, runner: NativeRunner) -> NativeCsm:
    """The model's weights on the C++ side."""
    csm = NativeCsm(
        runner._pool,
        model.config,
        num_codes=num_codes,
        num_drawn=runner.num_codebooks,
        num_slots=runner.num_slots,
        max_rows=runner.max_rows,
        audio_table=model.audio_embedding.weight.detach(),
        text_table=model.text_embedding.weight.detach(),
        formats=runner.formats,
    )
    csm.add_head("backbone", _floats(model.codebook0_head.weight))
    for head in model.audio_heads[: runner.num_codebooks - 1]:
        csm.add_head("depth", _floats(head.T))
    csm.set_projection(_floats(model.projection.weight))
    _pack_llama(csm, "backbone", model.backbone)
    _pack_llama(csm, "depth", model.depth)
    return csm


def _pack_llama(csm: NativeCsm, part: Part, llama: Llama) -> None:
    for block in llama.layers:
        assert isinstance(block, Block)
        attention, ffn = block.attention, block.ffn
        csm.add_layer(
            part,
            LayerWeights(
                attention_norm=_floats(block.attention_norm.weight),
                q=_floats(attention.q_proj.weight),
                k=_floats(attention.k_proj.weight),
                v=_floats(attention.v_proj.weight),
                o=_floats(attention.o_proj.weight),
                ffn_norm=_floats(block.ffn_norm.weight),
                gate=_floats(ffn.gate_proj.weight),
                up=_floats(ffn.up_proj.weight),
                down=_floats(ffn.down_proj.weight),
            ),
        )
    csm.set_norm(part, _floats(llama.norm.weight))


def _floats(weight: Tensor) -> Floats:
    return weight.detach().float().contiguous().numpy()
