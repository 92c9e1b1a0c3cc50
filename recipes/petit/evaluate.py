"""Word error rate of a model's speech, or of sound files: `causerie eval` for the recipe.

    python recipes/petit/evaluate.py --model DIR --json out.json --save-wavs wavs/
    python recipes/petit/evaluate.py --from-wavs wavs/    # one file per sentence, in name order

The sentences are the first 50 held-out ones. Needs `pip install causerie[evaluate]`, no network.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.progress import track

from causerie.audio.audio import Audio
from causerie.errors import CauserieError
from causerie.evaluate.clip import Clip
from causerie.evaluate.report import Report
from causerie.evaluate.run import measure_clips
from causerie.evaluate.sentences import HELD_OUT, read_sentences
from causerie.evaluate.speaking import Speaking
from causerie.evaluate.tools import Tools
from causerie.tts import TTS

METRICS = ("wer", "stopping", "duration", "speed")
WORST = 10


def speak(model: str, sentences: list[str], seed: int, save: Path | None) -> list[Clip]:
    """A clip of each sentence, spoken by the model."""
    speaking = Speaking(TTS.from_pretrained(model), seed=seed)
    clips = []
    for number, sentence in enumerate(
        track(sentences, "speaking", disable=not sys.stderr.isatty()), 1
    ):
        clips.append(speaking.speak(sentence, speaking.next_voice()))
        if save:
            clips[-1].audio.save(save / f"{number:03d}.wav")
    return clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="petit", help="a name, folder or hub id (%(default)s)")
    parser.add_argument("--sentences", type=Path, default=HELD_OUT, help="a file, one per line")
    parser.add_argument("--count", type=int, default=50, help="number of sentences (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first one (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="threads of the recognizer; 0: all")
    parser.add_argument("--from-wavs", type=Path, help="score these files instead of a model")
    parser.add_argument("--save-wavs", type=Path, help="keep the speech in this folder")
    parser.add_argument("--json", type=Path, help="write figures and sentences here")
    args = parser.parse_args()
    if args.save_wavs:
        args.save_wavs.mkdir(parents=True, exist_ok=True)
    try:
        sentences = read_sentences(args.sentences)[: args.count]
        if args.from_wavs:
            files = sorted(args.from_wavs.glob("*.wav"))[: args.count]
            if len(files) != len(sentences):
                parser.error(
                    f"{args.from_wavs} has {len(files)} wav files for {len(sentences)} sentences: "
                    "give --count, or the file of their sentences as --sentences"
                )
            clips = [
                Clip(text=text, audio=Audio.load(file))
                for text, file in zip(sentences, files, strict=True)
            ]
        else:
            clips = speak(args.model, sentences, args.seed, args.save_wavs)
        report = Report(model=str(args.from_wavs or args.model))
        measure_clips(clips, report, METRICS, Tools(threads=args.threads))
    except CauserieError as error:
        sys.exit(f"evaluate.py: {error}")
    rows = report.tables["clips"]
    print(*report.lines(), sep="\n")
    for row in sorted(rows, key=lambda row: -row["errors"])[:WORST]:
        if row["errors"]:
            print(f"  {row['errors']:2d}  said   {row['text']}\n      heard  {row['heard']}")
    if args.json:
        facts = {**report.numbers, "rows": rows}
        args.json.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
