"""`POST /v1/audio/speech`: text in, speech out, as OpenAI's servers do it, and as events too."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from causerie.audio.formats import Encoder, encoder
from causerie.reply.async_stream import AsyncStream
from causerie.server import audio_response
from causerie.server.dialogue import Conversation
from causerie.server.errors import ApiError
from causerie.server.schemas import (
    SpeechRequest,
    Voiced,
    check_asked,
    ignored_headers,
    sampling_of,
)
from causerie.server.service import SpeechService
from causerie.server.state import service_of
from causerie.text.ssml import is_ssml, read_ssml

router = APIRouter(tags=["speech"])

#: How the schema describes an answer that is sound.
_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": [f"speech.audio.{name}" for name in ("delta", "done", "error")]},
        "data": {"type": "string", "description": "An object as JSON; its type is the event's."},
    },
    "required": ["event", "data"],
}
SOUND_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The speech, in the format that was asked for, or events that hold it.",
        "content": {
            **{
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in (
                    "audio/mpeg audio/ogg audio/aac audio/flac audio/wav audio/pcm audio/pcmu "
                    "audio/pcma"
                ).split()
            },
            "text/event-stream": {"schema": _EVENT},
        },
    }
}


@router.post("/v1/audio/speech", response_class=Response, responses=SOUND_RESPONSES)
async def speech(request: Request, asked: SpeechRequest) -> Response:
    """Speak a text. The sound comes while it is being made."""
    service = service_of(request)
    check_asked(asked, service)
    made = new_encoder(asked, service)  # what is wrong with the format is told first
    return await answer(request, asked, await spoken(asked, service, "http"), made)


async def spoken(
    asked: SpeechRequest, service: SpeechService, protocol: str
) -> AsyncStream | Conversation:
    """The speech that a request asks for, which was checked.

    Raises:
        ApiError, CauserieError: why there is none.
    """
    if not (asked.ssml or is_ssml(asked.input)):
        service.check_text(asked.input)
        return await service.speak(
            asked.input,
            voice=await asked.speaking(service),
            context=await asked.segments(service.settings),
            protocol=protocol,
            **sampling_of(asked),
        )
    service.check_length(len(asked.input))
    script = read_ssml(asked.input)
    service.check_text(" ".join(line.text for line in script.lines))
    said = Conversation(
        service,
        script.lines,
        voice=await asked.speaking(service),
        context=await asked.segments(service.settings),
        sampling=sampling_of(asked),
        tail_s=script.tail_s,
        notes=script.notes,
        protocol=protocol,
    )
    await said.begin()
    return said


def new_encoder(asked: Voiced, service: SpeechService, num_samples: int | None = None) -> Encoder:
    """What makes the bytes that are asked for."""
    return Louder(
        encoder(
            asked.response_format,
            sample_rate=service.sample_rate,
            speed=asked.speed,
            num_samples=num_samples,
        ),
        asked.volume_multiplier,
    )


async def answer(
    request: Request, asked: Voiced, said: AsyncStream | Conversation, made: Encoder
) -> Response:
    """Speech that was begun, in the form that is asked for, by an encoder of a stream."""
    service = service_of(request)
    headers = {"x-seed": str(said.seed), **ignored_headers(asked)}
    if said.notes:
        headers["x-notes"] = json.dumps(said.notes)
    if asked.stream is False and asked.stream_format == "audio":
        return await audio_response.whole(
            request, said, lambda num_samples: new_encoder(asked, service, num_samples), headers
        )
    if asked.stream_format == "audio":
        return await audio_response.stream(request, said, made, headers=headers)
    return await audio_response.stream(
        request,
        said,
        made,
        headers=headers,
        wrap=lambda chunks: _events(chunks, said, service),
        content_type="text/event-stream",
    )


class Louder:
    """An encoder of sound that is made louder or softer before; clipped at full scale."""

    def __init__(self, inner: Encoder, gain: float) -> None:
        self._inner, self._gain = inner, gain
        self.content_type, self.sample_rate = inner.content_type, inner.sample_rate

    def encode(self, pcm: NDArray[np.float32]) -> bytes:
        """See `Encoder`."""
        return self._inner.encode(pcm if self._gain == 1 else np.clip(self._gain * pcm, -1, 1))

    def finish(self) -> bytes:
        """See `Encoder`."""
        return self._inner.finish()


def usage_of(said: AsyncStream | Conversation) -> dict[str, int]:
    """Tokens of text and frames of context that were read, and frames that were spoken."""
    read, spoken = said.num_text_tokens + said.num_context_frames, said.num_frames
    return {"input_tokens": read, "output_tokens": spoken, "total_tokens": read + spoken}


async def _events(
    chunks: AsyncIterator[bytes], said: AsyncStream | Conversation, service: SpeechService
) -> AsyncIterator[bytes]:
    """The chunks of a file as OpenAI's events; joined, they are the file."""
    is_begun = False
    try:
        async for chunk in chunks:
            audio = base64.b64encode(chunk).decode("ascii")
            yield _event({"type": "speech.audio.delta", "audio": audio})
            is_begun = True
    except Exception as error:
        if not is_begun:
            raise
        told: ApiError = service.report(error)
        yield _event({"type": "speech.audio.error", **told.body()})
        return
    yield _event({"type": "speech.audio.done", "usage": usage_of(said)})


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
