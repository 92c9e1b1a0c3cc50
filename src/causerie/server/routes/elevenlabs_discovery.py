"""What ElevenLabs' clients ask before they speak: voices, their settings, and the account.

There is no account: each client is the owner of the server, and its characters are unlimited.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from causerie.server.auth import has_access
from causerie.server.routes.voices import listed_voice, listed_voices
from causerie.server.state import service_of
from causerie.server.voices.foreign_names import PREMADE
from causerie.server.voices.info import VoiceInfo

router = APIRouter(tags=["elevenlabs"])

#: Characters that are left, for clients that show them.
CHARACTERS = 1_000_000_000
USER = "causerie"


class ListedSettings(BaseModel):
    """The settings of a voice. Requests may change the speed."""

    stability: float = 0.5
    similarity_boost: float = 0.75
    style: float = 0.0
    use_speaker_boost: bool = True
    speed: float = 1.0


class ListedVoice(BaseModel):
    """A voice, in ElevenLabs' format."""

    voice_id: str
    name: str
    category: Literal["premade", "cloned"]
    description: str
    preview_url: str
    labels: dict[str, str]
    settings: ListedSettings = Field(default_factory=ListedSettings)
    available_for_tiers: list[str] = Field(default_factory=list)
    high_quality_base_model_ids: list[str] = Field(default_factory=list)
    is_owner: bool
    is_legacy: bool = False
    created_at_unix: int | None


class ListedVoices(BaseModel):
    """All voices, in ElevenLabs' format."""

    voices: list[ListedVoice]


class PageOfVoices(ListedVoices):
    """A page of the voices, in ElevenLabs' format."""

    has_more: bool
    total_count: int
    next_page_token: str | None


class Price(BaseModel):
    """An amount of money."""

    amount: str = "0"
    currency: str = "usd"


class Subscription(BaseModel):
    """A subscription without limits, in ElevenLabs' format."""

    tier: str = "self-hosted"
    status: str = "active"
    character_count: int = 0
    character_limit: int = CHARACTERS
    max_character_limit_extension: int | None = None
    max_credit_limit_extension: int | Literal["unlimited"] = "unlimited"
    can_extend_character_limit: bool = False
    allowed_to_extend_character_limit: bool = False
    next_character_count_reset_unix: int | None = None
    voice_slots_used: int = 0
    professional_voice_slots_used: int = 0
    professional_voice_slots_used_in_workspace: int = 0
    voice_limit: int = 1000
    max_voice_add_edits: int | None = None
    voice_add_edit_counter: int = 0
    professional_voice_limit: int = 0
    can_extend_voice_limit: bool = False
    can_use_instant_voice_cloning: bool
    can_use_professional_voice_cloning: bool = False
    currency: str | None = None
    current_overage: Price = Field(default_factory=Price)
    billing_period: str | None = None
    character_refresh_period: str | None = None
    next_invoice: None = None
    open_invoices: list[Any] = Field(default_factory=list)
    has_open_invoices: bool = False


class User(BaseModel):
    """The user, in ElevenLabs' format."""

    user_id: str = USER
    workspace_id: str = USER
    first_name: str = USER
    subscription: Subscription
    is_new_user: bool = False
    xi_api_key: str | None = None
    can_use_delayed_payment_methods: bool = False
    is_onboarding_completed: bool = True
    is_onboarding_checklist_completed: bool = True
    created_at: int = 0
    seat_type: str = "workspace_admin"


@router.get("/v1/voices")
async def voices(request: Request) -> ListedVoices:
    """List all voices for ElevenLabs' clients; /v1/audio/voices has more details."""
    return ListedVoices(voices=[_listed(request, info) for info in await listed_voices(request)])


@router.get("/v2/voices")
async def page_of_voices(
    request: Request,
    page_size: Annotated[int, Query(ge=1, le=100)] = 10,
    next_page_token: Annotated[str, Query(pattern=r"^\d{0,9}$")] = "",
    search: str = "",
    category: str = "",
    voice_ids: Annotated[list[str] | None, Query()] = None,
) -> PageOfVoices:
    """List the voices for ElevenLabs' clients, a page at a time."""
    found = [_listed(request, info) for info in await listed_voices(request)]
    words = search.casefold()
    found = [
        voice
        for voice in found
        if words in f"{voice.name} {voice.description}".casefold()
        and category in ("", voice.category)
        and (voice_ids is None or voice.voice_id in voice_ids)
    ]
    start = int(next_page_token or 0)
    end = start + page_size
    return PageOfVoices(
        voices=found[start:end],
        has_more=end < len(found),
        total_count=len(found),
        next_page_token=str(end) if end < len(found) else None,
    )


@router.get("/v1/voices/settings/default")
async def default_settings() -> ListedSettings:
    """The settings of every voice."""
    return ListedSettings()


@router.get("/v1/voices/{voice}")
async def one_voice(request: Request, voice: str) -> ListedVoice:
    """Describe a voice."""
    return _listed(request, await _find(request, voice))


@router.get("/v1/voices/{voice}/settings")
async def settings(request: Request, voice: str) -> ListedSettings:
    """The settings of a voice."""
    await _find(request, voice)
    return ListedSettings()


@router.get("/v1/user")
async def user(request: Request) -> User:
    """Describe the user. There is one, without limits."""
    return User(subscription=_subscription(request))


@router.get("/v1/user/subscription")
async def subscription(request: Request) -> Subscription:
    """Describe the subscription, which has no limits."""
    return _subscription(request)


def _subscription(request: Request) -> Subscription:
    return Subscription(can_use_instant_voice_cloning=service_of(request).settings.cloning)


async def _find(request: Request, voice: str) -> VoiceInfo:
    """A voice, which may be one of ElevenLabs' own.

    Raises:
        ApiError: there is none, or it may be uploaded and there is no valid key.
    """
    if voice in PREMADE:
        description = "One of ElevenLabs' premade voices, spoken by a voice of this server"
        return VoiceInfo(id=voice, name=PREMADE[voice], description=description, origin="builtin")
    return await listed_voice(request, voice)


def _listed(request: Request, info: VoiceInfo) -> ListedVoice:
    is_uploaded = info.origin == "uploaded"
    return ListedVoice(
        voice_id=info.id,
        name=info.name,
        category="cloned" if is_uploaded else "premade",
        description=info.description,
        preview_url=f"{str(request.base_url).rstrip('/')}{info.preview_url}",
        labels={"language": info.language},
        is_owner=is_uploaded and has_access(request),
        created_at_unix=info.created_at or None,
    )
