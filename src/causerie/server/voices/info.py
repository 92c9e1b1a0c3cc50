"""What every protocol tells of a voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote


@dataclass(frozen=True, kw_only=True)
class VoiceInfo:
    """A voice that can be asked for, by its id or by its name.

    Attributes:
        language: a BCP 47 tag, such as "en".
        origin: "builtin" comes with the model.
        created_at: seconds since 1970; 0 for what comes with the model.
    """

    id: str
    name: str
    language: str = "en"
    description: str = ""
    origin: Literal["builtin", "uploaded"]
    created_at: int = 0

    @property
    def preview_url(self) -> str:
        """Where it says a sentence, from the server's root."""
        return f"/v1/audio/voices/{quote(self.id, safe='')}/preview"
