"""OpenAI's and Vercel's clients for Node."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from tests.clients.conftest import TEXT
from tests.server.process import Served

PROGRAM = Path(__file__).parent / "node" / "speak.mjs"


def samples(path: Path) -> bytes:
    """The 16-bit samples at 24 kHz of a file of any format."""
    to_s16 = av.AudioResampler(format="s16", layout="mono", rate=24_000)
    with av.open(str(path)) as container:
        frames = [made for frame in container.decode(audio=0) for made in to_s16.resample(frame)]
    frames += to_s16.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).tobytes()


def test_node_clients_receive_every_format(
    server: Served, hears: Callable[..., None], tmp_path: Path
) -> None:
    done = subprocess.run(
        ["node", str(PROGRAM), server.url, TEXT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in "openai.mp3 openai.opus openai.aac openai.flac openai.wav ai.wav".split():
        hears(samples(tmp_path / name), rate=24_000)
    hears((tmp_path / "openai.pcm").read_bytes(), rate=24_000)


def test_elevenlabs_client_for_node(server: Served) -> None:
    program = Path(__file__).parent / "node" / "elevenlabs.mjs"
    done = subprocess.run(
        ["node", str(program), server.url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
