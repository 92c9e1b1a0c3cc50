"""Writes speech that passed one part of `petit`, for evaluate.py to measure its loss.

    python recipes/petit/gates.py MODEL codec     OUT   # the teacher's speech, encoded and decoded
    python recipes/petit/gates.py MODEL acoustics OUT   # codebook 0 given, acoustic codes sampled
    python recipes/petit/evaluate.py --from-wavs OUT

Voices of voices.toml speak the first held-out sentences, or those of a file, in turn. Train a
language model only if "codec" loses at most 5 % of the words, and "acoustics" at most 15 %.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from drawn_codes import drawn_codes
from make_speech import tidy
from voices import Speaker, read_voices

from causerie.audio.audio import Audio
from causerie.checkpoint.load import load
from causerie.evaluate.sentences import HELD_OUT, read_sentences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("gate", choices=("teacher", "codec", "acoustics"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--sentences", type=Path, default=HELD_OUT)
    parser.add_argument("--voices", default="heart", help="names, with commas (%(default)s)")
    args = parser.parse_args()
    checkpoint = load(args.model, device=torch.device("cpu"), dtype=torch.float32)
    codec, known = checkpoint.codec, read_voices()
    speakers = [Speaker(known[name]) for name in args.voices.split(",")]
    args.out.mkdir(parents=True, exist_ok=True)
    texts = read_sentences(args.sentences)[: args.count]
    for number, text in enumerate(texts):
        spoken, _ = speakers[number % len(speakers)](checkpoint.front_end(text).text, number)
        wave, _ = tidy(spoken)
        if args.gate != "teacher":
            codes = codec.encode(
                torch.from_numpy(wave)[None, None], checkpoint.model.config.num_codebooks
            )
            if args.gate == "acoustics":
                phonemes = checkpoint.front_end(text).text
                codes = drawn_codes(checkpoint, (), phonemes, codes[0].T, number).T[None]
            wave = codec.decode(codes)[0, 0].numpy()
        Audio(samples=wave.astype(np.float32), sample_rate=24_000).save(
            args.out / f"{number + 1:03d}.wav"
        )


if __name__ == "__main__":
    main()
