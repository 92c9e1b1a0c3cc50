"""The items of a conversation, which its client adds to, reads, cuts and deletes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from causerie.server.errors import ApiError
from causerie.server.realtime.events import Events
from causerie.server.realtime.item import Item
from causerie.server.realtime.memory import Memory
from causerie.server.realtime.messages import ItemCreate, ItemId, NewItem, Truncate
from causerie.server.realtime.new_items import ItemReader

#: Items of a conversation: enough for days, even if the client never deletes one.
MAX_ITEMS = 2000


class Items:
    """The items in their order.

    Attributes:
        memory: the conversation as replies hear it.
    """

    def __init__(self, events: Events, memory: Memory, reader: ItemReader) -> None:
        self._events, self.memory, self._reader = events, memory, reader
        self._items: list[Item] = []

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    @property
    def last_id(self) -> str | None:
        """The id of the last item."""
        return self._items[-1].name if self._items else None

    def find(self, name: str, param: str = "item_id", code: str = "item_not_found") -> Item:
        """The item with an id.

        Raises:
            ApiError: there is none.
        """
        for item in self._items:
            if item.name == name:
                return item
        raise ApiError(f"there is no item {name!r}", code=code, param=param)

    async def read(self, given: list[NewItem], memory: Memory) -> list[Item]:
        """The items of `response.input`, which are not added.

        Args:
            memory: gets their turns.

        Raises:
            ApiError: one is not known, or not supported.
        """
        items = []
        for new in given:
            if new.type == "item_reference":
                item = self.find(new.id or "", "response.input")
                if item.turn is not None:
                    memory.conversation.add(item.turn)
            else:
                item = self._reader.read(new)
                await self._reader.hear(item, new, memory)
            items.append(item)
        return items

    async def add(self, item: Item, place: int | None = None) -> None:
        """Insert an item, and report it.

        Args:
            place: None: after all others.
        """
        self._items.insert(len(self._items) if place is None else place, item)
        await self._report("added", item)

    async def done(self, item: Item) -> None:
        """Report that an item is complete, unless it was deleted."""
        if item in self._items:
            await self._report("done", item)

    async def _report(self, kind: str, item: Item) -> None:
        place = self._items.index(item)
        previous = self._items[place - 1].name if place else None
        await self._events.send(
            f"conversation.item.{kind}", item=item.json(), previous_item_id=previous
        )

    # Events of the client

    async def create(self, event: dict[str, Any]) -> None:
        """Add a message to the conversation."""
        message = ItemCreate.read(event)
        item = self._reader.read(message.item)
        if len(self._items) >= MAX_ITEMS:
            raise ApiError(
                f"the conversation has {MAX_ITEMS:,} items already: delete some",
                code="too_many_items",
            )
        if any(other.name == item.name for other in self._items):
            raise ApiError(
                f"item {item.name} exists already",
                code="item_create_duplicate_item_id",
                param="item.id",
            )
        previous = None
        if message.previous_item_id is not None and message.previous_item_id != "root":
            previous = self.find(message.previous_item_id, "previous_item_id")
        await self._reader.hear(item, message.item, self.memory)  # last, as it is remembered
        place = 0 if message.previous_item_id == "root" else None
        if previous is not None:
            place = self._items.index(previous) + 1
        await self.add(item, place)
        await self.done(item)

    async def retrieve(self, event: dict[str, Any]) -> None:
        """Send an item."""
        item = self.find(ItemId.read(event).item_id, code="item_retrieve_invalid_item_id")
        await self._events.send("conversation.item.retrieved", item=item.json())

    async def delete(self, event: dict[str, Any]) -> None:
        """Delete an item."""
        item = self.find(ItemId.read(event).item_id, code="item_delete_invalid_item_id")
        if item.status == "in_progress":
            raise ApiError(
                f"item {item.name} is being spoken: cancel its response first",
                code="item_in_progress",
                param="item_id",
            )
        self._items.remove(item)
        if item.turn is not None:
            self.memory.conversation.remove(item.turn)
        await self._events.send("conversation.item.deleted", item_id=item.name)

    async def truncate(self, event: dict[str, Any]) -> None:
        """Cut a response to what was heard of it."""
        message = Truncate.read(event)
        item = self.find(message.item_id, code="item_truncate_invalid_item_id")
        playback = item.playback
        if playback is None or item.status == "in_progress":
            reason = "is being spoken: cancel its response first" if playback else "has no audio"
            raise ApiError(
                f"item {item.name} {reason}", code="invalid_item_to_truncate", param="item_id"
            )
        if message.audio_end_ms > playback.sent_ms:
            raise ApiError(
                f"item {item.name} has {playback.sent_ms} ms of audio, less than "
                f"{message.audio_end_ms}",
                code="audio_end_too_late",
                param="audio_end_ms",
            )
        playback.stop(message.audio_end_ms)
        item.text = await asyncio.to_thread(lambda: playback.text)
        await self._events.send(
            "conversation.item.truncated",
            item_id=item.name,
            content_index=0,
            audio_end_ms=message.audio_end_ms,
        )
