"""What answers in a conversation: `GET /v1/realtime`, which the page shows."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from causerie.checkpoint import hub
from causerie.extras import is_installed
from causerie.recognition.whisper import HUB_BASE, has_packaged_weights
from causerie.server.state import state_of

router = APIRouter(tags=["speech"])

#: What hears turns, and recognizes their words.
PACKAGES = ("faster_whisper", "onnxruntime")


class Partner(BaseModel):
    """What a conversation by the WebSocket of the same address has."""

    llm: str | None = Field(
        description="The language model that answers; null: the user's words are said back."
    )
    missing: str | None = Field(
        description="What to install before the server can hear; null: nothing."
    )


@router.get("/v1/realtime")
async def partner(request: Request) -> Partner:
    """Say what answers in a conversation, and whether the server can hear."""
    settings = state_of(request).settings
    missing = None
    if not can_hear(settings.recognizer):
        missing = (
            'the server cannot hear yet: pip install "causerie[server,talk]", and start it again'
        )
    return Partner(llm=settings.llm_model or None, missing=missing)


def can_hear(recognizer: str) -> bool:
    """Whether all is there that hearing needs.

    Args:
        recognizer: of the settings. If it is "auto", Whisper base must be there, from its packages
            or from the hub; the server has loaded any other one when it started.
    """
    if not all(map(is_installed, PACKAGES)):
        return False
    return recognizer != "auto" or has_packaged_weights() or bool(hub.cached(HUB_BASE, "model.bin"))
