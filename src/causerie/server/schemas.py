"""Bodies of the HTTP requests: OpenAI's fields, and what else clients are known to send."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from causerie.audio.audio import Audio
from causerie.audio.formats import MAX_SPEED, MIN_SPEED
from causerie.audio.io import read
from causerie.model.sampling import MAX_SEED
from causerie.prompt import Segment
from causerie.server.errors import ApiError
from causerie.server.service import SpeechService
from causerie.server.settings import Settings
from causerie.server.voices.fetch import fetch
from causerie.voices import Voice

FormatName = Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "ulaw", "alaw"]
#: Encoded recordings of a context, all together: base64 of 24 MiB.
MAX_CONTEXT_CHARS = 32 * 2**20


class VoiceId(BaseModel):
    """A voice as OpenAI's clients name those that were made of recordings."""

    id: str


class Voiced(BaseModel):
    """How to speak: what all requests for speech share."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    model: str | None = Field(None, description="Any of /v1/models; OpenAI's names mean ours.")
    voice: str | VoiceId | None = Field(
        None, description="A name or id of /v1/audio/voices, a name of OpenAI's, or a number."
    )
    response_format: FormatName = "mp3"
    speed: Annotated[float, Field(ge=MIN_SPEED, le=MAX_SPEED)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool | None = Field(
        None, description="false: only when all is spoken, with the exact length in its header."
    )
    volume_multiplier: Annotated[float, Field(ge=0, le=2)] = 1.0
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        None, description="The same gives the same sound."
    )
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_k: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    max_duration_s: Annotated[float, Field(gt=0, le=3600)] | None = None

    @property
    def voice_name(self) -> str | None:
        """What is asked for, as a name."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice

    @property
    def ignored(self) -> list[str]:
        """Fields that were sent, and do nothing."""
        return sorted(self.model_extra or {})


class Turn(BaseModel):
    """A turn of the conversation so far: what was said, and how it sounded."""

    model_config = ConfigDict(extra="forbid")

    speaker: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    text: Annotated[str, StringConstraints(min_length=1)]
    audio: str = Field(description="A recording of it, in base64 or as a data: URL.")

    async def segment(self, number: int, settings: Settings) -> Segment:
        """As the library takes it.

        Raises:
            ApiError: the recording is no recording.
            AudioError: it cannot be read as sound.
        """
        file = await file_of(self.audio, f"context.{number}.audio", settings)
        samples, rate = await asyncio.to_thread(read, file)
        audio = Audio(samples=samples, sample_rate=rate)
        return Segment(speaker=self.speaker, text=self.text, audio=audio)


class SpeechRequest(Voiced):
    """`POST /v1/audio/speech`."""

    input: str = Field(description="What to say: text, or SSML, which begins with <speak>.")
    ssml: bool | None = Field(None, description="true: the input must be SSML.")
    context: Annotated[list[Turn], Field(max_length=64)] = Field(
        default_factory=list, description="The conversation so far, which the speech continues."
    )

    ref_audio: str | None = Field(
        None, description="A recording whose voice speaks, in base64 or as a data: URL."
    )
    ref_text: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        None, description="What is said in it, word for word."
    )
    consent: str = Field("", description="Id of a recorded consent of whoever is heard in it.")
    consent_attested: bool = Field(False, description="Whoever is heard in it agrees to be copied.")

    async def speaking(self, service: SpeechService) -> str | Voice | None:
        """Who speaks: the voice of `ref_audio`, where there is one, or else the one of that name.

        Raises:
            ApiError: the recording does not do, or may not be copied.
        """
        if self.ref_audio is None:
            if self.ref_text is not None:
                raise ApiError(
                    "ref_text is what is said in ref_audio, which is missing: send both",
                    code="missing_required_parameter",
                    param="ref_audio",
                )
            return self.voice_name
        cloning = service.cloning
        cloning.check_allowed()
        await asyncio.to_thread(cloning.basis, self.consent, self.consent_attested)
        file = await file_of(self.ref_audio, "ref_audio", service.settings)
        return await cloning.voice(file, self.ref_text or "")

    async def segments(self, settings: Settings) -> list[Segment]:
        """The context as the library takes it."""
        if sum(len(turn.audio) for turn in self.context) > MAX_CONTEXT_CHARS:
            raise ApiError(
                f"the recordings of the context are longer than {MAX_CONTEXT_CHARS:,} characters "
                f"of base64: send fewer turns",
                status=413,
                code="too_large",
                param="context",
            )
        return [await turn.segment(number, settings) for number, turn in enumerate(self.context)]


async def file_of(data: str, param: str, settings: Settings) -> bytes:
    """A recording's file, from base64, a data: URL, or, where that is allowed, an address.

    Raises:
        ApiError: it is none of these, too large, or cannot be fetched.
    """
    if "://" in data[:16] and data[:5].lower() != "data:" and settings.allow_urls:
        file = await fetch(data, settings.max_upload_bytes, param)
    else:
        file = await asyncio.to_thread(_decoded, data, param)
    if len(file) > settings.max_upload_bytes:
        raise ApiError(
            f"{param} is larger than {settings.max_upload_mb:g} MiB",
            status=413,
            code="too_large",
            param=param,
        )
    return file


def _decoded(data: str, param: str) -> bytes:
    if data[:5].lower() == "data:":
        head, comma, data = data.partition(",")
        if not comma or not head.endswith(";base64"):
            raise ApiError(f"{param}: a data: URL must be in base64", param=param,
                           code="invalid_audio")  # fmt: skip
    elif "://" in data[:16]:
        raise ApiError(
            f"{param}: send the recording itself, in base64: this server fetches no addresses",
            status=403,
            type="permission_error",
            code="urls_not_allowed",
            param=param,
        )
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:  # `binascii.Error` is one, and so is what letters like ä raise
        raise ApiError(
            f"{param} is no base64: {error}", param=param, code="invalid_audio"
        ) from None


def check_asked(asked: Voiced, service: SpeechService) -> None:
    """Raise ApiError where a request names another model, or, if we are strict, what we ignore."""
    settings: Settings = service.settings
    if asked.model is not None and asked.model not in service.model_names():
        raise ApiError(
            f"there is no model {asked.model!r}: GET /v1/models lists all",
            status=404,
            code="model_not_found",
            param="model",
        )
    if settings.strict and asked.ignored:
        raise ApiError(
            f"fields that do nothing here: {', '.join(asked.ignored)}; leave them out",
            code="unknown_parameter",
            param=asked.ignored[0],
        )


def ignored_headers(asked: Voiced) -> dict[str, str]:
    """The header that names the fields which were ignored, if any."""
    shown = [name for name in asked.ignored if name.isascii() and name.isprintable()][:32]
    return {"x-ignored-params": ", ".join(name[:64] for name in shown)} if shown else {}


def sampling_of(asked: Voiced) -> dict[str, Any]:
    """What `SpeechService.speak` takes of it."""
    return {
        "model": asked.model,
        "temperature": asked.temperature,
        "top_k": asked.top_k,
        "seed": asked.seed,
        "max_duration_s": asked.max_duration_s,
    }
