"""Runs the programs on the page's API tab with a real server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipecat.frames.frames import (
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TextFrame,
    TTSAudioRawFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from causerie.server.routes.page import FOLDER
from tests.clients.conftest import TEXT
from tests.clients.test_node import samples
from tests.server.process import Served

NODE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def snippets(server: Served) -> dict[str, str]:
    """The programs by id, for the default voice."""
    state = {
        "base": f"{server.url}/",
        "text": TEXT,
        "voice": "heart",
        "model": "petit",
        "extra": {"seed": 1},
    }
    program = f"""
        import {{ snippets }} from {json.dumps((FOLDER / "snippets.js").as_uri())};
        console.log(JSON.stringify(snippets({json.dumps(state)})));
    """
    output = subprocess.run(
        ["node", "--no-warnings", "--input-type=module", "--eval", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {snippet["id"]: snippet["code"] for snippet in json.loads(output.stdout)}


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("curl", ["bash", "-euc"]),
        ("python", [sys.executable, "-c"]),
        ("javascript", ["node", "--input-type=module", "--eval"]),
    ],
)
def test_the_program_saves_the_speech(
    kind: str,
    command: list[str],
    snippets: dict[str, str],
    hears: Callable[..., None],
    tmp_path: Path,
) -> None:
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    done = subprocess.run(
        [*command, snippets[kind]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{snippets[kind]}\n{done.stderr}"
    hears(samples(tmp_path / "speech.mp3"), rate=24_000)


def test_pipecat_speaks(snippets: dict[str, str], hears: Callable[..., None]) -> None:
    names: dict[str, Any] = {}
    exec(snippets["pipecat"], names)
    parts = [TextFrame(text=f"{word} ") for word in TEXT.split()]
    frames = [
        LLMFullResponseStartFrame(),
        *parts,
        LLMFullResponseEndFrame(),
        SleepFrame(sleep=8.0),
    ]
    down, _ = asyncio.run(run_test(names["tts"], frames_to_send=frames))
    audio = [frame for frame in down if isinstance(frame, TTSAudioRawFrame)]
    hears(b"".join(frame.audio for frame in audio), rate=audio[0].sample_rate)


def test_livekit_speaks(snippets: dict[str, str], hears: Callable[..., None]) -> None:
    async def spoken() -> bytes:
        names: dict[str, Any] = {}
        exec(snippets["livekit"], names)
        async with names["tts"] as tts, tts.synthesize(TEXT) as stream:
            return b"".join([bytes(event.frame.data) async for event in stream])

    hears(asyncio.run(spoken()), rate=24_000)


def test_home_assistant_reads_the_action(snippets: dict[str, str]) -> None:
    action = yaml.safe_load(snippets["home-assistant"])
    assert action["action"] == "tts.speak"
    assert action["data"]["message"] == TEXT
    assert action["data"]["options"] == {"voice": "heart"}
