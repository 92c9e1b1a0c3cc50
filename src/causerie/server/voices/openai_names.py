"""The names of OpenAI's voices, and who of ours answers to them; and what our own are like.

Clients offer those names in menus and send one by default, so each of them must speak.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from causerie.server.voices.info import VoiceInfo

#: Women's names to women, men's to men; fable and alloy are either. Oscar is misheard most often of
#: petit's voices (its model card), so that he has one name only.
OPENAI_VOICES: Mapping[str, str] = MappingProxyType(
    {
        "alloy": "heart",
        "ash": "theo",
        "ballad": "bruno",
        "coral": "mia",
        "echo": "theo",
        "fable": "oscar",
        "onyx": "bruno",
        "nova": "clara",
        "sage": "clara",
        "shimmer": "mia",
        "verse": "theo",
        "marin": "heart",
        "cedar": "bruno",
    }
)

#: Of petit's voices.
_DESCRIPTIONS = MappingProxyType(
    {
        "heart": "A woman, the default and the clearest voice",
        "clara": "A woman, lower than heart",
        "mia": "A woman, higher than heart",
        "theo": "A man, lively",
        "bruno": "A man, deep",
        "oscar": "A man, calm; misheard more often than the others",
    }
)
#: Of a model without voices of its own, so many speaker numbers are listed.
NUM_SPEAKERS = 4


def openai_voice(name: str, voices: Sequence[str]) -> str | int | None:
    """Who answers to a name of OpenAI's.

    Args:
        voices: names of the model's own.

    Returns:
        One of these; a speaker number where there are none; None where it is no such name.
    """
    meant = OPENAI_VOICES.get(name.casefold())
    if meant is None or meant in voices:
        return meant
    place = list(OPENAI_VOICES).index(name.casefold())
    return sorted(voices)[place % len(voices)] if voices else place


def builtin_voices(voices: Sequence[str]) -> list[VoiceInfo]:
    """What there is to tell of a model's own voices, the default one first."""
    if not voices:
        return [
            VoiceInfo(
                id=str(number),
                name=f"Speaker {number}",
                description="A speaker number of a model without named voices",
                origin="builtin",
            )
            for number in range(NUM_SPEAKERS)
        ]
    ordered = sorted(voices, key=lambda name: (name != "heart", name))
    return [
        VoiceInfo(id=name, name=name, description=_DESCRIPTIONS.get(name, ""), origin="builtin")
        for name in ordered
    ]
