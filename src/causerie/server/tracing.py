"""Switches traces on or off by OpenTelemetry's environment variables.

Traces are off by default. Only `spans` imports OpenTelemetry's SDK, and only when they are on.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from causerie.errors import ConfigError

if TYPE_CHECKING:
    from causerie.server.spans import Tracing

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"
_EXPORTERS = ("otlp", "console", "none")

log = logging.getLogger("causerie.server")


def exporter_name() -> str:
    """The exporter that the environment selects: otlp, console or none.

    Raises:
        ConfigError: that exporter or its protocol is not supported.
    """
    if _value("OTEL_SDK_DISABLED").lower() == "true":
        return "none"
    default = "otlp" if any(_value(name) for name in _ENDPOINTS) else "none"
    name = _value("OTEL_TRACES_EXPORTER") or default
    if name not in _EXPORTERS:
        raise ConfigError(
            f"OTEL_TRACES_EXPORTER is {name}, which is not supported: set it to one of "
            f"{', '.join(_EXPORTERS)}"
        )
    protocol = next((value for one in _PROTOCOLS if (value := _value(one))), _HTTP)
    if name == "otlp" and protocol != _HTTP:
        raise ConfigError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, which is not supported: set it to "
            f"{_HTTP}, and the endpoint to the collector's port for it, usually 4318"
        )
    return name


def open_tracing() -> Tracing | None:
    """The traces that the environment switches on; None if it does not.

    The variables may be meant for every program of a machine, so without the extra `otel` the
    server starts all the same, and logs a warning.

    Raises:
        ConfigError: see `exporter_name`.
    """
    name = exporter_name()
    if name == "none":
        return None
    try:
        from causerie.server.spans import Tracing, new_provider
    except ImportError as error:
        log.warning(
            "traces are off, though the environment switches them on: %s is not installed: "
            'pip install "causerie[otel]"',
            error.name,
        )
        return None
    return Tracing(new_provider(name))


def _value(name: str) -> str:
    return os.environ.get(name, "").strip()
