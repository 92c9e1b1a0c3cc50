"""Writes what a source-filter decoder learns from: speech as codes and as WORLD's parameters.

    python recipes/petit/decoder_targets.py MODEL SPEECH OUT --hours 1 [--voice NAME]

MODEL, such as `petit`, encodes the speech, and draws codes as it will when it speaks. SPEECH is the
folder that make_all_speech.sh writes. OUT gets a folder of arrays for each voice; a folder that is
complete is kept. Utterances are chosen at random, without those of held-out sentences.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from codec_training.aligned_speech import SpeechFolder, Utterance
from codec_training.encoder import PHONES_PER_FRAME
from drawn_codes import drawn_codes
from rich.progress import Progress
from world_targets import analyse

from causerie.checkpoint.load import Checkpoint, load
from causerie.config import HOP
from causerie.evaluate.sentences import read_sentences
from causerie.prompt import Part
from causerie.voices import Voice

#: Range of the pitch in Hz where the whole range gives octave errors.
RANGES = {
    "heart": (110, 420), "bruno": (60, 230), "theo": (75, 330), "clara": (100, 400),
    "mia": (140, 500), "oscar": (60, 250), "nadia": (90, 450), "ruth": (80, 400),
}  # fmt: skip
WIDEST = (60, 500)
#: Share of the frames whose codebook 0 is drawn, in the second version of the codes.
DRAWN = 0.6
SHORTEST_S, PROMPT_S = 0.4, (2.5, 4.5)


def voice_parts(
    checkpoint: Checkpoint, speech: SpeechFolder, utterances: Sequence[Utterance]
) -> list[Part]:
    """The context of a voice: that of the model's voice, or two of the utterances."""
    name = utterances[0].voice
    file = checkpoint.voices.get(name)
    segments = Voice.load(file).segments if file else ()
    if file:
        return [
            Part(tokens=_tokens(checkpoint, checkpoint.front_end(s.text).text), codes=s.codes)
            for s in segments
        ]
    rate = speech.sample_rate
    fitting = [u for u in utterances if PROMPT_S[0] < u.num_samples / rate < PROMPT_S[1]]
    parts = []
    for utterance in fitting[:2]:
        pcm = speech.waveform(utterance, 0, utterance.num_samples)
        codes = checkpoint.codec.encode(torch.from_numpy(pcm)[None, None])[0]
        parts.append(Part(tokens=_tokens(checkpoint, utterance.phonemes), codes=codes))
    return parts


def _tokens(checkpoint: Checkpoint, phonemes: str) -> list[int]:
    return list(checkpoint.tokenizer.encode(phonemes, 0))


@torch.inference_mode()
def arrays_of(
    checkpoint: Checkpoint, speech: SpeechFolder, utterance: Utterance, voice: list[Part], seed: int
) -> dict[str, np.ndarray]:
    """The arrays of one utterance, by name; the first axis is frames, hops or samples."""
    frame = checkpoint.codec.config.frame_size
    pcm = speech.waveform(utterance, 0, utterance.num_samples)
    codes = checkpoint.codec.encode(torch.from_numpy(pcm)[None, None])[0].T
    drawn = drawn_codes(checkpoint, voice, utterance.phonemes, codes, seed, DRAWN)
    targets = analyse(pcm, len(codes) * frame // HOP, *RANGES.get(utterance.voice, WIDEST))
    label_rate = PHONES_PER_FRAME * checkpoint.codec.config.frame_rate
    labels = speech.labels(utterance, 0, PHONES_PER_FRAME * len(codes), label_rate)
    padded = np.pad(pcm, (0, len(codes) * frame - len(pcm)))
    return {
        "codes": codes.numpy().astype(np.int16),
        "drawn": drawn.numpy().astype(np.int16),
        "labels": labels.astype(np.int16),
        "pcm": (padded * 32767).astype(np.int16),
        **vars(targets),
    }


def write_voice(
    checkpoint: Checkpoint, speech: SpeechFolder, name: str, hours: float, out: Path
) -> None:
    """Write the folder of a voice, under another name until it is complete."""
    held_out = set(read_sentences())
    shortest = SHORTEST_S * speech.sample_rate
    own = [
        utterance
        for utterance in speech.utterances
        if utterance.voice == name
        and utterance.num_samples > shortest
        and utterance.text not in held_out
    ]
    order = np.random.default_rng(0).permutation(len(own))
    voice = voice_parts(checkpoint, speech, own)
    wanted = hours * 3600 * speech.sample_rate
    parts: list[dict[str, np.ndarray]] = []
    spoken = 0
    with Progress() as progress:
        task = progress.add_task(name, total=wanted)
        for seed, index in enumerate(order):
            if spoken >= wanted:
                break
            parts.append(arrays_of(checkpoint, speech, own[index], voice, seed))
            spoken += own[index].num_samples
            progress.update(task, completed=min(spoken, wanted))
    partial = out / f"{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for key in parts[0]:
        np.save(partial / f"{key}.npy", np.concatenate([part[key] for part in parts]))
    starts = np.cumsum([0, *(len(part["codes"]) for part in parts)])
    np.save(partial / "starts.npy", starts)
    os.replace(partial, out / name)
    print(f"{name}: {len(parts)} utterances, {spoken / speech.sample_rate / 60:.0f} minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("speech", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hours", type=float, default=1.0, help="of each voice (%(default)s)")
    parser.add_argument("--voice", action="append", help="only this one; may be repeated")
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = load(args.model, device=torch.device("cpu"), dtype=torch.float32)
    speech = SpeechFolder(args.speech, checkpoint.codec.config.sample_rate)
    for name in args.voice or sorted({utterance.voice for utterance in speech.utterances}):
        if not (args.out / name).exists():
            write_voice(checkpoint, speech, name, args.hours, args.out)


if __name__ == "__main__":
    main()
