"""The state of one app: what its routes and middlewares share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from causerie.server.metrics import Metrics
from causerie.server.service import SpeechService
from causerie.server.settings import Settings
from causerie.tts import TTS

if TYPE_CHECKING:
    from causerie.server.spans import Tracing
    from causerie.server.wyoming import WyomingServer


@dataclass(kw_only=True, eq=False)
class ServerState:
    """The settings of an app, and the objects that it has loaded.

    Attributes:
        given_tts: the model, where the caller of `create_app` loaded it.
        on_model: awaited with the name of each model of `settings.models` before it is used.
        tracing: None if traces are off.
        service: None until the model is loaded.
        wyoming: None without `settings.wyoming`.
        failure: why the model could not be loaded.
    """

    settings: Settings
    metrics: Metrics
    given_tts: TTS | None = None
    on_model: Callable[[str], Awaitable[object]] | None = None
    tracing: Tracing | None = None
    service: SpeechService | None = None
    wyoming: WyomingServer | None = None
    failure: Exception | None = None


def state_of(owner: FastAPI | HTTPConnection) -> ServerState:
    """The state of an app, or of the app that serves a request or a WebSocket."""
    app = owner if isinstance(owner, FastAPI) else owner.app
    state: ServerState = app.state.server
    return state


def service_of(connection: HTTPConnection) -> SpeechService:
    """The service, which has been loaded: `auth.Gate` refuses requests before that."""
    service = state_of(connection).service
    assert service is not None
    return service
