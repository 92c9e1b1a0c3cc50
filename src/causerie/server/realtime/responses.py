"""Responses, from the event that asks for one to its end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from causerie.errors import CauserieError
from causerie.server.errors import ApiError
from causerie.server.realtime.delivery import Delivery
from causerie.server.realtime.events import Events
from causerie.server.realtime.floor import Floor
from causerie.server.realtime.items import Items
from causerie.server.realtime.latency import Latency
from causerie.server.realtime.messages import Cancel, Create, NewResponse
from causerie.server.realtime.new_responses import ResponseMaker
from causerie.server.realtime.response import Response
from causerie.server.realtime.settings import SessionSettings
from causerie.server.realtime.tool_calls import send_calls
from causerie.server.service import ModelVoice
from causerie.server.sockets import GoneError, Socket

#: Responses at the same time, of which one may be in the conversation.
MAX_RESPONSES = 8


class Responses:
    """The responses in progress."""

    def __init__(
        self,
        socket: Socket,
        events: Events,
        settings: SessionSettings,
        floor: Floor,
        items: Items,
    ) -> None:
        self._socket, self._events, self._settings = socket, events, settings
        self._floor, self._items = floor, items
        self._maker = ResponseMaker(socket.service, settings, floor, items)
        self._delivery = Delivery(events, items, socket.service.metrics)
        self._active: dict[str, Response] = {}
        self._beginning = asyncio.Lock()

    # Events of the client

    async def create(self, event: dict[str, Any]) -> None:
        """Begin a response, once the words of the turns that have ended are known."""
        options = Create.read(event).response
        if options.conversation not in (None, "auto", "none"):
            raise ApiError(
                f"conversation {options.conversation!r} is neither auto nor none",
                code="invalid_value",
                param="response.conversation",
            )
        if not self._floor.understanding:
            for item in self._items:
                if item.latency is not None:
                    item.latency.skip()  # the client took its time to ask
            await self._begin_asked(options)
            return

        async def later() -> None:
            await asyncio.gather(*self._floor.understanding, return_exceptions=True)
            async with self._events.telling(event):
                await self._begin_asked(options)

        self._socket.start(later())

    async def cancel(self, event: dict[str, Any]) -> None:
        """Cancel a response."""
        name = Cancel.read(event).response_id
        response = self._in_conversation if name is None else self._active.get(name)
        if response is None or response.task is None:
            raise ApiError(
                "Cancellation failed: there is no such response in progress",
                code="response_cancel_not_active",
                param="response_id",
            )
        await self._stop(response, "client_cancelled")

    # What the user says

    async def prepare(self) -> None:
        """Let the model read the conversation so far while the user speaks, if it must."""
        # The response reports errors, if they are still so.
        with contextlib.suppress(ApiError, CauserieError):
            output = self._settings.output
            voice = await self._socket.service.find_voice(output.voice)
            if output.modality == "audio" and not isinstance(voice, ModelVoice):
                await self._items.memory.conversation.prepare(voice)

    async def interrupt(self) -> None:
        """End the response that is in the conversation, as the user begins to speak."""
        if self._in_conversation is not None:
            await self._stop(self._in_conversation, "turn_detected")

    async def answer(self) -> None:
        """Answer the turns that were heard, if it is time for it."""
        async with self._events.telling({}), self._beginning:
            while self._must_answer:  # again if the user began to speak, and is silent already
                await self._begin(NewResponse(), is_automatic=True)

    @property
    def _must_answer(self) -> bool:
        """Whether a response must begin now, by the turns that were heard.

        Not while the user goes on, words are still unknown, or another response is in progress: the
        end of each comes to `answer` again.
        """
        detection = self._settings.hearing.detection
        if detection is None or not detection.create_response or not self._floor.awaits_answer:
            return False
        return self._in_conversation is None and len(self._active) < MAX_RESPONSES

    # From the beginning to the end

    @property
    def _in_conversation(self) -> Response | None:
        """The response that is in the conversation."""
        return next((r for r in self._active.values() if r.conversation is not None), None)

    async def _begin_asked(self, options: NewResponse) -> None:
        """Begin a response that the client asked for."""
        async with self._beginning:
            if options.is_in_conversation and self._in_conversation is not None:
                raise ApiError(
                    "the conversation has a response in progress: wait for response.done, or "
                    "cancel it",
                    code="conversation_already_has_active_response",
                )
            if len(self._active) >= MAX_RESPONSES:
                raise ApiError(
                    f"{MAX_RESPONSES} responses are in progress: wait for one of them",
                    status=429,
                    type="rate_limit_error",
                    code="too_many_responses",
                )
            await self._begin(options)

    async def _begin(self, options: NewResponse, *, is_automatic: bool = False) -> None:
        """Begin a response; one at a time.

        If the user interrupts it before it has begun, it ends at once. One that is automatic leaves
        its turns unanswered then.
        """
        floor = self._floor
        before = floor.num_interruptions
        response = await self._maker.make(options)
        if is_automatic and floor.num_interruptions != before:  # the client does not know of it
            await response.aclose()
            floor.is_unanswered = True
            return
        if response.speech is not None:
            response.speech.reply.notes += self._items.memory.take_notes()
        for item in response.answered:
            item.is_spoken = True
        response.latency = self._take_latency() if options.input is None else None
        self._active[response.name] = response
        try:
            await self._events.send("response.created", response=response.json())
            if response.answer is None:
                await self._delivery.begin(response)
        except BaseException:
            await response.aclose()
            raise
        response.task = self._socket.start(self._deliver(response))
        if response.conversation is not None and floor.num_interruptions != before:
            if is_automatic:
                floor.is_unanswered = True
                for item in response.answered:
                    item.is_spoken = False
            await self._stop(response, "turn_detected")

    def _take_latency(self) -> Latency | None:
        """The latency so far of a response that begins, if it answers a turn that was heard."""
        found = [item for item in self._items if item.latency is not None]
        latency = found[-1].latency if found else None
        for item in found:
            item.latency = None
        return latency

    async def _deliver(self, response: Response) -> None:
        """Send a response to its end."""
        status = "completed"
        details: dict[str, Any] | None = None
        try:
            if response.answer is None or await response.answer.has_text():
                await self._delivery.deliver(response)
            if response.has_reached_limit:
                status, details = "incomplete", {"reason": "max_output_tokens"}
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 sent to the client; the session goes on
            status = "failed"
            facts = self._socket.service.report(error).body()["error"]
            details = {"error": {key: facts[key] for key in ("type", "code", "message")}}
        finally:
            await response.aclose()
        await self._conclude(response, status, details)

    async def _stop(self, response: Response, reason: str) -> None:
        """End a response that is in progress."""
        if response.task is None:
            return
        response.task.cancel()
        await asyncio.gather(response.task, return_exceptions=True)
        await response.aclose()  # the task does it only if it had begun
        if reason == "turn_detected" and response.speech is not None:
            response.speech.stop()
        if response.name in self._active:
            await self._conclude(response, "cancelled", {"reason": reason})

    async def _conclude(
        self, response: Response, status: str, details: dict[str, Any] | None
    ) -> None:
        """Report that a response has ended, and how."""
        del self._active[response.name]
        item = response.item
        response.status = status
        if status != "completed":
            response.details = {"type": status, **(details or {})}
            if item.playback is not None:
                item.text = await asyncio.to_thread(lambda playback: playback.text, item.playback)
        item.status = "completed" if status == "completed" else "incomplete"
        if item in response.items:
            await self._delivery.end(response)
        if status == "completed":
            await send_calls(response, self._events, self._items)
        await self._events.send("response.done", response=response.json())
        if self._floor.is_unanswered:
            self._socket.start(self.answer())
