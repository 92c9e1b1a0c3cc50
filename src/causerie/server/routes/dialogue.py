"""`POST /v1/audio/dialogue`: several speakers in one conversation, each of whom hears the others.

The answer is one file.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from causerie.server.dialogue import Conversation
from causerie.server.errors import ApiError
from causerie.server.routes.speech import SOUND_RESPONSES, answer, new_encoder
from causerie.server.schemas import Voiced, VoiceId, check_asked, sampling_of
from causerie.server.state import service_of
from causerie.text.ssml import MAX_LINES, MAX_PAUSE_S, Line

router = APIRouter(tags=["speech"])

#: Silence between turns where nothing else is said: what people leave, on average.
PAUSE_S = 0.2

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

    def line(self, *, is_first: bool) -> Line:
        """It, as it is spoken."""
        return Line(
            voice=self.voice.id if isinstance(self.voice, VoiceId) else self.voice,
            text=self.text,
            pause_s=0.0 if is_first else self.pause_s,
        )


class DialogueRequest(Voiced):
    """`POST /v1/audio/dialogue`: give `turns`, or `input`."""

    turns: Annotated[list[DialogueTurn], Field(max_length=MAX_LINES)] = Field(default_factory=list)
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
    service = service_of(request)
    check_asked(asked, service)
    turns = asked.turns or script(asked.input)
    for turn in turns:
        service.check_text(turn.text)
    service.check_length(sum(len(turn.text) for turn in turns))
    made = new_encoder(asked, service)
    said = Conversation(
        service,
        [turn.line(is_first=turn is turns[0]) for turn in turns],
        voice=None,
        sampling=sampling_of(asked),
        protocol="dialogue",
    )
    await said.begin()
    return await answer(request, asked, said, made)


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
    if not 0 < len(turns) <= MAX_LINES:
        raise ApiError(
            f"the script has {len(turns)} turns: give 1 to {MAX_LINES}",
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
