"""Step 1 of the recipe for `petit`: speak sentences with the teacher, and keep its alignment.

    python recipes/petit/make_speech.py SENTENCES.txt LEXICON.txt.gz OUT --part 0 --of 2

The teacher is hibari-tts (Apache-2.0), voice "heart". Each sentence is read by causerie's own
lexicon, so that training and use see the same phonemes. Written to OUT:

    part0.i16    all waveforms, 24 kHz, 16 bit, one after another
    part0.jsonl  one line a sentence: text, phonemes, start, num_samples, trimmed_s, and for each
                 25 ms the index of the symbol spoken then (the teacher's inputs are the phonemes
                 with a silence on each side)

Killed and started again with the same arguments, it goes on after the last whole utterance.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import hibari
import numpy as np
import onnx
import onnxruntime
from hibari import dsp
from rich.progress import track
from speech_part import resume

from causerie.text.pronounce import Lexicon

DURATIONS = "/ReduceSum_1_output_0"  # the node of the teacher's graph that holds them
PEAK = 0.7  # waveforms are scaled to this peak at most
SILENCE = 0.004  # below this level the ends are trimmed …
LEAD_S, TAIL_S = 0.06, 0.16  # … to so much silence


class Teacher:
    """Phonemes → waveform and durations, on one thread."""

    def __init__(self) -> None:
        assets = Path(hibari.__file__).parent / "assets"
        graph = onnx.load(str(assets / "hibari.onnx"))
        graph.graph.output.append(
            onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.INT64, None)
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
        self.vocab = json.loads((assets / "vocab.json").read_text("utf-8"))

    def __call__(self, phonemes: str, seed: int) -> tuple[np.ndarray, list[int]]:
        ids = [0, *(self.vocab[symbol] for symbol in phonemes), 0]
        *parts, durations = self.session.run(
            None, {"ids": np.asarray([ids]), "speed": np.ones(1, np.float32)}
        )
        wave = dsp.synth(*(part[0] for part in parts), np.random.default_rng(seed))
        return wave, durations.ravel().tolist()


def tidy(wave: np.ndarray) -> tuple[np.ndarray, int]:
    """The speech without long silences at its ends, no louder than PEAK; and where it started."""
    factor = min(1.0, PEAK / (np.abs(wave).max() + 1e-9))
    loud = np.flatnonzero(np.abs(wave) > SILENCE)
    if not len(loud):
        return wave * factor, 0
    start = max(0, int(loud[0] - LEAD_S * 24000))
    return wave[start : int(loud[-1] + TAIL_S * 24000)] * factor, start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sentences", type=Path)
    parser.add_argument("lexicon", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--of", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    teacher, lexicon = Teacher(), Lexicon.load(args.lexicon)
    sentences = args.sentences.read_text("utf-8").splitlines()
    audio_path, index_path = (args.out / f"part{args.part}{ext}" for ext in (".i16", ".jsonl"))
    done, start = resume(audio_path, index_path)
    spoken = skipped = 0
    with audio_path.open("ab") as audio, index_path.open("a", encoding="utf-8") as index:
        for number in track(range(args.part, len(sentences), args.of), "speaking"):
            text = sentences[number]
            phonemes = lexicon.read(text).phonemes
            if any(symbol not in teacher.vocab for symbol in phonemes):  # a word it cannot read
                skipped += 1
                continue
            spoken += 1
            if spoken <= len(done):
                if done[spoken - 1] != text:
                    sys.exit(f"{index_path} was made of other sentences: remove it to start anew")
                continue
            wave, durations = teacher(phonemes, seed=number)
            wave, first = tidy(wave)
            audio.write((wave * 32767).astype("<i2").tobytes())
            row = {
                "text": text,
                "phonemes": phonemes,
                "start": start,
                "num_samples": len(wave),
                "trimmed_s": first / 24000,
                "durations": durations,
            }
            index.write(json.dumps(row, ensure_ascii=False) + "\n")
            audio.flush(), index.flush()
            start += len(wave)
    print(
        f"{start / 24000 / 3600:.2f} h of speech; {skipped} sentences with unknown words left out"
    )


if __name__ == "__main__":
    main()
