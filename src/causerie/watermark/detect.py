"""Finds the mark of a key in sound, with the probability that chance alone looks like it.

If sound does not depend on the key, the correlation with its signs is a sum of fair coins, each
with a weight that the sound chose. Whatever the weights are, such a sum exceeds z standard
deviations with a probability of at most 3.178 Q(z), where Q is that of a normal variable (Bentkus &
Dzindzalieta, Bernoulli 21, 2015). All tries are multiplied in: offsets, payloads, speeds, windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from causerie.audio.audio import Audio
from causerie.audio.resample import resample
from causerie.watermark.evidence import RATE, STEPS, STRAIGHT, Floats, Spectra, Warp
from causerie.watermark.key import check_key, usual_key
from causerie.watermark.pattern import (
    GROUPS,
    NUM_CHIPS,
    NUM_PAIRS,
    joined_payload,
    key_chips,
    payload_pairs,
)

#: At this probability, or less, sound counts as marked.
MARKED_P = 1e-4
_LOG_MARKED = math.log(MARKED_P)
#: The best constant of the theorem.
BOUND = 3.178
#: Seconds of a window, and between windows, of long sound.
WINDOW_S, STEP_S = 10.0, 5.0
#: Other speeds are tried on the loudest windows of this length.
SEARCH_S, MAX_SEARCHED = 4.0, 8
#: Of the probability of an error, the share of each test: with payload 0 and with any payload, at
#: the speed of the mark and at others.
SHARES = {("plain", False): 1 / 2, ("payload", False): 1 / 6}
SHARES |= {("plain", True): 1 / 6, ("payload", True): 1 / 6}
#: Speeds that are tried: 0.5 to 6 % slower and faster; each with its pitch, or without it.
SPEEDS = tuple(1 + sign * number / 200 for number in range(1, 13) for sign in (-1, 1))
WARPS = tuple(Warp(speed=speed, pitch=pitch) for speed in SPEEDS for pitch in (speed, 1.0))


#: The first sample of a window, and the one after its last.
Span: TypeAlias = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class MarkedSegment:
    """A part of a sound with the mark; it may be a few seconds longer than the marked speech.

    Attributes:
        p: as of `Detection`.
        payload: the number in the mark.
    """

    start_s: float
    end_s: float
    p: float
    payload: int


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Whether a sound has the mark of a key.

    Attributes:
        p: at most this is the probability that sound without the mark looks as much like it.
        payload: the number in the mark; None if there is no mark.
        segments: where it was found.
        speed, pitch: how the sound was changed after it was marked, to 0.5 %.
    """

    p: float
    payload: int | None = None
    segments: tuple[MarkedSegment, ...] = ()
    speed: float = 1.0
    pitch: float = 1.0

    @property
    def is_marked(self) -> bool:
        """Whether the mark was found: p is at most 0.0001."""
        return self.payload is not None


@dataclass(frozen=True, kw_only=True)
class _Match:
    """The best match in a window: the logarithm of its probability, and the payload."""

    log_p: float
    payload: int
    span: Span


def detect(audio: Audio, key: bytes | None = None, *, other_speeds: bool = True) -> Detection:
    """Look for the mark of a key in sound.

    Args:
        key: None: the key in the file of `CAUSERIE_WATERMARK_KEY`, or else the public one.
        other_speeds: also look for the mark at other speeds, if it is not found as it was made;
            this takes ten times as long.

    Raises:
        WatermarkError: the key is invalid.
        AudioError: the sound is empty.
    """
    if key is None:
        key = usual_key()
    check_key(key)
    patterns = Patterns(key)
    samples = resample(audio.samples, audio.sample_rate, RATE)
    spans = _spans(len(samples))
    found = [_match(patterns, samples, span, len(spans)) for span in spans]
    warp, log_p = STRAIGHT, min(one.log_p for one in found)
    if log_p > _LOG_MARKED and other_speeds:
        best, warp = _searched(patterns, samples)
        log_p = min(log_p, best.log_p)
        if best.log_p <= _LOG_MARKED:
            num_tries = len(spans) * len(WARPS)
            found = [_match(patterns, samples, span, num_tries, warp) for span in spans]
            found = found if min(one.log_p for one in found) <= _LOG_MARKED else [best]
    p = math.exp(min(0.0, log_p))
    if log_p > _LOG_MARKED:
        return Detection(p=p)
    payload = min(found, key=lambda one: one.log_p).payload
    return Detection(
        p=p, payload=payload, segments=_segments(found), speed=warp.speed, pitch=warp.pitch
    )


class Patterns:
    """The signs of a key, as spectra over chips (frequencies, pairs)."""

    def __init__(self, key: bytes) -> None:
        self._spectra = np.fft.rfft(key_chips(key).astype(np.float32), axis=0)
        all_pairs = np.arange(NUM_PAIRS)
        groups = [all_pairs[payload_pairs(group)] for group in GROUPS]
        self._groups = [np.setdiff1d(all_pairs, np.concatenate(groups)), *groups]

    def matches(self, evidence: Floats) -> Iterator[tuple[str, float, int]]:
        """For each test: its name, its statistic in standard deviations, and the payload."""
        # (offsets in chips, steps, pairs): the correlation of each pair with the pattern.
        spectra = self._spectra[:, None] * np.fft.rfft(evidence, axis=0).conj()
        sums: list[Floats] = [
            np.fft.irfft(spectra[:, :, pairs].sum(axis=2), NUM_CHIPS, axis=0).astype(np.float32)
            for pairs in self._groups
        ]
        scale = np.sqrt(np.square(evidence, dtype=np.float64).sum(axis=(0, 2)))  # (steps,)
        scale = np.maximum(scale, 1e-12)
        yield "plain", float((sum(sums) / scale).max()), 0
        largest = sums[0].max(axis=0) + sum(np.abs(one).max(axis=0) for one in sums[1:])
        step = int((largest / scale).argmax())
        yield "payload", float(largest[step] / scale[step]), _payload(sums, step)


def _payload(sums: Sequence[Floats], step: int) -> int:
    """The payload whose match is the best at a step."""
    start = int(sums[0][:, step].argmax())
    parts = []
    for one in sums[1:]:
        place = int(np.abs(one[:, step]).argmax())
        parts.append(((place - start) % NUM_CHIPS, -1 if one[place, step] < 0 else 1))
    return joined_payload(parts)


def _match(
    patterns: Patterns,
    samples: Floats,
    span: Span,
    num_tries: int,
    warp: Warp = STRAIGHT,
    spectra: Spectra | None = None,
) -> _Match:
    """The best match in a window.

    Args:
        num_tries: windows and speeds of which this is one.
        spectra: of the window; None: they are made here.
    """
    evidence = (spectra or Spectra(samples[slice(*span)])).evidence(warp)
    found = []
    for test, z, payload in patterns.matches(evidence):
        num_hypotheses = STEPS * NUM_CHIPS * num_tries
        if test == "payload":
            num_hypotheses *= (2 * NUM_CHIPS) ** len(GROUPS)
        share = SHARES[test, warp is not STRAIGHT]
        log_p = log_tail(z) + math.log(BOUND * num_hypotheses / share)
        found.append(_Match(log_p=log_p, payload=payload, span=span))
    return min(found, key=lambda one: one.log_p)


def _searched(patterns: Patterns, samples: Floats) -> tuple[_Match, Warp]:
    """The best match at other speeds."""
    size = round(SEARCH_S * RATE)
    windows = [
        (start, min(start + size, len(samples)))
        for start in range(0, max(1, len(samples) - size // 2), size)
    ]
    windows.sort(key=lambda span: -float(np.square(samples[slice(*span)]).sum()))
    windows = windows[:MAX_SEARCHED]
    num_tries, found = len(windows) * len(WARPS), []
    for span in windows:
        spectra = Spectra(samples[slice(*span)])
        for warp in WARPS:
            match = _match(patterns, samples, span, num_tries, warp, spectra)
            found.append((match, warp))
    return min(found, key=lambda one: one[0].log_p)


def _spans(num_samples: int) -> list[Span]:
    """The windows of a sound; the last one ends with it."""
    size, step = round(WINDOW_S * RATE), round(STEP_S * RATE)
    if num_samples <= size:
        return [(0, num_samples)]
    starts = [*range(0, num_samples - size, step), num_samples - size]
    return [(start, start + size) for start in starts]


def _segments(found: Sequence[_Match]) -> tuple[MarkedSegment, ...]:
    """The marked windows; those that overlap and have the same payload are one segment."""
    segments: list[MarkedSegment] = []
    for one in found:
        if one.log_p > _LOG_MARKED:
            continue
        (start_s, end_s), p = (place / RATE for place in one.span), math.exp(one.log_p)
        before = segments[-1] if segments else None
        if before and before.payload == one.payload and start_s <= before.end_s:
            start_s, p = before.start_s, min(p, before.p)
            segments.pop()
        segments.append(MarkedSegment(start_s=start_s, end_s=end_s, p=p, payload=one.payload))
    return tuple(segments)


def log_tail(z: float) -> float:
    """The logarithm of Q(z): that a normal variable exceeds z."""
    if z < 30:
        return math.log(math.erfc(z / math.sqrt(2)) / 2)
    return -z * z / 2 - math.log(z * math.sqrt(2 * math.pi))
