"""Which utterances make the voices of a model: prompts.json, from codes and the codec's decoder.

    python recipes/petit/choose_prompts.py WORK CODEC > recipes/petit/prompts.json

Of each voice, some statements of a few seconds are drawn by chance and decoded. Those of which the
recogniser hears every word are put in order of how like they are to the voice's mean, plus how good
they sound; the first are the voice's prompt. CODEC is a model, or a folder of a codec.
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
from causerie.evaluate.words import compare

SHORTEST_S, LONGEST_S = 2.4, 4.2
OPINION = 0.1  # of similarity that a point of P.808 is worth


def candidates(speech: EncodedSpeech, frame_rate: float, count: int) -> dict[str, list[int]]:
    """Some statements of each voice."""
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
    parser.add_argument("--count", type=int, default=14, help="drawn of a voice (%(default)s)")
    parser.add_argument("--prompts", type=int, default=2, help="of a voice (%(default)s)")
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
