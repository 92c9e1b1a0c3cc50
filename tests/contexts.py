"""What replies are given as context."""

from __future__ import annotations

from typing import Any

import pytest

from causerie.prompt import Segment
from causerie.tts import TTS


def recorded(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> list[list[Segment]]:
    """The contexts of all replies to come, oldest first."""
    contexts: list[list[Segment]] = []
    astream = tts.astream

    async def spied(text: Any, **options: Any) -> Any:
        contexts.append(list(options["context"]))
        return await astream(text, **options)

    monkeypatch.setattr(tts, "astream", spied)
    return contexts
