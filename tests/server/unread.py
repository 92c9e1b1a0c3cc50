"""Requests for long speech by clients that do not read it."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

from tests.patience import PATIENCE_S

#: Minutes of speech, far more than the buffers of a connection hold.
TEXT = "We go down to the river, and we cross the bridge as long as it stands. " * 100


@contextlib.contextmanager
def connected(port: int, data: bytes) -> Iterator[socket.socket]:
    """A connection with a small buffer, which reads nothing after it has sent this."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE_S)
        client.connect(("127.0.0.1", port))
        client.sendall(data)
        yield client


def http_request(port: int, **speech: Any) -> bytes:
    """The bytes of a request for speech."""
    body = json.dumps({"input": TEXT, "response_format": "pcm", **speech}).encode()
    head = f"host: localhost:{port}\r\ncontent-type: application/json\r\n"
    return (
        f"POST /v1/audio/speech HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n"
    ).encode() + body


def wyoming_request() -> bytes:
    """The bytes of an event that requests speech."""
    return json.dumps({"type": "synthesize", "data": {"text": TEXT}}).encode() + b"\n"
