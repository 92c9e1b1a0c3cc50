"""The recognizer that a flag names."""

from __future__ import annotations

import functools

from causerie.endpoints import is_url
from causerie.errors import ConfigError
from causerie.recognition.endpoint import TranscriptionEndpoint
from causerie.recognition.whisper import Recognizer, Whisper


def check_choice(name: str, model: str, key: str = "") -> None:
    """Raise ConfigError if an endpoint has no model, or a model or a key no endpoint."""
    if is_url(name) != bool(model):
        raise ConfigError("a recognizer's URL and its model belong together: give both, or neither")
    if key and not is_url(name):
        raise ConfigError("a recognizer's key needs its URL: give it, or no key")


@functools.cache
def chosen_recognizer(name: str, model: str = "", key: str = "") -> Recognizer | None:
    """The recognizer, which is loaded once; None for "auto": Whisper base, at first use.

    Args:
        name: "auto", an endpoint's URL, a size of Whisper, or a folder in CTranslate2's format.
        model, key: of the endpoint.

    Raises:
        ConfigError: it cannot be loaded, or `model` or `key` does not fit.
    """
    check_choice(name, model, key)
    if is_url(name):
        return TranscriptionEndpoint(name, model, key or None)
    return None if name == "auto" else Whisper(name, extra="talk").quick
