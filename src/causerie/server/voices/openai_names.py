"""Maps OpenAI's voice names to our voices, and describes the built-in voices.

OpenAI's clients offer these names in menus and send one by default, so every name must work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from causerie.published_voices import DESCRIPTIONS
from causerie.server.voices.info import VoiceInfo

#: Female voices map to female voices, male to male; fable and alloy are neutral.
OPENAI_VOICES: Mapping[str, str] = MappingProxyType(
    {
        "alloy": "heart",
        "ash": "theo",
        "ballad": "bruno",
        "coral": "mia",
        "echo": "oscar",
        "fable": "ruth",
        "onyx": "bruno",
        "nova": "clara",
        "sage": "nadia",
        "shimmer": "mia",
        "verse": "theo",
        "marin": "heart",
        "cedar": "oscar",
    }
)

#: Number of speakers to list for a model without named voices.
NUM_SPEAKERS = 4


def openai_voice(name: str, voices: Sequence[str]) -> str | int | None:
    """The voice to use for one of OpenAI's voice names.

    Args:
        voices: names of the model's voices.

    Returns:
        One of `voices`, or a speaker number if there are none; None if the name is not OpenAI's.
    """
    voice = OPENAI_VOICES.get(name.casefold())
    if voice is None or voice in voices:
        return voice
    index = list(OPENAI_VOICES).index(name.casefold())
    return sorted(voices)[index % len(voices)] if voices else index


def builtin_voices(voices: Sequence[str]) -> list[VoiceInfo]:
    """The model's own voices, the default first."""
    if not voices:
        return [
            VoiceInfo(
                id=str(number),
                name=f"Speaker {number}",
                description="Speaker number; the model has no named voices",
                origin="builtin",
            )
            for number in range(NUM_SPEAKERS)
        ]
    ordered = sorted(voices, key=lambda name: (name != "heart", name))
    return [
        VoiceInfo(id=name, name=name, description=DESCRIPTIONS.get(name, ""), origin="builtin")
        for name in ordered
    ]
