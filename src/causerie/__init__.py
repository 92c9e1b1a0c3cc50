"""causerie: the Conversational Speech Model, from checkpoint to speech.

    from causerie import TTS

    TTS.from_pretrained().generate("Hello, it is nice to meet you.").save("hello.wav")

The names below are the public API. Each is imported on first use, so that `import causerie` costs
nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causerie.audio.audio import Audio
    from causerie.conversation import Conversation
    from causerie.errors import (
        AudioError,
        CancelledError,
        CauserieError,
        ChatError,
        CheckpointError,
        ConfigError,
        DeadlineError,
        DeviceMemoryError,
        EngineError,
        PromptTooLongError,
        QueueFullError,
        RecognitionError,
        StoreError,
        TextError,
        UnknownVoiceError,
        WatermarkError,
    )
    from causerie.prompt import Segment
    from causerie.reply.async_stream import AsyncStream
    from causerie.reply.stream import Stream
    from causerie.text.growing import FLUSH
    from causerie.tts import TTS
    from causerie.voices import Voice
    from causerie.watermark.detect import Detection, detect
    from causerie.watermark.key import Watermark

__version__: str  # from the metadata of the installed package

__all__ = [
    "FLUSH",
    "TTS",
    "AsyncStream",
    "Audio",
    "AudioError",
    "CancelledError",
    "CauserieError",
    "ChatError",
    "CheckpointError",
    "ConfigError",
    "Conversation",
    "DeadlineError",
    "Detection",
    "DeviceMemoryError",
    "EngineError",
    "PromptTooLongError",
    "QueueFullError",
    "RecognitionError",
    "Segment",
    "StoreError",
    "Stream",
    "TextError",
    "UnknownVoiceError",
    "Voice",
    "Watermark",
    "WatermarkError",
    "__version__",
    "detect",
]

#: Name → module; all other names are in `errors`.
_MODULES = {
    "TTS": "tts",
    "Audio": "audio.audio",
    "Segment": "prompt",
    "Conversation": "conversation",
    "Voice": "voices",
    "FLUSH": "text.growing",
    "Stream": "reply.stream",
    "AsyncStream": "reply.async_stream",
    "Watermark": "watermark.key",
    "Detection": "watermark.detect",
    "detect": "watermark.detect",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        return version("causerie")
    module = importlib.import_module(f"causerie.{_MODULES.get(name, 'errors')}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
