"""Encodes the sound of a turn while it is spoken, so that little is left to do at its end."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from causerie.audio.resample import StreamResampler, mono
from causerie.checkpoint.load import Checkpoint

_LOCK = threading.Lock()  # of the number of torch's threads


class Listening:
    """One turn of a speaker whose sound arrives in pieces.

    The codes do not depend, to the bit, on how the sound is cut.

    Args:
        sample_rate: of the sound, in Hz.

    Raises:
        AudioError: the sample rate is out of range.
    """

    def __init__(self, checkpoint: Checkpoint, sample_rate: int) -> None:
        self._codec, self._model = checkpoint.codec, checkpoint.model.config
        config = self._codec.config
        self._frame_size = config.frame_size
        self._resampler = StreamResampler(sample_rate, config.sample_rate)
        self._state = self._codec.new_encoder_state()
        self._rest = np.zeros(0, np.float32)  # less than a frame
        self._codes: list[Tensor] = []  # (K, 1) each

    @property
    def frame_s(self) -> float:
        """Seconds of a frame."""
        return self._frame_size / self._codec.config.sample_rate

    @property
    def num_frames(self) -> int:
        """Frames that are encoded."""
        return len(self._codes)

    @property
    def codes(self) -> Tensor:
        """The codes (K, T) so far, which do not depend on what follows."""
        if not self._codes:
            return torch.zeros((self._model.num_codebooks, 0), dtype=torch.long)
        return torch.cat(self._codes, dim=1)

    def add(self, samples: ArrayLike) -> None:
        """Encode the frames that are complete with these samples (N,) or (C, N).

        Raises:
            AudioError: the samples are not numbers, or not finite.
        """
        self._encode(self._resampler.add(mono(samples)))

    def end(self) -> Tensor:
        """The codes (K, T) of the turn, whose last frame may be partial."""
        self._encode(self._resampler.finish())
        if len(self._rest):
            self._step([self._rest])
            self._rest = self._rest[:0]
        return self.codes

    def _encode(self, pcm: NDArray[np.float32]) -> None:
        pcm = np.concatenate([self._rest, pcm])
        size = self._frame_size
        whole = len(pcm) // size * size
        self._step([pcm[start : start + size] for start in range(0, whole, size)])
        self._rest = pcm[whole:]

    def _step(self, frames: Sequence[NDArray[np.float32]]) -> None:
        if frames:
            _threads(os.getpid()).submit(self._encode_frames, frames).result()

    @torch.inference_mode()
    def _encode_frames(self, frames: Sequence[NDArray[np.float32]]) -> None:
        device = next(self._codec.parameters()).device
        for pcm in frames:
            frame = torch.from_numpy(np.array(pcm)).to(device)[None, None]
            codes = self._codec.encode_step(frame, self._state, self._model.num_codebooks)[0]
            self._codes.append(codes.cpu().clone())


@functools.cache
def _threads(process: int) -> ThreadPoolExecutor:
    """The threads of a process that encode what is heard, each by itself.

    A frame has a hundred small operations, which take 5 ms in one thread. In several, they wait for
    each other a hundred times, and while other processes want the cores each wait takes a slice of
    the scheduler: 1.7 s for a frame on two busy cores.
    """
    return ThreadPoolExecutor(os.cpu_count(), "causerie ears", _compute_alone)


def _compute_alone() -> None:
    """Let torch compute in this thread alone."""
    with _LOCK:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        # torch gives the latest number to threads that begin to compute: it is theirs again
        others = threading.Thread(target=torch.set_num_threads, args=(before,))
        others.start()
        others.join()
