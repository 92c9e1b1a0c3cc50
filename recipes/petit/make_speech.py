"""Speaks sentences and dialogues in a voice, and writes audio with phoneme alignment.

    SPEAK="python recipes/petit/make_speech.py SENTENCES.txt LEXICON.txt.gz OUT"
    $SPEAK --part 0 --of 2                                        # all sentences, by "heart"
    $SPEAK --voice bruno --hours 5 --dialogues DIALOGUES.jsonl

The voices are those of voices.toml; "heart" is hibari-tts unchanged. All texts are read with
causerie's own lexicon, so that training and inference have the same phonemes. A voice speaks all
its dialogue turns, then sentences up to its hours. Output:

    bruno0.i16    all waveforms, 24 kHz, 16 bit, one after another
    bruno0.jsonl  one line per utterance: text, phonemes, voice, start, num_samples, trimmed_s, and
                  durations: the index of the symbol spoken in each 25 ms step (the teacher's input
                  is the phonemes with a silence on each side); in dialogues also conversation, turn

A killed run, started again with the same arguments, resumes after the last complete utterance.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress
from speech_part import resume
from voices import Speaker, Voice, cast, read_voices

from causerie.text.pronounce import Lexicon

SAMPLE_RATE = 24_000
PEAK = 0.7  # louder waveforms are scaled down to this peak
SILENCE = 0.004  # level below which the ends are trimmed
LEAD_S, TAIL_S = 0.06, 0.16  # silence that stays at the start and the end


@dataclass(frozen=True)
class Line:
    """A text to speak.

    Attributes:
        seed: seed of the teacher's noise.
        conversation, turn: its place in a dialogue; None for a single sentence.
    """

    text: str
    seed: int
    conversation: str | None = None
    turn: int | None = None


def tidy(wave: np.ndarray) -> tuple[np.ndarray, int]:
    """The speech without long silences at its ends, at most as loud as PEAK, and its start."""
    factor = min(1.0, PEAK / (np.abs(wave).max() + 1e-9))
    loud = np.flatnonzero(np.abs(wave) > SILENCE)
    if not len(loud):
        return wave * factor, 0
    start = max(0, int(loud[0] - LEAD_S * SAMPLE_RATE))
    return wave[start : int(loud[-1] + TAIL_S * SAMPLE_RATE)] * factor, start


def turns_of(voice: str, dialogues: Path, voices: dict[str, Voice]) -> Iterator[Line]:
    """The turns of a voice in all dialogues."""
    for number, line in enumerate(dialogues.read_text("utf-8").splitlines()):
        dialogue = json.loads(line)
        names = dict(zip("ab", cast(dialogue["conversation"], voices), strict=True))
        for turn, row in enumerate(dialogue["turns"]):
            if names[row["speaker"]] == voice:
                yield Line(row["text"], number, dialogue["conversation"], turn)


def sentences_of(voice: str, sentences: Path) -> list[Line]:
    """All sentences, in a random order that depends on the voice."""
    texts = sentences.read_text("utf-8").splitlines()
    lines = [Line(text, number) for number, text in enumerate(texts)]
    random.Random(voice).shuffle(lines)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sentences", type=Path)
    parser.add_argument("lexicon", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--voice", default="heart", choices=[*read_voices()])
    parser.add_argument("--dialogues", type=Path, help="output of dialogues.py")
    parser.add_argument("--hours", type=float, help="stop after this much speech; default: all")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--of", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    voices = read_voices()
    speaker, lexicon = Speaker(voices[args.voice]), Lexicon.load(args.lexicon)
    turns = [*turns_of(args.voice, args.dialogues, voices)] if args.dialogues else []
    lines = (turns + sentences_of(args.voice, args.sentences))[args.part :: args.of]
    enough = args.hours * 3600 * SAMPLE_RATE / args.of if args.hours else float("inf")
    audio_path, index_path = (
        args.out / f"{args.voice}{args.part}{extension}" for extension in (".i16", ".jsonl")
    )
    done, start = resume(audio_path, index_path)
    spoken = skipped = 0
    with (
        audio_path.open("ab") as audio,
        index_path.open("a", encoding="utf-8") as index,
        Progress() as progress,
    ):
        task = progress.add_task(args.voice, total=min(enough, 1e18))
        for line in lines:
            if spoken >= len(done) and start >= enough and line.conversation is None:
                break
            phonemes = lexicon.read(line.text).phonemes
            if not speaker.knows(phonemes):  # a word with unknown symbols
                if line.conversation is not None:
                    sys.exit(f"{args.voice} cannot read {line.text!r} in {line.conversation}")
                skipped += 1
                continue
            spoken += 1
            if spoken <= len(done):
                if done[spoken - 1] != line.text:
                    sys.exit(f"{index_path} was made from other texts: delete it to start again")
                continue
            wave, durations = speaker(phonemes, line.seed)
            wave, first = tidy(wave)
            audio.write((wave * 32767).astype("<i2").tobytes())
            row = {
                "text": line.text,
                "phonemes": phonemes,
                "voice": args.voice,
                "start": start,
                "num_samples": len(wave),
                "trimmed_s": first / SAMPLE_RATE,
                "durations": durations,
            }
            if line.conversation is not None:
                row |= {"conversation": line.conversation, "turn": line.turn}
            index.write(json.dumps(row, ensure_ascii=False) + "\n")
            audio.flush(), index.flush()
            start += len(wave)
            progress.update(task, completed=start)
    print(
        f"{args.voice}: {start / SAMPLE_RATE / 3600:.2f} h of speech, {spoken} utterances; "
        f"{skipped} sentences with unknown words left out"
    )


if __name__ == "__main__":
    main()
