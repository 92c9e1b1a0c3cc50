"""A response, in progress or ended."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from causerie.audio.formats import Encoder
from causerie.conversation import Playback
from causerie.reply.async_stream import AsyncStream
from causerie.server.realtime.answer import Answer
from causerie.server.realtime.ids import new_id
from causerie.server.realtime.item import Item
from causerie.server.realtime.latency import Latency
from causerie.server.realtime.messages import NewResponse
from causerie.server.realtime.settings import OutputSettings


@dataclass(kw_only=True, eq=False)
class Speech:
    """The sound of a response.

    Attributes:
        first_sound: when that was generated, by `time.monotonic`.
    """

    reply: AsyncStream
    playback: Playback
    encoder: Encoder
    first_sound: float | None = None

    def stop(self) -> None:
        """Count it as played since its first sound, until the client says how much was played."""
        started = self.first_sound
        self.playback.stop(1000 * (time.monotonic() - started) if started else 0)

    def usage(self) -> dict[str, Any]:
        """What was read and spoken, in tokens of text and frames of sound."""
        reply = self.reply
        num_text, num_audio = reply.num_text_tokens, reply.num_context_frames
        return {
            "total_tokens": num_text + num_audio + reply.num_frames,
            "input_tokens": num_text + num_audio,
            "output_tokens": reply.num_frames,
            "input_token_details": {"text_tokens": num_text, "audio_tokens": num_audio},
            "output_token_details": {"text_tokens": 0, "audio_tokens": reply.num_frames},
        }


@dataclass(kw_only=True, eq=False)
class Response:
    """What one response says, and what the client has of it.

    Attributes:
        options: what the client asked for.
        conversation: id of the conversation that it is in; None: it is in none.
        answered: the items of the user that it answers.
        text: the user's words, or what a language model writes.
        speech: None: the client gets text only.
        max_output_tokens: in frames of speech, or in words of text.
        item: the speech or text, as a message of the conversation.
        items: those that the client knows of.
        has_reached_limit: whether it ended at `max_output_tokens`.
        latency: since the end of the turn that it answers, until its first sound; None if it
            answers no turn.
        latency_s: the parts of that, once they are known.
    """

    options: NewResponse
    conversation: str | None
    answered: list[Item]
    text: str | Answer
    speech: Speech | None
    output: OutputSettings
    max_output_tokens: int | str
    name: str = field(default_factory=lambda: new_id("resp"))
    item: Item = field(init=False)
    items: list[Item] = field(default_factory=list)
    status: str = "in_progress"
    details: dict[str, Any] | None = None
    has_reached_limit: bool = False
    task: asyncio.Task[None] | None = None
    latency: Latency | None = None
    latency_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.item = Item(new_id("item"), "assistant", "", "in_progress")
        if self.speech is not None:
            self.item.playback = self.speech.playback

    @property
    def answer(self) -> Answer | None:
        """What a language model writes; None if it speaks the user's words."""
        return self.text if isinstance(self.text, Answer) else None

    def json(self) -> dict[str, Any]:
        """The response in OpenAI's format."""
        has_ended = self.status != "in_progress"
        speech = self.speech if has_ended else None
        latency_s = self.latency_s if has_ended else {}
        latency_ms = {part: round(1000 * seconds) for part, seconds in latency_s.items()}
        return {
            "id": self.name,
            "object": "realtime.response",
            "status": self.status,
            "status_details": self.details,
            "output": [item.json() for item in self.items] if has_ended else [],
            "conversation_id": self.conversation,
            "output_modalities": [self.output.modality],
            "max_output_tokens": self.max_output_tokens,
            "audio": {"output": self.output.json()},
            "metadata": self.options.metadata,
            "usage": None if speech is None else speech.usage(),
            **({"notes": speech.reply.notes} if speech is not None and speech.reply.notes else {}),
            **({"latency_ms": latency_ms} if latency_ms else {}),
        }

    async def aclose(self) -> None:
        """Generate nothing more."""
        if self.speech is not None:
            await self.speech.reply.aclose()
        if self.answer is not None:
            await self.answer.aclose()
