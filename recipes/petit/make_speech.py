"""Step 1 of the recipe for `petit`: a voice speaks sentences and dialogues; its alignment stays.

    SPEAK="python recipes/petit/make_speech.py SENTENCES.txt LEXICON.txt.gz OUT"
    $SPEAK --part 0 --of 2                                        # all sentences, by "heart"
    $SPEAK --voice bruno --hours 5 --dialogues DIALOGUES.jsonl

The voices are those of voices.toml; "heart" is hibari-tts as it is. All texts are read by
causerie's own lexicon, so that training and use see the same phonemes. A voice speaks its turns of
the dialogues first, all of them, and then sentences until its hours are full. Written to OUT:

    bruno0.i16    all waveforms, 24 kHz, 16 bit, one after another
    bruno0.jsonl  one line an utterance: text, phonemes, voice, start, num_samples, trimmed_s, and
                  for each 25 ms the index of the symbol spoken then (the teacher's inputs are the
                  phonemes with a silence on each side); in a dialogue also conversation and turn

Killed and started again with the same arguments, it goes on after the last whole utterance.
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
PEAK = 0.7  # waveforms are scaled to this peak at most
SILENCE = 0.004  # below this level the ends are trimmed …
LEAD_S, TAIL_S = 0.06, 0.16  # … to so much silence


@dataclass(frozen=True)
class Line:
    """What a voice is to say.

    Attributes:
        seed: of the teacher's noise.
        conversation, turn: its place in a dialogue; None for a sentence by itself.
    """

    text: str
    seed: int
    conversation: str | None = None
    turn: int | None = None


def tidy(wave: np.ndarray) -> tuple[np.ndarray, int]:
    """The speech without long silences at its ends, no louder than PEAK; and where it started."""
    factor = min(1.0, PEAK / (np.abs(wave).max() + 1e-9))
    loud = np.flatnonzero(np.abs(wave) > SILENCE)
    if not len(loud):
        return wave * factor, 0
    start = max(0, int(loud[0] - LEAD_S * SAMPLE_RATE))
    return wave[start : int(loud[-1] + TAIL_S * SAMPLE_RATE)] * factor, start


def turns_of(voice: str, dialogues: Path, voices: dict[str, Voice]) -> Iterator[Line]:
    """What a voice says in the dialogues that it is cast in."""
    for number, row in enumerate(dialogues.read_text("utf-8").splitlines()):
        dialogue = json.loads(row)
        names = dict(zip("ab", cast(dialogue["conversation"], voices), strict=True))
        for turn, said in enumerate(dialogue["turns"]):
            if names[said["speaker"]] == voice:
                yield Line(said["text"], number, dialogue["conversation"], turn)


def sentences_of(voice: str, sentences: Path) -> list[Line]:
    """All sentences, in an order of the voice's own."""
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
    parser.add_argument("--dialogues", type=Path, help="what dialogues.py printed")
    parser.add_argument("--hours", type=float, help="of speech, then it is enough; default: all")
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
            if not speaker.knows(phonemes):  # a word that it cannot read
                if line.conversation is not None:
                    sys.exit(f"{args.voice} cannot read {line.text!r} in {line.conversation}")
                skipped += 1
                continue
            spoken += 1
            if spoken <= len(done):
                if done[spoken - 1] != line.text:
                    sys.exit(f"{index_path} was made of other texts: remove it to start anew")
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
