"""The app: one `TTS` behind every protocol.

    app = create_app(Settings.load())

Everything that answers finds the `SpeechService` as `app.state.speaker`, and the settings as
`app.state.settings`. The model is loaded while the server is up already, which says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse

from causerie import __version__
from causerie.errors import CauserieError
from causerie.server.auth import Gate
from causerie.server.body import BodyLimit
from causerie.server.errors import (
    RESPONSES,
    ApiError,
    from_http_exception,
    from_validation,
    to_api_error,
)
from causerie.server.metrics import Metrics
from causerie.server.models import Models, load_tts
from causerie.server.request_log import Trace
from causerie.server.routes import (
    batch,
    dialogue,
    elevenlabs,
    elevenlabs_http,
    health,
    models,
    page,
    realtime,
    speech,
    vllm_omni,
    voices,
)
from causerie.server.service import SpeechService
from causerie.server.settings import Settings
from causerie.server.voices.store import open_store
from causerie.tts import TTS

log = logging.getLogger("causerie.server")

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
    realtime,
    page,
)


def create_app(settings: Settings, *, tts: TTS | None = None) -> FastAPI:
    """An app that is ready once its lifespan began, or, where the model is yet to load, later.

    Args:
        tts: speaks; by default the one that the settings name.
    """
    app = FastAPI(
        title="causerie",
        version=__version__,
        summary="Speech from text, by the Conversational Speech Model.",
        lifespan=_lifespan,
        responses=RESPONSES,
        separate_input_output_schemas=False,
    )
    metrics = Metrics()
    app.state.settings, app.state.metrics, app.state.speaker = settings, metrics, None
    app.state.given_tts, app.state.failure = tts, None
    app.state.on_failure = None  # called with what hindered loading
    app.state.on_model = None  # awaited with the name of each of `settings.models` that is used
    for module in ROUTES:
        app.include_router(module.router)
    for kind in ApiError, CauserieError, RequestValidationError, HTTPException:
        app.add_exception_handler(kind, _error_response)
    app.add_middleware(BodyLimit, max_upload_bytes=settings.max_upload_bytes)
    app.add_middleware(Gate, settings=settings)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    app.add_middleware(Trace, metrics=metrics)
    return app


def _error_response(request: Request, error: Exception) -> JSONResponse:
    """The response to a request whose route raised an error."""
    if isinstance(error, RequestValidationError):
        error = from_validation(error.errors())
    elif isinstance(error, HTTPException):
        error = from_http_exception(error, request.method, request.url.path)
    speaker: SpeechService | None = request.app.state.speaker
    if speaker is not None:
        api_error = speaker.tell(error)
    else:
        api_error = to_api_error(error)
        if api_error.status == 500:
            log.error("request failed", exc_info=error)
    request.scope["state"].setdefault("facts", {})["code"] = api_error.code
    return api_error.response(request.url.path)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    if app.state.given_tts is not None:
        await _start(app, app.state.given_tts)
        loading = None
    else:
        loading = asyncio.create_task(_load(app))
    try:
        yield
    finally:
        if loading is not None and not loading.done():
            loading.cancel()
        await _stop(app)


async def _load(app: FastAPI) -> None:
    """Get the model, while the server answers that it does so."""
    settings: Settings = app.state.settings
    try:
        await _start(app, await asyncio.to_thread(load_tts, settings))
    except Exception as error:  # noqa: BLE001 whoever runs the app is told
        app.state.failure = error
        log.error("the model cannot be loaded: %s", error)
        if app.state.on_failure is not None:
            app.state.on_failure(error)


async def _start(app: FastAPI, tts: TTS) -> None:
    """Warm the model up, and let requests in."""
    settings: Settings = app.state.settings
    models = Models(tts, settings)
    models.on_use = app.state.on_model
    store = await asyncio.to_thread(open_store, settings.voices, tts, [*models.found()])
    speaker = SpeechService(models, store, settings, app.state.metrics)
    await speaker.warm_up()
    app.state.wyoming = None
    if settings.wyoming is not None:
        from causerie.server.wyoming import WyomingServer

        app.state.wyoming = WyomingServer(
            speaker, host=settings.wyoming_host, port=settings.wyoming
        )
        await app.state.wyoming.start()
    app.state.speaker = speaker


async def _stop(app: FastAPI) -> None:
    """Let what is begun come to its end, for as long as the settings say."""
    speaker: SpeechService | None = app.state.speaker
    if speaker is None:
        return
    speaker.is_closing = True
    if app.state.wyoming is not None:
        await app.state.wyoming.aclose(drain=True, timeout_s=app.state.settings.grace_s)
    if app.state.given_tts is None:
        await speaker.aclose()
    else:
        await speaker.known.aclose()
