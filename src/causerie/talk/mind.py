"""Decides what to answer: any OpenAI-compatible chat endpoint, or an echo."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol, TypeAlias

from causerie import endpoints
from causerie.errors import ChatError
from causerie.extras import need
from causerie.text.surrogates import HalfJoiner, well_formed

#: A message of a chat, as OpenAI's chat completions have it.
Message: TypeAlias = dict[str, Any]

#: What a language model needs to know of speech.
INSTRUCTIONS = (
    "You are in a spoken conversation: what you write is read aloud. Answer in one to three short "
    "sentences of plain words, without markdown, lists, emoji or stage directions."
)


class Mind(Protocol):
    """Answers messages."""

    def __call__(
        self,
        messages: Sequence[Message],
        tools: Sequence[Message] = (),
        tool_choice: str | Message = "auto",
    ) -> AsyncGenerator[str | Message, None]:
        """The parts of the answer as they come: text, or the calls of tools, complete."""


class Echo:
    """Says back what was said since its last answer: to try all without a language model."""

    async def __call__(
        self,
        messages: Sequence[Message],
        tools: Sequence[Message] = (),
        tool_choice: str | Message = "auto",
    ) -> AsyncGenerator[str | Message, None]:
        """See `Mind`."""
        roles = [message["role"] for message in messages]
        since = max((place for place, role in enumerate(roles) if role != "user"), default=-1)
        said = " ".join(message["content"] for message in messages[since + 1 :])
        yield said or "I did not hear any words."


class Chat:
    """An OpenAI-compatible chat endpoint, as of Ollama, llama.cpp, vLLM or OpenAI.

    Args:
        url: with or without /v1 and /chat/completions.
        model: name of the language model.
        key: for the header Authorization.

    Raises:
        ConfigError: a package of the extra `talk` is missing, or the URL is not one.
    """

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        httpx = self._httpx = need("httpx", "talk")
        self.url, self.model = endpoints.address(url, "chat/completions"), model
        self._client = httpx.AsyncClient(
            headers=endpoints.headers(key),
            timeout=httpx.Timeout(endpoints.READ_S, connect=endpoints.CONNECT_S),
        )

    async def __call__(
        self,
        messages: Sequence[Message],
        tools: Sequence[Message] = (),
        tool_choice: str | Message = "auto",
    ) -> AsyncGenerator[str | Message, None]:
        """See `Mind`.

        Raises:
            ChatError: the endpoint cannot be reached, or answers with an error.
        """
        body: Message = {"model": self.model, "messages": [*messages], "stream": True}
        if tools:
            body |= {"tools": [*tools], "tool_choice": tool_choice}
        calls: dict[int, Message] = {}
        halves = HalfJoiner()
        try:
            async with self._client.stream("POST", self.url, json=body) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise ChatError(f"{self.url} answered {endpoints.error_of(response)}")
                async for line in response.aiter_lines():
                    data = line.removeprefix("data:").strip()
                    if not line.startswith("data:") or data == "[DONE]":
                        continue
                    delta = self._delta(data)
                    for call in delta.get("tool_calls") or ():
                        _merge(calls, call)
                    content = halves.add(delta.get("content") or "")
                    if content:
                        yield content
        except self._httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ChatError(f"no answer from {self.url}: {reason}") from error
        for _, call in sorted(calls.items()):
            yield {name: well_formed(value) for name, value in call.items()}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _delta(self, data: str) -> Message:
        """The change that an event of the stream describes."""
        try:
            event = json.loads(data)
        except ValueError as error:
            raise ChatError(f"{self.url} sent what is not JSON: {data[:100]!r}") from error
        if "error" in event:
            raise ChatError(f"{self.url} failed: {json.dumps(event['error'])[:300]}")
        choices = event.get("choices") or [{}]
        delta: Message = choices[0].get("delta") or {}
        return delta


def _merge(calls: dict[int, Message], part: Message) -> None:
    """Add a part of a tool's call to the calls so far."""
    call = calls.setdefault(part.get("index", 0), {"id": "", "name": "", "arguments": ""})
    call["id"] = part.get("id") or call["id"]
    function = part.get("function") or {}
    call["name"] += function.get("name") or ""
    call["arguments"] += function.get("arguments") or ""
