"""Runs the server on Ray Serve: replicas on one or more machines, each with its own engine.

    causerie serve --ray --replicas 2
    serve run causerie.server.ray.deployment:app model=petit replicas=2

Ray's proxy sends each request to the less busy of two replicas and passes streams and WebSockets
through in chunks. If a replica is full, its own bounded queue answers 429, as without Ray. All
replicas must see the folder of voices.

Knows nothing of the app's routes.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causerie.errors import ConfigError, EngineError
from causerie.extras import need
from causerie.server.ray.proxy import MODELS, REPLICA_HEADER, proxy_middlewares
from causerie.server.settings import Settings

if TYPE_CHECKING:
    from ray.serve import Application

NAME = "causerie"
#: Requests that a replica accepts beyond its slots and queue. Ray counts idle WebSockets and
#: `/health` as requests, too. The replica's own queue refuses surplus speech.
EXTRA_REQUESTS = 256
#: Size of Ray's object store, which holds nothing large; Ray requires at least 75 MB.
OBJECT_STORE_BYTES = 80_000_000
#: Environment of a cluster that we start: no usage reports; no niceness (with Ray's 15, any other
#: process delays the audio); a long timeout for busy machines; all log lines; our middlewares.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_DEDUP_LOGS": "0",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": (
        f"{proxy_middlewares.__module__}.{proxy_middlewares.__name__}"
    ),
}


class Replica:
    """An engine and its app in one process, which Ray starts: see `deployment`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Load the model; Ray sends requests only after this returns."""
        from causerie.server.models import load_tts
        from causerie.server.run import log_by

        self.settings = Settings(**settings)
        log_by(self.settings)
        self.tts = load_tts(self.settings)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Build the app; called by Ray Serve."""
        from causerie.server.app import create_app

        serve = need("ray.serve", "ray")

        @serve.multiplexed(max_num_models_per_replica=self.settings.max_models)
        async def use_model(model: str) -> str:
            """Make Ray send requests for this model to this replica."""
            return model

        self.use_model = use_model
        app = create_app(self.settings, tts=self.tts, on_model=use_model)
        name = serve.get_replica_context().replica_id.unique_id
        app.add_middleware(_ReplicaHeader, name=name)
        return app

    def check_health(self) -> None:
        """Raise if the engine has failed; Ray then replaces this replica."""
        if self.tts.failure is not None:
            raise EngineError(f"the engine failed: {self.tts.failure!r}")


class _ReplicaHeader:
    """Adds a header with the replica's name to each response."""

    def __init__(self, app: ASGIApp, *, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""

        async def send_named(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                headers = MutableHeaders(scope=message)
                headers[REPLICA_HEADER] = self.name
                if message["type"] == "http.response.start":
                    del headers["x-request-id"]  # the proxy adds the same one again
            await send(message)

        await self.app(scope, receive, send_named)


def deployment(settings: Settings) -> Application:
    """The Ray Serve application, with the replicas that the settings specify."""
    serve, config = need("ray.serve", "ray"), need("ray.serve.config", "ray")
    capacity = settings.max_streams + settings.max_queue
    options: dict[str, Any] = {
        "name": NAME,
        "ray_actor_options": {
            "num_cpus": settings.cpus_per_replica,
            "num_gpus": settings.gpus_per_replica,
        },
        "max_ongoing_requests": capacity + EXTRA_REQUESTS,
        "max_queued_requests": capacity,
        "backpressure_config": config.BackpressureConfig(status_code=429, retry_after_s=1),
        "graceful_shutdown_timeout_s": settings.grace_s + 5,
        "graceful_shutdown_wait_loop_s": 1.0,
        "health_check_period_s": 5,
        "max_constructor_retry_count": 3,
        "logging_config": {"enable_access_log": False},  # the app has its own request log
    }
    if settings.max_replicas is None or settings.max_replicas <= settings.replicas:
        options["num_replicas"] = settings.replicas
    else:
        options["autoscaling_config"] = {
            "min_replicas": settings.replicas,
            "max_replicas": settings.max_replicas,
            # The number a replica computes at once: beyond it, requests wait.
            "target_ongoing_requests": settings.max_streams,
            "upscale_delay_s": 10,
            "downscale_delay_s": settings.scale_down_s,
        }
    replica = serve.deployment(**options)(serve.ingress()(Replica))
    bound: Application = replica.bind(settings.model_dump())
    return bound


def app(args: dict[str, Any]) -> Application:
    """Build the application for `serve run causerie.server.ray.deployment:app`."""
    return deployment(Settings.load(None, **args))


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then let replies finish; print the address when ready.

    Raises:
        ConfigError: Ray is not installed, there is no cluster, or the port is taken.
        EngineError: the replicas do not start.
    """
    ray, serve = need("ray", "ray"), need("ray.serve", "ray")
    config = need("ray.serve.config", "ray")
    port = _checked_port(settings.host, settings.port)
    with contextlib.ExitStack() as stack:
        stack.callback(ray.shutdown)
        _join_cluster(ray, settings)
        stack.callback(_end_serve, serve)
        serve.start(
            http_options=config.HTTPOptions(host=settings.host, port=port),
            logging_config={"enable_access_log": False},
        )
        try:
            serve.run(deployment(settings), name=NAME, route_prefix="/")
        except RuntimeError as error:  # its message includes the replicas' error
            raise EngineError(f"the replicas do not start: {error}") from error
        stopping = threading.Event()
        for number in signal.SIGINT, signal.SIGTERM:  # after Ray has set its own handlers
            signal.signal(number, lambda *_: stopping.set())
        print(f"http://{settings.host}:{port}", flush=True)
        stopping.wait()
        # This waits for the replies; `shutdown` would stop the proxies first.
        serve.delete(NAME)


def _join_cluster(ray: Any, settings: Settings) -> None:
    """Start a small cluster on this machine, or join the one in the settings."""
    if settings.ray_address:
        _check_reachable(settings.ray_address)
        try:
            ray.init(address=settings.ray_address)
        except (ConnectionError, ray.exceptions.AuthenticationError) as error:
            raise ConfigError(
                f"cannot join the Ray cluster at {settings.ray_address}: {error}. A cluster with a "
                f"token, as `ray start` makes it, needs RAY_AUTH_MODE=token and, from another "
                f"machine, RAY_AUTH_TOKEN"
            ) from error
        return
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ[MODELS] = os.path.abspath(settings.models) if settings.models else ""
    max_replicas = max(settings.replicas, settings.max_replicas or 0)
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, math.ceil(max_replicas * settings.cpus_per_replica)),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
    )


def _check_reachable(address: str) -> None:
    """Raise ConfigError if nothing listens at the address: Ray would retry for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdigit():  # "auto"
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"there is no Ray cluster at {address}: {error}") from error


def _end_serve(serve: Any) -> None:
    """Shut Ray Serve down unless it runs other applications."""
    if not serve.status().applications:
        serve.shutdown()


def _checked_port(host: str, port: int) -> int:
    """A checked port; 0 picks a free one. Ray reports a taken port only in its proxy's log."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise ConfigError(f"cannot listen at {host}:{port}: {error.strerror}") from error
        number: int = trial.getsockname()[1]
        return number
