"""The C++ side's CSM as a Python object: weights in, then rows in and codes out.

Weights are passed as fp32 arrays, one matrix at a time, and packed; the two embedding tables are
used in place. Knows nothing about torch modules or requests.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_float, c_int, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from causerie.config import CSMConfig, LlamaConfig
from causerie.native.library import Library
from causerie.native.products import FORMATS, Floats, Format, Packed, Pool, declare, pointer
from causerie.nn.rope import inverse_frequencies, rotation

#: dtypes of an embedding table.
TABLES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}

Part = Literal["backbone", "depth"]


class _Sizes(ctypes.Structure):
    _fields_ = [
        (name, c_int64) for name in ("num_codebooks", "num_drawn", "vocab", "num_codes", "max_rows")
    ]


class _LlamaSizes(ctypes.Structure):
    _fields_ = [
        *(
            (name, c_int64)
            for name in (
                "num_layers", "dim", "num_heads", "num_kv_heads", "head_dim", "ffn_dim",
            )
        ),
        ("norm_eps", c_float),
    ]  # fmt: skip


class _Rotation(ctypes.Structure):
    _fields_ = [("cos", c_void_p), ("sin", c_void_p)]


class _Setup(ctypes.Structure):
    _fields_ = [
        ("sizes", _Sizes),
        ("backbone", _LlamaSizes),
        ("depth", _LlamaSizes),
        ("backbone_rotation", _Rotation),
        ("depth_rotation", _Rotation),
        ("cache_format", c_int64),
        ("depth_cache_format", c_int64),
        ("audio_table", c_void_p),
        ("audio_type", c_int64),
        ("text_table", c_void_p),
        ("text_type", c_int64),
        ("num_slots", c_int64),
    ]


class _Results(ctypes.Structure):
    _fields_ = [(name, c_void_p) for name in ("codes", "broken", "forced", "logits", "stops")]


class NativeDraw(ctypes.Structure):
    """The settings of one slot's draw: see csm.hpp. A top_k of 0 draws from all codes."""

    _fields_ = [
        ("slot", c_int64),
        ("seed", c_int64),
        ("frame", c_int64),
        ("temperature", c_float),
        ("depth_temperature", c_float),
        ("top_k", c_int64),
        ("depth_top_k", c_int64),
        ("stop_bias", c_float),
    ]


@dataclass(frozen=True, kw_only=True)
class LayerWeights:
    """Matrices (outputs, inputs) and norms of a layer."""

    attention_norm: Floats
    q: Floats
    k: Floats
    v: Floats
    o: Floats
    ffn_norm: Floats
    gate: Floats
    up: Floats
    down: Floats


@dataclass(frozen=True, kw_only=True)
class SavedCache:
    """Keys and values of the first rows of a slot."""

    num_rows: int
    data: NDArray[np.uint8]

    @property
    def num_bytes(self) -> int:
        """Memory of the data."""
        return self.data.nbytes


class NativeCsm:
    """Weights and slots of a model.

    Args:
        num_codes: codes of a codebook that may be drawn.
        num_drawn: codes drawn per frame, K or fewer.
        audio_table, text_table: embeddings in fp32, bf16 or fp16, used in place.
        formats: storage of each part's weights. Keys and values are fp32 with "float32" and bf16
            with the others.
    """

    def __init__(
        self,
        pool: Pool,
        config: CSMConfig,
        *,
        num_codes: int,
        num_drawn: int,
        num_slots: int,
        max_rows: int,
        audio_table: torch.Tensor,
        text_table: torch.Tensor,
        formats: dict[Part, Format],
    ) -> None:
        self._pool, self._library = pool, pool.library
        self.num_drawn, self.num_codes = num_drawn, num_codes
        self._formats = formats
        self._kept: list[Any] = [audio_table.contiguous(), text_table.contiguous()]
        audio, text = self._kept
        setup = _Setup(
            sizes=_Sizes(
                num_codebooks=config.num_codebooks, num_drawn=num_drawn,
                vocab=config.audio_vocab_size, num_codes=num_codes, max_rows=max_rows,
            ),
            backbone=_llama_sizes(config.backbone),
            depth=_llama_sizes(config.depth),
            backbone_rotation=self._rotation(config.backbone, max_rows),
            depth_rotation=self._rotation(config.depth, config.num_codebooks),
            cache_format=_cache_format(formats["backbone"]),
            depth_cache_format=_cache_format(formats["depth"]),
            audio_table=audio.data_ptr(),
            audio_type=TABLES[audio.dtype],
            text_table=text.data_ptr(),
            text_type=TABLES[text.dtype],
            num_slots=num_slots,
        )  # fmt: skip
        functions = _Functions(self._library)
        self._functions = functions
        self._handle = c_void_p(functions.new(pool.handle, ctypes.byref(setup)))

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._functions.delete(self._handle)

    # -- weights -----------------------------------------------------------------------------

    def add_layer(self, part: Part, weights: LayerWeights) -> None:
        """Add the next layer of a part."""
        form = self._formats[part]
        attention = attention_format(form)
        packed = [
            self._pack(attention, weights.q, weights.k, weights.v),
            self._pack(attention, weights.o),
            self._pack(form, weights.gate, weights.up),
            self._pack(form, weights.down),
        ]
        self._functions.add_layer(
            self._handle, int(part == "depth"), *(matrix.handle for matrix in packed),
            pointer(weights.attention_norm), pointer(weights.ffn_norm),
        )  # fmt: skip

    def set_norm(self, part: Part, weight: Floats) -> None:
        """Set the scale of a part's last norm."""
        self._functions.set_norm(self._handle, int(part == "depth"), pointer(weight))

    def set_projection(self, weight: Floats) -> None:
        """Set the projection from the backbone's width (inputs) to the depth decoder's."""
        packed = self._pack(head_format(self._formats["depth"]), weight)
        self._functions.set_projection(self._handle, packed.handle)

    def add_head(self, part: Part, weight: Floats) -> None:
        """Add the head (codes, inputs) of the next codebook."""
        packed = self._pack(head_format(self._formats[part]), weight[: self.num_codes])
        self._functions.add_head(self._handle, packed.handle)

    @property
    def num_bytes(self) -> int:
        """Memory of the packed weights."""
        return sum(item.num_bytes for item in self._kept if isinstance(item, Packed))

    def _pack(self, form: Format, *matrices: Floats) -> Packed:
        packed = Packed(self._pool, form, *matrices)
        self._kept.append(packed)
        return packed

    def _rotation(self, config: LlamaConfig, num_positions: int) -> _Rotation:
        frequencies = inverse_frequencies(config.head_dim, config.rope_theta, config.rope_scaling)
        cos, sin = rotation(torch.arange(num_positions), frequencies)
        self._kept += [cos, sin]
        return _Rotation(cos=cos.data_ptr(), sin=sin.data_ptr())

    # -- slots -------------------------------------------------------------------------------

    def reset(self, slot: int) -> None:
        """Empty the slot."""
        self._functions.reset(self._handle, slot)

    def length(self, slot: int) -> int:
        """Number of rows that the slot has read."""
        return int(self._functions.length(self._handle, slot))

    def hidden(self, slot: int, dim: int) -> Floats:
        """The backbone's hidden state (D,) after the slot's last row."""
        out = np.empty(dim, np.float32)
        self._functions.hidden(self._handle, slot, pointer(out))
        return out

    def prefill(self, slot: int, rows: NDArray[np.int32]) -> None:
        """Read rows (n, K+1)."""
        self._functions.prefill(self._handle, slot, pointer(rows), len(rows))

    def step(
        self,
        draws: Sequence[NativeDraw],
        forced: NDArray[np.int32] | None = None,
        logits: Floats | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8], Floats]:
        """Codes (B, num_drawn), broken (B,) and stops (B,) of the next frames.

        A frame is broken if its logits are not finite. Stops are log-probabilities of code 0 in
        codebook 0, without the bias.

        Args:
            forced: codes to continue with in place of the drawn ones.
            logits: filled with the logits of all codes, (B, num_drawn, num_codes).
        """
        count = len(draws)
        codes = np.empty((count, self.num_drawn), np.int32)
        broken = np.zeros(count, np.uint8)
        stops = np.empty(count, np.float32)
        results = _Results(
            codes=pointer(codes),
            broken=pointer(broken),
            forced=None if forced is None else pointer(forced),
            logits=None if logits is None else pointer(logits),
            stops=pointer(stops),
        )
        self._functions.step(
            self._handle, (NativeDraw * count)(*draws), count, ctypes.byref(results)
        )
        return codes, broken, stops

    def save(self, slot: int, num_rows: int) -> SavedCache:
        """A copy of the keys and values of the first rows."""
        num_bytes = self._functions.saved_bytes(self._handle, slot, num_rows)
        data = np.empty(num_bytes, np.uint8)
        self._functions.save(self._handle, slot, num_rows, pointer(data))
        return SavedCache(num_rows=num_rows, data=data)

    def load(self, slot: int, saved: SavedCache, num_rows: int) -> None:
        """Load the first saved rows into a slot that was just reset."""
        self._functions.load(self._handle, slot, num_rows, saved.num_rows, pointer(saved.data))


def head_format(form: Format) -> Format:
    """The storage of heads and the projection: never below 8 bits.

    They are 3 % of the weights that a frame of csm-1b reads, and their errors change codes.
    """
    return "int8" if form in ("int5", "int4") else form


def attention_format(form: Format) -> Format:
    """The storage of attention's matrices: never below 5 bits.

    In 4 bits, they cause half of the divergence of both transformers of petit, with a quarter of
    the weights. In csm-1b they are a ninth of the weights that a frame reads.
    """
    return "int5" if form == "int4" else form


def _cache_format(form: Format) -> int:
    return FORMATS["float32" if form == "float32" else "bfloat16"]


def _llama_sizes(config: LlamaConfig) -> _LlamaSizes:
    return _LlamaSizes(
        num_layers=config.num_layers, dim=config.dim, num_heads=config.num_heads,
        num_kv_heads=config.num_kv_heads, head_dim=config.head_dim, ffn_dim=config.ffn_dim,
        norm_eps=config.norm_eps,
    )  # fmt: skip


class _Functions:
    """The library's functions for a CSM, with their types."""

    def __init__(self, library: Library) -> None:
        def function(name: str, result: Any, *arguments: Any) -> Any:
            return declare(library, f"causerie_csm_{name}", result, c_void_p, *arguments)

        self.new = function("new", c_void_p, c_void_p)
        self.delete = function("delete", None)
        self.add_layer = function("add_layer", None, c_int, *[c_void_p] * 6)
        self.set_norm = function("set_norm", None, c_int, c_void_p)
        self.set_projection = function("set_projection", None, c_void_p)
        self.add_head = function("add_head", None, c_void_p)
        self.reset = function("reset", None, c_int64)
        self.length = function("length", c_int64, c_int64)
        self.hidden = function("hidden", None, c_int64, c_void_p)
        self.prefill = function("prefill", None, c_int64, c_void_p, c_int64)
        self.step = function("step", None, c_void_p, c_int64, c_void_p)
        self.saved_bytes = function("saved_bytes", c_int64, c_int64, c_int64)
        self.save = function("save", None, c_int64, c_int64, c_void_p)
        self.load = function("load", None, c_int64, c_int64, c_int64, c_void_p)
