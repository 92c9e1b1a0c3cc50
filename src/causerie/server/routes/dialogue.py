"""`POST /v1/audio/dialogue`: several speakers in one conversation, each of whom hears the others.

Each turn is spoken with the voices of all speakers and the turns before it as context, which is
what CSM is for; the answer is one file.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from causerie.prompt import Segment
from causerie.server import sound
from causerie.server.errors import ApiError
from causerie.server.routes.speech import SOUND_RESPONSES, new_encoder
from causerie.server.schemas import (
    Voiced,
    VoiceId,
    check_asked,
    ignored_headers,
    sampling_of,
)
from causerie.server.speaker import Speaker, Speech
from causerie.voices import Voice

router = APIRouter(tags=["speech"])

MAX_TURNS = 200
#: Silence between turns where nothing else is said: what people leave, on average.
PAUSE_S = 0.2
MAX_PAUSE_S = 10.0
#: The turns that are heard before one is spoken: more would be slower, and crowd out the voices.
MAX_HEARD = 4

_LINE = re.compile(r"\s*([^\s:\[\]][^:\[\]]{0,63}?)\s*:\s*(.*\S)\s*")
_PAUSE = re.compile(r"\s*\[\s*pause\s*:\s*([\d.]+)\s*(ms|s)\s*\]\s*")


class DialogueTurn(BaseModel):
    """What one of the speakers says."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    voice: str | VoiceId | None = None
    text: Annotated[str, Field(min_length=1)]
    pause_s: Annotated[float, Field(ge=0, le=MAX_PAUSE_S)] = Field(
        PAUSE_S, description="Silence before it; not before the first."
    )


class DialogueRequest(Voiced):
    """`POST /v1/audio/dialogue`: give `turns`, or `input`."""

    turns: Annotated[list[DialogueTurn], Field(max_length=MAX_TURNS)] = Field(default_factory=list)
    input: str = Field(
        "", description="A script, a line a turn: `heart: Hello.`, or `[pause: 0.4s]`."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> DialogueRequest:
        if bool(self.turns) == bool(self.input.strip()):
            raise ValueError("give either turns or input, a script")
        return self


@router.post("/v1/audio/dialogue", response_class=Response, responses=SOUND_RESPONSES)
async def dialogue(request: Request, asked: DialogueRequest) -> Response:
    """Speak a conversation. The sound comes while it is being made."""
    speaker: Speaker = request.app.state.speaker
    check_asked(asked, speaker)
    if asked.stream_format != "audio":
        raise ApiError("a dialogue comes as audio", code="unsupported", param="stream_format")
    turns = asked.turns or script(asked.input)
    for turn in turns:
        speaker.check_text(turn.text)
    speaker.check_length(sum(len(turn.text) for turn in turns))
    conversation = await asyncio.to_thread(_Conversation, speaker, asked, turns)
    first = await conversation.begin(0)  # what is wrong is told before any sound
    headers = {"x-seed": str(first.seed), **ignored_headers(asked)}
    said = conversation.sound(first)
    if asked.stream is False:
        return await sound.whole(
            request, said, lambda num_samples: new_encoder(asked, speaker, num_samples), headers
        )
    return await sound.stream(request, said, new_encoder(asked, speaker), headers=headers)


def script(text: str) -> list[DialogueTurn]:
    """The turns of a script: `name: words` lines, and lines of `[pause: 0.4s]`.

    Raises:
        ApiError: a line is neither; says which.
    """
    turns: list[DialogueTurn] = []
    pause_s = PAUSE_S
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if pause := _PAUSE.fullmatch(line):
            pause_s = _seconds(pause, number)
        elif said := _LINE.fullmatch(line):
            voice, words = said.groups()
            end = _PAUSE.search(words)
            after = PAUSE_S
            if end and end.end() == len(words):
                words, after = words[: end.start()].strip(), _seconds(end, number)
            if not words or _PAUSE.search(words):
                raise ApiError(
                    f"line {number} of the script: a pause stands on a line of its own, or at the "
                    f"end of one",
                    code="invalid_script",
                    param="input",
                )
            turns.append(DialogueTurn(voice=voice, text=words, pause_s=pause_s))
            pause_s = after
        else:
            raise ApiError(
                f"line {number} of the script is neither `name: words` nor `[pause: 0.4s]`",
                code="invalid_script",
                param="input",
            )
    if not 0 < len(turns) <= MAX_TURNS:
        raise ApiError(
            f"the script has {len(turns)} turns: give 1 to {MAX_TURNS}",
            code="invalid_script",
            param="input",
        )
    return turns


def _seconds(pause: re.Match[str], number: int) -> float:
    try:
        seconds = float(pause[1]) / (1000 if pause[2] == "ms" else 1)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_PAUSE_S:
        raise ApiError(
            f"line {number} of the script: a pause is 0 to {MAX_PAUSE_S:.0f} seconds long",
            code="invalid_script",
            param="input",
        )
    return seconds


class _Conversation:
    """Turns, and who says them: each voice is a speaker of its own number."""

    def __init__(self, speaker: Speaker, asked: DialogueRequest, turns: list[DialogueTurn]) -> None:
        self._speaker, self._turns, self._said = speaker, turns, list[Segment]()
        self._settings: dict[str, Any] = sampling_of(asked)
        self._voices: dict[str | None, Voice] = {}
        names = [turn.voice.id if isinstance(turn.voice, VoiceId) else turn.voice for turn in turns]
        self._names = names
        for name in names:
            if name not in self._voices:
                self._voices[name] = _renumbered(speaker.voice(name), len(self._voices))

    async def begin(self, index: int) -> Speech:
        """Ask for a turn; the others' voices, and what was said last, come before it."""
        name = self._names[index]
        others = [
            segment
            for other, voice in self._voices.items()
            if other != name
            for segment in voice.segments
        ]
        return await self._speaker.speak(
            self._turns[index].text,
            voice=self._voices[name],
            context=[*others, *self._said[-MAX_HEARD:]],
            protocol="dialogue",
            **self._settings,
        )

    async def sound(self, first: Speech) -> AsyncGenerator[NDArray[np.float32], None]:
        """Pieces (N,) of the whole conversation; the first turn was asked for."""
        said = first
        try:
            for index, turn in enumerate(self._turns):
                if index:
                    if turn.pause_s:
                        num_samples = round(turn.pause_s * said.sample_rate)
                        yield np.zeros(num_samples, np.float32)
                    said = await self.begin(index)
                    if self._settings["seed"] is None:
                        self._settings["seed"] = first.seed
                async for pcm in said:
                    yield pcm
                self._said += said.said()
        finally:
            await said.aclose()


def _renumbered(voice: Voice, number: int) -> Voice:
    segments = tuple(dataclasses.replace(segment, speaker=number) for segment in voice.segments)
    return dataclasses.replace(voice, speaker=number, segments=segments)
