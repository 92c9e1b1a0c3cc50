"""Writes a folder of recordings with transcripts for `causerie finetune`, from synthetic speech.

    python recipes/petit/recordings.py SPEECH leon OUT --minutes 5

SPEECH is the output folder of make_speech.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from codec_training.aligned_speech import SpeechFolder

from causerie.audio.audio import Audio

SAMPLE_RATE = 24_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("voice")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5, help="length (%(default)s)")
    args = parser.parse_args()
    speech = SpeechFolder(args.speech, SAMPLE_RATE)
    args.out.mkdir(parents=True, exist_ok=True)
    spoken = count = 0
    for utterance in speech.utterances:
        if utterance.voice != args.voice or spoken >= args.minutes * 60 * SAMPLE_RATE:
            continue
        spoken, count = spoken + utterance.num_samples, count + 1
        samples = speech.waveform(utterance, 0, utterance.num_samples)
        sound = Audio(samples=samples, sample_rate=SAMPLE_RATE)
        sound.save(args.out / f"{count:03d}.flac")
        (args.out / f"{count:03d}.txt").write_text(utterance.text + "\n", "utf-8")
    print(f"{args.voice}: {count} recordings, {spoken / SAMPLE_RATE / 60:.1f} minutes")


if __name__ == "__main__":
    main()
