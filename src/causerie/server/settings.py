"""The server's settings, from flags, environment variables and a TOML file.

`--max-queue 32`, `CAUSERIE_MAX_QUEUE=32` and `max_queue = 32` mean the same. A flag overrides the
environment, which overrides the file. Knows neither HTTP nor models.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from causerie.errors import ConfigError
from causerie.recognition.choice import check_choice

#: Several values, in the environment as `a,b`.
Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """All settings, validated. Use `load` to make them."""

    model_config = SettingsConfigDict(
        env_prefix="CAUSERIE_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,  # it may be a key
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    model: str = Field("petit", description="petit, a folder or file, or a hub id.")
    models: str = Field(
        "",
        description="Folder of further models and adapters, each served under its folder's name.",
    )
    max_models: int = Field(2, ge=1, description="Further models kept loaded, besides the first.")
    device: str = Field("auto", description="Device: auto, cpu, cuda, cuda:1 or mps.")
    dtype: str = Field("auto", description="Number format of the language model.")
    backbone_format: str = Field(
        "auto", description="Weight format of the backbone: auto, int8, int5 or int4."
    )
    depth_format: str = Field(
        "auto", description="Weight format of the depth decoder: auto, int8, int5 or int4."
    )
    fast: bool = Field(
        False,
        description="On a CPU, int5 weights in the backbone and int4 in the depth decoder: csm-1b "
        "is about twice as fast, at slightly lower quality.",
    )
    lexicon: str = Field("", description="File of pronunciations for all texts.")
    normalize: Literal["on", "off"] = Field(
        "on", description="off: a model that reads letters gets texts exactly as they are written."
    )
    verify: bool = Field(
        False,
        description="Check speech by a recognizer, and speak wrong pieces again. Needs the extra "
        "verify.",
    )
    llm: str = Field(
        "", description="OpenAI-compatible chat endpoint that answers what is said to Realtime."
    )
    llm_model: str = Field("", description="Name of the language model of --llm.")
    llm_key: str = Field("", description="Key of --llm.")
    recognizer: str = Field(
        "auto",
        description="Hears what is said to Realtime, and checks speech for --verify: auto (Whisper "
        "base), the URL of an OpenAI-compatible transcription endpoint, a size such as small.en, "
        "or a folder in CTranslate2's format.",
    )
    recognizer_model: str = Field("", description="Name of the model of --recognizer URL.")
    recognizer_key: str = Field("", description="Key of --recognizer URL.")
    turn_model: str = Field(
        "",
        description="File of smart-turn v3 in ONNX, which hears whether a speaker has finished, "
        "for Realtime's semantic_vad; empty: that of an installed pipecat-ai.",
    )
    watermark: bool = Field(True, description="Mark all speech as generated.")
    watermark_key: str = Field("", description="File of the watermark's key; empty: public key.")
    max_streams: int = Field(8, ge=1, description="Replies computed at the same time.")
    max_queue: int = Field(64, ge=0, description="Replies that may wait; further ones get a 429.")
    deadline_s: float | None = Field(
        None,
        gt=0,
        description="Seconds to a reply's first audio; a later reply gets a 503.",
    )
    api_key: Names = Field((), description="Keys, any of which a client must send.")
    no_key: bool = Field(False, description="Allow everyone, even on a public address.")
    allowed_host: Names = Field(
        (), description="Host names by which browsers may reach this server."
    )
    alias: Names = Field(
        (), description="Further names of a model or voice, as NAME=MODEL or NAME=VOICE."
    )
    cors: Names = Field((), description="Origins of web pages that may call this server, or *.")
    allow_get: bool = Field(
        False,
        description="Speak at GET /v1/audio/speech too, for players that only know an address.",
    )
    strict: bool = Field(False, description="Refuse unsupported fields instead of ignoring them.")
    max_input_chars: int = Field(20_000, ge=1, description="Longest text of a request.")
    max_upload_mb: float = Field(10.0, gt=0, le=1000, description="Largest recording, in MiB.")
    voices: str = Field("", description="Folder of uploaded voices; empty: one in ~/.cache.")
    consent: Literal["off", "attest", "recording"] = Field(
        "attest", description="What a new voice needs: nothing, a statement, or a recording."
    )
    cloning: bool = Field(True, description="Whether voices can be made from recordings.")
    transcribe: Literal["auto", "off"] = Field(
        "auto",
        description="Transcribe recordings, or compare their text, if a recognizer is installed.",
    )
    c2pa_cert: str = Field(
        "", description="Certificates in PEM: sign whole wav, mp3 and flac files with C2PA."
    )
    c2pa_key: str = Field("", description="Private key of --c2pa-cert, in PEM.")
    allow_urls: bool = Field(False, description="Fetch recordings that requests give as URLs.")
    wyoming: int | None = Field(
        None, ge=0, le=65535, description="Port of the Wyoming protocol, for Home Assistant."
    )
    wyoming_host: str = Field("127.0.0.1", description="Address of the Wyoming protocol.")
    ray: bool = Field(
        False, description="Serve with Ray, in several processes or on several machines."
    )
    replicas: int = Field(1, ge=1, description="Copies of the model, with --ray.")
    max_replicas: int | None = Field(None, ge=1, description="With --ray: scale up to this many.")
    gpus_per_replica: float = Field(
        0, ge=0, description="GPUs per replica, with --ray; a fraction shares a GPU."
    )
    scale_down_s: float = Field(
        300, ge=0, description="Idle seconds before a surplus replica stops."
    )
    cpus_per_replica: float = Field(
        1, gt=0, description="CPU cores per replica, with --ray; may be a fraction."
    )
    ray_address: str = Field("", description="Ray cluster to join; empty starts one here.")
    log_format: Literal["text", "json"] = Field("text", description="Format of the log.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Minimum level of the log."
    )
    grace_s: float = Field(30.0, ge=0, description="Seconds for replies to finish at shutdown.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, the environment, the file given to `load`."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @classmethod
    def load(cls, file: Path | None = None, **flags: Any) -> Settings:
        """The settings from all sources.

        Args:
            file: in TOML.
            flags: those that are not None override the other sources.

        Raises:
            ConfigError: a value is out of range, a name is unknown, or the file is unreadable.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        kind: type[Settings] = cls
        if file is not None:
            if not file.is_file():
                raise ConfigError(f"settings file {file} does not exist")

            class FromFile(cls):  # type: ignore[valid-type,misc]
                model_config = SettingsConfigDict(toml_file=file)

            kind = FromFile
        try:
            return kind(**given)
        except ValidationError as error:
            raise ConfigError(_message(error)) from error
        except ValueError as error:  # the file is not TOML
            raise ConfigError(f"settings file {file} cannot be read: {error}") from error

    @field_validator("api_key", "alias", "allowed_host", "cors", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            value = value.split(",")
        if isinstance(value, (list, tuple)):
            return tuple(str(part).strip() for part in value if str(part).strip())
        return value

    @field_validator("alias")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            name, equals, target = (part.strip() for part in one.partition("="))
            if not (name and equals and target):
                raise ValueError(f"an alias is like assistant=theo, not {one!r}")
        return value

    @model_validator(mode="after")
    def _guarded(self) -> Settings:
        if not (self.is_loopback or self.api_key or self.no_key):
            raise ValueError(
                f"host {self.host} can be reached from other machines, and there is no key, so "
                f"anyone could use it: give --api-key, or --no-key if something else protects it"
            )
        return self

    @model_validator(mode="after")
    def _signing(self) -> Settings:
        if bool(self.c2pa_cert) != bool(self.c2pa_key):
            raise ValueError("c2pa_cert and c2pa_key belong together: give both, or neither")
        return self

    @model_validator(mode="after")
    def _thinking(self) -> Settings:
        if bool(self.llm) != bool(self.llm_model):
            raise ValueError("llm and llm_model belong together: give both, or neither")
        return self

    @model_validator(mode="after")
    def _hearing(self) -> Settings:
        check_choice(self.recognizer, self.recognizer_model, self.recognizer_key)
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return is_loopback(self.host)

    @property
    def aliases(self) -> dict[str, str]:
        """The models and voices by their further names, in small letters."""
        pairs = (one.partition("=") for one in self.alias)
        return {name.strip().casefold(): target.strip() for name, _, target in pairs}

    @property
    def max_upload_bytes(self) -> int:
        """The largest recording."""
        return int(self.max_upload_mb * 2**20)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _message(error: ValidationError) -> str:
    """All errors in one line."""
    messages = []
    for one in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in one["loc"])
        message = one["msg"].removeprefix("Value error, ")
        messages.append(f"{name}: {message}" if name else message)
    return "settings: " + "; ".join(messages)
