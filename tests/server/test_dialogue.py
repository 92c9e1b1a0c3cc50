"""Lines of a dialogue as the context of later lines."""

from __future__ import annotations

from pathlib import Path

import httpx

from causerie.tts import TTS
from tests import tiny
from tests.patience import PATIENCE_S
from tests.server.running import running


def test_a_line_that_fills_all_positions_is_no_context(tmp_path: Path) -> None:
    """The tiny model speaks until its positions are full, and so do the lines after it."""

    def say(*texts: str) -> int:
        turns = [{"voice": "0", "text": text, "pause_s": 0} for text in texts]
        answer = httpx.post(
            f"{server.http}/v1/audio/dialogue",
            json={"turns": turns, "seed": 1, "response_format": "pcm"},
            timeout=PATIENCE_S,
        )
        assert answer.status_code == 200
        return len(answer.content)

    with running(tmp_path, TTS(tiny.checkpoint())) as server:
        alone = say("Hello.")
        assert say("Hello.", "Hello.", "Hello.") > 2.5 * alone
