"""The source-filter decoder in C++: the sizes, weights and tables that source_filter.cpp reads.

Its reference is `causerie.codec.source_filter`. Phases come from a Fourier transform, not from a
matrix; the other tables are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import Structure, c_float, c_int64

import torch
from torch import nn

from causerie.codec import source_filter as reference
from causerie.codec.mimi import Mimi
from causerie.codec.source_filter import CausalBlock, SourceFilter
from causerie.native.decoder import SlotDecoder, codebooks, floats
from causerie.native.products import Floats


class NativeSourceFilter(SlotDecoder):
    """Decodes by the source-filter decoder."""

    _prefix = "causerie_source_filter"

    def _sizes(self, codec: Mimi) -> Structure:
        config, decoder = codec.config, codec.decoder
        assert isinstance(decoder, SourceFilter)
        return _Sizes(
            latent_dim=config.dim,
            num_codebooks=config.num_codebooks,
            codebook_size=config.codebook_size,
            codebook_dim=config.codebook_dim,
            **{name: getattr(decoder.config, name) for name in DECODER_SIZES},
            norm_eps=decoder.norm.eps,
            constants=_Constants(
                num_envelope=len(reference.ENVELOPE_HZ),
                num_aperiodicity=len(reference.APERIODICITY_HZ),
                noise_hops=reference.NOISE_HOPS,
                sample_rate=reference.SAMPLE_RATE,
                top_hz=reference.TOP_HZ,
                lowest_hz=reference.LOWEST_HZ,
                highest_hz=reference.HIGHEST_HZ,
                middle_hz=reference.MIDDLE_HZ,
                max_log_gain=reference.MAX_LOG_GAIN,
            ),
        )

    def _arrays(self, codec: Mimi) -> Iterator[Floats]:
        decoder = codec.decoder
        assert isinstance(decoder, SourceFilter)
        yield from codebooks(codec)
        yield from _linear(decoder.input)
        for block in decoder.front:
            yield from _block(block)
        yield from _linear(decoder.upsample)
        for block in decoder.body:
            yield from _block(block)
        yield from _linear(decoder.norm)
        yield from _linear(decoder.output)
        tables = reference.tables(torch.device("cpu"))
        yield from (floats(tables.envelope), floats(tables.aperiodicity), floats(tables.window))
        yield floats(torch.view_as_real(tables.noise))


DECODER_SIZES = (
    "front_dim", "front_layers", "front_kernel", "dim", "num_layers", "kernel", "expansion",
    "steps", "hops_per_step",
)  # fmt: skip


class _Constants(Structure):
    """``Constants`` of synthesizer.hpp."""

    _fields_ = [
        *((name, c_int64) for name in ("num_envelope", "num_aperiodicity", "noise_hops")),
        *((name, c_float) for name in (
            "sample_rate", "top_hz", "lowest_hz", "highest_hz", "middle_hz", "max_log_gain",
        )),
    ]  # fmt: skip


class _Sizes(Structure):
    """``Sizes`` of source_filter.cpp."""

    _fields_ = [
        *((name, c_int64) for name in (
            "latent_dim", "num_codebooks", "codebook_size", "codebook_dim", *DECODER_SIZES,
        )),
        ("norm_eps", c_float),
        ("constants", _Constants),
    ]  # fmt: skip


def _linear(part: nn.Module) -> tuple[Floats, Floats]:
    """Weight and bias of a linear map or a norm."""
    assert isinstance(part, nn.Linear | nn.LayerNorm)
    return floats(part.weight), floats(part.bias)


def _block(block: nn.Module) -> Iterator[Floats]:
    """Weights of a block, its scale multiplied into its last map."""
    assert isinstance(block, CausalBlock)
    assert block.mix.bias is not None
    yield floats(block.mix.weight[:, 0].T)  # (kernel, dim)
    yield floats(block.mix.bias)
    yield from _linear(block.norm)
    yield from _linear(block.widen)
    weight, bias = _linear(block.narrow)
    scale = floats(block.scale)
    yield from (scale[:, None] * weight, scale * bias)
