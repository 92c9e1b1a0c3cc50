"""Compares speech with its text by a recognizer, which works in a thread of its own.

Does not know replies.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from causerie.audio.resample import resample
from causerie.extras import need
from causerie.recognition.whisper import RATE, Recognizer, Whisper, packaged_recognizer
from causerie.recognition.words import Difference, difference, normaliser
from causerie.text.reading import words_of
from causerie.word_times.align import word_times

T = TypeVar("T")

#: Share of the words of a transcript that may be wrong: of recordings in noise, some are misheard.
MAX_OTHER = 0.4
#: Seconds that are kept after the last word of a text, where others follow it.
AFTER_S = 0.2


@dataclass(frozen=True)
class Hearing:
    """What a recognizer heard of a piece.

    Attributes:
        end_s: where the text ends and other words follow, which are left out of `difference`; None
            if there are none.
    """

    difference: Difference
    end_s: float | None = None

    @property
    def is_cut(self) -> bool:
        """Whether words follow the text."""
        return self.end_s is not None

    @property
    def rank(self) -> tuple[int, bool, int, float]:
        """Lower is better: of speech with equal errors, what ends by itself is better."""
        errors, doubtful, letters = self.difference.rank
        return errors, self.is_cut, doubtful, letters


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
        self,
        samples: NDArray[np.float32],
        sample_rate: int,
        words: Sequence[str],
        *,
        is_suspect: bool = False,
    ) -> Future[Hearing]:
        """Begin to compare samples (N,) with the words of their text; can be cancelled.

        Args:
            is_suspect: an attempt before was wrong, so all recognizers must hear the words: of many
                attempts at unclear speech, one is heard as it should be by chance.
        """

        def work() -> Hearing:
            found, heard = self._compare(samples, sample_rate, words, is_suspect=is_suspect)
            end_s = None if found.is_right else self._end(samples, sample_rate, words, heard)
            if end_s is None:
                return Hearing(found)
            start = samples[: round(end_s * sample_rate)]
            shorter, _ = self._compare(start, sample_rate, words, is_suspect=True)
            return Hearing(shorter, end_s) if shorter.rank < found.rank else Hearing(found)

        return self.begin(work)

    def _compare(
        self,
        samples: NDArray[np.float32],
        sample_rate: int,
        words: Sequence[str],
        *,
        is_suspect: bool,
    ) -> tuple[Difference, str]:
        """What differs from the words of a text, and what was heard. See `check`."""
        pcm = resample(samples, sample_rate, RATE)
        found: list[tuple[Difference, str]] = []
        for recognize in self._recognizers:
            heard = recognize(pcm)
            found.append((difference(words, heard, self._normal), heard))
            if found[-1][0].is_clear and not is_suspect:
                break
        if found[-1][0].is_right and not is_suspect:
            return found[-1]
        return max(found, key=lambda one: one[0].rank)

    def _end(
        self, samples: NDArray[np.float32], sample_rate: int, words: Sequence[str], heard: str
    ) -> float | None:
        """The time in samples (N,) when a text has been said; None if nothing was said after it.

        Args:
            heard: the words that were recognized.
        """
        times = word_times(samples, sample_rate, [(heard, len(samples))])
        said = [time.text for time in times]
        ranks = {}
        for number in range(1, len(said) + 1):
            found = difference(words, " ".join(said[:number]), self._normal)
            # As many words as the text has, since some may be misheard, and not all of them others.
            if found.missing <= found.invented and found.errors <= found.words / 2:
                ranks[number] = found.rank
        best = min(ranks, key=ranks.__getitem__, default=len(said))
        end_s = times[best - 1].end_s if best < len(said) else 0.0
        if not end_s:  # also of words without phones, such as 你好
            return None
        return min((end_s + times[best].start_s) / 2, end_s + AFTER_S)

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
