"""Chooses the utterances that are the voices' prompts, and prints prompts.json.

    python recipes/petit/choose_prompts.py WORK CODEC > recipes/petit/prompts.json

Decodes some random statements of each voice, a few seconds long, and ranks them by word errors,
then by similarity to the mean of the voice plus sound quality. The first ones are the prompt.
CODEC is a model, or a codec folder.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from encoded_speech import EncodedSpeech

from causerie.audio.audio import Audio
from causerie.checkpoint.load import load_codec
from causerie.evaluate.tools import Tools
from causerie.recognition.words import compare

SHORTEST_S, LONGEST_S = 2.4, 4.2
OPINION = 0.1  # similarity that counts as much as one point of P.808


def candidates(speech: EncodedSpeech, frame_rate: float, count: int) -> dict[str, list[int]]:
    """Indexes of some statements of each voice."""
    found: dict[str, list[int]] = {}
    seconds = np.diff(speech.starts) / frame_rate
    for index, (voice, text) in enumerate(zip(speech.voices, speech.texts, strict=True)):
        if text.endswith(".") and SHORTEST_S <= seconds[index] <= LONGEST_S:
            found.setdefault(voice, []).append(index)
    chance = random.Random(0)
    return {voice: chance.sample(own, min(count, len(own))) for voice, own in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("codec")
    parser.add_argument("--count", type=int, default=14, help="statements per voice (%(default)s)")
    parser.add_argument("--prompts", type=int, default=2, help="utterances each (%(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    codec, speech = load_codec(args.codec), EncodedSpeech.load(args.work / "codes.npz")
    tools, prompts = Tools(threads=1), {}
    for voice, indexes in candidates(speech, codec.config.frame_rate, args.count).items():
        sounds = []
        with torch.inference_mode():
            for index in indexes:
                codes = torch.from_numpy(speech.codes_of(index).T.astype(np.int64))
                wave = codec.decode(codes[None])[0, 0].numpy()
                sounds.append(Audio(samples=wave, sample_rate=codec.config.sample_rate))
        vectors = np.stack([tools.speaker(sound) for sound in sounds])
        mean = vectors.mean(0) / np.linalg.norm(vectors.mean(0))
        rows = []
        for index, sound, vector in zip(indexes, sounds, vectors, strict=True):
            errors = compare([speech.texts[index]], [tools.transcript(sound)]).errors
            likeness, opinion = float(vector @ mean), tools.opinion(sound)["p808"]
            rows.append((errors, -likeness - OPINION * opinion, likeness, opinion, index))
        rows.sort()
        clear = sum(not row[0] for row in rows)
        print(f"{voice}: {clear} of {len(rows)} without an error", file=sys.stderr)
        prompts[voice] = [speech.texts[row[-1]] for row in rows[: args.prompts]]
        for errors, _, likeness, opinion, index in rows[: args.prompts]:
            figures = f"{errors} errors, likeness {likeness:.2f}, P.808 {opinion:.2f}"
            print(f"    {figures}: {speech.texts[index]}", file=sys.stderr)
    print(json.dumps(prompts, indent=4))


if __name__ == "__main__":
    main()
