"""`POST /v1/audio/dialogue`: several voices in one conversation, as one file."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, model_validator

from causerie.server.dialogue import PAUSE_S, DialogueReply
from causerie.server.errors import ApiError
from causerie.server.json_body import JsonBody
from causerie.server.routes.speech import AUDIO_RESPONSES, new_encoder, respond
from causerie.server.schemas import SpeechOptions, VoiceId, check_options, sampling_of
from causerie.server.state import service_of
from causerie.text.pauses import MAX_PAUSE_S
from causerie.text.ssml import MAX_LINES, Line

router = APIRouter(tags=["speech"])

_LINE = re.compile(r"\s*([^\s:\[\]][^:\[\]]{0,63}?)\s*:\s*(.*\S|)\s*")
_PAUSE = re.compile(r"\s*\[\s*pause\s*:\s*([\d.]+)\s*(ms|s)\s*\]\s*")


class DialogueTurn(JsonBody):
    """One turn of a dialogue."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    voice: str | VoiceId | None = None
    text: str
    pause_s: Annotated[float, Field(ge=0, le=MAX_PAUSE_S)] = Field(
        PAUSE_S, description="Silence before the turn; ignored for the first."
    )

    def line(self, *, is_first: bool) -> Line:
        """The turn as `DialogueReply` takes it."""
        return Line(
            voice=self.voice.id if isinstance(self.voice, VoiceId) else self.voice,
            text=self.text,
            pause_s=0.0 if is_first else self.pause_s,
        )


class DialogueRequest(SpeechOptions):
    """`POST /v1/audio/dialogue`: give `turns`, or `input`."""

    turns: Annotated[list[DialogueTurn], Field(max_length=MAX_LINES)] = Field(default_factory=list)
    input: str | None = Field(
        None, description="A script, one turn a line: `heart: Hello.`, or `[pause: 0.4s]`."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> DialogueRequest:
        if bool(self.input and self.input.strip()) if self.turns else self.input is None:
            raise ValueError("give either turns or input, a script")
        return self


@router.post("/v1/audio/dialogue", response_class=Response, responses=AUDIO_RESPONSES)
async def dialogue(request: Request, body: DialogueRequest) -> Response:
    """Speak a conversation. The audio is sent while it is generated."""
    service = service_of(request)
    check_options(body, service)
    turns = body.turns or parse_script(body.input or "")
    service.texts.check_turns([turn.text for turn in turns])
    encoder = new_encoder(body, service)
    reply = DialogueReply(
        service,
        [turn.line(is_first=turn is turns[0]) for turn in turns],
        voice=None,
        sampling=sampling_of(body),
        protocol="dialogue",
    )
    await reply.begin()
    return await respond(request, body, reply, encoder)


def parse_script(text: str) -> list[DialogueTurn]:
    """The turns of a script, whose lines are `name: words` or `[pause: 0.4s]`.

    Raises:
        ApiError: a line is neither, or there are too many turns.
    """
    if not text.strip():
        return [DialogueTurn(text=text, pause_s=0.0)]
    turns: list[DialogueTurn] = []
    pause_s = PAUSE_S
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if pause := _PAUSE.fullmatch(line):
            pause_s = _seconds(pause, number)
        elif match := _LINE.fullmatch(line):
            voice, words = match.groups()
            end = _PAUSE.search(words)
            after = PAUSE_S
            if end and end.end() == len(words):
                words, after = words[: end.start()].strip(), _seconds(end, number)
            if (end and not words) or _PAUSE.search(words):
                raise ApiError(
                    f"line {number} of the script: a pause must be on a line of its own, or at the "
                    f"end of a line",
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
            f"line {number} of the script: a pause must be 0 to {MAX_PAUSE_S:.0f} seconds long",
            code="invalid_script",
            param="input",
        )
    return seconds
