"""Marks streams of speech: nothing is delayed, and any cutting into chunks gives the same bits.

Each sample is filtered by the filter of its half of a chip. At the beginning of a half, the sound
fades from the former filter to the new one. Silence stays silent, as filters only change what there
is. Knows no engine and no files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from causerie.errors import WatermarkError
from causerie.native import library
from causerie.native.watermark import NativeFilters
from causerie.watermark.key import Watermark
from causerie.watermark.pattern import HALF, NUM_TAPS, SAMPLE_RATE, STEP, TAP, filters, start_of

Samples = NDArray[np.float32]

#: Samples of a fade: 20 ms. Faster ones are heard, and found no better.
NUM_FADE = 480
#: Samples as the filters take them, in steps of `STEP`: 16 bits.
MAX_STEP = np.float32(2**15 - 1)
#: Above this, peaks are bent so that none exceeds full scale: the filters add up to 25 %.
KNEE = 0.9


@dataclass(eq=False)
class MarkState:
    """Where a stream is.

    Attributes:
        first: the half of a chip, of all in the pattern, that the stream began with.
        position: samples so far.
        before: the latest samples, before they were marked.
    """

    first: int
    position: int = 0
    before: Samples = field(default_factory=lambda: np.zeros(NUM_TAPS - 1, np.float32))


class Marker:
    """Marks streams with one key and payload.

    Args:
        sample_rate: of the streams.

    Raises:
        WatermarkError: the watermark does not fit this rate.
    """

    def __init__(self, watermark: Watermark, sample_rate: int) -> None:
        if sample_rate != SAMPLE_RATE:
            raise WatermarkError(
                f"speech at {sample_rate} Hz cannot be marked, only at {SAMPLE_RATE} Hz: "
                "give watermark=False or --no-watermark"
            )
        self.watermark = watermark
        kind = PlainFilters if library.problem() else NativeFilters
        self._filters = kind(filters(watermark), TAP * STEP, fade(), HALF, KNEE)

    def begin(self, seed: int, text: bytes) -> MarkState:
        """The state of a new stream; the seed and the text say where the pattern begins."""
        return MarkState(2 * start_of(self.watermark, seed, text))

    def mark(self, pcm: Samples, state: MarkState) -> Samples:
        """The next samples (N,) of a stream, marked; updates the state."""
        if not len(pcm):
            return pcm
        samples = np.concatenate([state.before, pcm])
        marked = self._filters.apply(samples, state.first, state.position)
        state.position += len(pcm)
        state.before = samples[len(pcm) :].copy()
        return marked


class PlainFilters:
    """The filters in numpy: the reference of `NativeFilters`, equal to the bit.

    Args:
        table: (halves + 1, taps) of `filters`.
        unit: of the products of taps and samples.
        fade: weights of the new filter at the beginning of a half.
        half: samples of a half.
        knee: peaks above it are bent.
    """

    def __init__(
        self, table: NDArray[np.int16], unit: float, fade: Samples, half: int, knee: float
    ) -> None:
        self._table, self._unit = table.astype(np.float64), np.float32(unit)
        self._fade, self._half, self._knee = fade, half, np.float32(knee)

    def apply(self, samples: Samples, first: int, position: int) -> Samples:
        """The filtered samples (N,), none beyond full scale.

        Args:
            samples: (taps - 1 + N,): those before them come first.
            first: the filter of the stream's first half.
            position: samples of the stream before these.
        """
        num_before = self._table.shape[1] - 1
        steps = np.rint(np.clip(samples / np.float32(STEP), -MAX_STEP, MAX_STEP))
        out = samples[num_before:].copy()
        done = 0
        while done < len(out):
            number, place = divmod(position + done, self._half)
            end = min(len(out), done + self._half - place)
            change = self._change(steps[done : end + num_before], self._row(first, number))
            fading = self._fade[place : place + end - done]
            if len(fading):
                until = done + len(fading)
                part = steps[done : until + num_before]
                former = self._change(part, self._row(first, number - 1))
                change[: len(fading)] = former + fading * (change[: len(fading)] - former)
            out[done:end] += change
            done = end
        return limited(out, self._knee)

    def _row(self, first: int, number: int) -> int:
        """The filter of a half; before the stream, the one that adds nothing."""
        num_halves = len(self._table) - 1
        return (first + number) % num_halves if number >= 0 else num_halves

    def _change(self, steps: Samples, row: int) -> Samples:
        """What one filter adds. Sums of whole numbers are exact, so no cutting changes them."""
        sums = np.convolve(steps.astype(np.float64), self._table[row], "valid")
        change: Samples = sums.astype(np.float32) * self._unit
        return change


def fade() -> Samples:
    """The weights of the new filter in a fade."""
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(NUM_FADE) + 0.5) / NUM_FADE)
    return rise.astype(np.float32)


def limited(samples: Samples, knee: np.float32) -> Samples:
    """The samples, none beyond full scale; those up to the knee stay as they are."""
    size = np.abs(samples)
    room = np.float32(1) - knee
    over = np.maximum(size - knee, 0) / room
    bent = np.minimum(knee + room * (over / (1 + over)), np.float32(1))
    return np.where(size > knee, np.copysign(bent, samples), samples)
