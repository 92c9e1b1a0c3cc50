"""Ends speech that goes on after its text: a `Guard` for each request with a `Length`.

Some models do not stop by themselves: they invent words, repeat a sound, or are silent until the
limit. A guard compares the length of the speech so far with the usual length of its text. From
there on it makes the stop frame more likely, and in the end it cuts the speech, in a pause if one
comes soon. It sees the codes, the audio and the model's probability of a stop, and nothing of other
requests. So the result does not depend on the batch, and the same seed gives the same samples.

By the time a guard ends the speech, the model has often begun another word. So near the usual end
the latest frames are held back, and the speech is cut among them, where its text most likely ended.

Lengths are in frames; `z` is the distance from the usual length in standard deviations.
"""

from __future__ import annotations

import math
import statistics
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causerie.engine.request import Length

#: Why a guard ended the speech: it made the stop likelier until the model drew it, or it cut the
#: speech in silence, in a loop of frames, or because of its length.
Reason = Literal["stop", "silence", "loop", "length"]

#: The stop's logit rises by this many nats for each z above `RISES_FROM`, up to `MOST_BIAS`.
BIAS_PER_Z, RISES_FROM, MOST_BIAS = 7.0, 1.2, 12.0
#: It rises from an earlier z on, and more slowly, if there are signs that the text has ended: the
#: stop's log-probability, averaged over `RECENT` frames, exceeds that of the middle of the speech
#: by `FEW_SIGNS` to `ALL_SIGNS`, though it is below `PLAUSIBLE`, at which most models stop.
SIGNS_PER_Z, SIGNS_FROM = 5.0, -2.0
RECENT, FEW_SIGNS, ALL_SIGNS, PLAUSIBLE = 3, 2.5, 6.0, -3.0
#: Frames below this z are the middle of the speech.
MIDDLE = -2.0
#: A model that may stop anywhere gives the stop a log-probability of `CALM` to `RESTLESS` and above
#: in the middle of the speech. Then the stop's logit falls by up to `MOST_EARLY` nats at and below
#: the z `EARLY`, and less up to the usual length. The first frame does not count, and `FEWEST` do.
CALM, RESTLESS, EARLY, MOST_EARLY, FEWEST = -13.0, -9.0, -1.5, 12.0, 4
#: A stop that the model draws with a log-probability below this was the guard's.
UNLIKELY = -4.0
#: From this z on, the speech is cut at the end of the next pause, or once that has `LONGEST_PAUSE`
#: frames, in which a model often stops by itself; at `Length.max_frames` in any case.
CUT_FROM, LONGEST_PAUSE = 2.0, 4
#: A frame is a pause, or silent, below these shares of the loudest frame's RMS amplitude.
PAUSE, SILENT = 0.13, 0.02
#: Silence of this many seconds ends speech that has reached its usual length, or half of it.
SILENCE_S, EARLY_SILENCE_S = 0.5, 1.6
#: A loop is a sequence of at most `MAX_PERIOD` frames that repeats for `LOOP_S` seconds, thrice at
#: least.
MAX_PERIOD, LOOP_S = 12, 1.2
#: The last sound of a reply usually ends this long before the reply. Frames of silence after a cut.
TAIL_S, TAIL_FRAMES = 0.30, 2
#: Frames are held back from this z of the last sound's end on, the latest of at most `HELD_S`.
HELD_FROM, HELD_S = -2.5, 1.6
#: The likeliest end has the highest score: minus half the square of its z, plus this much for each
#: nat that a stop there is likelier than in the middle of the speech, at most `MOST_NATS`, and for
#: each dB that the sound there is below the loudest frame, at most `MOST_DB`.
PER_NAT, MOST_NATS = 0.25, 9.0
PER_DB, MOST_DB = 0.07, 60.0
#: The loudness at a cut is an average over `CUT_WINDOW_S`; the sound is faded out over `FADE_S`.
CUT_WINDOW_S, FADE_S = 0.03, 0.02


class Guard:
    """Watches one request.

    Attributes:
        reason: why it ended the speech; None while it has not.
    """

    def __init__(self, length: Length, frame_s: float) -> None:
        self.reason: Reason | None = None
        self._length, self._frame_s = length, frame_s
        self._num_frames = 0
        self._first_codes: list[int] = []  # of codebook 0
        self._loudest = 0.0
        self._num_silent = 0  # latest frames
        self._num_pausing = 0  # frames of pauses from `CUT_FROM` on
        self._stops: list[float] = []  # log-probabilities of a stop

    @property
    def num_held(self) -> int:
        """Latest frames that may still be cut."""
        first = self._length.mean - TAIL_S / self._frame_s + HELD_FROM * self._length.deviation
        held = min(self._num_frames - math.floor(first), math.floor(HELD_S / self._frame_s))
        return max(min(held, self._num_frames - 1), 0 if self.reason is None else 1)

    @property
    def stop_bias(self) -> float:
        """The bias of the stop's logit in the next frame, in nats."""
        z = self._length.z(self._num_frames)
        late = BIAS_PER_Z * max(0.0, z - RISES_FROM)
        signs, early = 0.0, 0.0
        usual = self._usual_stop()
        if usual is not None:
            early = _share(usual, CALM, RESTLESS) * _share(z, 0.0, EARLY)
            recent = [s for s in self._stops[-RECENT:] if s < PLAUSIBLE]
            if len(recent) == RECENT:
                signs = _share(sum(recent) / RECENT - usual, FEW_SIGNS, ALL_SIGNS)
        late = max(late, signs * SIGNS_PER_Z * max(0.0, z - SIGNS_FROM))
        return min(MOST_BIAS, late) - MOST_EARLY * early

    def is_stop(self, codes: NDArray[np.int32], stop: float) -> bool:
        """Whether a frame (K,) is a stop; its codes are not speech then.

        Args:
            stop: log-probability of a stop without the bias.
        """
        bias = self.stop_bias
        self._stops.append(stop)
        was_unlikely = bias > 0 and stop < UNLIKELY
        # A model that did not expect the stop may continue it with other codes.
        if codes.any() and (codes[0] or not was_unlikely):
            return False
        if was_unlikely:
            self.reason = "stop"
        return True

    def is_last(self, codes: NDArray[np.int32], audio: NDArray[np.float32]) -> bool:
        """Whether the speech ends after this frame: codes (K,) and audio (N,)."""
        self._num_frames += 1
        self._first_codes.append(int(codes[0]))
        rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
        self._loudest = max(self._loudest, rms)
        self._num_silent = self._num_silent + 1 if rms < SILENT * self._loudest else 0
        if self._is_silence():
            self.reason = "silence"
        elif rms >= SILENT * self._loudest and self._is_loop():
            self.reason = "loop"
        elif self._num_frames >= self._length.max_frames or self._is_late_pause(rms):
            self.reason = "length"
        return self.reason is not None

    def cut(self, held: NDArray[np.float32]) -> NDArray[np.float32]:
        """The audio of the held frames (H, N) that are speech of the text, faded out.

        Silence follows the end of the text, in up to `TAIL_FRAMES` more frames.
        """
        num_held, frame_size = held.shape
        if self.reason == "silence":
            return held
        window = max(1, round(CUT_WINDOW_S / self._frame_s * frame_size))
        power = np.convolve(np.square(held.ravel(), dtype=np.float64), np.ones(window) / window)
        power = power[window // 2 :][: held.size]
        before = self._num_frames - num_held
        best, cut = -math.inf, held.size
        for num_kept in range(1, num_held + 1):
            near = slice(round((num_kept - 0.5) * frame_size), round((num_kept + 0.5) * frame_size))
            lowest = int(np.argmin(power[near]))
            score = self._end_score(before + num_kept, math.sqrt(power[near][lowest]))
            if score > best:
                best, cut = score, near.start + lowest
        kept: NDArray[np.float32] = held[: math.ceil(cut / frame_size) + TAIL_FRAMES].copy()
        fade_out(kept.ravel(), cut, round(FADE_S / self._frame_s * frame_size))
        return kept

    def _end_score(self, num_frames: int, rms: float) -> float:
        """How likely the text ended after this many frames, as a logarithm without its constant."""
        z = self._length.z(num_frames + TAIL_S / self._frame_s)
        usual = self._usual_stop()
        nats = 0.0 if usual is None else self._stops[min(num_frames, len(self._stops) - 1)] - usual
        decibels = -20 * math.log10(max(rms / self._loudest, 1e-6)) if self._loudest else 0.0
        return -z * z / 2 + PER_NAT * min(nats, MOST_NATS) + PER_DB * min(decibels, MOST_DB)

    def _usual_stop(self) -> float | None:
        """The stop's median log-probability in the middle of the speech; None if that is short."""
        middle = [s for n, s in enumerate(self._stops) if n and self._length.z(n) < MIDDLE]
        return statistics.median(middle) if len(middle) >= FEWEST else None

    def _is_late_pause(self, rms: float) -> bool:
        """Whether a pause ends, or has lasted, after much more than the usual length."""
        if self._length.z(self._num_frames) < CUT_FROM:
            return False
        if rms >= PAUSE * self._loudest:
            return self._num_pausing > 0
        self._num_pausing += 1
        return self._num_pausing >= LONGEST_PAUSE

    def _is_silence(self) -> bool:
        seconds, share = self._num_silent * self._frame_s, self._num_frames / self._length.mean
        return (share >= 1 and seconds >= SILENCE_S) or (
            share >= 0.5 and seconds >= EARLY_SILENCE_S
        )

    def _is_loop(self) -> bool:
        codes = self._first_codes
        for period in range(1, MAX_PERIOD + 1):
            count = max(math.ceil(LOOP_S / self._frame_s), 3 * period)
            if len(codes) >= count and codes[-count:-period] == codes[period - count :]:
                return True
        return False


def _share(value: float, none: float, all: float) -> float:
    """How far a value is from `none` to `all`, from 0 to 1."""
    return min(1.0, max(0.0, (value - none) / (all - none)))


def fade_out(audio: NDArray[np.float32], end: int, num_samples: int) -> None:
    """Fade the audio (N,) out over the samples before `end`, and silence it from there on."""
    start = max(0, end - num_samples)
    ramp = np.linspace(0, np.pi / 2, end - start, dtype=np.float32)
    audio[start:end] *= np.cos(ramp) ** 2
    audio[end:] = 0
