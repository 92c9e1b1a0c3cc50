"""Routing by model, without Ray; tests/clients/test_ray.py tests it with Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from causerie.server.model_folder import ModelFolder
from causerie.server.ray.proxy import MAX_BODY, MODEL_HEADER, ModelRouting


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    for name in "leon", "zoë":
        (tmp_path / name / "adapter").mkdir(parents=True)
        (tmp_path / name / "adapter" / "adapter_config.json").write_text("{}")
    return ModelFolder(str(tmp_path))


def forwarded(folder: ModelFolder, scope: Scope, body: bytes = b"") -> tuple[list[bytes], bytes]:
    """The values of the model header, and the body, that Ray receives."""
    parts = [body[:10], body[10:]]
    messages = [{"type": "http.request", "body": part, "more_body": part != parts[-1]}
                for part in parts]  # fmt: skip
    models: list[bytes] = []
    read = b""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal read
        models.extend(value for key, value in scope["headers"] if key == MODEL_HEADER)
        while scope["type"] == "http" and (message := await receive())["type"] == "http.request":
            read += message["body"]

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def main() -> None:
        await ModelRouting(app, folder)(scope, receive, None)  # type: ignore[arg-type]

    anyio.run(main)
    return models, read


def scope(path: str = "/v1/audio/speech", query: str = "", **changes: Any) -> Scope:
    headers = [(b"host", b"here"), (MODEL_HEADER, b"from the client")]
    return {
        "type": "http", "method": "POST", "path": path, "query_string": query.encode(),
        "headers": headers, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "model"),
    [
        ({"model": "leon", "voice": "heart"}, "leon"),
        ({"model": "tts-1", "voice": "zoë"}, "zoë"),
        ({"voice": {"id": "leon"}}, "leon"),
        ({"voice": {"id": 5}, "model": ["leon"]}, None),
        ({"input": "leon"}, None),
        (["leon"], None),
        ("leon", None),
    ],
)
def test_the_body_names_the_model(folder: ModelFolder, body: object, model: str | None) -> None:
    data = json.dumps(body).encode()
    assert forwarded(folder, scope(), data) == ([model.encode()] if model else [], data)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 200_000, b'{"model": "leon"' + b" " * MAX_BODY])
def test_a_body_without_a_model_is_unchanged(folder: ModelFolder, body: bytes) -> None:
    assert forwarded(folder, scope(), body) == ([], body)


def test_path_and_query_name_the_model(folder: ModelFolder) -> None:
    socket = {"type": "websocket", "method": ""}
    for path, query in ("/v1/text-to-speech/leon/stream-input", ""), ("/v1/realtime", "model=leon"):
        assert forwarded(folder, scope(path, query, **socket)) == ([b"leon"], b"")
    assert forwarded(folder, scope("/v1/realtime", "model=gpt-realtime", **socket)) == ([], b"")


def test_without_models_the_headers_are_unchanged() -> None:
    models, _ = forwarded(ModelFolder(""), scope())
    assert models == [b"from the client"]
