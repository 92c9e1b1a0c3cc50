"""What the language model is asked for a response."""

from __future__ import annotations

from collections.abc import Iterable

from causerie.server.realtime.answer import Answer
from causerie.server.realtime.item import Item
from causerie.server.realtime.messages import NewResponse
from causerie.server.realtime.settings import SessionSettings
from causerie.talk.mind import INSTRUCTIONS, Message, Mind


def ask(
    mind: Mind,
    settings: SessionSettings,
    options: NewResponse,
    items: Iterable[Item],
    *,
    is_spoken: bool,
) -> Answer:
    """Ask a language model to answer items; it is asked when the answer is read.

    Args:
        options: what they say counts more than the session's settings.
        is_spoken: whether the answer is read aloud.
    """
    instructions = options.instructions or settings.instructions
    if is_spoken:
        instructions = f"{INSTRUCTIONS}\n\n{instructions}".strip()
    messages: list[Message] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    messages += [message for item in items if (message := item.message()) is not None]
    return Answer(mind(messages, *_tools(settings, options)))


def _tools(settings: SessionSettings, options: NewResponse) -> tuple[list[Message], str | Message]:
    """The tools, and which of them may be called, as a chat has them."""
    tools = settings.tools if options.tools is None else options.tools
    functions = [
        {"type": "function", "function": tool.model_dump(exclude={"type"})} for tool in tools
    ]
    choice = options.tool_choice or settings.tool_choice
    if isinstance(choice, str):
        return functions, choice
    return functions, {"type": "function", "function": {"name": choice.name}}
