"""The settings of a session, which its client changes by `session.update`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from causerie.server.realtime.hearing import Hearing
from causerie.server.realtime.ids import new_id
from causerie.server.realtime.messages import RATES, Audio, NamedTool, Session, Tool


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """How responses sound.

    Attributes:
        voice: None: the only one, of a model whose voices have no names.
        kind: format of the sound.
    """

    voice: str | None
    kind: str = "audio/pcm"
    speed: float = 1.0

    def changed(self, audio: Audio | None) -> OutputSettings:
        """The settings with those that a client gives.

        Raises:
            ApiError: the rate does not fit the format.
        """
        options = None if audio is None else audio.output
        if options is None:
            return self
        kind, voice = self.kind, self.voice
        if options.format is not None:
            options.format.check_rate("audio.output.format.rate")
            kind = options.format.type
        if options.voice is not None:
            voice = options.voice if isinstance(options.voice, str) else options.voice.id
        speed = self.speed if options.speed is None else options.speed
        return OutputSettings(voice=voice, kind=kind, speed=speed)

    def json(self) -> dict[str, Any]:
        """The settings in OpenAI's format."""
        return {
            "format": {"type": self.kind, "rate": RATES[self.kind]},
            "voice": self.voice,
            "speed": self.speed,
        }


class SessionSettings:
    """All settings of a session.

    Args:
        model: as the client names it.
        voice: of responses, until the client names one.

    Attributes:
        conversation: its id.
    """

    def __init__(self, model: str, voice: str | None) -> None:
        self.name, self.conversation = new_id("sess"), new_id("conv")
        self.model, self.instructions = model, ""
        self.hearing, self.output = Hearing(), OutputSettings(voice=voice)
        self.tools: list[Tool] = []
        self.tool_choice: str | NamedTool = "auto"
        self.max_output_tokens: int | str = "inf"

    def update(self, options: Session, hearing: Hearing, output: OutputSettings) -> None:
        """Change what a client gives.

        Args:
            hearing, output: as `options.audio` changes them.
        """
        self.hearing, self.output = hearing, output
        if options.instructions is not None:
            self.instructions = options.instructions
        if options.tools is not None:
            self.tools = options.tools
        self.tool_choice = options.tool_choice or self.tool_choice
        self.max_output_tokens = options.max_output_tokens or self.max_output_tokens

    def json(self) -> dict[str, Any]:
        """The session in OpenAI's format."""
        choice = self.tool_choice
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.name,
            "model": self.model,
            "output_modalities": ["audio"],
            "instructions": self.instructions,
            "tools": [tool.model_dump() for tool in self.tools],
            "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
            "max_output_tokens": self.max_output_tokens,
            "tracing": None,
            "audio": {"input": self.hearing.json(), "output": self.output.json()},
        }
