"""Trains the aligner of `causerie.word_times` on speech of petit, from a flat start.

    python recipes/petit/train_aligner.py src/causerie/word_times/phones.npz

It speaks 480 sentences of everyday_sentences.py with all voices, and then aligns and estimates
in turns (Viterbi training). No sentence of the evaluation is among them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from everyday_sentences import sentences
from numpy.typing import NDArray

from causerie.text.split import Piece
from causerie.tts import TTS
from causerie.word_times.align import SILENCE, STATES, Chain, PhoneModel, best_path
from causerie.word_times.features import HOP_S, NUM_FEATURES, features
from causerie.word_times.phones import english, written_words

NUM_SENTENCES, PER_REPLY = 480, 3
NUM_ROUNDS = 14
MIN_VARIANCE, MIN_FRAMES = 0.05, 8


def clips() -> Iterator[tuple[Piece, NDArray[np.float32], int]]:
    """Pieces, their samples and the sample rate."""
    tts = TTS.from_pretrained()
    lines = sentences(3_000)[:NUM_SENTENCES]
    for start in range(0, NUM_SENTENCES, PER_REPLY):
        voice = tts.voices[start // PER_REPLY % len(tts.voices)]
        text = " ".join(lines[start : start + PER_REPLY])
        stream = tts.stream(text, voice=voice, seed=1 + start)
        audio, at = stream.collect(), 0
        for piece, size in stream.spoken_pieces():
            yield piece, audio.samples[at : at + size], audio.sample_rate
            at += size


def train(pieces: list[tuple[NDArray[np.float32], Chain]]) -> PhoneModel:
    """The model of features (T, D) and their chains."""
    num_states = SILENCE + STATES
    everything = np.concatenate([frames for frames, _ in pieces])
    spread = everything.var(0)
    quiet = everything[everything[:, 0] < np.quantile(everything[:, 0], 0.1)]
    model = PhoneModel(
        np.tile(everything.mean(0), (num_states, 1)),
        np.tile(spread, (num_states, 1)),
        np.full(num_states, 3.0, np.float32),
    )
    for round_ in range(NUM_ROUNDS + 1):
        sums, squares = np.zeros((2, num_states, NUM_FEATURES))
        counts, visits = np.zeros((2, num_states))
        for frames, chain in pieces:
            path = best_path(frames, chain, model) if round_ else _flat(frames, chain)
            states = chain.states[path]
            np.add.at(sums, states, frames)
            np.add.at(squares, states, frames**2)
            np.add.at(counts, states, 1)
            np.add.at(visits, states[np.flatnonzero(np.diff(path, prepend=-1))], 1)
        seen = counts >= MIN_FRAMES
        means, variances = model.means.copy(), model.variances.copy()
        means[seen] = sums[seen] / counts[seen, None]
        variances[seen] = squares[seen] / counts[seen, None] - means[seen] ** 2
        if round_ == 0:
            means[SILENCE:], variances[SILENCE:] = quiet.mean(0), quiet.var(0)
        durations = np.where(seen, counts / np.maximum(visits, 1), 3.0)
        variances = np.maximum(variances, MIN_VARIANCE * spread)
        model = PhoneModel(*(a.astype(np.float32) for a in (means, variances, durations)))
        print(f"round {round_}: {counts[SILENCE:].sum() / counts.sum():.1%} of frames are pauses")
    return model


def _flat(frames: NDArray[np.float32], chain: Chain) -> NDArray[np.intp]:
    """Positions in which all phones last equally long, without pauses within."""
    spoken = np.flatnonzero(chain.words >= 0)
    loud = np.flatnonzero(frames[:, 0] > np.quantile(frames[:, 0], 0.1))
    path = np.zeros(len(frames), np.intp)
    path[loud[-1] + 1 :] = len(chain.states) - 1
    inner = np.arange(loud[0], loud[-1] + 1)
    path[inner] = spoken[(inner - loud[0]) * len(spoken) // len(inner)]
    return path


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    pieces = []
    for piece, samples, rate in clips():
        chain = Chain(written_words(piece.sentences, english()))
        frames = features(samples, rate)
        if len(frames) * HOP_S > 0.5:
            pieces.append((frames, chain))
    model = train(pieces)
    np.savez_compressed(
        output,
        means=model.means.astype(np.float16),
        variances=model.variances.astype(np.float16),
        durations=model.durations.astype(np.float16),
    )


if __name__ == "__main__":
    main()
