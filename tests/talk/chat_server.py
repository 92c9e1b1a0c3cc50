"""A small server that speaks OpenAI's chat completions, for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from tests.local_server import QuietHandler, serving

#: From the body of a request: the deltas of the answer, or a status and a body.
Answer = Callable[[dict[str, Any]], Iterable[dict[str, Any]] | tuple[int, str]]


def chat_server(answer: Answer) -> AbstractContextManager[str]:
    """Serve answers; gives the address of the server."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/chat/completions", self.path
            body = json.loads(self.body())
            body["authorization"] = self.headers.get("authorization")
            answered = answer(body)
            if isinstance(answered, tuple):
                self.answer(*answered)
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for delta in answered:
                event = {"choices": [{"index": 0, "delta": delta}]}
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")

    return serving(Handler)
