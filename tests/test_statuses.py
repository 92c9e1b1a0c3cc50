"""The server and the agent plugins report errors by one table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from causerie import errors
from causerie.errors import CauserieError
from causerie.integrations.speech import Local, Options, SpeechError
from causerie.server.errors import to_api_error
from causerie.statuses import status_of


def all_kinds(kind: type[CauserieError] = CauserieError) -> Iterator[type[CauserieError]]:
    yield kind
    for one in kind.__subclasses__():
        if one.__module__ == errors.__name__:
            yield from all_kinds(one)


def made(kind: type[CauserieError]) -> CauserieError:
    facts = {
        errors.PromptTooLongError: {"needed": 2, "available": 1},
        errors.QueueFullError: {"num_waiting": 1},
    }
    return kind("made up", **facts.get(kind, {}))  # type: ignore[arg-type]


class Failing:
    """A `TTS` that cannot speak."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def astream(self, *_: Any, **__: Any) -> None:
        raise self.error


@pytest.mark.parametrize("kind", list(all_kinds()), ids=lambda kind: kind.__name__)
def test_server_and_plugin_report_the_same_status(kind: type[CauserieError]) -> None:
    error = made(kind)
    answer = to_api_error(error)
    with pytest.raises(SpeechError, match="made up") as caught:
        asyncio.run(Local(Failing(error), is_ours=False).speak("Hello.", Options()))  # type: ignore[arg-type]
    assert (caught.value.status, caught.value.code) == (answer.status, answer.code)
    assert (answer.status, answer.code) == status_of(error)[:2]
    assert ("retry-after-ms" in answer.headers) == (answer.status in (429, 502, 503))
    assert answer.type == {
        400: "invalid_request_error", 429: "rate_limit_error", 500: "server_error",
        502: "server_error", 503: "server_error",
    }[answer.status]  # fmt: skip
    if answer.status == 500:
        assert "made up" not in answer.message


def test_unknown_errors_are_internal() -> None:
    assert status_of(ZeroDivisionError()) == (500, "internal_error", None)
