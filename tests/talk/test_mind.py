"""Minds answer messages: an echo, and any OpenAI-compatible chat endpoint."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from causerie.errors import ChatError
from causerie.talk.mind import Chat, Echo, Mind
from tests.talk.chat_server import Answer, chat_server

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Is it far?"},
]
TOOL = {"type": "function", "function": {"name": "distance", "parameters": {}}}


def answers(mind: Mind, **options: Any) -> list[Any]:
    async def collect() -> list[Any]:
        return [part async for part in mind(MESSAGES, **options)]

    return asyncio.run(collect())


def chat(answer: Answer, path: str = "", key: str | None = None, **options: Any) -> list[Any]:
    with chat_server(answer) as url:
        return answers(Chat(url + path, "llama", key), **options)


def test_the_echo_says_back_what_it_heard() -> None:
    assert answers(Echo()) == ["Is it far?"]


def test_the_echo_says_back_all_since_its_last_answer() -> None:
    said = [("user", "Hello."), ("assistant", "Hello."), ("user", "Is it"), ("user", "far?")]
    messages = [{"role": role, "content": content} for role, content in said]

    async def collect() -> list[Any]:
        return [part async for part in Echo()(messages)]

    assert asyncio.run(collect()) == ["Is it far?"]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_text_comes_as_it_is_written(path: str) -> None:
    asked = []

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(body)
        return [{"role": "assistant", "content": ""}, {"content": "Ten "}, {"content": "minutes."}]

    assert chat(answer, path, key="sk-1") == ["Ten ", "minutes."]
    assert asked[0]["messages"] == MESSAGES
    assert asked[0]["model"] == "llama"
    assert asked[0]["stream"] is True
    assert asked[0]["authorization"] == "Bearer sk-1"
    assert "tools" not in asked[0]


def test_halves_of_a_character_are_joined() -> None:
    parts = ["Fine \ud83d", "\ude00.", "\ude00", " Done\ud83d"]
    assert chat(lambda _: [{"content": part} for part in parts]) == [
        "Fine ", "\U0001f600.", "\ufffd", " Done"
    ]  # fmt: skip
    arguments = [{"arguments": half} for half in ('"\ud83d', '\ude00"')]
    calls = [{"tool_calls": [{"index": 0, "function": part}]} for part in arguments]
    assert chat(lambda _: calls) == [{"id": "", "name": "", "arguments": '"\U0001f600"'}]


def test_tools_are_passed_through() -> None:
    def call(index: int, **part: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, **part}]}

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        assert body["tools"] == [TOOL]
        return [
            call(0, id="call_1", function={"name": "distance", "arguments": ""}),
            call(0, function={"arguments": '{"to": '}),
            call(1, id="call_2", function={"name": "time", "arguments": "{}"}),
            call(0, function={"arguments": '"station"}'}),
        ]

    assert chat(answer, tools=[TOOL]) == [
        {"id": "call_1", "name": "distance", "arguments": '{"to": "station"}'},
        {"id": "call_2", "name": "time", "arguments": "{}"},
    ]


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, '{"error": {"message": "no model llama"}}', "answered 404: no model llama"),
        (500, '{"error": "broken"}', "answered 500: broken"),
        (502, "<html>Bad gateway</html>", "answered 502: <html>Bad gateway"),
    ],
)
def test_an_error_is_one_line(status: int, body: str, message: str) -> None:
    with pytest.raises(ChatError, match=message):
        chat(lambda _: (status, body))


def test_nobody_there() -> None:
    with pytest.raises(ChatError, match=r"no answer from http://127\.0\.0\.1:9/v1/chat"):
        answers(Chat("http://127.0.0.1:9", "llama"))
