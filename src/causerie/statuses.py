"""What a client is told of an error: a status of HTTP, and a code for programs.

The server and the plugins for frameworks of agents use this table, so that an app notices no
difference between a model in its own process and one behind a server. Knows no web framework.
"""

from __future__ import annotations

from typing import NamedTuple

from causerie.errors import (
    AudioError,
    CancelledError,
    CheckpointError,
    ConfigError,
    DeadlineError,
    PromptTooLongError,
    QueueFullError,
    TextError,
    UnknownVoiceError,
)


class Told(NamedTuple):
    """What is told.

    Attributes:
        param: the field of the request that is to blame.
    """

    status: int
    code: str
    param: str | None = None


_TOLD: tuple[tuple[type[Exception], Told], ...] = (
    (TextError, Told(400, "invalid_text", "input")),
    (PromptTooLongError, Told(400, "context_length_exceeded", "input")),
    (UnknownVoiceError, Told(400, "voice_not_found", "voice")),
    (AudioError, Told(400, "invalid_audio")),
    (ConfigError, Told(400, "invalid_value")),
    (QueueFullError, Told(429, "queue_full")),
    (DeadlineError, Told(503, "overloaded")),
    (CancelledError, Told(503, "shutting_down")),
    (CheckpointError, Told(500, "checkpoint_error")),
)
_OTHER = Told(500, "internal_error")


def told(error: BaseException) -> Told:
    """What to tell of an error; of what the table lacks, that there is one."""
    return next((row for kind, row in _TOLD if isinstance(error, kind)), _OTHER)
