"""Speaks a dialogue of two speakers, each of whom hears what was said before.

python examples/dialogue.py
"""

import numpy as np

from causerie import TTS, Audio, Segment

LINES = [
    ("heart", "Good morning! Did you sleep well?"),
    ("theo", "Not really. The rain kept me awake."),
    ("heart", "Then let us have some coffee first."),
    ("theo", "That is a very good idea."),
]
SPEAKERS = {"heart": 0, "theo": 1}  # a number per voice tells the two apart

tts = TTS.from_pretrained()
pause = np.zeros(tts.sample_rate // 4, np.float32)
said: list[Segment] = []
samples = []
for seed, (name, text) in enumerate(LINES):
    speaker = SPEAKERS[name]
    if any(segment.speaker == speaker for segment in said):
        # The model continues in the voice that spoke under this number before.
        audio = tts.generate(text, voice=speaker, context=said, seed=seed)
    else:
        audio = tts.generate(text, voice=name, seed=seed)
    said.append(Segment(speaker=speaker, text=text, codes=audio.codes))
    samples += [audio.samples, pause]

path = Audio(samples=np.concatenate(samples), sample_rate=tts.sample_rate).save("dialogue.wav")
print(f"wrote {path}")
