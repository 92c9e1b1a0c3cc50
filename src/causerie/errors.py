"""The errors that a user of causerie can cause, in one tree.

    CauserieError
    ├── ConfigError           a configuration is contradictory or unknown
    ├── CheckpointError       a checkpoint is missing, unreadable, or does not fit the model
    ├── AudioError            audio is unreadable, empty, or not finite
    ├── TextError             text is empty or has nothing that can be spoken
    ├── UnknownVoiceError     no voice has that name
    ├── PromptTooLongError    one segment alone exceeds the context
    ├── StoreError            files of voices and consents cannot be read or written
    ├── ChatError             a language model gave no answer
    ├── RecognitionError      a recognizer gave no words
    ├── WatermarkError        a watermark's key or payload is invalid, or speech cannot be marked
    └── EngineError           the engine cannot serve a request
        ├── QueueFullError    too many requests wait
        ├── DeadlineError     no audio before the deadline
        ├── DeviceMemoryError the memory of the device is too small for a model or a reply
        └── CancelledError    the request was cancelled

Each message says what happened, with the value, and what to do.
"""


class CauserieError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(CauserieError, ValueError):
    """A configuration value is contradictory, unknown or out of range."""


class CheckpointError(CauserieError):
    """A checkpoint cannot be found or read, or does not fit the model."""


class AudioError(CauserieError, ValueError):
    """Audio cannot be read or written, is empty, or is not finite."""


class TextError(CauserieError, ValueError):
    """Text is empty, or nothing in it can be spoken."""


class UnknownVoiceError(CauserieError, KeyError):
    """No voice has that name; the message lists similar names."""

    def __str__(self) -> str:  # KeyError would show the message quoted
        return str(self.args[0])


class PromptTooLongError(CauserieError, ValueError):
    """A single segment needs more positions than the model has.

    Attributes:
        needed: positions that the segment and the reply need.
        available: positions that the model has.
    """

    def __init__(self, message: str, *, needed: int, available: int) -> None:
        super().__init__(message)
        self.needed, self.available = needed, available


class StoreError(CauserieError):
    """Files cannot be read or written: the disk is full, read-only, locked or out of reach."""


class ChatError(CauserieError):
    """A language model gave no answer: its endpoint cannot be reached, or reports an error."""


class RecognitionError(CauserieError):
    """A recognizer gave no words: its endpoint cannot be reached, or reports an error."""


class WatermarkError(CauserieError, ValueError):
    """A watermark's key or payload is invalid, or speech of this rate cannot be marked."""


class EngineError(CauserieError):
    """The engine cannot serve a request: its queue is full, it is closed, or it broke down."""


class QueueFullError(EngineError):
    """Too many requests wait.

    Attributes:
        num_waiting: the number of waiting requests.
    """

    def __init__(self, message: str, *, num_waiting: int) -> None:
        super().__init__(message)
        self.num_waiting = num_waiting


class DeadlineError(EngineError):
    """A request had no audio before its deadline."""


class DeviceMemoryError(EngineError):
    """The memory of the device is too small for a model, or for one more reply."""


class CancelledError(EngineError):
    """A request was cancelled while a consumer waited for its audio."""
