"""Bodies of the HTTP requests: OpenAI's fields, and what else clients are known to send."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from causerie.audio.audio import Audio
from causerie.audio.formats import MAX_SPEED, MIN_SPEED
from causerie.audio.io import read
from causerie.model.sampling import MAX_SEED
from causerie.prompt import Segment
from causerie.server.errors import ApiError
from causerie.server.settings import Settings
from causerie.server.speaker import Speaker

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

    def segment(self, number: int) -> Segment:
        """As the library takes it.

        Raises:
            ApiError: the recording is no recording.
        """
        param = f"context.{number}.audio"
        return Segment(speaker=self.speaker, text=self.text, audio=recording(self.audio, param))


class SpeechRequest(Voiced):
    """`POST /v1/audio/speech`."""

    input: str = Field(description="What to say.")
    context: Annotated[list[Turn], Field(max_length=64)] = Field(
        default_factory=list, description="The conversation so far, which the speech continues."
    )

    def segments(self) -> list[Segment]:
        """The context as the library takes it; decodes, so call it in a thread."""
        if sum(len(turn.audio) for turn in self.context) > MAX_CONTEXT_CHARS:
            raise ApiError(
                f"the recordings of the context are longer than {MAX_CONTEXT_CHARS:,} characters "
                f"of base64: send fewer turns",
                status=413,
                code="too_large",
                param="context",
            )
        return [turn.segment(number) for number, turn in enumerate(self.context)]


def recording(data: str, param: str) -> Audio:
    """Sound from base64, or from a data: URL.

    Raises:
        ApiError: it is none.
        AudioError: it cannot be read as sound.
    """
    if data[:5].lower() == "data:":
        head, comma, data = data.partition(",")
        if not comma or not head.endswith(";base64"):
            raise ApiError(f"{param}: a data: URL must be in base64", param=param,
                           code="invalid_audio")  # fmt: skip
    elif "://" in data[:16]:
        raise ApiError(
            f"{param}: send the recording itself, in base64; addresses are not fetched",
            status=403,
            type="permission_error",
            code="urls_not_allowed",
            param=param,
        )
    try:
        file = base64.b64decode(data, validate=True)
    except ValueError as error:  # `binascii.Error` is one, and so is what letters like ä raise
        raise ApiError(
            f"{param} is no base64: {error}", param=param, code="invalid_audio"
        ) from None
    samples, rate = read(file)
    return Audio(samples=samples, sample_rate=rate)


def check_asked(asked: Voiced, speaker: Speaker) -> None:
    """Raise ApiError where a request names another model, or, if we are strict, what we ignore."""
    settings: Settings = speaker.settings
    if asked.model is not None and asked.model not in speaker.models():
        raise ApiError(
            f"there is no model {asked.model!r}: there is {', '.join(speaker.models()[:1])}, and "
            f"OpenAI's names mean it",
            status=404,
            code="model_not_found",
            param="model",
        )
    if (asked.model_extra or {}).get("ssml"):
        raise ApiError("ssml is not understood: send plain text", code="unsupported", param="ssml")
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
    """What `Speaker.speak` takes of it."""
    return {
        "temperature": asked.temperature,
        "top_k": asked.top_k,
        "seed": asked.seed,
        "max_duration_s": asked.max_duration_s,
    }
