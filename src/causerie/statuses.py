"""The HTTP status and the error code of every error of the package.

The server and the agent plugins both use this table, so an app sees the same errors from a model in
its own process and from one behind a server. Knows no web framework.
"""

from __future__ import annotations

from typing import NamedTuple

from causerie.errors import (
    AudioError,
    CancelledError,
    ChatError,
    CheckpointError,
    ConfigError,
    DeadlineError,
    DeviceMemoryError,
    PromptTooLongError,
    QueueFullError,
    RecognitionError,
    StoreError,
    TextError,
    UnknownVoiceError,
    WatermarkError,
)


class ErrorStatus(NamedTuple):
    """The HTTP status and the code that report an error.

    Attributes:
        param: the field of the request that caused it, where that is always the same one.
    """

    status: int
    code: str
    param: str | None = None


_STATUSES: tuple[tuple[type[Exception], ErrorStatus], ...] = (
    (TextError, ErrorStatus(400, "invalid_text", "input")),
    (PromptTooLongError, ErrorStatus(400, "context_length_exceeded", "input")),
    (UnknownVoiceError, ErrorStatus(400, "voice_not_found", "voice")),
    (AudioError, ErrorStatus(400, "invalid_audio")),
    (WatermarkError, ErrorStatus(500, "watermark_error")),
    (ConfigError, ErrorStatus(400, "invalid_value")),
    (QueueFullError, ErrorStatus(429, "queue_full")),
    (DeadlineError, ErrorStatus(503, "overloaded")),
    (DeviceMemoryError, ErrorStatus(503, "overloaded")),
    (CancelledError, ErrorStatus(503, "shutting_down")),
    (StoreError, ErrorStatus(503, "storage_failed")),
    (ChatError, ErrorStatus(502, "chat_failed")),
    (RecognitionError, ErrorStatus(502, "recognition_failed")),
    (CheckpointError, ErrorStatus(500, "checkpoint_error")),
)
_INTERNAL = ErrorStatus(500, "internal_error")


def status_of(error: BaseException) -> ErrorStatus:
    """The status of an error; 500 "internal_error" for those that are not in the table."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), _INTERNAL)
