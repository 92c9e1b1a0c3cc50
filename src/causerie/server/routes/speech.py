"""`POST /v1/audio/speech`: OpenAI's speech route, which answers with a file or with events."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import ValidationError

from causerie.audio import formats
from causerie.audio.formats import Encoder
from causerie.reply.async_stream import AsyncStream
from causerie.server import audio_response
from causerie.server.auth import KEY_NAMES
from causerie.server.dialogue import DialogueReply
from causerie.server.errors import from_validation
from causerie.server.schemas import (
    SpeechOptions,
    SpeechRequest,
    check_options,
    ignored_headers,
    sampling_of,
)
from causerie.server.service import SpeechService
from causerie.server.state import service_of
from causerie.server.texts import CheckedText
from causerie.text.ssml import Script

router = APIRouter(tags=["speech"])

_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": [f"speech.audio.{name}" for name in ("delta", "done", "error")]},
        "data": {"type": "string", "description": "A JSON object; its type is that of the event."},
    },
    "required": ["event", "data"],
}
#: The OpenAPI schema of a response that is audio.
AUDIO_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The speech in the requested format, or events that contain it.",
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


@router.post("/v1/audio/speech", response_class=Response, responses=AUDIO_RESPONSES)
async def speech(request: Request, body: SpeechRequest) -> Response:
    """Speak a text. The audio is sent while it is generated."""
    return await _speak(request, body)


async def get_speech(request: Request) -> Response:
    """Speak the text of an address, for players that cannot POST. Its parameters are the fields.

    Added as `GET` by `Settings.allow_get`. The format may also be the ending: speech.wav.
    """
    given = {name: value for name, value in request.query_params.items() if name not in KEY_NAMES}
    if (format := request.path_params.get("format")) is not None:
        given["response_format"] = format
    if "text" in given:
        given.setdefault("input", given.pop("text"))
    try:
        body = SpeechRequest.model_validate(given)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        raise from_validation(errors) from None
    return await _speak(request, body)


async def _speak(request: Request, body: SpeechRequest) -> Response:
    service = service_of(request)
    check_options(body, service)
    encoder = new_encoder(body, service)  # raises for an invalid format, before speaking
    if request.scope.get("is_head"):
        response = Response(media_type=encoder.content_type)
        del response.headers["content-length"]
        return response
    return await respond(request, body, await begin_reply(body, service, "http"), encoder)


async def begin_reply(
    body: SpeechRequest, service: SpeechService, protocol: str
) -> AsyncStream | DialogueReply:
    """Begin the reply to a request whose options have been checked.

    Raises:
        ApiError, CauserieError: the text, the voice or the context is invalid, or the server is
            overloaded.
    """
    text = service.texts.plain_or_ssml(body.input, must_be_ssml=bool(body.ssml))
    notes: list[str] = []
    if isinstance(text, Script) and not text.has_voices:
        notes = text.notes
        text = CheckedText(text.as_text())
    voice, context = await body.find_voice(service), await body.segments(service)
    if isinstance(text, str):
        stream = await service.speak(
            text,
            voice=voice,
            context=context,
            protocol=protocol,
            **sampling_of(body),
        )
        stream.notes[:0] = notes
        return stream
    reply = DialogueReply(
        service,
        text.lines,
        voice=voice,
        context=context,
        sampling=sampling_of(body),
        tail_s=text.tail_s,
        notes=text.notes,
        protocol=protocol,
    )
    await reply.begin()
    return reply


def new_encoder(
    options: SpeechOptions, service: SpeechService, num_samples: int | None = None
) -> Encoder:
    """An encoder for the requested format and volume."""
    return VolumeEncoder(
        formats.encoder(
            options.response_format,
            sample_rate=service.sample_rate,
            out_rate=options.sample_rate,
            num_samples=num_samples,
        ),
        options.volume_multiplier,
    )


async def respond(
    request: Request,
    options: SpeechOptions,
    reply: AsyncStream | DialogueReply,
    encoder: Encoder,
) -> Response:
    """The response with a reply, in the form that the options request.

    Args:
        encoder: for a stream.
    """
    service = service_of(request)
    headers = ignored_headers(options)

    def encoder_of(num_samples: int) -> Encoder:
        return new_encoder(options, service, num_samples)

    if options.is_whole:
        return await audio_response.complete(
            request, reply, encoder_of, reply=reply, headers=headers
        )
    if options.stream_format == "audio":
        return await audio_response.stream(
            request, reply, encoder, new_encoder=encoder_of, reply=reply, headers=headers
        )
    return await audio_response.stream(
        request,
        reply,
        encoder,
        new_encoder=encoder_of,
        reply=reply,
        headers=headers,
        wrap=lambda chunks: _events(chunks, reply, service),
        content_type="text/event-stream",
    )


class VolumeEncoder:
    """An encoder that scales the audio first; clips at full scale."""

    def __init__(self, inner: Encoder, gain: float) -> None:
        self._inner, self._gain = inner, gain
        self.content_type, self.sample_rate = inner.content_type, inner.sample_rate

    def encode(self, pcm: NDArray[np.float32]) -> bytes:
        """See `Encoder`."""
        return self._inner.encode(pcm if self._gain == 1 else np.clip(self._gain * pcm, -1, 1))

    def finish(self) -> bytes:
        """See `Encoder`."""
        return self._inner.finish()


def usage_of(reply: AsyncStream | DialogueReply) -> dict[str, int]:
    """Input: text tokens and frames of context. Output: generated frames."""
    num_read, num_spoken = reply.num_text_tokens + reply.num_context_frames, reply.num_frames
    return {
        "input_tokens": num_read,
        "output_tokens": num_spoken,
        "total_tokens": num_read + num_spoken,
    }


async def _events(
    chunks: AsyncIterator[bytes], reply: AsyncStream | DialogueReply, service: SpeechService
) -> AsyncIterator[bytes]:
    """The chunks of a file as OpenAI's events; their audio, joined, is the file."""
    is_begun = False
    try:
        async for chunk in chunks:
            audio = base64.b64encode(chunk).decode("ascii")
            yield _event({"type": "speech.audio.delta", "audio": audio})
            is_begun = True
    except Exception as error:
        if not is_begun:
            raise
        yield _event({"type": "speech.audio.error", **service.report(error).body()})
        return
    notes = {"notes": reply.notes} if reply.notes else {}  # the header has those of the beginning
    yield _event({"type": "speech.audio.done", "usage": usage_of(reply), **notes})


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
