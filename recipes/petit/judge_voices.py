"""Measures the voices of voices.toml, or a model's voices beside those that it learned from.

    python recipes/petit/judge_voices.py LEXICON.txt.gz --count 24 --save sounds/
    python recipes/petit/judge_voices.py LEXICON.txt.gz --model petit --voice heart --voice bruno

Each voice speaks the first held-out sentences. Uses Whisper base, DNSMOS and Resemblyzer, as
`causerie eval` does, and prints two Markdown tables: word errors, quality, speed, the median of the
pitch with its deviation in semitones, and seconds a sentence; and cosines, which are means over all
pairs of sentences, on the diagonal over pairs of different sentences.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from make_speech import SAMPLE_RATE, tidy
from rich.progress import track
from voices import Speaker, Voice, read_voices

from causerie.audio.audio import Audio
from causerie.audio.pitch import track_pitch
from causerie.evaluate.dnsmos import NAMES
from causerie.evaluate.sentences import read_sentences
from causerie.evaluate.tools import Tools
from causerie.recognition.words import compare
from causerie.text.pronounce import Lexicon
from causerie.tts import TTS

HEAD = (
    "| voice | sex | WER % | CER % | DNSMOS OVRL / SIG / BAK | P.808 | RTF "
    "| pitch Hz | ± semitones | s | within |"
)


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


def speak_by_model(tts: TTS, voice: str, texts: list[str]) -> tuple[list[Audio], float]:
    """The same by a model's voice."""
    tts.generate(texts[0], voice=voice, seed=0)  # the first call is slower
    before = time.process_time()
    sounds = [tts.generate(text, voice=voice, seed=n) for n, text in enumerate(texts)]
    took = time.process_time() - before
    return sounds, took / sum(sound.duration_s for sound in sounds)


def pitch_of(sounds: list[Audio]) -> tuple[float, float]:
    """The median pitch in Hz of voiced sound, and the deviation from it in semitones."""
    tracks = [track_pitch(sound.samples, sound.sample_rate) for sound in sounds]
    hz = np.concatenate([track.hz[track.voiced] for track in tracks])
    median = float(np.median(hz))
    return median, float(np.std(12 * np.log2(hz / median)))


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
    parser.add_argument("--model", help="its voices too, each after the one it learned from")
    parser.add_argument("--save", type=Path, help="keep the sounds in this folder")
    args = parser.parse_args()
    torch.set_num_threads(1)
    lexicon, texts = Lexicon.load(args.lexicon), read_sentences()[: args.count]
    tools = Tools(threads=1)
    voices = read_voices()
    tts = TTS.from_pretrained(args.model) if args.model else None
    judged = [
        (name, model)
        for name in args.voice or [*voices]
        for model in ([None] if tts is None else [None, tts])
    ]
    vectors, rows = {}, []
    for voice, model in track(judged, "judging", disable=not sys.stderr.isatty()):
        if model is None:
            name = voice
            sounds, rtf = speak(voices[voice], texts, lexicon)
        elif voice in model.voices:
            name = f"{voice}, {args.model}"
            sounds, rtf = speak_by_model(model, voice, texts)
        else:
            continue
        if args.save:
            (args.save / name).mkdir(parents=True, exist_ok=True)
            for number, sound in enumerate(sounds, 1):
                sound.save(args.save / name / f"{number:03d}.wav")
        words = compare(texts, [tools.transcript(sound) for sound in sounds])
        opinions = [tools.opinion(sound) for sound in sounds]
        mean = {key: float(np.mean([opinion[key] for opinion in opinions])) for key in NAMES}
        vectors[name] = np.stack([tools.encoder(sound) for sound in sounds])
        pitch, deviation = pitch_of(sounds)
        seconds = sum(sound.duration_s for sound in sounds) / len(sounds)
        rows.append(
            f"| {name} | {voices[voice].sex} | {words.wer:.1%} | {words.cer:.1%} "
            f"| {mean['ovrl']:.2f} / {mean['sig']:.2f} / {mean['bak']:.2f} | {mean['p808']:.2f} "
            f"| {rtf:.3f} | {pitch:.0f} | {deviation:.1f} | {seconds:.2f} "
            f"| {cosine(vectors[name], vectors[name]):.2f} |".replace("%", "")
        )
    print("\n".join([HEAD, "|---" * HEAD.count(" |") + "|", *rows, ""]))
    print("| |" + "|".join(vectors) + "|\n" + "|---" * (len(vectors) + 1) + "|")
    for name, own in vectors.items():
        values = (f"{cosine(own, other):.2f}" for other in vectors.values())
        print(f"|{name}|{'|'.join(values)}|")


if __name__ == "__main__":
    main()
