"""Several lines, in one or more voices, as one reply with silence between them.

The context of a line are the voices of all speakers and the lines before it. Knows no protocol.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.errors import PromptTooLongError
from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream
from causerie.server.service import SpeechService
from causerie.server.texts import CheckedText
from causerie.server.threads import in_store
from causerie.text.ssml import Line
from causerie.voices import Voice

#: Earlier lines in the context of a line: more would be slower, and displace the voices.
MAX_CONTEXT_LINES = 4
#: Default silence between turns: the average between people.
PAUSE_S = 0.2


class DialogueReply:
    """The reply to a list of lines; iterate over its chunks (N,), fp32.

    If there are several voices, each gets a speaker number of its own.

    Args:
        lines: their texts have been checked.
        voice: of the lines without one.
        context: turns before the first line.
        sampling: arguments of `SpeechService.speak`.
        tail_s: silence at the end.
        notes: for the listener.
    """

    def __init__(
        self,
        service: SpeechService,
        lines: Sequence[Line],
        *,
        voice: str | Voice | None,
        context: Sequence[Segment] = (),
        sampling: Mapping[str, Any],
        tail_s: float = 0.0,
        notes: Sequence[str] = (),
        protocol: str,
    ) -> None:
        name = voice if isinstance(voice, str) else None  # so that a voice is one speaker only
        self._lines = [dataclasses.replace(line, voice=line.voice or name) for line in lines]
        self._service, self._voice = service, voice
        self._context, self._tail_s, self._protocol = context, tail_s, protocol
        self._sampling = dict(sampling)
        self._notes = list(notes)
        self._voices: dict[str | None, Voice] = {}
        self._replies: list[AsyncStream] = []
        self._spoken: list[Segment] = []

    async def begin(self) -> None:
        """Begin the first line, so that errors are raised before any audio."""
        self._voices = await in_store(self._find_voices)
        await self._begin(self._lines[0])
        if self._sampling["seed"] is None:
            self._sampling["seed"] = self.seed

    async def __aiter__(self) -> AsyncIterator[NDArray[np.float32]]:
        """The chunks of all lines, and the silence between them."""
        for number, line in enumerate(self._lines):
            if line.pause_s:
                yield self._silence(line.pause_s)
            if number:
                await self._begin(line)
            reply = self._replies[-1]
            async for pcm in reply:
                yield pcm
            self._spoken += reply.said()
        if self._tail_s:
            yield self._silence(self._tail_s)

    async def aclose(self) -> None:
        """Stop generating."""
        for reply in self._replies[-1:]:
            await reply.aclose()

    # The same facts as an `AsyncStream` has.

    @property
    def seed(self) -> int:
        """The seed that generates the same audio again."""
        return self._replies[0].seed

    @property
    def notes(self) -> list[str]:
        """Notes for the listener."""
        notes = [note for reply in self._replies for note in reply.notes]
        return list(dict.fromkeys([*self._notes, *notes]))

    @property
    def num_text_tokens(self) -> int:
        """Text tokens of the lines so far."""
        return sum(reply.num_text_tokens for reply in self._replies)

    @property
    def num_context_frames(self) -> int:
        """Frames of the voices and the context, which are read anew for each line."""
        return sum(reply.num_context_frames for reply in self._replies)

    @property
    def num_frames(self) -> int:
        """Frames handed out so far."""
        return sum(reply.num_frames for reply in self._replies)

    def _find_voices(self) -> dict[str | None, Voice]:
        """The voices by their names; reads files."""
        names = list(dict.fromkeys(line.voice for line in self._lines))
        voices = [self._find_voice(name) for name in names]
        if len(voices) > 1:
            voices = [_renumbered(voice, number) for number, voice in enumerate(voices)]
        return dict(zip(names, voices, strict=True))

    def _find_voice(self, name: str | None) -> Voice:
        if name is None and isinstance(self._voice, Voice):
            return self._voice
        return self._service.voice(name, self._sampling.get("model"))

    async def _begin(self, line: Line) -> None:
        """Begin a line, with the other voices and the latest lines as its context."""
        others = [
            segment
            for name, voice in self._voices.items()
            if name != line.voice
            for segment in voice.segments
        ]
        speak = functools.partial(
            self._service.speak,
            CheckedText(line.text),
            voice=self._voices[line.voice],
            continues=bool(self._replies),
            protocol=self._protocol,
            **self._sampling,
        )
        context = [*self._context, *others]
        try:
            reply = await speak(context=[*context, *self._spoken[-MAX_CONTEXT_LINES:]])
        except PromptTooLongError:  # such as after a line that filled all positions of the model
            if not self._spoken:
                raise
            self._spoken = []
            self._notes.append(f"too long to be context: the lines before {line.text[:40]!r}")
            reply = await speak(context=context)
        self._replies.append(reply)

    def _silence(self, seconds: float) -> NDArray[np.float32]:
        return np.zeros(round(seconds * self._service.sample_rate), np.float32)


def _renumbered(voice: Voice, number: int) -> Voice:
    segments = tuple(dataclasses.replace(segment, speaker=number) for segment in voice.segments)
    return dataclasses.replace(voice, speaker=number, segments=segments)
