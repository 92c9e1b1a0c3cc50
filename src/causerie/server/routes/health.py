"""Health, readiness and metrics, for operators."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from causerie import __version__
from causerie.server.auth import has_access
from causerie.server.errors import retry_after
from causerie.server.models import model_id
from causerie.server.state import state_of

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """The process is running."""

    status: str = "ok"
    version: str = __version__


class Readiness(BaseModel):
    """Whether the server accepts requests, and how busy it is."""

    status: str
    model: str | None = Field(description="Named to clients that have a key, where there is one.")
    loaded: list[str] = Field(
        default_factory=list, description="Loaded models of the folder of models."
    )
    device: str | None = None
    active: int = 0
    waiting: int = 0
    max_streams: int
    max_queue: int
    sample_rate: int | None = None
    watermark: bool | None = Field(
        default=None, description="Whether speech is marked as generated."
    )
    version: str = __version__


@router.get("/health")
async def health() -> Health:
    """Answer 200 while the process is running."""
    return Health()


@router.get(
    "/ready",
    responses={503: {"model": Readiness, "description": "Not ready yet, or shutting down."}},
)
async def ready(request: Request) -> Response:
    """Answer 200 once the model is loaded, until the server shuts down or the engine fails."""
    state = state_of(request)
    settings, service = state.settings, state.service
    shows_names = has_access(request)
    facts = Readiness(
        status="loading",
        model=model_id(settings.model) if shows_names else None,
        max_streams=settings.max_streams,
        max_queue=settings.max_queue,
    )
    if service is None:
        if state.failure is not None:
            facts.status = "failed"
        return JSONResponse(facts.model_dump(), 503, retry_after(2))
    stats = service.models.stats()
    facts.device = str(next(service.tts.checkpoint.model.parameters()).device)
    facts.active, facts.waiting = stats.active, stats.waiting
    facts.sample_rate = service.sample_rate
    facts.watermark = service.tts.watermark is not None
    if shows_names:
        facts.model, facts.loaded = model_id(service.tts.checkpoint.name), service.models.loaded
    if service.tts.failure is not None:
        facts.status = "failed"
        return JSONResponse(facts.model_dump(), 503, retry_after(5))
    facts.status = "shutting down" if service.is_closing else "ready"
    if service.is_closing:
        return JSONResponse(facts.model_dump(), 503, retry_after(5))
    return JSONResponse(facts.model_dump())


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    return Response(state_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)
