"""The conversation of an agent: its user as a framework hears it, its replies as they are played.

Frameworks find the user's turns and words by themselves. The sound is encoded while it is spoken,
and is context of the replies; a reply counts as far as it was played. Knows none of the frameworks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.audio.io import pcm16
from causerie.conversation import Playback
from causerie.errors import CauserieError
from causerie.integrations.speech import AudioStream, Options, speech_errors
from causerie.reply.async_stream import AsyncStream
from causerie.reply.listening import Listening
from causerie.text.growing import Flush
from causerie.tts import TTS

log = logging.getLogger("causerie")

#: Sound before a framework reports speech, in which the speech began, in seconds.
PADDING_S = 0.6
#: Silence after the last word that belongs to a turn, in seconds.
TAIL_S = 0.2


class AgentConversation:
    """What an agent and its user said.

    Its methods belong to one event loop. Once it is closed, it hears nothing more.

    Args:
        tts: speaks the replies.
        reports_begin: whether `begin` is called for each reply that is played. One that is not
            played when the user has spoken again was given up.

    Attributes:
        conversation: its turns.
    """

    def __init__(self, tts: TTS, *, reports_begin: bool = False) -> None:
        self.conversation = tts.conversation()
        self._tts, self._reports_begin = tts, reports_begin
        self._voice: str | None = None  # that the conversation has
        self._pool = ThreadPoolExecutor(1, "causerie ears")
        self._beginning = asyncio.Lock()
        self._is_speaking = self._is_closed = False
        self._turn: Listening | None = None
        self._recent: deque[tuple[NDArray[np.float32], int]] = deque()  # while nobody speaks
        self._recent_s = 0.0
        self._codes: list[Future[Tensor]] = []  # of the user's turn, so far
        self._words: list[str] = []
        self._playing: list[Spoken] = []  # replies that may not be played to their end
        self._before_ms = 0.0  # what was played of them before the latest pause

    # -- the user ----------------------------------------------------------------------------------

    def start(self) -> None:
        """The user begins to speak."""
        if self._is_speaking or self._is_closed:
            return
        self._is_speaking = True
        if not self._codes:
            self._words.clear()  # they came too late for their own turn
        for samples, rate in self._recent:
            self._encode(samples, rate)
        self._recent.clear()
        self._recent_s = 0.0

    def add(self, samples: NDArray[np.float32], sample_rate: int) -> None:
        """Hear sound (N,). What is not speech is forgotten."""
        if self._is_closed:
            return
        if self._is_speaking:
            self._encode(samples, sample_rate)
            return
        self._recent.append((samples, sample_rate))
        self._recent_s += self._seconds(self._recent[-1])
        while self._recent_s - self._seconds(self._recent[0]) >= PADDING_S:
            self._recent_s -= self._seconds(self._recent.popleft())

    def add_pcm16(
        self, data: bytes | memoryview, sample_rate: int, *, num_channels: int = 1
    ) -> None:
        """Hear 16-bit samples as frameworks have them, the channels of each after one another."""
        samples = np.frombuffer(data, "<i2").reshape(-1, num_channels)
        self.add(samples.mean(axis=1, dtype=np.float32) * np.float32(2**-15), sample_rate)

    def stop(self, silence_s: float = 0.0) -> None:
        """The user has stopped speaking.

        Args:
            silence_s: how long ago.
        """
        self._is_speaking = False
        turn, self._turn = self._turn, None
        if turn is not None:
            self._codes.append(self._pool.submit(_end, turn, max(0.0, silence_s - TAIL_S)))

    def understand(self, text: str) -> None:
        """The words of what the user says, or the next ones."""
        if text.strip():
            self._words.append(text.strip())

    @staticmethod
    def _seconds(piece: tuple[NDArray[np.float32], int]) -> float:
        return len(piece[0]) / piece[1]

    def _encode(self, samples: NDArray[np.float32], sample_rate: int) -> None:
        if self._turn is None:
            self._turn = self.conversation.listen(sample_rate)
        self._pool.submit(self._turn.add, samples)

    async def _hear(self) -> None:
        """Add what the user said to the conversation, if there is something."""
        if self._is_speaking:  # the reply does not wait for the end
            self.stop()
            self._is_speaking = True
        codes, words = self._codes, self._words
        self._codes, self._words = [], []
        parts = [await asyncio.wrap_future(one) for one in codes]
        if not sum(part.shape[1] for part in parts):
            return
        for reply in [one for one in self._playing if self._reports_begin and not one.is_begun]:
            self.finish(reply, 0.0)
        turn, hear = torch.cat(parts, dim=1), self.conversation.hear
        try:
            await asyncio.to_thread(lambda: hear(" ".join(words), codes=turn))
        except CauserieError as error:
            log.warning("what the user said is no context of the reply: %s", error)

    # -- replies -----------------------------------------------------------------------------------

    async def speak(self, text: str | AsyncIterable[str | Flush], options: Options) -> Spoken:
        """Reply, see `Source.speak`."""
        async with self._beginning:
            await self._hear()
            with speech_errors():
                if options.voice != self._voice:
                    self.conversation.voice = self._tts.conversation(options.voice).voice
                    self._voice = options.voice
                voice = self.conversation.voice
                context, notes = self.conversation.next_context()
                given = {k: v for k, v in options.given().items() if k != "voice"}
                reply = await self._tts.astream(
                    text, voice=voice, context=context, allow_silence=True, **given
                )
            reply.notes += notes
            spoken = Spoken(reply, self.conversation.add(Playback(reply, voice.name)))
            self._playing.append(spoken)
            return spoken

    def begin(self) -> Spoken | None:
        """The next reply begins to sound: returns it, if it is known."""
        waiting = [one for one in self._playing if not one.is_begun]
        for given_up in [one for one in waiting if one.is_cancelled]:
            self.finish(given_up, 0.0)
        reply = next((one for one in waiting if not one.is_cancelled), None)
        if reply is not None:
            reply.is_begun = True
        return reply

    def finish(self, reply: Spoken, played_s: float | None = None) -> None:
        """A reply is over.

        Args:
            played_s: how much of it was played; None: all.
        """
        self._playing = [one for one in self._playing if one is not reply]
        if played_s is None:
            return
        if played_s <= 0:
            self.conversation.remove(reply.playback)
        else:
            reply.playback.stop(1000 * played_s)

    def pause(self) -> None:
        """All sound of the replies so far was played."""
        for reply in [one for one in self._playing if one.is_over]:
            self.finish(reply)
        self._before_ms = sum(one.playback.sent_ms for one in self._playing)

    def interrupt(self, played_s: float) -> None:
        """No more is played of the replies so far.

        Args:
            played_s: how much sound was played since the latest pause.
        """
        left_ms, self._before_ms = self._before_ms + 1000 * played_s, 0.0
        for reply in [*self._playing]:
            sent_ms = reply.playback.sent_ms
            is_whole = reply.is_over and left_ms >= sent_ms
            self.finish(reply, None if is_whole else left_ms / 1000)
            left_ms = max(0.0, left_ms - sent_ms)

    def close(self) -> None:
        """Hear nothing more, and end the thread that encodes."""
        self._is_closed, self._is_speaking, self._turn = True, False, None
        self._recent.clear()
        self._recent_s = 0.0
        self._pool.shutdown(wait=False)


class Spoken(AudioStream):
    """A reply of a conversation.

    Attributes:
        playback: how much of it was played.
        is_over: whether there is no further sound of it.
        is_begun: whether some of it was played.
    """

    def __init__(self, reply: AsyncStream, playback: Playback) -> None:
        self.playback = playback
        self.is_over = self.is_begun = False
        self._reply = reply

    @property
    def is_cancelled(self) -> bool:
        """Whether it was closed before its end."""
        return self.is_over and self._reply.stopped is None

    async def __anext__(self) -> bytes:
        try:
            with speech_errors():
                pcm = await anext(self._reply)
        except BaseException:
            self.is_over = True
            raise
        self.playback.add(pcm)
        return pcm16(pcm).tobytes()

    async def aclose(self) -> None:
        self.is_over = True
        await self._reply.aclose()


def _end(turn: Listening, silence_s: float) -> Tensor:
    """The codes (K, T) of a turn without the silence at its end."""
    codes = turn.end()
    return codes[:, : max(0, codes.shape[1] - int(silence_s / turn.frame_s))]
