"""Speaks ten held-out sentences for people to compare by ear, as flac.

    python recipes/petit/listening_samples.py teacher OUT/teacher
    python recipes/petit/listening_samples.py petit OUT/0.2

The source is a model, or `teacher`: the voices that it learned from. The default voice speaks three
sentences, the others one each. Voices that the model lacks are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from make_speech import SAMPLE_RATE, tidy
from voices import Speaker, read_voices

from causerie.audio.audio import Audio
from causerie.evaluate.sentences import read_sentences
from causerie.tts import TTS

VOICES = (
    "heart", "heart", "heart", "bruno", "theo", "clara", "mia", "oscar", "nadia", "ruth",
)  # fmt: skip
#: Sentences of the evaluation from which every seventh is taken.
EVERY = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", help="a model, or 'teacher'")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tts = TTS.from_pretrained("petit" if args.source == "teacher" else args.source)
    texts = read_sentences()[::EVERY]
    for number, (voice, text) in enumerate(zip(VOICES, texts, strict=False), 1):
        if args.source == "teacher":
            phonemes = tts.checkpoint.front_end(text).text
            wave, _ = tidy(Speaker(read_voices()[voice])(phonemes, number)[0])
            audio = Audio(samples=wave.astype(np.float32), sample_rate=SAMPLE_RATE)
        elif voice in (*tts.voices, VOICES[0]):
            audio = tts.generate(text, voice=voice if voice in tts.voices else None, seed=number)
        else:
            continue
        audio.save(args.out / f"{number:02d}-{voice}.flac")
        print(f"{number:02d}-{voice}: {text}")


if __name__ == "__main__":
    main()
