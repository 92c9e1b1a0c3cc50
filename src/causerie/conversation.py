"""A conversation: what two speakers said, and how it sounded, is context of the next reply.

    conversation = tts.conversation(voice="heart")
    conversation.hear("Is it far?", "question.wav")
    conversation.generate("Ten minutes by bus.").save("answer.wav")

A reply counts as far as the listener heard it. Knows no protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from causerie.audio.audio import Audio
from causerie.errors import CauserieError, ConfigError, TextError
from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream
from causerie.reply.context import ContextEncoder
from causerie.reply.listening import Listening
from causerie.reply.reply import Reply
from causerie.reply.stream import Stream
from causerie.text.check import check_text
from causerie.text.growing import Flush
from causerie.voices import Voice

#: Share of the context that is left when the oldest turns are dropped. Until the rest is full
#: again, each prompt begins with the one before it, whose keys and values are cached.
KEPT = 0.6
#: Share of it that `prepare` keeps free for the turn that begins.
ROOM = 0.15
#: What `prepare` lets the voice begin to say.
_ANYTHING = "Yes."
#: The most turns that are remembered: 256 turns of half a second fill csm-1b's positions.
MAX_TURNS = 256


@dataclass(eq=False)
class Heard:
    """A turn of the other speaker.

    Attributes:
        text: its words; "" if they are unknown.
        segment: the turn as context; the conversation sets its speaker.
    """

    text: str
    segment: Segment

    def segments(self) -> list[Segment]:
        """The turn as context."""
        return [self.segment]


@dataclass(eq=False)
class Playback:
    """A reply, and how much of it was played.

    Attributes:
        voice: name of its voice.
        until_ms: when the playback was stopped; None: all that was sent is played.
    """

    reply: Reply
    voice: str
    until_ms: float | None = None
    _num_samples: int = field(default=0, repr=False)

    def add(self, pcm: NDArray[np.float32]) -> None:
        """Count audio that is sent."""
        self._num_samples += len(pcm)

    @property
    def sent_ms(self) -> int:
        """Playing time of the audio that was sent."""
        return round(1000 * self._num_samples / self.reply.sample_rate)

    @property
    def played_ms(self) -> int:
        """Playing time of the audio that was heard."""
        return self.sent_ms if self.until_ms is None else min(self.sent_ms, round(self.until_ms))

    @property
    def text(self) -> str:
        """The words that were heard; an estimate in a sentence that was interrupted."""
        return " ".join(segment.text for segment in self.segments())

    def stop(self, until_ms: float | None) -> None:
        """Record that the reply was played up to this time only."""
        self.until_ms = until_ms

    def segments(self) -> list[Segment]:
        """The reply as context, as far as it was heard."""
        return self.reply.said(None if self.until_ms is None else self.until_ms / 1000)


Turn: TypeAlias = Heard | Playback
AnyTurn = TypeVar("AnyTurn", bound=Heard | Playback)


class Speaker(Protocol):
    """What a conversation needs of a `TTS`; see there."""

    @property
    def stream(self) -> Callable[..., Stream]: ...

    @property
    def astream(self) -> Callable[..., Awaitable[AsyncStream]]: ...


class Conversation:
    """The turns of two speakers, oldest first.

    Create one with `TTS.conversation`. The other speaker's sound is context of this conversation
    only, has another speaker number than the replies, and is not stored. For models that do not
    hear others (`GenerationDefaults.hears_others`), it is no context, nor are replies of less than
    0.9 s, with whose words such a model would begin the next one.

    Args:
        tts: speaks the replies.
        encoder: of its model.
        voice: of the replies; it is always context, before all turns.
        context_s: seconds of sound that are context of a reply, besides the voice; None: those of
            the model. What no longer fits is dropped, the oldest first, in whole turns or whole
            pieces of replies.

    Attributes:
        voice: of the next reply. Earlier replies in other voices are not its context.

    Raises:
        ConfigError: `context_s` is not a number above 0.
    """

    def __init__(
        self,
        tts: Speaker,
        encoder: ContextEncoder,
        voice: Voice,
        *,
        context_s: float | None = None,
    ) -> None:
        context_s = encoder.checkpoint.defaults.context_s if context_s is None else context_s
        is_number = isinstance(context_s, (int, float)) and not isinstance(context_s, bool)
        if not is_number or not 0 < context_s < math.inf:
            raise ConfigError(f"context_s must be a number of seconds above 0, not {context_s!r}")
        self.voice = voice
        self._tts, self._encoder = tts, encoder
        self._frame_rate = encoder.checkpoint.codec.config.frame_rate
        self._max_frames = int(context_s * self._frame_rate)
        self._hears = encoder.checkpoint.defaults.hears_others
        self._turns: list[Turn] = []
        self._num_dropped: dict[Turn, int] = {}  # segments of a turn that stays otherwise
        self._is_noted = False  # that the other speaker is not heard
        self._notes: list[str] = []  # for the listener of the next reply
        self._lock = threading.RLock()  # of the turns, as `prepare` drops some in a thread

    # -- the other speaker -----------------------------------------------------------------------

    def hear(
        self,
        text: str = "",
        audio: Audio | NDArray[np.float32] | str | os.PathLike[str] | None = None,
        *,
        sample_rate: int | None = None,
        codes: Tensor | None = None,
    ) -> Heard:
        """Add a turn of the other speaker.

        Args:
            text: its words; "" if they are unknown.
            audio, sample_rate, codes: its sound, as of a `Segment`.

        Raises:
            AudioError: there is no sound, or it is invalid.
            TextError: the text is not text.
            PromptTooLongError: the turn exceeds the model's positions.
        """
        text = text.strip()
        segment = Segment(speaker=0, text=text, audio=audio, sample_rate=sample_rate, codes=codes)
        if text:
            check_text(text)
            try:
                self._encoder.text(text, 0)
            except TextError:  # nothing in it can be spoken, as in "..."
                segment = replace(segment, text="")
        part, _ = self._encoder.segment(segment, "the turn")
        segment = Segment(speaker=0, text=segment.text, codes=part.codes)
        return self.add(Heard(text, segment))

    def listen(self, sample_rate: int) -> Listening:
        """Begin to encode a turn of the other speaker while it is spoken.

        Give the result to `hear` at its end::

            turn = conversation.listen(sample_rate=16_000)
            turn.add(samples)
            conversation.hear("Is it far?", codes=turn.end())
        """
        return Listening(self._encoder.checkpoint, sample_rate)

    # -- replies -----------------------------------------------------------------------------------

    def generate(self, text: str, **settings: Any) -> Audio:
        """Reply: `TTS.generate` with the conversation as context.

        Args:
            settings: as of `TTS.generate`, without voice and context.
        """
        return self.stream(text, **settings).collect()

    def stream(self, text: str | Iterable[str | Flush], **settings: Any) -> Stream:
        """Reply: `TTS.stream` with the conversation as context. See `interrupt`."""
        context, notes = self.next_context()
        stream = self._tts.stream(text, voice=self.voice, context=context, **settings)
        stream.notes += notes
        self.add(Playback(stream, self.voice.name))
        return stream

    async def astream(
        self, text: str | Iterable[str | Flush] | AsyncIterable[str | Flush], **settings: Any
    ) -> AsyncStream:
        """Reply: `TTS.astream` with the conversation as context. See `interrupt`."""
        context, notes = self.next_context()
        stream = await self._tts.astream(text, voice=self.voice, context=context, **settings)
        stream.notes += notes
        self.add(Playback(stream, self.voice.name))
        return stream

    def add(self, turn: AnyTurn) -> AnyTurn:
        """Add a turn that was made elsewhere, such as a reply with `next_context` as its context.

        Returns:
            The turn.
        """
        with self._lock:
            if isinstance(turn, Heard) and not (self._hears or self._is_noted):
                self._is_noted = True
                self._notes.append(
                    "conversation: the other speaker is not heard, since this model would take "
                    "over the voice"
                )
            self._turns.append(turn)
            if len(self._turns) > MAX_TURNS:
                self._num_dropped.pop(self._turns.pop(0), None)
        return turn

    def interrupt(self, played_s: float) -> str:
        """Record that the latest reply was heard up to this time only, and return its words.

        Close the reply's stream too. Without this, all chunks that were taken count as heard.

        Raises:
            ConfigError: there is no reply, or the time is negative.
        """
        reply = next((turn for turn in self._turns[::-1] if isinstance(turn, Playback)), None)
        if reply is None:
            raise ConfigError("there is no reply to interrupt")
        if not 0 <= played_s < math.inf:
            raise ConfigError(f"played_s must be seconds from 0 upwards, not {played_s!r}")
        reply.stop(1000 * played_s)
        return reply.text

    # -- context -----------------------------------------------------------------------------------

    def remove(self, turn: Turn) -> None:
        """Forget a turn; one that was dropped already is no error."""
        with self._lock:
            self._turns = [other for other in self._turns if other is not turn]
            self._num_dropped.pop(turn, None)

    def context(self, voice: Voice | None = None) -> list[Segment]:
        """The turns so far as context, oldest first, without the voice's own segments.

        Args:
            voice: of the reply; None: `voice`.
        """
        with self._lock:
            return [segment for _, segment in self._found(voice or self.voice)]

    def next_context(self, voice: Voice | None = None) -> tuple[list[Segment], list[str]]:
        """The context of a reply that begins now, and notes for its listener.

        Drops what no longer fits.

        Args:
            voice: of the reply; None: `voice`.
        """
        with self._lock:
            self._drop(voice or self.voice, self._max_frames)
            notes, self._notes = self._notes, []
            return self.context(voice), notes

    async def prepare(self, voice: Voice | None = None) -> None:
        """Drop turns now rather than before the next reply, and let the model read what is left.

        Call it when the other speaker begins to speak. Without it, a reply before which turns are
        dropped begins later, as nothing of its prompt is cached.

        Args:
            voice: of the reply; None: `voice`.
        """
        voice = voice or self.voice
        if not await asyncio.to_thread(self._drop, voice, int((1 - ROOM) * self._max_frames)):
            return
        context = await asyncio.to_thread(self.context, voice)
        with contextlib.suppress(CauserieError):  # such as a full queue; the reply will meet it too
            stream = await self._tts.astream(
                _ANYTHING, voice=voice, context=context, max_duration_s=1 / self._frame_rate
            )
            async for _ in stream:
                pass

    def _drop(self, voice: Voice, max_frames: int) -> bool:
        """Whether the oldest turns were dropped, as the context had more frames."""
        with self._lock:
            found = self._found(voice)
            left = sum(_num_frames(segment) for _, segment in found)
            if left <= max_frames:
                return False
            num_dropped = 0
            while found and left > KEPT * self._max_frames:
                turn, segment = found.pop(0)
                left -= _num_frames(segment)
                num_dropped += 1
                self._num_dropped[turn] = self._num_dropped.get(turn, 0) + 1
            while self._turns and (not found or self._turns[0] is not found[0][0]):
                self._num_dropped.pop(self._turns.pop(0), None)
            self._notes.append(
                f"conversation: {num_dropped} of its oldest turns dropped, "
                f"{left / self._frame_rate:.0f} s of the others are context"
            )
            return True

    def _found(self, voice: Voice) -> list[tuple[Turn, Segment]]:
        """The segments that are context of a voice, each with its turn."""
        other = other_speaker(voice)
        found: list[tuple[Turn, Segment]] = []
        for turn in self._turns:
            if isinstance(turn, Playback) and turn.voice != voice.name:
                continue
            if isinstance(turn, Heard) and not self._hears:
                continue
            segments = [
                segment
                for segment in turn.segments()
                if not self._encoder.is_too_short(segment.codes)
            ]
            for segment in segments[self._num_dropped.get(turn, 0) :]:
                is_other = isinstance(turn, Heard)
                found.append((turn, replace(segment, speaker=other) if is_other else segment))
        return found


def _num_frames(segment: Segment) -> int:
    assert segment.codes is not None
    return segment.codes.shape[1]


def other_speaker(voice: Voice) -> int:
    """The lowest speaker number that the voice does not have."""
    taken = {voice.speaker, *(segment.speaker for segment in voice.segments)}
    return next(number for number in range(len(taken) + 1) if number not in taken)
