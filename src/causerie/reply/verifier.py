"""Compares speech with its text by a recognizer, which works in a thread of its own.

Does not know replies.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from causerie.audio.resample import resample
from causerie.extras import need
from causerie.recognition.whisper import RATE, Recognizer, Whisper, packaged_recognizer
from causerie.recognition.words import Difference, difference, normaliser
from causerie.text.reading import words_of

T = TypeVar("T")

#: Share of the words of a transcript that may be wrong: of recordings in noise, some are misheard.
MAX_OTHER = 0.4


class Verifier:
    """A recognizer for the pieces of all replies, one after the other.

    Args:
        recognizer: None: Whisper base, which is loaded once.

    Raises:
        ConfigError: the packages of the extra `verify` are missing.
    """

    def __init__(self, recognizer: Recognizer | None = None) -> None:
        need("jiwer", "verify")
        self._normal = normaliser("verify")
        self._recognizers = [recognizer] if recognizer is not None else whispers()
        self._thread = ThreadPoolExecutor(1, "causerie recognizer")

    def check(
        self, samples: NDArray[np.float32], sample_rate: int, words: Sequence[str]
    ) -> Future[Difference]:
        """Begin to compare samples (N,) with the words of their text; can be cancelled."""

        def work() -> Difference:
            pcm = resample(samples, sample_rate, RATE)
            for recognize in self._recognizers:
                found = difference(words, recognize(pcm), self._normal)
                if found.is_right and not found.doubtful:
                    break
            return found

        return self.begin(work)

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Begin work for the recognizer, once its thread is free; can be cancelled."""
        return self._thread.submit(work)

    def hear(self, samples: NDArray[np.float32], sample_rate: int) -> str:
        """The words of a recording (N,); to be called in work that `begin` began."""
        return self._recognizers[-1](resample(samples, sample_rate, RATE)).strip()

    def are_other_words(self, text: str, heard: str) -> bool:
        """Whether a recording says other words than its transcript."""
        found = difference(words_of(text), heard, self._normal)
        return found.errors > MAX_OTHER * found.words


@functools.cache
def whispers() -> list[Recognizer]:
    """Whisper as it is quick, and as it is accurate, for what seems wrong then."""
    whisper = packaged_recognizer() or Whisper(extra="verify")
    return [whisper.quick, whisper]
