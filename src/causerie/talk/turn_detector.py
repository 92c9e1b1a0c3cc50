"""Finds where a speaker's turns begin and end in sound that arrives in pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from causerie.errors import ConfigError
from causerie.talk.activity import FRAME, RATE, VoiceActivity

#: "started"; "paused", which may be the end; "resumed" after a pause; "stopped".
Kind: TypeAlias = Literal["started", "paused", "resumed", "stopped"]
#: Returns the probability that the speaker has finished, from the samples (N,) of the turn.
IsComplete: TypeAlias = Callable[[NDArray[np.float32]], float]

#: Frames of speech that begin a turn; of silence that are a pause; and after which a model is asked
#: whether the speaker has finished: 192 ms, as pipecat asks smart-turn after 0.2 s.
NUM_BEGIN, NUM_PAUSE, NUM_ASK = 2, 5, 6
PAUSE_MS, ASK_MS = (1000 * num * FRAME // RATE for num in (NUM_PAUSE, NUM_ASK))
#: The longest turn, in seconds. Then it ends as if the speaker had stopped; the next one may begin.
MAX_TURN_S = 600
#: Speech goes on while its probability is above the threshold less this.
HYSTERESIS = 0.15


@dataclass(frozen=True, kw_only=True)
class Settings:
    """When a turn begins and ends.

    Attributes:
        threshold: probability above which a frame holds speech.
        padding_ms: sound before the speech that belongs to the turn.
        silence_ms: silence that ends a turn.
        is_complete: is asked once in each pause. `silence_ms` ends a turn in any case.
        min_complete: its probability that ends a turn.

    Raises:
        ConfigError: a number is out of range.
    """

    threshold: float = 0.5
    padding_ms: int = 300
    silence_ms: int = 500
    is_complete: IsComplete | None = None
    min_complete: float = 0.5

    @property
    def min_silence_ms(self) -> int:
        """The shortest silence that may end a turn."""
        return self.silence_ms if self.is_complete is None else ASK_MS

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ConfigError(f"the threshold must be between 0 and 1, not {self.threshold!r}")
        if not 0 <= self.padding_ms <= 2000:
            raise ConfigError(f"the padding must be 0 to 2000 ms, not {self.padding_ms!r}")
        if not 200 <= self.silence_ms <= 10_000:
            raise ConfigError(f"the silence must be 200 to 10000 ms, not {self.silence_ms!r}")


@dataclass(frozen=True, eq=False)
class Event:
    """What happened.

    Attributes:
        sample: where the turn begins, or where its speech ends, in the sound so far.
        now: where in the sound this became clear.
        speech: samples (N,) of the turn until then, with its padding.
    """

    kind: Kind
    sample: int
    now: int
    speech: NDArray[np.float32]


class TurnDetector:
    """The turns of one speaker.

    Attributes:
        num_samples: samples so far, in whole frames.
        speech: samples (N,) of the current turn, with the padding before it.
    """

    def __init__(self, activity: VoiceActivity, settings: Settings = Settings()) -> None:
        self.settings = settings
        self.num_samples = 0
        self._activity = activity
        self._rest = np.zeros(0, np.float32)  # less than a frame
        self._frames: list[NDArray[np.float32]] = []  # of the turn, or of the padding
        self._is_speaking = False
        self._num_speech = self._num_silent = 0  # frames in a row
        self._speech_end = 0

    @classmethod
    def of_button(cls) -> TurnDetector:
        """A detector for sound that comes while a button is held: `finish` ends the turn.

        So does `MAX_TURN_S`.
        """
        return cls(lambda frame: 1.0, Settings(padding_ms=0))

    @property
    def speech(self) -> NDArray[np.float32]:
        """See the class; a copy, so ask for it only where it is needed."""
        return np.concatenate([np.zeros(0, np.float32), *self._frames])

    @property
    def num_speech(self) -> int:
        """Samples of `speech`."""
        return FRAME * len(self._frames)

    @property
    def is_silent(self) -> bool:
        """Whether the latest frame was silent, so that a pause may be near."""
        return self._num_silent > 0

    def add(self, samples: NDArray[np.float32]) -> list[Event]:
        """What happened up to the end of these samples (N,) at 16 kHz."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // FRAME * FRAME
        self._rest = samples[whole:]
        events: list[Event] = []
        for frame in samples[:whole].reshape(-1, FRAME):
            self.num_samples += FRAME
            self._frames.append(frame)
            probability = self._activity(frame)
            if self._is_speaking:
                events += self._continue(probability)
                if self._is_speaking and self.num_speech >= MAX_TURN_S * RATE:
                    events.append(self._stop())
            else:
                events += self._wait(probability)
        return events

    def finish(self) -> list[Event]:
        """End the current turn now, if there is one."""
        return [self._stop()] if self._is_speaking else []

    def _wait(self, probability: float) -> list[Event]:
        """A frame before a turn."""
        self._num_speech = self._num_speech + 1 if probability >= self.settings.threshold else 0
        if self._num_speech >= NUM_BEGIN:
            self._is_speaking, self._num_silent = True, 0
            self._speech_end = self.num_samples
            return [self._event("started", self.num_samples - FRAME * len(self._frames))]
        padding = self.settings.padding_ms * RATE // 1000
        kept = -(-padding // FRAME) + self._num_speech
        self._frames = self._frames[-kept:] if kept else []
        return []

    def _continue(self, probability: float) -> list[Event]:
        """A frame of a turn."""
        if probability >= self.settings.threshold - HYSTERESIS:
            was_paused = self._num_silent >= NUM_PAUSE
            self._num_silent, self._speech_end = 0, self.num_samples
            return [self._event("resumed", self.num_samples - FRAME)] if was_paused else []
        self._num_silent += 1
        if self._num_silent * FRAME * 1000 >= self.settings.silence_ms * RATE:
            return [self._stop()]
        if self._num_silent == NUM_PAUSE:
            return [self._event("paused", self._speech_end)]
        if self._num_silent == NUM_ASK and self._is_complete():
            return [self._stop()]
        return []

    def _is_complete(self) -> bool:
        """Whether the speaker seems to have finished."""
        settings = self.settings
        if settings.is_complete is None:
            return False
        return settings.is_complete(self.speech) >= settings.min_complete

    def _stop(self) -> Event:
        event = self._event("stopped", self._speech_end)
        self._is_speaking, self._num_speech, self._frames = False, 0, []
        return event

    def _event(self, kind: Kind, sample: int) -> Event:
        return Event(kind, sample, self.num_samples, self.speech)
