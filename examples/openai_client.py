"""Speaks through a running causerie server with OpenAI's client.

causerie serve                                # in another terminal
python examples/openai_client.py
"""

import sys
import time

from openai import OpenAI

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
client = OpenAI(base_url=address, api_key="not needed")

# A whole file.
speech = client.audio.speech.create(model="petit", voice="alloy", input="Hello from the server.")
speech.write_to_file("server.mp3")

# A stream: the first sound arrives long before the last.
started = time.perf_counter()
num_bytes = 0
with client.audio.speech.with_streaming_response.create(
    model="petit",
    voice="theo",
    input="A long text starts at once. You hear its first words while the rest is computed.",
    response_format="pcm",
) as response:
    for chunk in response.iter_bytes():
        if num_bytes == 0:
            print(f"first sound after {1000 * (time.perf_counter() - started):.0f} ms")
        num_bytes += len(chunk)
print(f"{num_bytes / 2 / 24_000:.1f} s of speech")
