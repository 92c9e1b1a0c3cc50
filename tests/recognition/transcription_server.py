"""A small server that speaks OpenAI's transcriptions, for tests."""

from __future__ import annotations

import email
import io
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import soundfile

from tests.local_server import QuietHandler, serving


@dataclass(frozen=True, eq=False)
class Asked:
    """What a client asked."""

    fields: dict[str, str]
    samples: np.ndarray
    sample_rate: int
    authorization: str | None


#: The text of what was asked, or a status and a body.
Hears = Callable[[Asked], str | tuple[int, str]]


def transcription_server(hears: Hears) -> AbstractContextManager[str]:
    """Serve texts; gives the address of the server."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/audio/transcriptions", self.path
            kind = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
            fields, sound = {}, b""
            for part in email.message_from_bytes(kind + self.body()).get_payload():
                content = part.get_payload(decode=True)
                if part.get_filename():
                    assert part.get_content_type() == "audio/wav"
                    sound = content
                else:
                    name = part.get_param("name", header="content-disposition")
                    fields[name] = content.decode()
            samples, rate = soundfile.read(io.BytesIO(sound), dtype="float32")
            text = hears(Asked(fields, samples, rate, self.headers.get("authorization")))
            if isinstance(text, str):
                text = 200, json.dumps({"text": text})
            self.answer(*text)

    return serving(Handler)
