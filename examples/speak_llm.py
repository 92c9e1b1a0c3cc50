"""Speaks the answer of a language model while the model is still writing it.

python examples/speak_llm.py                  # a prepared answer, into answer.wav
python examples/speak_llm.py --play --base-url http://127.0.0.1:11434/v1 --model llama3.2
"""

import argparse
from collections.abc import Iterator

from causerie import TTS

QUESTION = "Why is the sky blue? Answer in two sentences."
ANSWER = "Sunlight holds all colors. The air spreads the blue part over the whole sky."

parser = argparse.ArgumentParser(description="Speak a language model's answer as it is written.")
parser.add_argument("--base-url", help="address of an OpenAI-compatible server")
parser.add_argument("--model", help="name of the language model on that server")
parser.add_argument("--play", action="store_true", help="play it; needs the package sounddevice")
args = parser.parse_args()


def answer() -> Iterator[str]:
    """Parts of the answer as they arrive."""
    if args.base_url is None:
        yield from (word + " " for word in ANSWER.split())
        return
    from openai import OpenAI

    messages = [{"role": "user", "content": QUESTION}]
    chat = OpenAI(base_url=args.base_url, api_key="not needed").chat.completions
    for chunk in chat.create(model=args.model, messages=messages, stream=True):
        yield chunk.choices[0].delta.content or ""


speech = TTS.from_pretrained().stream(answer(), seed=1)
if args.play:
    import sounddevice

    with sounddevice.OutputStream(samplerate=speech.sample_rate, channels=1) as loudspeaker:
        for pcm in speech:
            loudspeaker.write(pcm)
print(f"wrote {speech.collect().save('answer.wav')}")
