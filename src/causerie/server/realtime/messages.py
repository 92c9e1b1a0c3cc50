"""The messages of clients of OpenAI's Realtime protocol, as far as they are obeyed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from causerie.audio.formats import MAX_SPEED, MIN_SPEED
from causerie.server.errors import ApiError
from causerie.server.json_body import Seed
from causerie.server.sockets import Message

FORMATS = {"audio/pcm": "pcm", "audio/pcmu": "ulaw", "audio/pcma": "alaw"}
RATES = {"audio/pcm": 24_000, "audio/pcmu": 8000, "audio/pcma": 8000}
#: Fields of the protocol before its release, and where they are since.
_BETA = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}


class Format(Message):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: Literal[24000, 8000] | None = None

    def check_rate(self, param: str) -> None:
        """Raise ApiError if the format has another rate."""
        if self.rate not in (None, RATES[self.type]):
            raise ApiError(
                f"{self.type} has a rate of {RATES[self.type]} Hz, not {self.rate}",
                code="invalid_value",
                param=param,
            )


class VoiceId(Message):
    id: str


class Output(Message):
    voice: str | VoiceId | None = None
    format: Format | None = None
    speed: float | None = Field(default=None, ge=MIN_SPEED, le=MAX_SPEED)


class TurnDetection(Message):
    type: Literal["server_vad", "semantic_vad", "none"]
    threshold: float = Field(default=0.5, gt=0, lt=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=2000)
    silence_duration_ms: int = Field(default=500, ge=200, le=10_000)
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


class Transcription(Message):
    type: Literal["none"] | None = None
    model: str | None = None
    language: str | None = None
    prompt: str | None = None


class Input(Message):
    format: Format | None = None
    turn_detection: TurnDetection | None = None
    transcription: Transcription | None = None

    @model_validator(mode="before")
    @classmethod
    def _off(cls, data: Any) -> Any:
        """Tell null, which turns something off, from what is not given."""
        if not isinstance(data, dict):
            return data
        names = [name for name in ("turn_detection", "transcription") if name in data]
        return {**data, **{n: {"type": "none"} for n in names if data[n] is None}}


class Audio(Message):
    input: Input | None = None
    output: Output | None = None


class Tool(Message):
    model_config = ConfigDict(extra="allow")

    type: Literal["function"] = "function"
    name: str = Field(min_length=1, max_length=64)


class NamedTool(Message):
    type: Literal["function"]
    name: str


class Answering(Message):
    """What a session and a response say of answers."""

    audio: Audio | None = None
    instructions: str | None = None
    output_modalities: list[Literal["audio", "text"]] | None = None
    tools: list[Tool] | None = Field(default=None, max_length=128)
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | Literal["inf"] | None = None
    prompt: Any = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        """Refuse what would change the answer, and what only the beta protocol has."""
        if not isinstance(data, dict):
            return data
        for name, now in _BETA.items():
            if data.get(name) is not None:
                raise ValueError(f"{name} is of the beta protocol: send {now}")
        if data.get("prompt") is not None:
            raise ValueError("prompt is stored at OpenAI: send its text as instructions")
        return data


class Session(Answering):
    type: Literal["realtime"] = "realtime"


class Content(Message):
    type: str | None = None
    text: str | None = None
    transcript: str | None = None
    audio: str | None = None


class NewItem(Message):
    type: Literal["message", "item_reference", "function_call", "function_call_output"] = "message"
    id: str | None = Field(default=None, min_length=1, max_length=64)
    role: Literal["user", "assistant", "system"] = "user"
    content: list[Content] = Field(default_factory=list, max_length=1000)
    call_id: str | None = Field(default=None, max_length=64)
    name: str | None = Field(default=None, max_length=64)
    arguments: str | None = None
    output: str | None = None


class NewResponse(Answering):
    conversation: str | None = None
    input: list[NewItem] | None = Field(default=None, max_length=1000)
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    seed: Seed = None  # not in OpenAI's protocol

    @property
    def is_in_conversation(self) -> bool:
        """Whether the response is an item of the conversation."""
        return self.conversation != "none"


class SessionUpdate(Message):
    session: Session


class ItemCreate(Message):
    item: NewItem
    previous_item_id: str | None = None


class Append(Message):
    audio: str


class ItemId(Message):
    item_id: str


class Truncate(Message):
    item_id: str
    content_index: Literal[0] = 0
    audio_end_ms: int = Field(ge=0)


class Create(Message):
    response: NewResponse = Field(default_factory=NewResponse)


class Cancel(Message):
    response_id: str | None = None
