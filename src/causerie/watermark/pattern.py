"""The pattern of a key: the sign of every pair of bands in every chip, and its filters.

A chip lasts 80 ms. In its first half the lower band of a pair becomes louder and the upper one as
much quieter, or the other way round, as the sign says; in its second half the opposite happens. So
a pair cancels the level of the sound, and the halves cancel its spectrum. The gains rise with
frequency, as bands that are narrow for the ear hide more. Knows no streams.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.watermark.key import Watermark

#: The rate of the filters, in Hz.
SAMPLE_RATE = 24_000
#: Chips until the pattern repeats, after 10.24 s; their halves; samples of a half: 40 ms.
NUM_CHIPS = 128
NUM_HALVES = 2 * NUM_CHIPS
HALF = 960
#: Edges of the bands in Hz. Neighbours make pairs; the last bands are wider, like those of the ear.
EDGES_HZ: NDArray[np.float64] = np.concatenate(
    [np.linspace(200, 3600, 43), np.linspace(3600, 7600, 21)[1:]]
)
NUM_PAIRS = (len(EDGES_HZ) - 1) // 2
#: Gain of a band in dB at these frequencies, linear between them: as strong as PESQ allows.
STRENGTH_HZ = (200, 500, 1000, 3600, 7600)
STRENGTH_DB = (0.3, 0.6, 2.3, 5.0, 4.4)
#: Width of the flank between two bands, of the narrower band's width.
FLANK = 0.36
#: Length of the transforms, of a filter, and of its end that is faded out.
NUM_POINTS, NUM_TAPS, NUM_FADED = 2048, 192, 48
#: Taps are whole numbers of this, and samples of `STEP`, so that sums are exact in any order.
TAP, STEP = 2.0**-13, 2.0**-15

#: Payload: the pairs of each group carry the signs of later chips, and perhaps the opposite ones.
#: The other pairs always carry those of the chip.
GROUPS = (1, 3)
SHIFT_BITS = 7


def payload_pairs(group: int) -> slice:
    """The pairs that carry 8 bits of the payload."""
    return slice(group, None, 4)


def payload_parts(payload: int) -> list[tuple[int, int]]:
    """For each group: by how many chips its signs are shifted, and 1 or -1 for all."""
    parts = []
    for number in range(len(GROUPS)):
        bits = payload >> number * (SHIFT_BITS + 1)
        parts.append((bits % NUM_CHIPS, -1 if bits >> SHIFT_BITS & 1 else 1))
    return parts


def joined_payload(parts: list[tuple[int, int]]) -> int:
    """The inverse of `payload_parts`."""
    return sum(
        (shift | (sign < 0) << SHIFT_BITS) << number * (SHIFT_BITS + 1)
        for number, (shift, sign) in enumerate(parts)
    )


def key_chips(key: bytes) -> NDArray[np.int8]:
    """The signs of a key (chips, pairs): 1 or -1."""
    size = NUM_CHIPS * NUM_PAIRS
    blocks = [
        hashlib.blake2b(number.to_bytes(4, "little"), key=key, person=b"causerie chips").digest()
        for number in range(-(-size // 512))
    ]
    bits = np.unpackbits(np.frombuffer(b"".join(blocks), np.uint8))[:size]
    return (2 * bits.astype(np.int8) - 1).reshape(NUM_CHIPS, NUM_PAIRS)


def chips_of(watermark: Watermark) -> NDArray[np.int8]:
    """The signs (chips, pairs) of a key and a payload."""
    chips = key_chips(watermark.key)
    for group, (shift, sign) in zip(GROUPS, payload_parts(watermark.payload), strict=True):
        pairs = payload_pairs(group)
        chips[:, pairs] = sign * np.roll(chips[:, pairs], -shift, axis=0)
    return chips


def start_of(watermark: Watermark, seed: int, text: bytes) -> int:
    """The chip at which a reply begins, so that the same request gives the same sound.

    It differs between replies, so that their patterns cannot simply be averaged.
    """
    digest = hashlib.blake2b(digest_size=8, key=watermark.key, person=b"causerie start")
    digest.update(seed.to_bytes(8, "little") + text)
    return int.from_bytes(digest.digest(), "little") % NUM_CHIPS


@functools.lru_cache(8)
def filters(watermark: Watermark) -> NDArray[np.int16]:
    """What the filter of each half of a chip adds to the sound, and after them one without effect.

    The taps (halves, taps) are whole numbers of `TAP`. The filters have minimum phase, so they
    delay nothing.
    """
    curves = np.repeat(chips_of(watermark).astype(np.float64) @ _pair_curves(), 2, axis=0)
    curves[1::2] *= -1
    cepstrum = np.fft.irfft(curves, NUM_POINTS)
    cepstrum[:, 1 : NUM_POINTS // 2] *= 2  # minimum phase: only the causal part, doubled
    cepstrum[:, NUM_POINTS // 2 + 1 :] = 0
    responses = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), NUM_POINTS)[:, :NUM_TAPS]
    responses[:, -NUM_FADED:] *= np.cos(np.pi / 2 * (np.arange(NUM_FADED) + 0.5) / NUM_FADED)
    responses[:, 0] -= 1
    table = np.concatenate([np.rint(responses / TAP), np.zeros((1, NUM_TAPS))]).astype(np.int16)
    assert np.abs(table.astype(int)).sum(axis=1).max() < 2**16, "a sum must fit into 32 bits"
    table.flags.writeable = False
    return table


def _pair_curves() -> NDArray[np.float64]:
    """The logarithm of the gain of each pair (pairs, frequencies) in a half with sign 1."""
    hz = np.fft.rfftfreq(NUM_POINTS, 1 / SAMPLE_RATE)
    widths = np.diff(EDGES_HZ)
    narrower = np.minimum(np.append(widths, widths[-1]), np.append(widths[0], widths))
    flank = FLANK * narrower
    above = (hz - EDGES_HZ[:, None]) / flank[:, None] + 0.5  # 0 to 1 along the flank of an edge
    steps = 0.5 - 0.5 * np.cos(np.pi * np.clip(above, 0, 1))
    bands: Any = steps[:-1] - steps[1:]
    strength = np.interp(hz, STRENGTH_HZ, STRENGTH_DB) * np.log(10) / 20
    curves: NDArray[np.float64] = strength * (bands[0::2] - bands[1::2])
    return curves
