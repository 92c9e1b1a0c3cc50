"""Voices and consents: OpenAI's routes, in a format that other clients understand as well."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from causerie.audio.formats import encoder
from causerie.consent import QUESTION
from causerie.errors import StoreError, UnknownVoiceError
from causerie.server.audio_response import collect, encode_file
from causerie.server.auth import check_key, has_access
from causerie.server.errors import ApiError
from causerie.server.service import SpeechService
from causerie.server.state import service_of
from causerie.server.texts import CheckedText
from causerie.server.threads import in_changes, in_decoding, in_store
from causerie.server.upload import upload_bytes
from causerie.server.voices.cloning import no_consent
from causerie.server.voices.consents import Consent, UnknownConsentError
from causerie.server.voices.info import VoiceInfo
from causerie.server.voices.recording import Recording, voice_sound
from causerie.server.voices.store import ConsentInUseError, NameTakenError

router = APIRouter(tags=["voices"])
log = logging.getLogger("causerie.server")

#: The text and the seed of a preview.
PREVIEW, PREVIEW_SEED = CheckedText("Hello, this is what I sound like."), 1
#: Tells clients with automatic retries that a retry cannot help.
NO_RETRY = {"x-should-retry": "false"}


class VoiceFacts(BaseModel):
    """A voice, with all fields that clients read."""

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    name: str
    value: str = Field(description="The id, for SillyTavern.")
    label: str = Field(description="The name, for SillyTavern.")
    type: str = "audio_sample"
    language: str
    description: str
    preview_url: str
    origin: str
    created_at: int


class VoiceList(BaseModel):
    """All voices, under each name by which clients look for them."""

    object: Literal["list"] = "list"
    voices: list[VoiceFacts] | list[str]
    data: list[VoiceFacts]
    uploaded_voices: list[VoiceFacts]


class VoicesOfModel(BaseModel):
    """The voices of a model, for SillyTavern."""

    voices: list[VoiceFacts]


class VoiceOrVoices(VoiceFacts):
    """A voice; if it is a model of the folder of models too, with the voices of that model."""

    voices: list[VoiceFacts] | None = None


class Deleted(BaseModel):
    """A deleted voice or consent."""

    id: str
    object: str
    deleted: bool = True


class ConsentFacts(BaseModel):
    """A consent."""

    id: str
    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    created_at: int
    name: str
    language: str


class ConsentList(BaseModel):
    """A page of consents, the newest first."""

    object: Literal["list"] = "list"
    data: list[ConsentFacts]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ConsentUpdate(BaseModel):
    """The changes to a consent."""

    name: Annotated[str, Field(min_length=1, max_length=256)]


@router.get("/v1/audio/voices")
async def voices(request: Request, legacy: bool = False) -> VoiceList:
    """List all voices; without a key, the built-in ones. `legacy=true`: only their names."""
    infos = await listed_voices(request)
    facts = [_facts(info) for info in infos]
    uploaded = [voice for voice in facts if voice.origin == "uploaded"]
    listed = [voice.name for voice in facts] if legacy else facts
    return VoiceList(voices=listed, data=facts, uploaded_voices=uploaded)


@router.post("/v1/audio/voices")
async def create_voice(
    request: Request,
    response: Response,
    audio_sample: Annotated[UploadFile, File(description="1.5 to 30 s of speech by one person.")],
    name: Annotated[str, Form(min_length=1, max_length=256)],
    consent: Annotated[str, Form(description="Id of a recorded consent.")] = "",
    consent_attested: Annotated[bool, Form(description=f"{QUESTION} true: yes.")] = False,
    ref_text: Annotated[
        str, Form(max_length=4096, description="The exact transcript of the recording.")
    ] = "",
    language: Annotated[str, Form(max_length=35)] = "en",
    speaker_description: Annotated[str, Form(max_length=1024)] = "",
) -> VoiceFacts:
    """Make a voice from a recording. The header x-notes says what is wrong with it, if anything."""
    service = service_of(request)
    settings, store = service.settings, service.store
    service.cloning.check_allowed()
    data = await upload_bytes(audio_sample, settings, "audio_sample")
    basis = await service.cloning.ask_consent(consent, consent_attested, data, "audio_sample")
    try:
        name = await in_store(store.check_name, name)
    except NameTakenError as error:
        raise _taken(error) from error

    def read() -> tuple[Recording, str]:
        sound = voice_sound(data, service.sample_rate)
        text, notes = service.cloning.words(sound, ref_text, language)
        _show_notes(response, notes)
        return sound, text

    async with service.cloning.turn():
        sound, text = await in_decoding(read)
        await service.cloning.check_speaker(basis, data, "audio_sample")
        try:
            info = await in_changes(
                store.add,
                name,
                sound.speech,
                service.sample_rate,
                text,
                language=language,
                description=speaker_description,
                consent=basis,
            )
        except NameTakenError as error:
            raise _taken(error) from error
        except UnknownConsentError as error:
            raise no_consent(error) from error
    return _facts(info)


@router.delete("/v1/audio/voices/{voice}")
async def delete_voice(request: Request, voice: str) -> Deleted:
    """Delete an uploaded voice."""
    service = service_of(request)
    info = await in_store(_find, service, voice)
    if info.origin == "builtin":
        raise ApiError(
            f"voice {voice!r} comes with the model and cannot be deleted",
            status=403,
            type="permission_error",
            code="voice_is_builtin",
            param="voice",
        )
    try:
        await in_changes(service.store.delete, info.id)
    except UnknownVoiceError as error:  # another request deleted it first
        raise _no_voice(voice) from error
    return Deleted(id=info.id, object="audio.voice.deleted")


@router.get(
    "/v1/audio/voices/{voice}/preview",
    response_class=Response,
    responses={
        200: {
            "description": "A sentence in that voice.",
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("audio/wav", "audio/mpeg")
            },
        }
    },
)
async def preview(
    request: Request, voice: str, format: Annotated[Literal["wav", "mp3"], Query()] = "wav"
) -> Response:
    """Send a sample of a voice, generated at the first request."""
    service = service_of(request)
    info = await in_store(_find, service, voice)
    watermark = service.tts.watermark
    sound = service.model_names()[0].encode() + (b"" if watermark is None else watermark.key)
    name = f"{info.id}-{hashlib.blake2b(sound, digest_size=4).hexdigest()}.{format}"
    data = await in_store(service.store.preview, name) if _is_file_name(name) else None
    later = None
    if data is None:
        reply = await service.speak(
            PREVIEW,
            voice=info.id,
            seed=PREVIEW_SEED,
            max_duration_s=10,
            is_whole=True,
            protocol="preview",
        )
        data, _ = encode_file(
            await collect(reply),
            lambda num: service.signed(
                encoder(format, sample_rate=reply.sample_rate, num_samples=num)
            ),
        )
        if _is_file_name(name):
            later = BackgroundTask(_keep_preview, service, name, data)
    kind = {"wav": "audio/wav", "mp3": "audio/mpeg"}[format]
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(data, media_type=kind, headers=headers, background=later)


async def _keep_preview(service: SpeechService, name: str, data: bytes) -> None:
    """Store a preview, which was sent: another process may hold the lock."""
    try:
        await in_changes(service.store.keep_preview, name, data)
    except StoreError as error:
        log.warning("a preview could not be stored: %s", error)


@router.get("/v1/audio/voices/{voice:path}", response_model_exclude_none=True)
async def one_voice(request: Request, voice: str) -> VoiceOrVoices | VoicesOfModel:
    """Describe a voice, by its id or its name, or list the voices that a model has."""
    service = service_of(request)
    is_voice = await in_store(_is_voice, service, voice)
    if service.is_model(voice) and not is_voice:
        return VoicesOfModel(voices=[_facts(info) for info in await listed_voices(request)])
    facts = VoiceOrVoices(**_facts(await listed_voice(request, voice)).model_dump())
    if service.folder_model(voice) is not None:
        facts.voices = [_facts(info) for info in await listed_voices(request)]
    return facts


@router.post("/v1/audio/voice_consents")
async def create_consent_facts(
    request: Request,
    response: Response,
    recording: Annotated[UploadFile, File(description="A person stating their consent.")],
    name: Annotated[str, Form(min_length=1, max_length=256)],
    language: Annotated[str, Form(min_length=2, max_length=35)],
) -> ConsentFacts:
    """Store a recorded consent."""
    service = service_of(request)
    service.cloning.check_allowed()
    data = await upload_bytes(recording, service.settings, "recording")

    async with service.cloning.turn():
        sound = await in_decoding(voice_sound, data, service.sample_rate, "recording")
        _show_notes(response, sound.notes())
        check_words = service.cloning.consents.check_words
        await in_decoding(check_words, sound, service.sample_rate, language)
        consent = await in_changes(
            service.store.consents.add,
            data,
            name=name,
            language=language,
            media_type=recording.content_type or "application/octet-stream",
        )
    return _consent_facts(consent)


@router.get("/v1/audio/voice_consents")
async def consents(
    request: Request,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ConsentList:
    """List the consents, a page at a time."""
    store = service_of(request).store
    found, has_more = await in_store(store.consents.list, after=after, limit=limit)
    data = [_consent_facts(consent) for consent in found]
    return ConsentList(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=has_more,
    )


@router.get("/v1/audio/voice_consents/{consent}")
async def one_consent_facts(request: Request, consent: str) -> ConsentFacts:
    """Describe a consent."""
    store = service_of(request).store
    return _consent_facts(await _or_not_found(in_store(store.consents.get, consent)))


@router.post("/v1/audio/voice_consents/{consent}")
async def rename_consent_facts(
    request: Request, consent: str, update: ConsentUpdate
) -> ConsentFacts:
    """Rename a consent."""
    store = service_of(request).store
    work = in_changes(store.consents.rename, consent, update.name)
    return _consent_facts(await _or_not_found(work))


@router.delete("/v1/audio/voice_consents/{consent}")
async def delete_consent_facts(request: Request, consent: str) -> Deleted:
    """Delete a consent that no voice uses."""
    store = service_of(request).store
    try:
        await _or_not_found(in_changes(store.delete_consent, consent))
    except ConsentInUseError as error:
        raise ApiError(str(error), status=409, code="consent_in_use", headers=NO_RETRY) from error
    return Deleted(id=consent, object="audio.voice_consent")


async def listed_voices(request: Request) -> list[VoiceInfo]:
    """All voices that a client may see: without a valid key the built-in ones."""
    service = service_of(request)
    return await in_store(service.voices if has_access(request) else service.builtin_voices)


async def listed_voice(request: Request, voice: str) -> VoiceInfo:
    """The voice with an id or a name, if the client may see it.

    Raises:
        ApiError: there is none, or it may be uploaded and there is no valid key.
    """
    service = service_of(request)
    info = builtin_voice(service, voice)
    if info is None:
        check_key(service.settings, request.headers, {})
        info = await in_store(_find, service, voice)
    return info


def _is_voice(service: SpeechService, name: str) -> bool:
    return builtin_voice(service, name) is not None or service.store.find(name) is not None


def _show_notes(response: Response, notes: list[str]) -> None:
    if notes:
        response.headers["x-notes"] = json.dumps(notes)


def builtin_voice(service: SpeechService, voice: str) -> VoiceInfo | None:
    """The built-in voice with an id or a name."""
    for info in service.builtin_voices():
        if voice == info.id or voice.casefold() == info.name.casefold():
            return info
    return None


def _find(service: SpeechService, voice: str) -> VoiceInfo:
    """The voice with an id or a name, built in or uploaded; raises ApiError if there is none."""
    if (info := builtin_voice(service, voice)) is not None:
        return info
    if (uploaded := service.store.find(voice)) is not None:
        return uploaded.info
    raise _no_voice(voice)


def _no_voice(voice: str) -> ApiError:
    return ApiError(
        f"there is no voice {voice!r}: GET /v1/audio/voices lists all",
        status=404,
        code="voice_not_found",
        param="voice",
    )


def _facts(info: VoiceInfo) -> VoiceFacts:
    return VoiceFacts(
        id=info.id,
        name=info.name,
        value=info.id,
        label=info.name,
        language=info.language,
        description=info.description,
        preview_url=info.preview_url,
        origin=info.origin,
        created_at=info.created_at,
    )


def _consent_facts(consent: Consent) -> ConsentFacts:
    return ConsentFacts(
        id=consent.id,
        created_at=consent.created_at,
        name=consent.name,
        language=consent.language,
    )


def _taken(error: NameTakenError) -> ApiError:
    return ApiError(str(error), status=409, code="name_taken", param="name", headers=NO_RETRY)


async def _or_not_found(work: Any) -> Any:
    try:
        return await work
    except UnknownConsentError as error:
        raise ApiError(str(error), status=404, code="consent_not_found") from error


def _is_file_name(name: str) -> bool:
    """Whether a preview can be stored under this name; built-in voices may have any name."""
    return name.isascii() and not set(name) & set("/\\: ")
