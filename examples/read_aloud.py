"""Reads a text file aloud into one sound file per paragraph.

python examples/read_aloud.py story.txt story
"""

import argparse
from pathlib import Path

from causerie import TTS

parser = argparse.ArgumentParser(description="Read a text file aloud, a sound file per paragraph.")
parser.add_argument("text", type=Path, help="text file; blank lines separate paragraphs")
parser.add_argument("folder", type=Path, help="folder for the sound files")
parser.add_argument("--voice", default="heart", help="a voice of the model")
args = parser.parse_args()

text = args.text.read_text(encoding="utf-8")
paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
args.folder.mkdir(parents=True, exist_ok=True)
tts = TTS.from_pretrained()
for number, paragraph in enumerate(paragraphs, 1):
    audio = tts.generate(paragraph, voice=args.voice, seed=number)
    path = audio.save(args.folder / f"{number:03}.flac")
    print(f"{path}: {audio.duration_s:.1f} s")
