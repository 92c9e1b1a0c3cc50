"""Speaks several texts at the same time with asyncio; one engine computes them together.

python examples/many_replies.py
"""

import asyncio

import numpy as np

from causerie import TTS, Audio

TEXTS = {
    "heart": "The first train goes at seven in the morning.",
    "theo": "The second one is faster, but it leaves later.",
    "clara": "It is a nice day for a walk.",
    "bruno": "Then we will meet at the station.",
}


async def speak(tts: TTS, voice: str, text: str) -> str:
    """Write one reply to a file; describe it."""
    speech = await tts.astream(text, voice=voice, seed=1)
    pieces = [pcm async for pcm in speech]
    audio = Audio(samples=np.concatenate(pieces), sample_rate=speech.sample_rate)
    audio.save(f"{voice}.wav")
    return f"{voice}: {audio.duration_s:.1f} s, first sound after {speech.first_sound_ms:.0f} ms"


async def main() -> None:
    """Speak all texts."""
    tts = TTS.from_pretrained()
    for line in await asyncio.gather(*(speak(tts, *item) for item in TEXTS.items())):
        print(line)
    await tts.aclose()


asyncio.run(main())
