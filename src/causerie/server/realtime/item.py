"""An item of a Realtime conversation."""

from __future__ import annotations

from typing import Any

from causerie.conversation import Heard, Playback
from causerie.server.realtime.latency import Latency
from causerie.server.realtime.transcript import Transcript
from causerie.talk.mind import Message


class Item:
    """A message of the conversation, or the call of a tool or its output.

    Attributes:
        facts: of a tool's call or output, in OpenAI's format; None for a message.
        is_heard: whether it is a turn of the user that was spoken; its text comes later.
        is_spoken: whether a response has spoken or answered it.
        playback: of the item's audio, if it is a response.
        heard: the turn in the conversation's memory, if it was spoken by the user.
        transcript: the words of that turn that the client has.
        latency: since the end of that turn, until a response answers it.
    """

    def __init__(
        self,
        name: str,
        role: str,
        text: str,
        status: str = "completed",
        *,
        facts: dict[str, Any] | None = None,
        is_heard: bool = False,
    ) -> None:
        self.name, self.role, self.text, self.status = name, role, text, status
        self.facts, self.is_heard = facts, is_heard
        self.is_spoken = False
        self.playback: Playback | None = None
        self.heard: Heard | None = None
        self.transcript = Transcript()
        self.latency: Latency | None = None

    @property
    def turn(self) -> Playback | Heard | None:
        """The item in the conversation's memory; None if it has no sound there."""
        return self.playback or self.heard

    def json(self) -> dict[str, Any]:
        """The item in OpenAI's format."""
        common = {"id": self.name, "object": "realtime.item", "status": self.status}
        if self.facts is not None:
            return {**common, **self.facts}
        if self.playback is not None:
            content: list[Message] = [{"type": "output_audio", "transcript": self.text}]
        elif self.is_heard:
            content = [{"type": "input_audio", "transcript": self.text or None}]
        elif self.role == "assistant":
            content = [{"type": "output_text", "text": self.text}] if self.text else []
        else:
            content = [{"type": "input_text", "text": self.text}]
        return {**common, "type": "message", "role": self.role, "content": content}

    def message(self) -> Message | None:
        """The item as a message of a chat; None if it has no words."""
        if self.facts is None:
            return {"role": self.role, "content": self.text} if self.text else None
        if self.facts["type"] == "function_call_output":
            output = self.facts["output"]
            return {"role": "tool", "tool_call_id": self.facts["call_id"], "content": output}
        function = {name: self.facts[name] for name in ("name", "arguments")}
        call = {"id": self.facts["call_id"], "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
