"""Compares phrases without final punctuation to the same phrases with a full stop.

    python recipes/petit/bare_phrases.py --model petit

Each voice speaks the phrases of bare_phrases.txt both ways with the same seed. A bare phrase that
takes more than 1.3 times as long has probably invented words. What the front end adds at the end of
a phrase is removed, so the figure is that of the language model alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from rich.progress import track

from causerie.text.front_end import DEFAULT_OPTIONS, FrontEnd, ReadingOptions, Spoken
from causerie.text.pronounce import PUNCTUATION
from causerie.tts import TTS

PHRASES = Path(__file__).with_suffix(".txt")
LONGER = 1.3


class Bare(FrontEnd):
    """A front end whose text has no punctuation at the end, unless there is a full stop."""

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__(front_end.kind, front_end.lexicon)

    def __call__(self, text: str, options: ReadingOptions = DEFAULT_OPTIONS) -> Spoken:
        spoken = super().__call__(text, options)
        if text.endswith("."):
            return spoken
        return dataclasses.replace(spoken, text=spoken.text.rstrip(PUNCTUATION + " "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="petit", help="a name or folder (%(default)s)")
    parser.add_argument("--count", type=int, help="number of phrases; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of all phrases (%(default)s)")
    args = parser.parse_args()
    checkpoint = TTS.from_pretrained(args.model).checkpoint
    tts = TTS(dataclasses.replace(checkpoint, front_end=Bare(checkpoint.front_end)))
    voices = [*tts.voices] or [None]
    phrases = PHRASES.read_text("utf-8").splitlines()[: args.count]
    pairs = [(phrase, voice) for phrase in phrases for voice in voices]
    longer: list[str] = []
    for phrase, voice in track(pairs, "speaking", disable=not sys.stderr.isatty()):
        bare, stopped = (
            tts.generate(text, voice=voice, seed=args.seed).duration_s
            for text in (phrase, phrase + ".")
        )
        if bare > LONGER * stopped:
            longer.append(f"{phrase!r} by {voice}: {bare:.2f} s, with a full stop {stopped:.2f} s")
    print("\n".join(longer))
    print(
        f"{len(longer)} of {len(pairs)} clips ({len(longer) / len(pairs):.0%}) are longer than "
        f"{LONGER} times those with a full stop"
    )


if __name__ == "__main__":
    main()
