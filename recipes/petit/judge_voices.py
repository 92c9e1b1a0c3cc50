"""Measures the voices of voices.toml: word errors, sound quality, speed and similarity.

    python recipes/petit/judge_voices.py LEXICON.txt.gz --count 24 --save sounds/

Each voice speaks the first held-out sentences. Uses Whisper base, DNSMOS and Resemblyzer, as
`causerie eval` does, and prints two Markdown tables. Cosines are means over all pairs of sentences,
on the diagonal over pairs of different sentences.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from make_speech import SAMPLE_RATE, tidy
from rich.progress import track
from voices import Speaker, Voice, read_voices

from causerie.audio.audio import Audio
from causerie.evaluate.dnsmos import NAMES
from causerie.evaluate.sentences import read_sentences
from causerie.evaluate.tools import Tools
from causerie.evaluate.words import compare
from causerie.text.pronounce import Lexicon

HEAD = "| voice | sex | WER % | CER % | DNSMOS OVRL / SIG / BAK | P.808 | RTF | within |"


def speak(voice: Voice, texts: list[str], lexicon: Lexicon) -> tuple[list[Audio], float]:
    """The texts spoken in a voice, and the compute seconds per second of speech."""
    speaker, sounds = Speaker(voice), []
    speaker(lexicon.read(texts[0]).phonemes, 0)  # the first call is slower
    before = time.process_time()
    for number, text in enumerate(texts):
        wave, _ = tidy(speaker(lexicon.read(text).phonemes, number)[0])
        sounds.append(Audio(samples=wave.astype(np.float32), sample_rate=SAMPLE_RATE))
    took = time.process_time() - before
    return sounds, took / sum(sound.duration_s for sound in sounds)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Mean cosine of two voices' vectors (sentences, 256), without pairs of the same sound."""
    found = one @ other.T
    if one is other:
        found = found[~np.eye(len(found), dtype=bool)]
    return float(found.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("lexicon", type=Path)
    parser.add_argument("--count", type=int, default=24, help="sentences per voice (%(default)s)")
    parser.add_argument("--voice", action="append", help="only these voices; default: all")
    parser.add_argument("--save", type=Path, help="keep the sounds in this folder")
    args = parser.parse_args()
    lexicon, texts = Lexicon.load(args.lexicon), read_sentences()[: args.count]
    tools = Tools(threads=1)
    voices = read_voices()
    vectors, rows = {}, []
    for name in track(args.voice or [*voices], "judging", disable=not sys.stderr.isatty()):
        sounds, rtf = speak(voices[name], texts, lexicon)
        if args.save:
            (args.save / name).mkdir(parents=True, exist_ok=True)
            for number, sound in enumerate(sounds, 1):
                sound.save(args.save / name / f"{number:03d}.wav")
        words = compare(texts, [tools.transcript(sound) for sound in sounds])
        opinions = [tools.opinion(sound) for sound in sounds]
        mean = {key: float(np.mean([opinion[key] for opinion in opinions])) for key in NAMES}
        vectors[name] = np.stack([tools.encoder(sound) for sound in sounds])
        rows.append(
            f"| {name} | {voices[name].sex} | {words.wer:.1%} | {words.cer:.1%} "
            f"| {mean['ovrl']:.2f} / {mean['sig']:.2f} / {mean['bak']:.2f} | {mean['p808']:.2f} "
            f"| {rtf:.3f} | {cosine(vectors[name], vectors[name]):.2f} |".replace("%", "")
        )
    print("\n".join([HEAD, "|---" * 8 + "|", *rows, ""]))
    print("| |" + "|".join(vectors) + "|\n" + "|---" * (len(vectors) + 1) + "|")
    for name, own in vectors.items():
        values = (f"{cosine(own, other):.2f}" for other in vectors.values())
        print(f"|{name}|{'|'.join(values)}|")


if __name__ == "__main__":
    main()
