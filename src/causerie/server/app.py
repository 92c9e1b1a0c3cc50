"""The app: one `SpeechService` behind every protocol.

    app = create_app(Settings.load())

The model is loaded while the server already answers: `/ready` says 503 until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from causerie import __version__
from causerie.errors import CauserieError
from causerie.server.auth import Gate
from causerie.server.body import BodyLimit
from causerie.server.cors import Cors
from causerie.server.errors import (
    RESPONSES,
    ApiError,
    from_http_exception,
    from_validation,
    to_api_error,
)
from causerie.server.head import Head
from causerie.server.metrics import Metrics
from causerie.server.models import Models, load_tts
from causerie.server.request_log import RequestLog
from causerie.server.routes import (
    batch,
    dialogue,
    dictionaries,
    elevenlabs,
    elevenlabs_discovery,
    elevenlabs_http,
    health,
    models,
    page,
    partner,
    realtime,
    speech,
    vllm_omni,
    voices,
    watermark,
)
from causerie.server.service import SpeechService
from causerie.server.settings import Settings
from causerie.server.state import ServerState, state_of
from causerie.server.threads import in_store
from causerie.server.tracing import open_tracing
from causerie.server.voices.store import open_store
from causerie.tts import TTS

if TYPE_CHECKING:
    from causerie.server.spans import Tracing

log = logging.getLogger("causerie.server")

#: Seconds for clients to read the end of their replies at shutdown, and to close connections.
CLOSE_S = 1

ROUTES = (
    health,
    models,
    speech,
    dialogue,
    batch,
    vllm_omni,
    voices,
    elevenlabs,
    elevenlabs_http,
    elevenlabs_discovery,
    dictionaries,
    realtime,
    partner,
    watermark,
    page,
)


def create_app(
    settings: Settings,
    *,
    tts: TTS | None = None,
    on_model: Callable[[str], Awaitable[object]] | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """An app, which is ready when its lifespan begins, or once its model is loaded.

    Args:
        tts: by default the model of the settings.
        on_model: awaited with the name of each model of `settings.models` before it is used.
        tracing: the app closes it; by default, the environment decides whether there are traces.

    Raises:
        ConfigError: the environment asks for traces that are not supported.
    """
    app = FastAPI(
        title="causerie",
        version=__version__,
        summary="Speech from text, by the Conversational Speech Model.",
        lifespan=_lifespan,
        responses=RESPONSES,
        docs_url=None,  # FastAPI's pages load their scripts from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
        # Its spans hold the query, where clients put keys and texts: `RequestLog` makes ours.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    state = ServerState(
        settings=settings,
        metrics=Metrics(),
        given_tts=tts,
        on_model=on_model,
        tracing=tracing or open_tracing(),
    )
    app.state.server = state
    for module in ROUTES:
        app.include_router(module.router)
    if settings.allow_get:
        for path in "/v1/audio/speech", "/v1/audio/speech.{format}":
            app.add_api_route(path, speech.get_speech, methods=["GET"], include_in_schema=False)
    for kind in ApiError, CauserieError, RequestValidationError, HTTPException:
        app.add_exception_handler(kind, _error_response)
    app.add_middleware(Head)
    app.add_middleware(
        BodyLimit,
        max_upload_bytes=settings.max_upload_bytes,
        max_chars=settings.max_input_chars,
    )
    app.add_middleware(Gate, state=state)
    app.add_middleware(Cors, settings=settings)
    app.add_middleware(RequestLog, metrics=state.metrics, tracing=state.tracing)
    return app


def _error_response(request: Request, error: Exception) -> JSONResponse:
    """The response to a request whose route raised an error."""
    if isinstance(error, RequestValidationError):
        error = from_validation(error.errors())
    elif isinstance(error, HTTPException):
        similar = _similar(request) if error.status_code == 404 else None
        error = from_http_exception(error, request.method, request.url.path, similar=similar)
    service = state_of(request).service
    if service is not None:
        api_error = service.report(error)
    else:
        api_error = to_api_error(error)
        if api_error.status == 500:
            log.error("request failed", exc_info=error)
    request.scope["state"].setdefault("facts", {})["code"] = api_error.code
    return api_error.response(request.url.path)


def _similar(request: Request) -> str | None:
    """A path that exists, for one where /v1 is missing or stands twice."""
    path = request.scope["path"].rstrip("/")
    for other in (f"/v1{path}", path.replace("/v1/v1/", "/v1/"), path.removeprefix("/v1")):
        scope = {**request.scope, "path": other}
        if other != path and any(
            route.matches(scope)[0] is not Match.NONE for route in request.app.routes
        ):
            return other
    return None


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = state_of(app)
    loading = None
    if state.given_tts is not None:
        await _start(state, state.given_tts)
    else:
        loading = asyncio.create_task(_load(state))
    try:
        yield
    finally:
        if loading is not None and not loading.done():
            loading.cancel()
        await _stop(state)
        if state.tracing is not None:
            await asyncio.to_thread(state.tracing.close)


async def _load(state: ServerState) -> None:
    """Load the model while the server answers 503."""
    try:
        await _start(state, await asyncio.to_thread(load_tts, state.settings))
    except Exception as error:  # noqa: BLE001 reported by /ready and raised by `run`
        state.failure = error
        log.error("the model cannot be loaded: %s", error)


async def _start(state: ServerState, tts: TTS) -> None:
    """Warm the model up, then accept requests."""
    settings = state.settings
    models = Models(tts, settings, on_use=state.on_model)
    store = await in_store(open_store, settings.voices, tts, [*models.in_folder()])
    service = SpeechService(models, store, settings, state.metrics, state.tracing)
    if settings.turn_model:
        await asyncio.to_thread(lambda: service.smart_turn)  # a wrong file ends the server now
    await service.warm_up()
    if settings.wyoming is not None:
        from causerie.server.wyoming import WyomingServer

        state.wyoming = WyomingServer(service, host=settings.wyoming_host, port=settings.wyoming)
        await state.wyoming.start()
    state.service = service


async def _stop(state: ServerState) -> None:
    """Finish the replies that have begun, for as long as the settings allow."""
    service = state.service
    if service is None:
        return
    is_drained = service.is_closing  # by `run`, which has waited for as long as the settings allow
    service.is_closing = True
    if state.wyoming is not None:
        await state.wyoming.aclose(timeout_s=CLOSE_S if is_drained else state.settings.grace_s)
    if state.given_tts is None:
        await service.aclose()
    else:
        await service.models.aclose()
