"""Finds words in speech: forced alignment by a hidden Markov model of phones.

Each phone has three states in a row, each with one Gaussian of `features`; a pause may stand
between any two words. The model is `phones.npz`, 14 kB, trained by `recipes/petit/train_aligner.py`
on petit 0.1's six voices without any labels but the texts. It is used for other checkpoints too,
whose phones sound alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from causerie.text.pronounce import Lexicon
from causerie.text.split import Piece, whole
from causerie.word_times.features import HOP_S, features
from causerie.word_times.phones import PHONES, WrittenWord, english, written_words

MODEL = Path(__file__).parent / "phones.npz"
STATES = 3
SILENCE = len(PHONES) * STATES  # its states come last
_NEVER = -1e30


@dataclass(frozen=True)
class WordTime:
    """A word as written, and when it is spoken, in seconds.

    Attributes:
        ends_sentence: it is the last word of its sentence.
    """

    text: str
    start_s: float
    end_s: float
    ends_sentence: bool = False

    def later(self, seconds: float) -> WordTime:
        """The same word at a later time."""
        return WordTime(self.text, self.start_s + seconds, self.end_s + seconds, self.ends_sentence)


@dataclass(frozen=True)
class PhoneModel:
    """Gaussians of states: means and variances (states, features), and frames a state lasts."""

    means: NDArray[np.float32]
    variances: NDArray[np.float32]
    durations: NDArray[np.float32]

    def log_likelihoods(
        self, frames: NDArray[np.float32], states: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Log likelihoods (T, S) of frames (T, D) in some states (S,)."""
        distinct, where = np.unique(states, return_inverse=True)
        means, precisions = self.means[distinct], 1 / self.variances[distinct]
        squares = frames**2 @ precisions.T - 2 * frames @ (means * precisions).T
        constants = (means**2 * precisions + np.log(self.variances[distinct])).sum(1)
        found: NDArray[np.float32] = -0.5 * (squares + constants)[:, where]
        return found


@cache
def phone_model() -> PhoneModel:
    """The model in this package."""
    with np.load(MODEL) as arrays:
        return PhoneModel(
            *(arrays[name].astype(np.float32) for name in ("means", "variances", "durations"))
        )


def word_times(
    samples: NDArray[np.float32],
    sample_rate: int,
    pieces: Iterable[tuple[str, int]],
    lexicon: Lexicon | None = None,
) -> list[WordTime]:
    """When each word of a reply is spoken. Times increase, and words do not overlap.

    Args:
        samples: the whole reply.
        pieces: each piece of its text, and the number of its samples.
        lexicon: of the model's front end; None: the one in this package.
    """
    lexicon, model = lexicon or english(), phone_model()
    times: list[WordTime] = []
    start = 0
    for piece, num_samples in pieces:
        read = piece if isinstance(piece, Piece) else whole(piece)
        words = written_words(read.sentences, lexicon)
        # Of the piece alone, so that its times do not depend on the pieces around it.
        frames = features(samples[start : start + num_samples], sample_rate)
        before_s = start / sample_rate
        times += [
            WordTime(word.text, one * HOP_S, two * HOP_S, word.ends_sentence).later(before_s)
            for word, (one, two) in zip(words, align(frames, words, model), strict=True)
        ]
        start += num_samples
    return times


def align(
    frames: NDArray[np.float32], words: Sequence[WrittenWord], model: PhoneModel
) -> list[tuple[int, int]]:
    """First frame, and frame after the last, of each word in the frames of a piece."""
    chain = Chain(words)
    if not len(chain.states):
        return [(0, 0)] * len(words)
    path = best_path(frames, chain, model)
    found: list[tuple[int, int]] = []
    end = 0
    for number in range(len(words)):
        where = np.flatnonzero(chain.words[path] == number)
        start, end = (int(where[0]), int(where[-1]) + 1) if len(where) else (end, end)
        found.append((start, end))
    return found


class Chain:
    """The states of a piece in order: phones of words, with pauses that may be skipped.

    Attributes:
        states: the model's states (S,).
        words: the word (S,) that each belongs to, -1 for pauses.
        skips: for each state, the one before the pause before it; -1 for none.
    """

    def __init__(self, words: Sequence[WrittenWord]) -> None:
        silence = list(range(SILENCE, SILENCE + STATES))
        states, owners, skips = list(silence), [-1] * STATES, [-1] * STATES
        for number, word in enumerate(words):
            for index, phone in enumerate(word.phones):
                first = PHONES.index(phone) * STATES
                states += range(first, first + STATES)
                owners += [number] * STATES
                before = len(skips) - STATES - 1
                skips += [before if index == 0 else -1] + [-1] * (STATES - 1)
            if word.phones:
                states, owners, skips = states + silence, owners + [-1] * 3, skips + [-1] * 3
        if len(states) == STATES:  # nothing is spoken
            states, owners, skips = [], [], []
        self.states = np.array(states, np.intp)
        self.words = np.array(owners, np.intp)
        self.skips = np.array(skips, np.intp)


def best_path(frames: NDArray[np.float32], chain: Chain, model: PhoneModel) -> NDArray[np.intp]:
    """The most likely position (T,) in a chain of each frame.

    Where the audio is too short for all phones, the path ends before the chain does.
    """
    num_frames, num_states = len(frames), len(chain.states)
    scores = model.log_likelihoods(frames, chain.states)
    stay = np.log(1 - 1 / np.maximum(model.durations, 1.05))[chain.states]
    go = np.log(1 / np.maximum(model.durations, 1.05))[chain.states]
    at = np.flatnonzero(chain.skips >= 0)
    skipped = chain.skips[at]
    best = np.full(num_states, _NEVER, np.float32)
    came = np.zeros((num_frames, num_states), np.int8)  # 0 stay, 1 from the one before, 2 skip
    for number in range(num_frames):
        if number == 0:
            best[0], best[STATES] = scores[0, 0], scores[0, STATES]
            continue
        moved = best + go
        kept = best + stay
        step = np.concatenate([[np.float32(_NEVER)], moved[:-1]])
        is_step = step > kept
        new = np.where(is_step, step, kept)
        came[number] = is_step
        jump = moved[skipped]
        is_jump = jump > new[at]
        new[at] = np.where(is_jump, jump, new[at])
        came[number, at[is_jump]] = 2
        best = new + scores[number]
    ends = [num_states - 1, num_states - 1 - STATES]  # in the last pause, or before it
    position = max(ends, key=lambda index: best[index])
    if best[position] < _NEVER / 2:
        position = int(np.flatnonzero(best > _NEVER / 2)[-1]) if num_frames else 0
    path = np.zeros(num_frames, np.intp)
    for number in range(num_frames - 1, -1, -1):
        path[number] = position
        kind = came[number, position]
        position = (
            position - 1 if kind == 1 else int(chain.skips[position]) if kind == 2 else position
        )
    return path
