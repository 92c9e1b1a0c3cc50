"""The description of a voice that every protocol uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote


@dataclass(frozen=True, kw_only=True)
class VoiceInfo:
    """A voice that clients can request by id or by name.

    Attributes:
        language: a BCP 47 tag, such as "en".
        origin: "builtin" voices come with the model.
        created_at: seconds since 1970; 0 for built-in voices.
    """

    id: str
    name: str
    language: str = "en"
    description: str = ""
    origin: Literal["builtin", "uploaded"]
    created_at: int = 0

    @property
    def preview_url(self) -> str:
        """Path of a sample sentence, relative to the server's root."""
        return f"/v1/audio/voices/{quote(self.id, safe='')}/preview"
