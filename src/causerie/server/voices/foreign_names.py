"""Maps the voice names of other services to our voices.

Their clients have these names in menus, quickstarts and settings, so every name must work. Female
voices map to female voices, male to male.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from causerie.server.voices.openai_names import NUM_SPEAKERS, openai_voice

#: petit's voices by sex.
_FEMALE, _MALE = ("heart", "mia", "clara", "nadia", "ruth"), ("theo", "bruno", "oscar")

_FEMALE_IDS = """
21m00Tcm4TlvDq8ikWAM Rachel, 9BWtsMINqrJLrRacOk9x Aria, AZnzlk1XvdvUeBnXmlld Domi,
EXAVITQu4vr4xnSDxMaL Sarah, FGY2WhTYpPnrIDTdsKH5 Laura, LcfcDJNUP1GQjkzn1xUU Emily,
MF3mGyEYCl7XYWbV9V6O Elli, ThT5KcBeYPX3keUQqHPh Dorothy, XB0fDUnXU5powFXDhCwa Charlotte,
Xb7hH8MSUJpSbSDYk0k2 Alice, XrExE9yKIg1WjnnlVkGX Matilda, cgSgspJ2msm6clMCkdW9 Jessica,
hpp4J3VqNfWAUOO0d1Us Bella, jBpfuIE2acCO8z3wKNLl Gigi, jsCqWAovK2LkecY7zXl4 Freya,
oWAxZDx7w5VEj9dCyTzz Grace, pFZP5JQG7iQjIQuC4Bku Lily, pMsXgVXv3BLzUgSXRplE Serena,
piTKgcLEGmPE4e6mEKli Nicole, z9fAnlkpzviPz146aGWa Glinda, zrHiDhphv9ZnVXBqCLjz Mimi
"""
_MALE_IDS = """
29vD33N1CtxCmqQRPOHJ Drew, 2EiwWnXFnvU5JabPnv8n Clyde, 5Q0t7uMcjvnagumLfvZi Paul,
CYw3kZ02Hs0563khs1Fj Dave, CwhRBWXzGAHq8TQ4Fs17 Roger, D38z5RcWu1voky8WS1ja Fin,
ErXwobaYiN019PkySvjV Antoni, GBv7mTt0atIp3Br8iCZE Thomas, IKne3meq5aSn9XLyUdCD Charlie,
JBFqnCBsd6RMkjVDRZzb George, N2lVS1w4EtoT3dr4eOWO Callum, ODq5zmih8GrVes37Dizd Patrick,
SAz9YHcvj6GT2YYXdXww River, SOYHLrjzK2X1ezoPC6cr Harry, TX3LPaxmHKxFdv7VOQHJ Liam,
TxGEqnHWrfWFTfGW9XjX Josh, VR6AewLTigWG4xSOukaG Arnold, ZQe5CZNOzWyzPSCn5a3c James,
Zlb1dXrM653N07WRdFW3 Joseph, bIHbv24MWmeRgasZH58o Will, bVMeCyTHy58xNoL34h3p Jeremy,
cjVigY5qzO86Huf0OWal Eric, flq6f7yk4E4fJM5XTYuZ Michael, g5CIjZEefAph4nQFvHAz Ethan,
iP95p4xoKVk53GoZ742B Chris, knrPHWnBmmDHMoiMeP3l Santa Claus, nPczCjzI2devNBz1zQrb Brian,
onwK4e9ZLuTAKqWW03F9 Daniel, pNInz6obpgDQGcFmaJgB Adam, pqHfZKP75CvOlQylNhV4 Bill,
t0jbNlBVZ17f02VDIeMI Jessie, wViXBPUzp2ZZixB1xQuM Ryan, yoZ06aMxZJJ28mfd3POQ Sam,
zcAOhNBS3c14rBihAFp1 Giovanni, Yko7PKHZNXotIFUBG7I9 Matthew
"""


def _named(table: str) -> dict[str, str]:
    entries = (entry.split(maxsplit=1) for entry in table.replace("\n", " ").split(","))
    return {id: name.strip() for id, name in entries}


#: ElevenLabs' premade voices, of today and of earlier years: names by ids.
PREMADE: Mapping[str, str] = MappingProxyType({**_named(_FEMALE_IDS), **_named(_MALE_IDS)})
_FEMALE_PREMADE = frozenset(_named(_FEMALE_IDS))

# Kokoro's names: a letter for the language and one for the sex, such as af_heart and bm_george; of
# a mix such as af_sky(2)+af_bella(1) the first one counts.
_KOKORO = re.compile(r"[a-z]([fm])_\w+", re.ASCII)
_MIXED = re.compile(r"(?:\(\d*\.?\d+\))?(?:[+-]|\Z)")


def foreign_voice(name: str, voices: Sequence[str]) -> str | int | None:
    """The voice to use for a name of OpenAI, ElevenLabs or Kokoro.

    Args:
        voices: names of the model's voices.

    Returns:
        One of `voices`, or a speaker number if there are none; None if the name is not known.
    """
    openai = openai_voice(name, voices)
    if openai is not None:
        return openai
    if name in PREMADE:
        is_female, number = name in _FEMALE_PREMADE, list(PREMADE).index(name)
    elif found := _kokoro(name.casefold()):
        is_female, number = found
    else:
        return None
    ours = _FEMALE if is_female else _MALE
    voice = ours[number % len(ours)]
    if voice in voices:
        return voice
    return sorted(voices)[number % len(voices)] if voices else number % NUM_SPEAKERS


def is_mix(name: str) -> bool:
    """Whether a name is that of a mix of Kokoro's voices."""
    return re.search("[+-]", name) is not None and _kokoro(name.casefold()) is not None


def _kokoro(name: str) -> tuple[bool, int] | None:
    """Whether one of Kokoro's voices is female, and its number: 0 for its default, af_heart."""
    first, at = None, 0
    while at < len(name):
        part = _KOKORO.match(name, at)
        end = part and _MIXED.match(name, part.end())
        if not part or not end:
            return None
        first, at = first or part, end.end()
    if first is None or name[-1] in "+-":
        return None
    is_default = first[0].endswith("_heart")
    return first[1] == "f", 0 if is_default else sum(first[0].encode())
