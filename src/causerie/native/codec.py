"""Picks the native decoder of a codec."""

from __future__ import annotations

from causerie.codec.mimi import Mimi
from causerie.native.decoder import SlotDecoder, Weights
from causerie.native.mimi import NativeDecoder
from causerie.native.products import Pool
from causerie.native.source_filter import NativeSourceFilter


def native_decoder(codec: Mimi, num_slots: int, weights: Weights, pool: Pool) -> SlotDecoder:
    """A decoder of the codec's kind, for `num_slots` streams."""
    kind = NativeDecoder if codec.config.decoder is None else NativeSourceFilter
    return kind(codec, num_slots, weights=weights, pool=pool)
