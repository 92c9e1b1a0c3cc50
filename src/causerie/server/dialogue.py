"""Several lines in one or more voices, as one sound, with silence between.

Who speaks has heard the voices of all and what was said before, which is what CSM is for. Knows no
protocol.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream
from causerie.server.service import SpeechService
from causerie.text.ssml import Line
from causerie.voices import Voice

#: The lines that are heard before one is spoken: more would be slower, and crowd out the voices.
MAX_HEARD = 4


class Conversation:
    """Lines that are spoken one after the other.

    Where there are several voices, each is a speaker of its own number.

    Args:
        voice: of the lines that name none.
        context: turns before all.
        sampling: as `SpeechService.speak` takes it.
        tail_s: silence at the end.
        notes: what the listener should know.
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
        named = voice if isinstance(voice, str) else None  # who is named twice is one speaker
        self._lines = [dataclasses.replace(line, voice=line.voice or named) for line in lines]
        self._service, self._voice = service, voice
        self._context, self._tail_s, self._protocol = context, tail_s, protocol
        self._sampling = dict(sampling)
        self._notes = list(notes)
        self._voices: dict[str | None, Voice] = {}
        self._speeches: list[AsyncStream] = []
        self._said: list[Segment] = []

    async def begin(self) -> None:
        """Ask for the first line, so that what is wrong is told before any sound."""
        self._voices = await asyncio.to_thread(self._found)
        await self._begin(self._lines[0])
        if self._sampling["seed"] is None:
            self._sampling["seed"] = self.seed

    async def __aiter__(self) -> AsyncIterator[NDArray[np.float32]]:
        """Pieces (N,) of all of it."""
        for number, line in enumerate(self._lines):
            if line.pause_s:
                yield self._silence(line.pause_s)
            if number:
                await self._begin(line)
            said = self._speeches[-1]
            async for pcm in said:
                yield pcm
            self._said += said.said()
        if self._tail_s:
            yield self._silence(self._tail_s)

    async def aclose(self) -> None:
        """Make no more of it."""
        for said in self._speeches[-1:]:
            await said.aclose()

    # What is known of it, see `AsyncStream`.

    @property
    def seed(self) -> int:
        """Generates the same again."""
        return self._speeches[0].seed

    @property
    def notes(self) -> list[str]:
        """What the listener should know."""
        told = [note for said in self._speeches for note in said.notes]
        return list(dict.fromkeys([*self._notes, *told]))

    @property
    def num_text_tokens(self) -> int:
        """Of the lines so far."""
        return sum(said.num_text_tokens for said in self._speeches)

    @property
    def num_context_frames(self) -> int:
        """Of the voices and the context, read anew for each line."""
        return sum(said.num_context_frames for said in self._speeches)

    @property
    def num_frames(self) -> int:
        """Handed out so far."""
        return sum(said.num_frames for said in self._speeches)

    def _found(self) -> dict[str | None, Voice]:
        """The voices by their names; reads files."""
        names = list(dict.fromkeys(line.voice for line in self._lines))
        voices = [self._of(name) for name in names]
        if len(voices) > 1:
            voices = [_renumbered(voice, number) for number, voice in enumerate(voices)]
        return dict(zip(names, voices, strict=True))

    def _of(self, name: str | None) -> Voice:
        if name is None and isinstance(self._voice, Voice):
            return self._voice
        return self._service.voice(name, self._sampling.get("model"))

    async def _begin(self, line: Line) -> None:
        """Ask for a line; the others' voices, and what was said last, come before it."""
        others = [
            segment
            for name, voice in self._voices.items()
            if name != line.voice
            for segment in voice.segments
        ]
        said = await self._service.speak(
            line.text,
            voice=self._voices[line.voice],
            context=[*self._context, *others, *self._said[-MAX_HEARD:]],
            continues=bool(self._speeches),
            protocol=self._protocol,
            **self._sampling,
        )
        self._speeches.append(said)

    def _silence(self, seconds: float) -> NDArray[np.float32]:
        return np.zeros(round(seconds * self._service.sample_rate), np.float32)


def _renumbered(voice: Voice, number: int) -> Voice:
    segments = tuple(dataclasses.replace(segment, speaker=number) for segment in voice.segments)
    return dataclasses.replace(voice, speaker=number, segments=segments)
