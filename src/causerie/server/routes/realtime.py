"""OpenAI's Realtime protocol: `WS /v1/realtime`.

A response speaks what a language model answers (`--llm`), or else the user's words, word for word:
those of text messages, and those that a recognizer hears in the user's sound.

    → session.update {audio: {input: {turn_detection, …}, output: {voice, format, speed}}, …}
    → input_audio_buffer.append {audio} … commit, clear
    ← input_audio_buffer.speech_started, conversation.item.input_audio_transcription.delta …
    ← input_audio_buffer.speech_stopped, committed, …transcription.completed
    → conversation.item.create {item: {role: "user", content: [{type: "input_text", text}]}}
    → response.create {response?: {input?, conversation?: "none", audio?, …}}
    ← response.created … response.output_audio.delta … response.done
    → response.cancel
    → conversation.item.truncate {item_id, audio_end_ms}

What the user said, and responses as far as they were heard, are context of later responses. The
session goes on after an error.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import APIRouter, WebSocket

from causerie.audio import formats
from causerie.audio.resample import resample
from causerie.conversation import Conversation, Heard, Playback
from causerie.errors import CauserieError, PromptTooLongError
from causerie.recognition.whisper import RATE as EARS_RATE
from causerie.recognition.whisper import Recognizer, in_language
from causerie.reply.async_stream import AsyncStream
from causerie.server.errors import ApiError
from causerie.server.realtime.answer import Answer
from causerie.server.realtime.hearing import Hearing
from causerie.server.realtime.items import Item, Response, new_id
from causerie.server.realtime.latency import Latency
from causerie.server.realtime.messages import (
    FORMATS,
    RATES,
    Append,
    Cancel,
    Create,
    ItemCreate,
    ItemId,
    NamedTool,
    NewItem,
    NewResponse,
    Output,
    SessionUpdate,
    Truncate,
)
from causerie.server.service import ModelVoice
from causerie.server.sockets import GoneError, Socket, check_key, refuse, well_formed
from causerie.server.state import service_of
from causerie.server.texts import CheckedText
from causerie.talk.ears import Ears, Partial, Started, Utterance
from causerie.talk.mind import INSTRUCTIONS, Message

router = APIRouter()

#: Items of a conversation: enough for days, even if the client never deletes one.
MAX_ITEMS = 2000
#: Responses at the same time, of which one may be in the conversation.
MAX_RESPONSES = 8
#: Prefix of the subprotocol by which a browser, which cannot set headers, sends its key.
KEY_PROTOCOL = "openai-insecure-api-key."
#: What the calls of tools and their outputs have.
TOOL_FIELDS = {
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
}


#: The types of content whose text, transcript or sound is understood.
CONTENT = (None, "input_text", "output_text", "text", "input_audio", "output_audio", "audio")
#: Characters of a message: those of 15 MiB of sound, the most that OpenAI takes at once.
MAX_CHARS = 20 * 2**20 + 1024


class _Connection:
    """One session."""

    def __init__(self, socket: Socket, model: str) -> None:
        self.socket, self.service = socket, socket.service
        self.model, self.instructions = model, ""
        self.voice = self.service.folder_model(model)
        self.format, self.speed = "audio/pcm", 1.0
        self.frame_rate = self.service.tts.checkpoint.codec.config.frame_rate
        self.name, self.conversation = new_id("sess"), new_id("conv")
        self.memory = self.service.tts.conversation()
        self.notes: list[str] = []  # for the listener of the next reply
        self.hearing = Hearing()
        self.ears: Ears | None = None
        self.spoken_item: Item | None = None  # of the turn that the user speaks
        self.understanding: set[asyncio.Task[None]] = set()  # wait for the words of turns
        self.is_unanswered = False  # whether there are turns that a response should answer
        self.beginning = asyncio.Lock()
        self.num_interruptions = 0  # how often the user began to speak, where that interrupts
        self.tools: list[Message] = []
        self.tool_choice: str | Message = "auto"
        self.max_output_tokens: int | str = "inf"
        self.items: list[Item] = []
        self.active: dict[str, Response] = {}
        self.handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "session.update": self.update,
            "input_audio_buffer.append": self.append,
            "input_audio_buffer.commit": self.commit,
            "input_audio_buffer.clear": self.clear,
            "conversation.item.create": self.create_item,
            "conversation.item.retrieve": self.retrieve_item,
            "conversation.item.truncate": self.truncate_item,
            "conversation.item.delete": self.delete_item,
            "response.create": self.respond,
            "response.cancel": self.cancel,
        }

    async def run(self) -> None:
        """Handle events until the client disconnects."""
        await self.send("session.created", session=self.session())
        while True:
            event: dict[str, Any] = {}
            async with self.telling(event):
                event.update(await self.socket.receive())
                kind = event.get("type")
                if not isinstance(kind, str) or kind not in self.handlers:
                    raise ApiError(
                        f"event type {kind!r} is not supported: use {', '.join(self.handlers)}",
                        code="unknown_event",
                        param="type",
                    )
                await self.handlers[kind](event)

    @contextlib.asynccontextmanager
    async def telling(self, event: dict[str, Any]) -> AsyncIterator[None]:
        """Tell the client of an error, and of the event that caused it; the session goes on."""
        try:
            yield
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 any error
            await self.send_error(error, event.get("event_id"))

    # The session

    def session(self) -> dict[str, Any]:
        """The session in OpenAI's format."""
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.name,
            "model": self.model,
            "output_modalities": ["audio"],
            "instructions": self.instructions,
            "tools": self.tools,
            "tool_choice": self.tool_choice,
            "max_output_tokens": self.max_output_tokens,
            "tracing": None,
            "audio": {
                "input": self.hearing.json(),
                "output": self.settings(None),
            },
        }

    def settings(self, options: Output | None) -> dict[str, Any]:
        """The output settings: the given ones, else those of the session."""
        kind, voice, speed = self.format, self.voice or self.service.default_voice, self.speed
        if options is not None:
            if options.format is not None:
                options.format.check_rate("audio.output.format.rate")
                kind = options.format.type
            if options.voice is not None:
                voice = options.voice if isinstance(options.voice, str) else options.voice.id
            speed = options.speed if options.speed is not None else speed
        return {"format": {"type": kind, "rate": RATES[kind]}, "voice": voice, "speed": speed}

    async def update(self, event: dict[str, Any]) -> None:
        """Change the settings: all that are given, or none."""
        options = SessionUpdate.read(event).session
        output = self.settings(options.audio.output if options.audio is not None else None)
        await self.service.find_voice(output["voice"])
        if options.audio is not None and options.audio.input is not None:
            hearing = self.hearing.changed(options.audio.input)
            await asyncio.to_thread(self.check_language, hearing.language)
            if not hearing.hears_as(self.hearing):
                self.forget_sound()
            self.hearing = hearing
            if self.ears is not None:
                self.ears.wants_partial = hearing.wants_partial
        if options.tools is not None:
            self.tools = [tool.model_dump() for tool in options.tools]
        if options.tool_choice is not None:
            self.tool_choice = choice_of(options.tool_choice)
        self.max_output_tokens = options.max_output_tokens or self.max_output_tokens
        self.voice, self.format = output["voice"], output["format"]["type"]
        self.speed = output["speed"]
        if options.instructions is not None:
            self.instructions = options.instructions
        await self.send("session.updated", session=self.session())
        await self.answer()

    # The user's sound

    async def append(self, event: dict[str, Any]) -> None:
        """Hear sound."""
        arrived = time.monotonic()
        samples = self.hearing.samples(Append.read(event).audio)
        if not len(samples):
            return
        if self.ears is None:
            self.ears = await asyncio.to_thread(self.new_ears)
        for heard in await asyncio.to_thread(self.ears.add, samples):
            if isinstance(heard, Started):
                await self.start_turn(heard)
            elif isinstance(heard, Partial):
                await self.send_partial(heard.text)
            else:
                await self.end_turn(heard, arrived)

    def new_ears(self) -> Ears:
        """Ears by the settings; loads what they need."""
        smart_turn = self.service.smart_turn if self.hearing.is_semantic else None
        return self.hearing.ears(self.memory, self.recognizer(), smart_turn)

    def recognizer(self) -> Recognizer:
        """The recognizer, for the user's language; loads it."""
        return in_language(self.service.tts.recognizer, self.hearing.language)

    def check_language(self, language: str | None) -> None:
        """Raise ConfigError if the recognizer, which this loads, does not know a language.

        A recognizer that cannot be loaded is reported when there is sound.
        """
        if language in (None, self.hearing.language):
            return
        try:
            recognizer = self.service.tts.recognizer
        except CauserieError:
            return
        in_language(recognizer, language)

    async def start_turn(self, started: Started) -> None:
        """The user begins to speak, which interrupts the response."""
        self.spoken_item = Item(new_id("item"), "user", "", "in_progress", is_heard=True)
        detection = self.hearing.detection
        if detection is None:
            self.socket.start(self.prepare())
            return
        self.num_interruptions += detection.interrupt_response
        await self.send(
            "input_audio_buffer.speech_started",
            audio_start_ms=started.ms,
            item_id=self.spoken_item.name,
        )
        if detection.interrupt_response:
            for response in [r for r in self.active.values() if r.in_conversation]:
                await self.stop(response, "turn_detected")
        self.socket.start(self.prepare())

    async def prepare(self) -> None:
        """Let the model read the conversation so far while the user speaks, if it must."""
        with contextlib.suppress(
            ApiError, CauserieError
        ):  # the response reports it, if it is still so
            voice = await self.service.find_voice(self.settings(None)["voice"])
            if not isinstance(voice, ModelVoice):
                await self.memory.prepare(voice)

    async def send_partial(self, text: str) -> None:
        """Send the words of a turn that are certain while it is spoken."""
        item = self.spoken_item
        assert item is not None
        delta = item.transcript.partial(well_formed(text))
        if delta:
            await self.send_words(item, "delta", delta=delta)

    async def end_turn(self, utterance: Utterance, arrived: float) -> None:
        """The user's turn is an item, whose words come later.

        Args:
            arrived: when its end did, by `time.monotonic`.
        """
        item, self.spoken_item = self.spoken_item, None
        assert item is not None
        assert self.ears is not None
        item.latency = Latency((self.ears.now_ms - utterance.stopped_ms) / 1000, arrived)
        if self.hearing.detection is not None:
            await self.send(
                "input_audio_buffer.speech_stopped",
                audio_end_ms=utterance.stopped_ms,
                item_id=item.name,
            )
        previous = self.items[-1].name if self.items else None
        await self.send(
            "input_audio_buffer.committed", item_id=item.name, previous_item_id=previous
        )
        await self.add(item, len(self.items))
        task = self.socket.start(self.understand(item, utterance))
        self.understanding.add(task)
        task.add_done_callback(self.understanding.discard)

    async def understand(self, item: Item, utterance: Utterance) -> None:
        """Wait for the words of a turn, and answer them."""
        assert item.latency is not None
        item.latency.lap("speech")
        try:
            words = well_formed(await asyncio.wrap_future(utterance.words))
            item.latency.lap("recognizer")
            text = " ".join(words.split())
            item.heard = await self.hear(self.memory, text, codes=utterance.codes)
        except Exception as error:  # noqa: BLE001 sent to the client; the session goes on
            item.status, item.latency = "incomplete", None
            facts = self.service.report(error).body()["error"]
            known = {name: fact for name, fact in facts.items() if fact is not None}
            await self.send_words(item, "failed", error=known)
            await self.understood()
            return
        item.text, item.status = text, "completed"
        if self.hearing.transcribes:
            delta = item.transcript.whole(text)
            if delta:
                await self.send_words(item, "delta", delta=delta)
            seconds = (utterance.stopped_ms - utterance.started_ms) / 1000
            usage = {"type": "duration", "seconds": seconds}
            await self.send_words(item, "completed", transcript=text, usage=usage)
        await self.send(
            "conversation.item.done", item=item.json(), previous_item_id=self.previous_id(item)
        )
        if not text:
            item.latency = None
        self.is_unanswered = self.is_unanswered or bool(text)
        await self.understood()

    async def understood(self) -> None:
        """This task waits for the words of its turn no more, so that they can be answered."""
        task = asyncio.current_task()
        assert task is not None
        self.understanding.discard(task)
        await self.answer()

    @property
    def must_answer(self) -> bool:
        """Whether a response must begin now, by the turns that were heard.

        Not while the user goes on, words are still unknown, or another response is in progress: the
        end of each comes to `answer` again.
        """
        detection = self.hearing.detection
        if detection is None or not detection.create_response or not self.is_unanswered:
            return False
        if self.spoken_item is not None or self.understanding:
            return False
        num_active = len(self.active)
        return num_active < MAX_RESPONSES and not any(
            r.in_conversation for r in self.active.values()
        )

    async def answer(self) -> None:
        """Answer the turns that were heard, if it is time for it."""
        async with self.telling({}), self.beginning:
            while self.must_answer:  # again if the user began to speak, and is silent already
                await self.begin(NewResponse(), is_automatic=True)

    async def send_words(self, item: Item, kind: str, **facts: Any) -> None:
        """Send an event about the transcript of a turn."""
        await self.send(
            f"conversation.item.input_audio_transcription.{kind}",
            item_id=item.name,
            content_index=0,
            **facts,
        )

    async def commit(self, event: dict[str, Any]) -> None:
        """End the user's turn."""
        arrived = time.monotonic()
        heard = [] if self.ears is None else await asyncio.to_thread(self.ears.finish)
        turns = [turn for turn in heard if isinstance(turn, Utterance)]
        if not turns:
            raise ApiError(
                "the buffer holds no speech: append sound first",
                code="input_audio_buffer_commit_empty",
            )
        await self.end_turn(turns[0], arrived)

    async def clear(self, event: dict[str, Any]) -> None:
        """Forget the sound of a turn that was not committed."""
        self.forget_sound()
        await self.send("input_audio_buffer.cleared")
        await self.answer()

    def forget_sound(self) -> None:
        """Begin to hear anew."""
        if self.ears is not None:
            self.ears.close()
        self.ears = self.spoken_item = None

    # Items

    async def create_item(self, event: dict[str, Any]) -> None:
        """Add a message to the conversation."""
        message = ItemCreate.read(event)
        item = self.new_item(message.item)
        if len(self.items) >= MAX_ITEMS:
            raise ApiError(
                f"the conversation has {MAX_ITEMS:,} items already: delete some",
                code="too_many_items",
            )
        if any(other.name == item.name for other in self.items):
            raise ApiError(
                f"item {item.name} exists already",
                code="item_create_duplicate_item_id",
                param="item.id",
            )
        previous = None
        if message.previous_item_id is not None and message.previous_item_id != "root":
            previous = self.item(message.previous_item_id, "previous_item_id")
        if any(part.audio for part in message.item.content):
            await self.hear_item(item, message.item, self.memory)  # last, as it is remembered
        place = 0 if message.previous_item_id == "root" else len(self.items)
        if previous is not None:
            place = self.items.index(previous) + 1
        await self.add(item, place)
        await self.send(
            "conversation.item.done", item=item.json(), previous_item_id=self.previous_id(item)
        )

    def new_item(self, new: NewItem) -> Item:
        """The item that a client describes."""
        if new.type in ("function_call", "function_call_output"):
            facts = {name: getattr(new, name) for name in TOOL_FIELDS[new.type]}
            if None in facts.values():
                raise ApiError(
                    f"a {new.type} needs {', '.join(facts)}",
                    code="missing_required_parameter",
                    param="item",
                )
            name = new.id or new_id("item")
            return Item(name, "assistant", "", facts={"type": new.type, **facts})
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
        text = self.service.texts.plain(well_formed(" ".join(parts)))
        return Item(new.id or new_id("item"), new.role, text, is_heard=has_sound)

    async def hear_item(self, item: Item, new: NewItem, memory: Conversation) -> None:
        """Hear the sound of a message of the user; its words are recognized if it has none.

        Args:
            memory: gets the turn.
        """
        samples, rate = self.hearing.samples(new.content[0].audio or ""), RATES[self.hearing.kind]
        if not item.text:
            sound = resample(samples, rate, EARS_RATE)
            words = await asyncio.to_thread(lambda: self.recognizer()(sound))
            item.text = " ".join(well_formed(words).split())
        item.heard = await self.hear(memory, item.text, audio=samples, sample_rate=rate)

    async def hear(self, memory: Conversation, text: str, **sound: Any) -> Heard | None:
        """A turn of the user in a memory; None if its sound is too long, so only its words count.

        Args:
            sound: as of `Conversation.hear`.
        """
        try:
            return await asyncio.to_thread(lambda: memory.hear(text, **sound))
        except PromptTooLongError as error:
            self.notes.append(
                f"conversation: the sound of a turn is no context, as it is too long: it needs "
                f"{error.needed:,} positions, but the model has {error.available:,}"
            )
            return None

    async def add(self, item: Item, place: int) -> None:
        """Insert an item into the conversation, and report it."""
        self.items.insert(place, item)
        await self.send(
            "conversation.item.added", item=item.json(), previous_item_id=self.previous_id(item)
        )

    def previous_id(self, item: Item) -> str | None:
        """The id of the item before this one."""
        place = self.items.index(item)
        return self.items[place - 1].name if place else None

    def item(self, name: str, param: str = "item_id", code: str = "item_not_found") -> Item:
        """The item with an id."""
        for item in self.items:
            if item.name == name:
                return item
        raise ApiError(f"there is no item {name!r}", code=code, param=param)

    async def retrieve_item(self, event: dict[str, Any]) -> None:
        """Send an item."""
        item = self.item(ItemId.read(event).item_id, code="item_retrieve_invalid_item_id")
        await self.send("conversation.item.retrieved", item=item.json())

    async def delete_item(self, event: dict[str, Any]) -> None:
        """Delete an item."""
        item = self.item(ItemId.read(event).item_id, code="item_delete_invalid_item_id")
        if item.status == "in_progress":
            raise ApiError(
                f"item {item.name} is being spoken: cancel its response first",
                code="item_in_progress",
                param="item_id",
            )
        self.items.remove(item)
        turn = item.playback or item.heard
        if turn is not None:
            self.memory.remove(turn)
        await self.send("conversation.item.deleted", item_id=item.name)

    async def truncate_item(self, event: dict[str, Any]) -> None:
        """Cut a response to what was heard of it."""
        message = Truncate.read(event)
        item = self.item(message.item_id, code="item_truncate_invalid_item_id")
        if item.playback is None or item.status == "in_progress":
            reason = (
                "is being spoken: cancel its response first" if item.playback else "has no audio"
            )
            raise ApiError(
                f"item {item.name} {reason}", code="invalid_item_to_truncate", param="item_id"
            )
        playback = item.playback
        if message.audio_end_ms > playback.sent_ms:
            raise ApiError(
                f"item {item.name} has {playback.sent_ms} ms of audio, less than "
                f"{message.audio_end_ms}",
                code="audio_end_too_late",
                param="audio_end_ms",
            )
        playback.stop(message.audio_end_ms)
        item.text = await asyncio.to_thread(lambda: playback.text)
        await self.send(
            "conversation.item.truncated",
            item_id=item.name,
            content_index=0,
            audio_end_ms=message.audio_end_ms,
        )

    # Responses

    async def respond(self, event: dict[str, Any]) -> None:
        """Begin a response, once the words of the turns that have ended are known."""
        options = Create.read(event).response
        if options.conversation not in (None, "auto", "none"):
            raise ApiError(
                f"conversation {options.conversation!r} is neither auto nor none",
                code="invalid_value",
                param="response.conversation",
            )
        if not self.understanding:
            for item in self.items:
                if item.latency is not None:
                    item.latency.skip()  # the client took its time to ask
            await self.begin_response(options)
            return

        async def later() -> None:
            await asyncio.gather(*self.understanding, return_exceptions=True)
            async with self.telling(event):
                await self.begin_response(options)

        self.socket.start(later())

    async def begin_response(self, options: NewResponse) -> None:
        """Begin a response now."""
        async with self.beginning:
            self.check_capacity(options)
            await self.begin(options)

    async def begin(self, options: NewResponse, *, is_automatic: bool = False) -> None:
        """Begin a response; one at a time.

        If the user interrupts it before it has begun, it ends at once. One that is automatic leaves
        its turns unanswered then.
        """
        before = self.num_interruptions
        output = self.settings(options.audio.output if options.audio is not None else None)
        voice = await self.service.find_voice(output["voice"])
        memory = self.memory if options.input is None else self.service.tts.conversation()
        spoken, context = await self.source(options, memory)
        if options.conversation != "none" and options.input is None:
            self.is_unanswered = False
        answer = None
        if self.service.mind is not None:
            tools, choice = self.tools_of(options)
            answer = Answer(self.service.mind(self.messages(options, context), tools, choice))
        text = self.service.texts.joined(CheckedText(item.text) for item in spoken)
        if not spoken and answer is None:
            raise ApiError(
                "there is nothing to speak: create an item of role user with input_text first, or "
                "send response.input; its text is spoken word for word, instructions are not",
                code="no_input",
                param="response.input",
            )
        kind = output["format"]["type"]
        encoder = formats.encoder(
            FORMATS[kind],
            sample_rate=self.service.sample_rate,
            out_rate=RATES[kind],
        )
        segments, notes = await asyncio.to_thread(memory.next_context, voice)
        self.notes += notes
        most = options.max_output_tokens or self.max_output_tokens
        limit = most if isinstance(most, int) else None
        reply = await self.service.speak(
            text if answer is None else answer,
            voice=voice,
            context=segments,
            seed=options.seed,
            speed=output["speed"],
            max_duration_s=None if limit is None else limit / self.frame_rate,
            protocol="realtime",
        )
        if is_automatic and self.num_interruptions != before:  # the client does not know of it
            await reply.aclose()
            self.is_unanswered = True
            return
        reply.notes += self.notes
        self.notes = []
        for item in spoken:
            item.is_spoken = True
        item = Item(new_id("item"), "assistant", "", "in_progress")
        response = Response(item, encoder, output, options, answer)
        response.latency = self.take_latency(options)
        self.active[response.name] = response
        item.playback = Playback(reply, voice.name)
        try:
            await self.send("response.created", response=self.response(response))
            if answer is None:
                await self.begin_item(response)
        except BaseException:
            await reply.aclose()
            raise
        response.task = self.socket.start(self.speak(response, reply))
        if response.in_conversation and self.num_interruptions != before:
            if is_automatic:
                self.is_unanswered = True
                for item in spoken:
                    item.is_spoken = False
            await self.stop(response, "turn_detected")

    def take_latency(self, options: NewResponse) -> Latency | None:
        """The latency so far of a response that begins, if it answers a turn that was heard."""
        if options.input is not None:
            return None
        found = [item for item in self.items if item.latency is not None]
        latency = found[-1].latency if found else None
        for item in found:
            item.latency = None
        return latency

    def tools_of(self, options: NewResponse) -> tuple[list[Message], str | Message]:
        """The tools of a response, and which of them may be called, as a chat has them."""
        tools, choice = self.tools, self.tool_choice
        if options.tools is not None:
            tools = [tool.model_dump() for tool in options.tools]
        if options.tool_choice is not None:
            choice = choice_of(options.tool_choice)
        if isinstance(choice, dict):
            choice = {"type": "function", "function": {"name": choice["name"]}}
        return [
            {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}
            for tool in tools
        ], choice

    def messages(self, options: NewResponse, items: list[Item]) -> list[Message]:
        """What the language model is asked."""
        own = options.instructions or self.instructions
        found = [{"role": "system", "content": f"{INSTRUCTIONS}\n\n{own}".strip()}]
        return found + [m for m in (item.message() for item in items) if m is not None]

    def check_capacity(self, options: NewResponse) -> None:
        """Raise ApiError if too many responses are in progress."""
        if options.conversation != "none" and any(r.in_conversation for r in self.active.values()):
            raise ApiError(
                "the conversation has a response in progress: wait for response.done, or cancel it",
                code="conversation_already_has_active_response",
            )
        if len(self.active) >= MAX_RESPONSES:
            raise ApiError(
                f"{MAX_RESPONSES} responses are in progress: wait for one of them",
                status=429,
                type="rate_limit_error",
                code="too_many_responses",
            )

    async def source(
        self, options: NewResponse, memory: Conversation
    ) -> tuple[list[Item], list[Item]]:
        """The items to be spoken, and those that are context.

        Args:
            memory: gets the turns of `response.input`, if there is one.
        """
        if options.input is None:
            return [i for i in self.items if i.role == "user" and not i.is_spoken], self.items
        items = []
        for new in options.input:
            if new.type == "item_reference":
                item = self.item(new.id or "", "response.input")
                turn = item.playback or item.heard
                if turn is not None:
                    memory.add(turn)
            else:
                item = self.new_item(new)
                if any(part.audio for part in new.content):
                    await self.hear_item(item, new, memory)
            items.append(item)
        return [item for item in items if item.role == "user"], items

    async def begin_item(self, response: Response) -> None:
        """Report that the speech of a response begins."""
        item = response.item
        response.items.append(item)
        await self.send_for(response, "response.output_item.added", item=item.json())
        if response.in_conversation:
            assert item.playback is not None
            self.memory.add(item.playback)
            await self.add(item, len(self.items))
        await self.send_part(response, "response.content_part.added", part=_part(""))

    async def speak(self, response: Response, reply: AsyncStream) -> None:
        """Send a response to its end."""
        status = "completed"
        details: dict[str, Any] | None = None
        try:
            if response.answer is None or await response.answer.has_text():
                await self.deliver(response, reply)
            if reply.stopped == "limit":
                status, details = "incomplete", {"reason": "max_output_tokens"}
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 sent to the client; the session goes on
            api_error = self.socket.service.report(error)
            status = "failed"
            facts = api_error.body()["error"]
            details = {"error": {key: facts[key] for key in ("type", "code", "message")}}
        finally:
            await reply.aclose()
        await self.conclude(response, status, details)

    async def deliver(self, response: Response, reply: AsyncStream) -> None:
        """Send the audio and the transcript of a response."""
        item, num_sent = response.item, 0
        if item not in response.items:
            await self.begin_item(response)
        assert item.playback is not None
        async for pcm in reply:
            response.first_sound = response.first_sound or time.monotonic()
            item.playback.add(pcm)
            texts = reply.texts
            if len(texts) > num_sent:
                piece = " " * (num_sent > 0) + " ".join(texts[num_sent:])
                num_sent = len(texts)
                item.text += piece
                await self.send_part(
                    response, "response.output_audio_transcript.delta", delta=piece
                )
            await self.send_audio(response, response.encoder.encode(pcm))
        await self.send_audio(response, response.encoder.finish())

    async def send_audio(self, response: Response, data: bytes) -> None:
        """Send encoded audio, if there is any."""
        if not data:
            return
        await self.send_part(
            response, "response.output_audio.delta", delta=base64.b64encode(data).decode()
        )
        if response.latency is not None:
            answer = response.answer
            response.latency_s = response.latency.end(0.0 if answer is None else answer.waited_s)
            response.latency = None
            for part, seconds in response.latency_s.items():
                self.service.metrics.turn_s.labels(part).observe(seconds)

    async def send_calls(self, response: Response) -> None:
        """Send the calls of tools that the language model makes."""
        for call in response.answer.calls if response.answer is not None else ():
            facts = {"type": "function_call", "name": call["name"], "arguments": call["arguments"]}
            name = call["id"] or new_id("call")
            begun = {**facts, "arguments": "", "call_id": name}
            item = Item(new_id("item"), "assistant", "", "in_progress", facts=begun)
            response.items.append(item)
            place = {"response_id": response.name, "output_index": len(response.items) - 1}
            await self.send("response.output_item.added", **place, item=item.json())
            if response.in_conversation:
                await self.add(item, len(self.items))
            place |= {"item_id": item.name, "call_id": name}
            kind, arguments = "response.function_call_arguments", call["arguments"]
            item.facts, item.status = {**facts, "call_id": name}, "completed"
            await self.send(f"{kind}.delta", **place, delta=arguments)
            await self.send(f"{kind}.done", **place, name=call["name"], arguments=arguments)
            if response.in_conversation:
                await self.send(
                    "conversation.item.done",
                    item=item.json(),
                    previous_item_id=self.previous_id(item),
                )
            del place["item_id"], place["call_id"]
            await self.send("response.output_item.done", **place, item=item.json())

    async def conclude(
        self, response: Response, status: str, details: dict[str, Any] | None = None
    ) -> None:
        """Report that a response has ended, and how."""
        del self.active[response.name]
        item = response.item
        response.status = status
        if status != "completed":
            response.details = {"type": status, **(details or {})}
            playback = item.playback
            assert playback is not None
            item.text = await asyncio.to_thread(lambda: playback.text)
        item.status = "completed" if status == "completed" else "incomplete"
        if item in response.items:
            await self.end_item(response)
        if status == "completed":
            await self.send_calls(response)
        await self.send("response.done", response=self.response(response))
        if self.is_unanswered:
            self.socket.start(self.answer())

    async def end_item(self, response: Response) -> None:
        """Report that the speech of a response has ended."""
        item = response.item
        await self.send_part(response, "response.output_audio.done")
        await self.send_part(
            response, "response.output_audio_transcript.done", transcript=item.text
        )
        await self.send_part(response, "response.content_part.done", part=_part(item.text))
        if response.in_conversation and item in self.items:
            await self.send(
                "conversation.item.done", item=item.json(), previous_item_id=self.previous_id(item)
            )
        await self.send_for(response, "response.output_item.done", item=item.json())

    async def cancel(self, event: dict[str, Any]) -> None:
        """Cancel a response."""
        name = Cancel.read(event).response_id
        found = [
            response
            for response in self.active.values()
            if (response.in_conversation if name is None else response.name == name)
        ]
        if not found or found[0].task is None:
            raise ApiError(
                "Cancellation failed: there is no such response in progress",
                code="response_cancel_not_active",
                param="response_id",
            )
        await self.stop(found[0], "client_cancelled")

    async def stop(self, response: Response, reason: str) -> None:
        """End a response that is in progress.

        Until the client says how much of it was played, it counts as played since its first sound.
        """
        if response.task is None:
            return
        response.task.cancel()
        await asyncio.gather(response.task, return_exceptions=True)
        playback = response.item.playback
        assert playback is not None
        assert isinstance(playback.reply, AsyncStream)
        await playback.reply.aclose()  # the task does it only if it had begun
        if reason == "turn_detected":
            started = response.first_sound
            playback.stop(1000 * (time.monotonic() - started) if started else 0)
        if response.name in self.active:
            await self.conclude(response, "cancelled", {"reason": reason})

    def response(self, response: Response) -> dict[str, Any]:
        """A response in OpenAI's format."""
        has_ended = response.status != "in_progress"
        playback = response.item.playback
        assert playback is not None
        reply, usage = playback.reply, None
        assert isinstance(reply, AsyncStream)
        if has_ended:
            num_text, num_audio = reply.num_text_tokens, reply.num_context_frames
            usage = {
                "total_tokens": num_text + num_audio + reply.num_frames,
                "input_tokens": num_text + num_audio,
                "output_tokens": reply.num_frames,
                "input_token_details": {"text_tokens": num_text, "audio_tokens": num_audio},
                "output_token_details": {"text_tokens": 0, "audio_tokens": reply.num_frames},
            }
        limit = response.options.max_output_tokens or self.max_output_tokens
        latency_ms = {part: round(1000 * s) for part, s in response.latency_s.items()}
        return {
            "id": response.name,
            "object": "realtime.response",
            "status": response.status,
            "status_details": response.details,
            "output": [item.json() for item in response.items] if has_ended else [],
            "conversation_id": self.conversation if response.in_conversation else None,
            "output_modalities": ["audio"],
            "max_output_tokens": limit,
            "audio": {"output": response.output},
            "metadata": response.options.metadata,
            "usage": usage,
            **({"notes": reply.notes} if has_ended and reply.notes else {}),
            **({"latency_ms": latency_ms} if has_ended and latency_ms else {}),
        }

    # Events

    async def send(self, kind: str, **facts: Any) -> None:
        """Send an event."""
        await self.socket.send({"type": kind, "event_id": new_id("event"), **facts})

    async def send_for(self, response: Response, kind: str, **facts: Any) -> None:
        """Send an event about the item of a response."""
        await self.send(kind, response_id=response.name, output_index=0, **facts)

    async def send_part(self, response: Response, kind: str, **facts: Any) -> None:
        """Send an event about the audio of a response."""
        await self.send_for(response, kind, item_id=response.item.name, content_index=0, **facts)

    async def send_error(self, error: Exception, event_id: object) -> None:
        """Send an error, with the id of the event that caused it."""
        facts = self.socket.service.report(error).body()["error"]
        name = event_id if isinstance(event_id, str) else None
        await self.send("error", error={**facts, "event_id": name})


def choice_of(given: str | NamedTool) -> str | Message:
    """A client's choice of tools as JSON."""
    return given if isinstance(given, str) else given.model_dump()


def _part(transcript: str) -> dict[str, Any]:
    return {"type": "audio", "transcript": transcript}


@router.websocket("/v1/realtime")
async def realtime(
    websocket: WebSocket, model: str = "gpt-realtime", call_id: str | None = None
) -> None:
    """Serve a session, see this module."""
    offered = websocket.scope.get("subprotocols", [])
    keys = [name.removeprefix(KEY_PROTOCOL) for name in offered if name.startswith(KEY_PROTOCOL)]
    if not await check_key(websocket, *keys):
        return
    if call_id is not None:
        error = ApiError("there are no calls by SIP here: connect without call_id", param="call_id")
        await refuse(websocket, service_of(websocket).report(error).response())
        return
    subprotocol = "realtime" if "realtime" in offered else None
    async with Socket.open(
        websocket, "realtime", subprotocol=subprotocol, max_chars=MAX_CHARS
    ) as socket:
        await _Connection(socket, model).run()
