"""A session of LiveKit's with a microphone and a loudspeaker, without a room."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import AgentSession, UserInputTranscribedEvent, UserStateChangedEvent
from livekit.agents.voice import io

from tests.clients.assistant import QUESTION, RATE

#: 20 ms.
PIECE = RATE // 50


class Microphone(io.AudioInput):
    """Gives what a test says."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self.frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await self.frames.get()
        self.frames.task_done()
        return frame


class Loudspeaker(io.AudioOutput):
    """Plays at real time.

    Attributes:
        played: how much of each reply, in seconds.
        sound: what it got.
    """

    def __init__(self) -> None:
        capabilities = io.AudioOutputCapabilities(pause=False)
        super().__init__(label="loudspeaker", capabilities=capabilities, sample_rate=RATE)
        self.played: list[float] = []
        self.sound: list[bytes] = []
        self._started: float | None = None
        self._pushed_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def playing_s(self) -> float:
        """How much of the current reply was played."""
        elapsed = 0.0 if self._started is None else time.monotonic() - self._started
        return min(self._pushed_s, elapsed)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self.sound.append(bytes(frame.data))
        if self._started is None:
            self._started = time.monotonic()
            self.on_playback_started(created_at=time.time())
        self._pushed_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._started is not None:
            left = self._pushed_s - self.playing_s
            self._timer = asyncio.get_running_loop().call_later(left, self._end, False)

    def clear_buffer(self) -> None:
        if self._started is not None:
            self._end(True)

    def _end(self, interrupted: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.played.append(self.playing_s)
        self._started, self._pushed_s, self._timer = None, 0.0, None
        self.on_playback_finished(playback_position=self.played[-1], interrupted=interrupted)


class Room:
    """A session with a microphone and a loudspeaker."""

    def __init__(self, session: AgentSession[Any]) -> None:
        self.session, self.microphone, self.loudspeaker = session, Microphone(), Loudspeaker()
        session.input.audio = self.microphone
        session.output.audio = self.loudspeaker

    async def ask(self, sound: np.ndarray) -> None:
        """A turn of the user, which LiveKit's detectors report like this."""
        self._state("listening", "speaking")
        await self.hear(sound)
        self._state("speaking", "listening")
        self.understand()

    async def hear(self, sound: np.ndarray, pause_s: float = 0.0) -> None:
        """Sound at the microphone, with pauses between its pieces of 20 ms."""
        for start in range(0, len(sound), PIECE):
            data = sound[start : start + PIECE]
            self.microphone.frames.put_nowait(rtc.AudioFrame(data.tobytes(), RATE, 1, len(data)))
            await asyncio.sleep(pause_s)
        await self.microphone.frames.join()
        await asyncio.sleep(0)

    def understand(self) -> None:
        """The words of the question."""
        words = UserInputTranscribedEvent(transcript=QUESTION, is_final=True)
        self.session.emit("user_input_transcribed", words)

    def _state(self, old: Any, new: Any) -> None:
        event = UserStateChangedEvent(old_state=old, new_state=new)
        self.session.emit("user_state_changed", event)
