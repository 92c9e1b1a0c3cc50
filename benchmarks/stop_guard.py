"""Measures the stop guard on beds where a model does not end, or ends too early.

    python benchmarks/stop_guard.py sentences            # petit itself: nothing may change
    python benchmarks/stop_guard.py bare                 # phrases without final punctuation
    python benchmarks/stop_guard.py bare --model OUT     # by another petit
    python benchmarks/stop_guard.py unlikely --nats 8    # the stop's logit reduced
    python benchmarks/stop_guard.py model --model OUT    # of recipes/petit/wrong_adapters.py

Each clip is spoken with the guard off and on. Its usual length is that with a full stop, by petit
for the bed model and by the same model for the others, with the same voice and seed. A row has the
share of clips of 0.7 to 1.4 times the usual length; with `--listen`, also the shares in which
Whisper hears the text's last word, and hears it last. The latter two are given for the usual clips
too.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from causerie.audio.audio import Audio
from causerie.checkpoint.load import Checkpoint, load
from causerie.engine.engine import Engine
from causerie.engine.runner import Draw, Runner
from causerie.engine.runners.choose import new_runner
from causerie.evaluate.sentences import read_sentences
from causerie.evaluate.tools import Tools
from causerie.recognition.words import normaliser
from causerie.text.front_end import DEFAULT_OPTIONS, FrontEnd, ReadingOptions, Spoken
from causerie.text.pronounce import PUNCTUATION
from causerie.tts import TTS, Guard

PHRASES = Path(__file__).parents[1] / "recipes/petit/bare_phrases.txt"
STREAMS, MAX_DURATION_S = 8, 20.0
SHORTEST, LONGEST = 0.7, 1.4


class Bare(FrontEnd):
    """A front end whose text has no punctuation at the end, unless there is a full stop."""

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__(front_end.kind, front_end.lexicon)

    def __call__(self, text: str, options: ReadingOptions = DEFAULT_OPTIONS) -> Spoken:
        """The text as the model reads it."""
        spoken = super().__call__(text, options)
        if text.endswith("."):
            return spoken
        return dataclasses.replace(spoken, text=spoken.text.rstrip(PUNCTUATION + " "))


class Unlikely:
    """A runner whose model gives the stop's logit some nats less."""

    def __init__(self, runner: Runner, nats: float) -> None:
        self._runner, self._nats = runner, nats

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def step(self, draws: Sequence[Draw]) -> np.ndarray:
        """See `Runner`."""
        return self._runner.step(
            [dataclasses.replace(draw, stop_bias=draw.stop_bias - self._nats) for draw in draws]
        )

    def stops(self, slots: Sequence[int]) -> np.ndarray:
        """See `Runner`."""
        log_p = self._runner.stops(slots).astype(np.float64)
        less = log_p - self._nats  # of p·exp(-nats) + (1 - p), which normalises it again
        rest = np.log1p(-np.exp(np.minimum(log_p, -1e-9)))
        return (less - np.logaddexp(less, rest)).astype(np.float32)


def model(source: str) -> Checkpoint:
    """The checkpoint at a source, on the CPU."""
    return load(source, device=torch.device("cpu"), dtype=torch.float32)


def speak(
    checkpoint: Checkpoint,
    jobs: Sequence[tuple[str, str]],
    guard: Guard,
    *,
    nats: float = 0.0,
    temperature: float | None = None,
) -> list[Audio]:
    """One clip for each (text, voice), with its index as the seed."""
    runner = Unlikely(new_runner(checkpoint, STREAMS), nats)
    tts = TTS(checkpoint, engine=Engine(runner))

    def clip(job: tuple[int, tuple[str, str]]) -> Audio:
        seed, (text, voice) = job
        return tts.generate(
            text,
            voice=voice,
            seed=seed,
            temperature=temperature,
            max_duration_s=MAX_DURATION_S,
            guard=guard,
        )

    with ThreadPoolExecutor(STREAMS) as threads:
        return list(threads.map(clip, enumerate(jobs)))


def listen(name: str, texts: Sequence[str], clips: Sequence[Audio], tools: Tools) -> str:
    """The shares of clips in which the text's last word is heard, and is the last one."""
    normal = normaliser()
    heard = last = 0
    for text, clip in zip(texts, clips, strict=True):
        said, got = normal(text).split(), normal(tools.transcript(clip)).split()
        heard += said[-1] in got
        last += got[-1:] == said[-1:]
        if got[-1:] != said[-1:]:
            print(f"    {name}: {text!r} heard as {' '.join(got)!r}, {clip.duration_s:.2f} s")
    return f" · last word heard {heard / len(clips):.0%}, as the last {last / len(clips):.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bed", choices=("sentences", "bare", "unlikely", "model"))
    parser.add_argument("--model", default="petit", help="that speaks (%(default)s)")
    parser.add_argument("--nats", type=float, default=8.0, help="for unlikely (%(default)s)")
    parser.add_argument("--temperature", type=float, help="default: the model's")
    parser.add_argument("--count", type=int, default=100, help="clips (%(default)s)")
    parser.add_argument("--listen", action="store_true", help="transcribe the clips")
    args = parser.parse_args()
    bed = model(args.model)
    petit = model("petit") if args.bed == "model" else bed
    voices = [*petit.voices]
    if args.bed == "bare":
        texts = PHRASES.read_text("utf-8").splitlines()
        bed = dataclasses.replace(bed, front_end=Bare(bed.front_end))
    else:
        texts = read_sentences()
    jobs = [
        (texts[n % len(texts)], voices[(n + n // len(texts)) % len(voices)])
        for n in range(args.count)
    ]
    ended = [(text if text[-1] in PUNCTUATION else text + ".", voice) for text, voice in jobs]
    tools = Tools() if args.listen else None
    usual = speak(petit, ended, "off")
    words = [text for text, _ in jobs]
    print(f"{args.bed}: {len(usual)} clips{listen('usual', words, usual, tools) if tools else ''}")
    nats = args.nats if args.bed == "unlikely" else 0.0
    for guard in get_args(Guard)[1:][::-1]:
        clips = speak(bed, jobs, guard, nats=nats, temperature=args.temperature)
        ratios = np.array(
            [clip.duration_s / one.duration_s for clip, one in zip(clips, usual, strict=True)]
        )
        good = (ratios >= SHORTEST) & (ratios <= LONGEST)
        same = sum(
            np.array_equal(clip.samples, one.samples)
            for clip, one in zip(clips, usual, strict=True)
        )
        print(
            f"  guard {guard}: {good.mean():.1%} of usual length, ratios "
            f"{' '.join(f'{q:.2f}' for q in np.percentile(ratios, [0, 5, 50, 95, 100]))}, "
            f"{same} equal to petit's, {dict(Counter(clip.stopped for clip in clips))}"
            f"{listen(f'guard {guard}', words, clips, tools) if tools else ''}"
        )
        reasons = Counter(
            re.sub(r"[ ,]*(after|of) [\d.]+ s", "", note) for clip in clips for note in clip.notes
        )
        for reason, count in reasons.items():
            print(f"    {count} × {reason}")


if __name__ == "__main__":
    main()
