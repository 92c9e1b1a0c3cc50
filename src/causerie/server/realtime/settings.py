"""The settings of a session, which its client changes by `session.update`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from causerie.server.realtime.hearing import Hearing
from causerie.server.realtime.ids import new_id
from causerie.server.realtime.messages import RATES, Answering, NamedTool, Session, Tool


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """What responses are, and how they sound.

    Attributes:
        modality: "audio", with the words as its transcript, or "text".
        voice: None: the only one, of a model whose voices have no names.
        kind: format of the sound.
    """

    modality: str = "audio"
    voice: str | None
    kind: str = "audio/pcm"
    speed: float = 1.0

    def changed(self, options: Answering) -> OutputSettings:
        """The settings with those that a client gives.

        Raises:
            ApiError: the rate does not fit the format.
        """
        changes: dict[str, Any] = {}
        if options.output_modalities is not None:
            changes["modality"] = "text" if options.output_modalities == ["text"] else "audio"
        output = None if options.audio is None else options.audio.output
        if output is not None and output.format is not None:
            output.format.check_rate("audio.output.format.rate")
            changes["kind"] = output.format.type
        if output is not None and output.voice is not None:
            voice = output.voice
            changes["voice"] = voice if isinstance(voice, str) else voice.id
        if output is not None and output.speed is not None:
            changes["speed"] = output.speed
        return replace(self, **changes)

    def json(self) -> dict[str, Any]:
        """The settings of the sound in OpenAI's format."""
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
            hearing, output: as the options change them.
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
            "output_modalities": [self.output.modality],
            "instructions": self.instructions,
            "tools": [tool.model_dump() for tool in self.tools],
            "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
            "max_output_tokens": self.max_output_tokens,
            "tracing": None,
            "audio": {"input": self.hearing.json(), "output": self.output.json()},
        }
