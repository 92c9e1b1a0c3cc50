"""OpenAI's agents for JavaScript, unmodified, over WebSocket with our server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.clients.assistant import ANSWER, ARGUMENTS, DISTANCE, QUESTION, RATE, STORY, Assistant

PROGRAM = Path(__file__).parent / "node" / "realtime.mjs"


def test_openai_agents_talk(
    assistant: Assistant, asked_aloud: np.ndarray, hears: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "question.pcm").write_bytes(asked_aloud.tobytes())
    done = subprocess.run(
        ["node", str(PROGRAM), assistant.websocket, str(tmp_path / "question.pcm"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert told["spoken"]["events"] == [f"said {ANSWER}"]
    assert told["spoken"]["history"] == [
        ["user", "completed", QUESTION],
        ["assistant", "completed", ANSWER],
    ]
    assert told["spoken"]["usage"]["outputTokens"] > 0
    hears((tmp_path / "answer.pcm").read_bytes(), ANSWER, rate=RATE)

    by_program, by_speech = told["interrupted"]
    assert by_program["events"][0] == by_speech["events"][0] == "interrupted"
    for one in (by_program, by_speech):
        (_, _, request), (role, status, heard) = one["history"][:2]
        assert (request, role, status) == ("Tell me a story.", "assistant", "incomplete")
        assert STORY.startswith(heard)
        assert len(heard) < len(STORY) / 2
    assert by_speech["history"][2:] == [
        ["user", "completed", QUESTION],
        ["assistant", "completed", ANSWER],
    ]

    assert told["called"]["events"] == ["tool distance", "said ", f"said {DISTANCE}"]
    assert told["called"]["calls"] == [ARGUMENTS]
    (item,) = told["called"]["items"]
    assert (item["name"], item["status"], item["output"]) == (
        "distance",
        "completed",
        "six hundred metres",
    )
    assert assistant.asked[-1]["messages"][-1]["content"] == "six hundred metres"
