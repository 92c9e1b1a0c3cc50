"""The calls of tools that a language model makes."""

from __future__ import annotations

from causerie.server.realtime.events import Events
from causerie.server.realtime.ids import new_id
from causerie.server.realtime.item import Item
from causerie.server.realtime.items import Items
from causerie.server.realtime.response import Response


async def send_calls(response: Response, events: Events, items: Items) -> None:
    """Send the calls of a response, each as an item.

    Args:
        items: of the conversation, which get those of a response that is in it.
    """
    for call in response.answer.calls if response.answer is not None else ():
        facts = {"type": "function_call", "name": call["name"], "arguments": call["arguments"]}
        name = call["id"] or new_id("call")
        begun = {**facts, "arguments": "", "call_id": name}
        item = Item(new_id("item"), "assistant", "", "in_progress", facts=begun)
        response.items.append(item)
        place = {"response_id": response.name, "output_index": len(response.items) - 1}
        await events.send("response.output_item.added", **place, item=item.json())
        if response.conversation is not None:
            await items.add(item)
        names = {"item_id": item.name, "call_id": name}
        kind, arguments = "response.function_call_arguments", call["arguments"]
        item.facts, item.status = {**facts, "call_id": name}, "completed"
        await events.send(f"{kind}.delta", **place, **names, delta=arguments)
        await events.send(f"{kind}.done", **place, **names, name=call["name"], arguments=arguments)
        if response.conversation is not None:
            await items.done(item)
        await events.send("response.output_item.done", **place, item=item.json())
