"""The same app on Ray Serve: replicas on one machine or many, each with an engine of its own.

    causerie serve --ray --replicas 2
    serve run causerie.server.ray.deployment:app model=petit replicas=2

A proxy of Ray's takes requests and gives each to the less busy of two replicas; streams and
WebSockets pass through it piece by piece. Where all is taken, the replica's own bounded queue
answers 429, as without Ray. Voices should be in a folder that all replicas see.

Knows Ray, and nothing of what the app answers.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
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
#: A replica takes so many more requests than it has places for replies: WebSockets that are open
#: and silent count as requests, and so does asking for `/health`. What is too much for its places
#: is refused by its own queue, which knows best.
ROOM_FOR_SILENT = 256
#: Of Ray's object store, which we put nothing big into; Ray takes no less than 75 MB.
OBJECT_STORE_BYTES = 80_000_000
#: What a cluster of our own begins with: no reports to Ray's makers, workers as important as other
#: processes (Ray's nice 15 makes late sound of any neighbour), patience where the machine is busy,
#: every line of the log, and our errors in its proxies.
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
    """One engine and its app, in a process of its own, which Ray makes: see `deployment`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Load the model: a replica is asked once it can answer."""
        from causerie.server.models import load_tts
        from causerie.server.run import log_by

        self.settings = Settings(**settings)
        log_by(self.settings)
        self.tts = load_tts(self.settings)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """See Ray Serve."""
        from causerie.server.app import create_app

        serve = need("ray.serve", "ray")

        @serve.multiplexed(max_num_models_per_replica=self.settings.max_models)
        async def told(model: str) -> str:
            """From now on Ray sends those here who want this model."""
            return model

        self.told = told
        app = create_app(self.settings, tts=self.tts, on_model=told)
        name = serve.get_replica_context().replica_id.unique_id
        app.add_middleware(_Named, name=name)
        return app

    def check_health(self) -> None:
        """Ray asks now and then, and replaces a replica that raises."""
        if self.tts.failure is not None:
            raise EngineError(f"the engine broke down: {self.tts.failure!r}")


class _Named:
    """Says in each answer who gave it."""

    def __init__(self, app: ASGIApp, *, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def named(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                headers = MutableHeaders(scope=message)
                headers[REPLICA_HEADER] = self.name
                if message["type"] == "http.response.start":
                    del headers["x-request-id"]  # the proxy adds it again, and the same
            await send(message)

        await self.app(scope, receive, named)


def deployment(settings: Settings) -> Application:
    """What Ray runs: the app, as many times as the settings say."""
    serve, config = need("ray.serve", "ray"), need("ray.serve.config", "ray")
    places = settings.max_streams + settings.max_queue
    options: dict[str, Any] = {
        "name": NAME,
        "ray_actor_options": {
            "num_cpus": settings.cpus_per_replica,
            "num_gpus": settings.gpus_per_replica,
        },
        "max_ongoing_requests": places + ROOM_FOR_SILENT,
        "max_queued_requests": places,
        "backpressure_config": config.BackpressureConfig(status_code=429, retry_after_s=1),
        "graceful_shutdown_timeout_s": settings.grace_s + 5,
        "graceful_shutdown_wait_loop_s": 1.0,
        "health_check_period_s": 5,
        "max_constructor_retry_count": 3,
        "logging_config": {"enable_access_log": False},  # the app's own says more
    }
    if settings.max_replicas is None or settings.max_replicas <= settings.replicas:
        options["num_replicas"] = settings.replicas
    else:
        options["autoscaling_config"] = {
            "min_replicas": settings.replicas,
            "max_replicas": settings.max_replicas,
            # As many as a replica computes at once: with more of them, somebody waits.
            "target_ongoing_requests": settings.max_streams,
            "upscale_delay_s": 10,
            "downscale_delay_s": settings.scale_down_s,
        }
    replica = serve.deployment(**options)(serve.ingress()(Replica))
    bound: Application = replica.bind(settings.model_dump())
    return bound


def app(args: dict[str, Any]) -> Application:
    """The application that `serve run causerie.server.ray.deployment:app` starts."""
    return deployment(Settings.load(None, **args))


def run(settings: Settings, *, tell: Callable[[str], None] = print) -> None:
    """Serve until SIGINT or SIGTERM, then let replies end.

    Args:
        tell: is called with the address, once speech can be asked for.

    Raises:
        ConfigError: Ray is not installed, there is no cluster, or the port is taken.
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
        except RuntimeError as error:  # its message has the replicas' error in it
            raise EngineError(f"the replicas do not start: {error}") from error
        stopping = threading.Event()
        for number in signal.SIGINT, signal.SIGTERM:  # now: Ray has put in handlers of its own
            signal.signal(number, lambda *_: stopping.set())
        tell(f"http://{settings.host}:{port}")
        stopping.wait()
        serve.delete(
            NAME
        )  # waits until replies have ended; `shutdown` would begin with the proxies


def _join_cluster(ray: Any, settings: Settings) -> None:
    """Begin a small cluster on this machine, or join the one that the settings name."""
    if settings.ray_address:
        _check_answers(settings.ray_address)
        try:
            ray.init(address=settings.ray_address)
        except (ConnectionError, ray.exceptions.AuthenticationError) as error:
            raise ConfigError(
                f"the Ray cluster at {settings.ray_address} cannot be joined: {error}. One with a "
                f"token, as `ray start` makes it, needs RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN "
                f"on other machines"
            ) from error
        return
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ[MODELS] = os.path.abspath(settings.models) if settings.models else ""
    most = max(settings.replicas, settings.max_replicas or 0)
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, math.ceil(most * settings.cpus_per_replica)),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
    )


def _check_answers(address: str) -> None:
    """Raise ConfigError where nobody listens: Ray would try for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdigit():  # "auto"
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"there is no Ray cluster at {address}: {error}") from error


def _end_serve(serve: Any) -> None:
    """End Ray Serve, unless others have apps in it."""
    if not serve.status().applications:
        serve.shutdown()


def _checked_port(host: str, port: int) -> int:
    """A free port where it is 0; Ray would tell of a taken one only in the logs of its proxy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{host}:{port} cannot be listened at: {error.strerror}") from error
        number: int = trial.getsockname()[1]
        return number
