"""Bodies of the HTTP requests: OpenAI's fields, our own, and those that other clients send."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from causerie.audio.audio import Audio
from causerie.audio.formats import MAX_SPEED, MIN_SPEED, format_name
from causerie.consent import QUESTION
from causerie.prompt import Segment
from causerie.server.errors import ApiError, unknown_model
from causerie.server.json_body import JsonBody, Seed
from causerie.server.service import SpeechService
from causerie.server.settings import Settings
from causerie.server.threads import in_decoding
from causerie.server.voices.fetch import fetch
from causerie.server.voices.recording import read_upload
from causerie.tts import Guard
from causerie.voices import Voice

FormatName = Annotated[
    Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "ulaw", "alaw"],
    BeforeValidator(format_name),
]
#: Characters of all recordings of a context: base64 of 24 MiB.
MAX_CONTEXT_CHARS = 32 * 2**20
#: Seconds of all recordings of a context, several times what a model can take.
MAX_CONTEXT_S = 600.0


def _first_wrong(lexicon: object) -> object:
    """Raise ValueError for the first wrong entry: pydantic would describe each of thousands."""
    if isinstance(lexicon, dict):
        for word, entry in lexicon.items():
            values = entry.values() if isinstance(entry, dict) else [entry]
            if not all(isinstance(value, str) for value in values):
                raise ValueError(f"the entry of {word[:80]!r} must be a string or an alias")
    return lexicon


class VoiceId(BaseModel):
    """A voice by its id, as OpenAI's clients name custom voices."""

    id: str


class SpeechOptions(JsonBody):
    """The fields that all requests for speech share."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    model: str | None = Field(None, description="Any of /v1/models; OpenAI's names mean the first.")
    voice: str | VoiceId | None = Field(
        None, description="A name or id of /v1/audio/voices, one of OpenAI's names, or a number."
    )
    response_format: FormatName = "mp3"
    sample_rate: Annotated[int, Field(gt=0, le=2**31 - 1)] | None = Field(
        None, description="Of the audio, in Hz; by default 24000, and 8000 for ulaw and alaw."
    )
    speed: Annotated[float, Field(ge=MIN_SPEED, le=MAX_SPEED)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool | None = Field(
        None, description="false: send the complete file, with its exact length in the header."
    )
    volume_multiplier: Annotated[float, Field(ge=0, le=2)] = 1.0
    seed: Seed = Field(None, description="The same seed gives the same audio; -1 picks one.")
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_k: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    max_duration_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    one_prompt: bool = Field(
        False, description="Give the model the whole text at once, not in pieces."
    )
    guard: Guard = Field(
        "auto",
        description="End speech that goes on after its text; auto: on for csm-1b, off for petit.",
    )
    verify: bool | None = Field(
        None,
        description="Check each piece by a recognizer, and speak it again where words are missing "
        "or invented. While audio is sent as it is generated, the first piece is not checked.",
    )
    lexicon: (
        Annotated[
            dict[str, str | dict[str, str]], Field(max_length=10_000), BeforeValidator(_first_wrong)
        ]
        | None
    ) = Field(
        None,
        description='Pronunciations in IPA, {"GIF": "ʤˈɪf"}, or respellings, {"nginx": {"alias": '
        '"engine x"}}.',
    )
    normalize: Literal["on", "off"] | None = Field(
        None, description="off: a model that reads letters gets the text exactly as it is written."
    )

    @property
    def voice_name(self) -> str | None:
        """The name or id of the voice."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice

    @property
    def is_whole(self) -> bool:
        """Whether the audio is sent at once, when it is complete."""
        return self.stream is False and self.stream_format == "audio"

    @property
    def ignored(self) -> list[str]:
        """Fields that were sent but are not supported."""
        return sorted(self.model_extra or {})


class Turn(JsonBody):
    """An earlier turn of the conversation: its text and its recording."""

    model_config = ConfigDict(extra="forbid")

    speaker: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    text: str = Field("", description="Its words; empty if they are unknown.")
    audio: str = Field(description="A recording of it, in base64 or as a data: URL.")
    audio_token: Annotated[str, StringConstraints(max_length=64)] = Field(
        "", description="x-audio-token of the reply, if this server spoke the turn."
    )
    consent: str = Field("", description="Id of its speaker's consent, if not the request's.")


class SpeechRequest(SpeechOptions):
    """`POST /v1/audio/speech`."""

    input: str = Field(description="The text, or SSML, which begins with <speak>.")
    ssml: bool | None = Field(None, description="true: the input must be SSML.")
    context: Annotated[list[Turn], Field(max_length=64)] = Field(
        default_factory=list, description="The earlier turns of the conversation."
    )

    ref_audio: str | None = Field(
        None, description="A recording of the voice to use, in base64 or as a data: URL."
    )
    ref_text: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        None, description="Its exact transcript."
    )
    consent: str = Field("", description="Id of a recorded consent of its speaker.")
    consent_attested: bool = Field(False, description=f"{QUESTION} true: yes.")

    async def find_voice(self, service: SpeechService) -> str | Voice | None:
        """The voice of `ref_audio` if it was sent, else the name of the voice.

        Raises:
            ApiError: the recording is unsuitable, or may not be copied.
        """
        if self.ref_audio is None:
            if self.ref_text is not None:
                raise ApiError(
                    "ref_text is the transcript of ref_audio, which is missing: send both",
                    code="missing_required_parameter",
                    param="ref_audio",
                )
            return self.voice_name
        if self.model is not None and not service.is_model(self.model):
            raise unknown_model(self.model)
        cloning = service.cloning
        cloning.check_allowed()
        file = await read_recording(self.ref_audio, "ref_audio", service.settings)
        basis = await cloning.ask_consent(self.consent, self.consent_attested, file, "ref_audio")
        await service.cloning.check_speaker(basis, file, "ref_audio")
        return await service.cloning.voice(file, self.ref_text or "")

    async def segments(self, service: SpeechService) -> list[Segment]:
        """The context as the library takes it.

        Raises:
            ApiError: a recording cannot be used, is not audio, or may not be copied; or all
                together are too long.
        """
        if sum(len(turn.audio) for turn in self.context) > MAX_CONTEXT_CHARS:
            raise _too_long(
                f"the recordings of the context are over {MAX_CONTEXT_CHARS:,} characters long"
            )
        segments, seconds = [], 0.0
        for number, turn in enumerate(self.context):
            name = f"context.{number}.audio"
            file = await read_recording(turn.audio, name, service.settings)
            is_own = bool(turn.audio_token) and await in_decoding(
                service.own_speech.includes, turn.audio_token, file
            )
            if not is_own:
                consent = turn.consent or self.consent
                basis = await service.cloning.ask_consent(
                    consent, self.consent_attested, file, name
                )
                await service.cloning.check_speaker(basis, file, name)
            sound = await in_decoding(read_upload, file, service.sample_rate, name)
            seconds += sound.duration_s
            if seconds > MAX_CONTEXT_S:
                raise _too_long(f"the recordings of the context last over {MAX_CONTEXT_S:g} s")
            audio = Audio(samples=sound.samples, sample_rate=sound.sample_rate)
            segments.append(Segment(speaker=turn.speaker, text=turn.text, audio=audio))
        return segments


def _too_long(message: str) -> ApiError:
    return ApiError(f"{message}: send fewer turns", status=413, code="too_large", param="context")


async def read_recording(data: str, param: str, settings: Settings) -> bytes:
    """The file of a recording that was sent as base64, a data: URL or, if allowed, a URL.

    Raises:
        ApiError: it is none of these, is too large, or cannot be fetched.
    """
    if "://" in data[:16] and data[:5].lower() != "data:" and settings.allow_urls:
        file = await fetch(data, settings.max_upload_bytes, param)
    else:
        file = await in_decoding(_decoded, data, param)
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
            f"{param}: this server does not fetch URLs: send the recording itself, in base64",
            status=403,
            type="permission_error",
            code="urls_not_allowed",
            param=param,
        )
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:  # `binascii.Error`, or the error for characters like ä
        raise ApiError(
            f"{param} is not base64: {error}", param=param, code="invalid_audio"
        ) from None


def check_options(options: SpeechOptions, service: SpeechService) -> None:
    """Raise ApiError for an unknown model and, in strict mode, for unsupported fields."""
    settings: Settings = service.settings
    is_voice = not (options.voice_name or "").strip()  # perhaps: see `SpeechService.voice`
    if options.model is not None and not is_voice and not service.is_model(options.model):
        raise unknown_model(options.model)
    if settings.strict and options.ignored:
        raise ApiError(
            f"unsupported fields: {', '.join(options.ignored)}; leave them out",
            code="unknown_parameter",
            param=options.ignored[0],
        )


def ignored_headers(options: SpeechOptions) -> dict[str, str]:
    """The header that lists unsupported fields, if there were any."""
    shown = [name for name in options.ignored if name.isascii() and name.isprintable()][:32]
    return {"x-ignored-params": ", ".join(name[:64] for name in shown)} if shown else {}


def sampling_of(options: SpeechOptions) -> dict[str, Any]:
    """The arguments of `SpeechService.speak` that the options give."""
    return {
        "model": options.model,
        "temperature": options.temperature,
        "top_k": options.top_k,
        "seed": options.seed,
        "max_duration_s": options.max_duration_s,
        "one_prompt": options.one_prompt,
        "guard": options.guard,
        "verify": options.verify,
        "is_whole": options.is_whole,
        "speed": options.speed,
        "lexicon": options.lexicon,
        "normalize": options.normalize,
    }
