"""Makes a voice from a recording and its transcript, and speaks with it.

A voice belongs to a person: use a recording of yourself, or of somebody who agreed.

python examples/own_voice.py me.wav "What I say in the recording." --consent "Me"
"""

import argparse
from pathlib import Path

from causerie import TTS, Segment
from causerie.consent import QUESTION, missing

parser = argparse.ArgumentParser(description="Make a voice from a recording of 5 to 10 seconds.")
parser.add_argument("recording", type=Path, help="sound file of one person")
parser.add_argument("transcript", help="the words of the recording")
parser.add_argument("--consent", help=f"{QUESTION} If so, who, and how; kept in the voice")
args = parser.parse_args()
if not args.consent:
    parser.error(missing(args.recording, 'say who, and how: --consent "NAME, how"'))

tts = TTS.from_pretrained()
recorded = Segment(speaker=0, text=args.transcript, audio=args.recording)
voice = tts.make_voice(args.recording.stem, [recorded]).with_consent(args.consent)
print(f"wrote {voice.save(f'{voice.name}.safetensors')}")  # for later: voice="me.safetensors"

audio = tts.generate("This is a sentence that I never said.", voice=voice, seed=1)
print(f"wrote {audio.save(f'{voice.name}-speaks.wav')}")
