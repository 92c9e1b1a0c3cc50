"""Items as clients describe them."""

from __future__ import annotations

import asyncio

from causerie.audio.resample import resample
from causerie.recognition.whisper import RATE as RECOGNIZER_RATE
from causerie.server.errors import ApiError
from causerie.server.realtime.ids import new_id
from causerie.server.realtime.item import Item
from causerie.server.realtime.memory import Memory
from causerie.server.realtime.messages import RATES, NewItem
from causerie.server.realtime.settings import SessionSettings
from causerie.server.service import SpeechService
from causerie.text.surrogates import well_formed

#: What the calls of tools and their outputs have.
TOOL_FIELDS = {
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
}
#: The types of content whose text, transcript or sound is understood.
CONTENT = (None, "input_text", "output_text", "text", "input_audio", "output_audio", "audio")


class ItemReader:
    """Makes items of what clients send."""

    def __init__(self, service: SpeechService, settings: SessionSettings) -> None:
        self._service, self._settings = service, settings

    def read(self, new: NewItem) -> Item:
        """The item that a client describes; `hear` its sound then.

        Raises:
            ApiError: something is missing, or not supported.
        """
        if new.type in TOOL_FIELDS:
            return self._tool(new)
        parts, has_sound = [], any(part.audio for part in new.content)
        for part in new.content:
            text = part.text if part.text is not None else part.transcript
            if part.type not in CONTENT or (text is None and not part.audio):
                raise ApiError(
                    f"content of type {part.type!r} is not supported: send input_text, with text, "
                    f"or input_audio, with audio",
                    code="invalid_value",
                    param="item.content",
                )
            parts.append(text or "")
        if has_sound and (new.role != "user" or len(parts) > 1):
            raise ApiError(
                "audio must be the only content of a message of the user",
                code="invalid_value",
                param="item.content",
            )
        if not parts:
            raise ApiError(
                "the item has no content: send input_text",
                code="missing_required_parameter",
                param="item.content",
            )
        text = self._service.texts.plain(well_formed(" ".join(parts)))
        return Item(new.id or new_id("item"), new.role, text, is_heard=has_sound)

    def _tool(self, new: NewItem) -> Item:
        """The call of a tool, or its output."""
        facts = {name: getattr(new, name) for name in TOOL_FIELDS[new.type]}
        if None in facts.values():
            raise ApiError(
                f"a {new.type} needs {', '.join(facts)}",
                code="missing_required_parameter",
                param="item",
            )
        name = new.id or new_id("item")
        return Item(name, "assistant", "", facts={"type": new.type, **facts})

    async def hear(self, item: Item, new: NewItem, memory: Memory) -> None:
        """Hear the sound of an item, if it has some; its words are recognized if it has none.

        Args:
            memory: gets the turn.
        """
        if not item.is_heard:
            return
        hearing = self._settings.hearing
        samples, rate = hearing.samples(new.content[0].audio or ""), RATES[hearing.kind]
        if not item.text:
            sound = resample(samples, rate, RECOGNIZER_RATE)
            words = await asyncio.to_thread(lambda: hearing.recognizer(self._service.tts)(sound))
            item.text = " ".join(well_formed(words).split())
        item.heard = await memory.hear(item.text, audio=samples, sample_rate=rate)
