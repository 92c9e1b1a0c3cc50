"""Hears one speaker: turns are found, encoded and recognized while they are spoken.

The words up to a pause are recognized as soon as it begins, since it may be the end of the turn. If
it is not, they are a partial result. There are further ones while nobody pauses, if the recognizer
is so quick that they cannot delay the words at the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from causerie.audio.resample import StreamResampler, mono
from causerie.recognition.whisper import Recognizer
from causerie.reply.listening import Listening
from causerie.talk.activity import FRAME, RATE
from causerie.talk.turn_detector import PAUSE_MS, Event, TurnDetector

#: Speech between two partial results without a pause, in seconds.
PARTIAL_S = 1.0
#: Sound after the last word that belongs to a turn's codes, in seconds.
TAIL_S = 0.2
#: Sound that is kept besides the padding, in which a turn may begin.
MARGIN_MS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Utterance:
    """A turn that was heard.

    Attributes:
        started_ms, stopped_ms: where its speech is, in the sound so far.
        codes: (K, T), from its padding to a little after its last word.
        words: what was said; may still be recognized.
    """

    started_ms: int
    stopped_ms: int
    codes: Tensor
    words: Future[str]


@dataclass(frozen=True)
class Started:
    """Somebody began to speak."""

    ms: int


@dataclass(frozen=True)
class Partial:
    """What was said so far; the next one may differ from its beginning."""

    text: str


Heard: TypeAlias = Started | Partial | Utterance


class Ears:
    """Hears one speaker. Not thread-safe: one thread adds sound; another recognizes.

    Args:
        recognizer: returns the text of samples (N,) at 16 kHz.
        listen: begins to encode a turn, as `Conversation.listen` does, at `sample_rate`.
        sample_rate: of the sound, in Hz.
        wants_partial: see the attribute.

    Attributes:
        wants_partial: whether there are partial results.
    """

    def __init__(
        self,
        detector: TurnDetector,
        recognizer: Recognizer,
        listen: Callable[[int], Listening],
        sample_rate: int,
        *,
        wants_partial: bool = True,
    ) -> None:
        self._detector, self._recognizer, self._listen = detector, recognizer, listen
        self._rate, self.wants_partial = sample_rate, wants_partial
        self._to_16k = StreamResampler(sample_rate, RATE)
        self._pool = ThreadPoolExecutor(1, "causerie recognizer")
        self._sound = np.zeros(0, np.float32)  # what may belong to a turn
        self._first = 0  # place of its first sample
        self._turn: Listening | None = None
        self._started = self._fed = 0  # places of the turn, in `sample_rate`
        self._words: Future[str] | None = None  # of the turn up to its latest pause
        self._partial: Future[str] | None = None  # of the turn, not reported yet
        self._num_partial = 0  # samples of the turn when it was asked for
        self._recognizer_s = math.inf  # what the latest recognition took

    @property
    def now_ms(self) -> int:
        """How much sound was heard."""
        return self._ms(self._detector.num_samples)

    def add(self, samples: ArrayLike) -> list[Heard]:
        """What was heard up to the end of these samples (N,).

        Raises:
            AudioError: the samples are not numbers, or not finite.
        """
        pcm = mono(samples)
        self._sound = np.concatenate([self._sound, pcm])
        heard: list[Heard] = []
        samples_16k = self._to_16k.add(pcm)
        # In frames, so that at a pause the words are asked for before the model of its end.
        for start in range(0, len(samples_16k), FRAME):
            heard += self._hear(self._detector.add(samples_16k[start : start + FRAME]))
        if self._turn is not None:
            self._feed(self._turn, self._detector.num_samples)
            heard += self._partial_words()
        self._forget()
        return heard

    def finish(self) -> list[Heard]:
        """End the current turn now, as when a button is released."""
        return self._hear(self._detector.finish())

    def close(self) -> None:
        """End the recognizer's thread, once it has given the words of turns that were heard."""
        self._pool.shutdown(wait=False)

    def _hear(self, events: list[Event]) -> list[Heard]:
        heard: list[Heard] = []
        for event in events:
            if event.kind == "started":
                self._turn, self._words = self._listen(self._rate), None
                self._started = self._fed = self._place(event.sample)
                self._num_partial = 0
                heard.append(Started(self._ms(event.sample)))
            elif event.kind == "paused":
                if self._partial is not None:
                    self._partial.cancel()  # if the recognizer has not begun
                self._words = self._partial = self._recognize(event.speech)
                self._num_partial = len(event.speech)
            elif event.kind == "resumed":
                self._words = None
            else:
                heard.append(self._stop(event))
        return heard

    def _stop(self, event: Event) -> Utterance:
        """The turn that ended."""
        turn, self._turn, self._partial = self._turn, None, None
        assert turn is not None
        length_s = (self._place(event.sample) - self._started) / self._rate + TAIL_S
        num_frames = math.ceil(length_s / turn.frame_s)
        if turn.num_frames < num_frames:  # else the silence after them is not needed
            self._feed(turn, event.now)
            turn.end()
        return Utterance(
            started_ms=round(1000 * self._started / self._rate),
            stopped_ms=self._ms(event.sample),
            codes=turn.codes[:, :num_frames],
            words=self._words or self._recognize(event.speech),
        )

    def _recognize(self, speech: NDArray[np.float32]) -> Future[str]:
        return self._pool.submit(self._timed, speech)

    def _timed(self, speech: NDArray[np.float32]) -> str:
        """The text of samples (N,) at 16 kHz; remembers how long it took."""
        started = time.monotonic()
        text = self._recognizer(speech)
        self._recognizer_s = time.monotonic() - started
        return text

    def _partial_words(self) -> list[Heard]:
        """A partial result, if one is ready; asks for the next one."""
        heard: list[Heard] = []
        partial = self._partial
        if partial is not None and partial.done():
            self._partial = None
            # One that failed is not reported: the words of the whole turn will fail as well.
            has_text = self.wants_partial and not partial.cancelled() and not partial.exception()
            heard = [Partial(partial.result())] if has_text and partial.result() else []
        num_speech = self._detector.num_speech
        is_due = num_speech - self._num_partial >= PARTIAL_S * RATE
        may_ask = self.wants_partial and not self._detector.is_silent and self._is_quick()
        if is_due and may_ask and self._partial is None:
            self._num_partial = num_speech
            self._partial = self._recognize(self._detector.speech)
        return heard

    def _is_quick(self) -> bool:
        """Whether a partial result cannot delay the words of the whole turn.

        It may be asked for just before the speaker falls silent, and the recognizer does one thing
        at a time. So the two must be done before the silence can end the turn; or the first one
        before the pause, at which the second one is asked for.
        """
        slack_ms = max(PAUSE_MS, self._detector.settings.min_silence_ms / 2)
        return 1000 * self._recognizer_s <= slack_ms

    def _feed(self, turn: Listening, sample: int) -> None:
        """Encode the sound up to a sample of the detector."""
        place = self._place(sample)
        if place > self._fed:
            turn.add(self._sound[self._fed - self._first : place - self._first])
            self._fed = place

    def _forget(self) -> None:
        """Keep the sound that a turn may begin in, or that is not encoded yet."""
        padding = self._rate * (self._detector.settings.padding_ms + MARGIN_MS) // 1000
        begin = self._place(self._detector.num_samples) - padding
        place = self._fed if self._turn is not None else begin
        if place > self._first:
            self._sound, self._first = self._sound[place - self._first :], place

    def _place(self, sample: int) -> int:
        """The place in the sound as it came of a sample of the detector."""
        return round(sample * self._rate / RATE)

    def _ms(self, sample: int) -> int:
        return round(1000 * sample / RATE)
