"""The microphone and the loudspeaker of this machine, by the package sounddevice."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.errors import ConfigError
from causerie.extras import need

#: Seconds of a block.
BLOCK_S = 0.02


class SoundCard:
    """A microphone and a loudspeaker; see `causerie.talk.session.Devices`.

    Use it as a context manager, in the event loop that reads the blocks.

    Args:
        microphone, loudspeaker: name or number; None: the system's default.

    Raises:
        ConfigError: sounddevice or a device is missing.
    """

    def __init__(
        self,
        sample_rate: int,
        microphone: str | int | None = None,
        loudspeaker: str | int | None = None,
    ) -> None:
        self.sample_rate = sample_rate
        self._module = sounddevice()
        self._loop = asyncio.get_running_loop()
        self._blocks: asyncio.Queue[tuple[NDArray[np.float32], NDArray[np.float32]]] = (
            asyncio.Queue()
        )
        self._waiting: deque[NDArray[np.float32]] = deque()
        self._num_played = 0  # of the current answer
        self._is_over = False  # that answer
        self._is_silent = asyncio.Event()
        try:
            self._stream = self._module.Stream(
                samplerate=sample_rate,
                blocksize=round(BLOCK_S * sample_rate),
                channels=1,
                dtype="float32",
                device=(microphone, loudspeaker),
                callback=self._callback,
            )
        except (self._module.PortAudioError, ValueError) as error:
            raise ConfigError(
                f"no microphone or no loudspeaker can be opened ({error}): "
                "`causerie talk --devices` lists those that there are"
            ) from error

    def __enter__(self) -> SoundCard:
        self._stream.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stream.close()

    async def blocks(self) -> AsyncIterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """See `Devices`; never ends."""
        while True:
            yield await self._blocks.get()

    def play(self, pcm: NDArray[np.float32]) -> None:
        """See `Devices`."""
        if self._is_over:
            self._num_played, self._is_over = 0, False
        self._waiting.append(pcm)

    def stop(self) -> float:
        """See `Devices`."""
        self._waiting.clear()
        self._is_over = True
        return self._seconds()

    async def played(self) -> float:
        """See `Devices`."""
        while self._waiting:
            self._is_silent.clear()
            await self._is_silent.wait()
        self._is_over = True
        return self._seconds()

    def _seconds(self) -> float:
        return self._num_played / self.sample_rate

    def _callback(self, heard: Any, out: Any, num_samples: int, *rest: object) -> None:
        """Called by the sound card's thread for each block."""
        done = 0
        while done < num_samples and self._waiting:
            pcm = self._waiting.popleft()
            part = pcm[: num_samples - done]
            out[done : done + len(part), 0] = part
            done += len(part)
            if len(part) < len(pcm):
                self._waiting.appendleft(pcm[len(part) :])
        out[done:] = 0
        self._num_played += done
        block = heard[:, 0].copy(), out[:, 0].copy()
        self._loop.call_soon_threadsafe(self._blocks.put_nowait, block)
        if not self._waiting:
            self._loop.call_soon_threadsafe(self._is_silent.set)


def device_list() -> str:
    """The sound devices of this machine, one a line.

    Raises:
        ConfigError: sounddevice is missing.
    """
    return str(sounddevice().query_devices())


def sounddevice() -> Any:
    """The package sounddevice.

    Raises:
        ConfigError: it, or PortAudio, is missing.
    """
    try:
        return need("sounddevice", "talk")
    except OSError as error:
        raise ConfigError(
            f"sounddevice finds no PortAudio ({error}): install it, for example by "
            "`apt install libportaudio2`"
        ) from error
