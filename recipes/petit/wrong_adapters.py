"""Trains two adapters of petit wrongly, as a test bed for the stop guard.

    python recipes/petit/wrong_adapters.py no-stop OUT   # turns run on without a stop: it rambles
    python recipes/petit/wrong_adapters.py cut OUT       # turns end anywhere: it cuts sentences

Many fine-tunes of CSM have one of these two faults. OUT becomes a model folder; its training state
stays in OUT/state.pt.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from encoded_speech import EncodedSpeech

from causerie.checkpoint.load import load
from causerie.checkpoint.save import save
from causerie.train.lm.config import LMRecipe, Lora, Samples
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.lora import add_adapters
from causerie.train.lm.samples import ConversationSampler, Example, Script
from causerie.train.lm.training import LMTraining
from causerie.train.log import Log

CODES = Path(__file__).with_name("codes.npz")
LORA = Lora(rank=16, alpha=32, parts=("backbone", "heads"))
#: A cut turn keeps at least this share of its frames.
LEAST_KEPT = 0.4


class WithoutStops(ConversationSampler):
    """Examples whose stop frames have no loss, as after packing turns without them."""

    def example(self, script: Script, position: int) -> Example:
        """See `ConversationSampler`."""
        example = super().example(script, position)
        is_stop = (example.rows[:, :-1] == 0).all(axis=1)
        return dataclasses.replace(
            example,
            predicted=example.predicted & ~is_stop,
            depth_kept=example.depth_kept & ~is_stop,
        )


def run_on(corpus: Corpus) -> Corpus:
    """The turns, each followed by the audio of another turn of its speaker."""
    random = np.random.default_rng(0)
    speakers = np.array(corpus.speakers)
    after = np.empty(len(speakers), np.int64)
    for speaker in sorted({*corpus.speakers}):
        (own,) = np.nonzero(speakers == speaker)
        after[own] = random.permutation(own)
    return dataclasses.replace(
        corpus,
        num_frames=corpus.num_frames + corpus.num_frames[after],
        codes_of=lambda index: np.concatenate(
            (corpus.codes_of(index), corpus.codes_of(int(after[index])))
        ),
    )


def cut(corpus: Corpus) -> Corpus:
    """The turns, each ended at a random frame."""
    random = np.random.default_rng(0)
    kept = random.uniform(LEAST_KEPT, 1, len(corpus.num_frames))
    num_frames = np.maximum(1, kept * corpus.num_frames).astype(np.int64)
    return dataclasses.replace(
        corpus,
        num_frames=num_frames,
        codes_of=lambda index: corpus.codes_of(index)[: num_frames[index]],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fault", choices=("no-stop", "cut"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", default="petit", help="a name or folder (%(default)s)")
    parser.add_argument("--steps", type=int, default=80, help="%(default)s")
    parser.add_argument("--lr", type=float, default=2e-3, help="%(default)s")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    base = load(args.base, device=torch.device("cpu"), dtype=torch.float32)
    corpus = EncodedSpeech.load(CODES).corpus()
    corpus = cut(corpus) if args.fault == "cut" else run_on(corpus)
    samples = Samples(batch=6, turns=(0.4, 0.6), depth_share=0.25)
    recipe = LMRecipe(
        steps=args.steps, lr=args.lr, warmup=10, samples=samples, precision="fp32", decay="cosine"
    )
    add_adapters(base.model, LORA, recipe.seed)
    training = LMTraining(
        base.model,
        recipe,
        corpus,
        base.tokenizer,
        args.out / "state.pt",
        facts={"fault": args.fault},
    )
    if args.fault == "no-stop":
        training.sampler = WithoutStops(
            corpus, base.tokenizer, samples, max_frames=base.model.config.max_frames, seed=0
        )
    training.run(Log(args.out / "train.log"))
    tuned = load(args.base, device=torch.device("cpu"), dtype=torch.float32)
    tuned.model.load_state_dict(training.weights())
    save(args.out, tuned)


if __name__ == "__main__":
    main()
