"""Imports packages of causerie's optional extras when they are needed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from causerie.errors import ConfigError

#: Each extra of the package → a module that it installs, and what it is for.
EXTRAS = {
    "play": ("sounddevice", "plays audio without another program"),
    "narrate": ("av", "causerie narrate to m4b, mp3, m4a and opus"),
    "verify": ("jiwer", "--verify and verify=True: words that were not said are said again"),
    "talk": ("httpx", "spoken conversations: hears turns, and asks a language model"),
    "c2pa": ("c2pa", "causerie say and serve sign sound files with C2PA manifests"),
    "server": ("fastapi", "causerie serve: HTTP, WebSockets, web page, mp3 and opus"),
    "otel": (
        "opentelemetry.exporter.otlp.proto.http",
        "traces of causerie serve for OpenTelemetry",
    ),
    "ray": ("ray", "causerie serve in several processes or on several machines"),
    "pipecat": ("pipecat", "a text-to-speech service for pipecat"),
    "livekit": ("livekit", "a text-to-speech plugin for LiveKit Agents"),
    "data": ("pyloudnorm", "causerie data: cuts and checks recordings for training"),
    "train": ("peft", "causerie train and causerie finetune"),
    "evaluate": ("speechmos", "causerie eval: word error rate, similarity of voices, quality"),
}


def is_installed(module: str) -> bool:
    """Whether a module can be found; imports only the packages that it is in."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # one of these packages
        return False


def need(module: str, extra: str, *, also: str = "") -> Any:
    """A module of a package that an extra of causerie installs.

    Args:
        extra: an extra, or a dependency group of pyproject.toml.
        also: another command that is needed to install the module.

    Raises:
        ConfigError: the module is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        wanted = f'"causerie[{extra}]"' if extra in EXTRAS else f"--group {extra}"
        install = f"pip install {wanted}" + (f" && {also}" if also else "")
        name = (error.name or module).partition(".")[0]
        raise ConfigError(
            f"the package {name} is needed and is not installed: {install}"
        ) from error
