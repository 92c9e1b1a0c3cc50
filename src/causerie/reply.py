"""The one loop that speaks: prompt → frames of codes → pieces of sound.

`TTS.generate` and `TTS.stream` both run it, with the same grouping of frames for the codec, so
they give the same samples. State lives in the loop: replies can be made at the same time, and
nothing is left behind. Knows nothing of text, files or devices' names.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.audio.audio import Audio, Stopped
from causerie.codec.mimi import Mimi
from causerie.errors import CheckpointError
from causerie.model.csm import CSM
from causerie.model.sampling import gumbel_noise, sample
from causerie.nn.kv_cache import KVCache
from causerie.prompt import Prompt

#: Frames in the first pieces of sound: one, so that it starts at once, then more and more.
FIRST_PIECES = (1, 1, 2, 4)
#: Frames in all pieces after them.
PIECE = 8


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How codes are drawn: codebook 0 by the first pair, the acoustic ones by the second."""

    temperature: float
    top_k: int | None
    depth_temperature: float
    depth_top_k: int | None
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """A text to be spoken in one go.

    Attributes:
        prompt: made from the codes (K, T) of the turns before it.
        max_frames: its speech is cut there.
        limit_s: what to call that limit, where it is part of a longer one.
        notes: what there is to say about it.
    """

    prompt: Prompt
    max_frames: int
    limit_s: float
    notes: list[str]


#: Makes the next turn from the codes (K, T) of each turn spoken so far; None: all is said.
NextTurn = Callable[[list[Tensor]], Turn | None]


def frames(
    model: CSM, prompt: Prompt, max_frames: int, sampling: Sampling, num_codes: int, start: int = 0
) -> Generator[Tensor, None, Stopped]:
    """Codes (1, K) of a reply, frame by frame.

    Args:
        num_codes: codes a codebook that the codec knows; the reserved ones above are never drawn.
        start: number of the first frame, for the noise.

    Returns:
        "end" after the model's stop frame, which is not given, or "limit" after `max_frames`.

    Raises:
        CheckpointError: the model computes NaN or infinity.
    """
    config, some = model.config, model.projection.weight
    device, dtype = some.device, some.dtype
    num_positions = prompt.frames.shape[1] + max_frames
    assert num_positions <= config.max_frames, "the prompt leaves too little room"

    with torch.inference_mode():
        cache = KVCache(config.backbone, 1, num_positions, device=device, dtype=dtype)
        depth_cache = KVCache(config.depth, 1, config.num_codebooks, device=device, dtype=dtype)
        seeds = torch.tensor([sampling.seed], device=device)
        hidden = model.prefill(prompt.frames.to(device), prompt.mask.to(device), cache)
        _check_finite(hidden)
    latest = hidden  # NaN comes through to the logits of the last codebook
    for frame in range(start, start + max_frames):
        with torch.inference_mode():
            noise = gumbel_noise(seeds, frame, config.num_codebooks, num_codes)

            def draw(logits: Tensor, codebook: int, noise: Tensor = noise) -> Tensor:
                nonlocal latest
                latest = logits
                temperature, top_k = sampling.temperature, sampling.top_k
                if codebook:
                    temperature, top_k = sampling.depth_temperature, sampling.depth_top_k
                return sample(logits[:, :num_codes], temperature, top_k, noise[:, codebook])

            codes = model.depth_decode(hidden, depth_cache, draw)
            if not codes.any():
                _check_finite(latest)  # which else would look like an end
                return "end"
        yield codes
        if frame + 1 < start + max_frames:
            with torch.inference_mode():
                hidden = model.backbone_step(codes, cache)
    with torch.inference_mode():
        _check_finite(latest)
    return "limit"


def _check_finite(values: Tensor) -> None:
    if not values.isfinite().all():
        raise CheckpointError(
            f"the model computes numbers that are not finite in {values.dtype}: the weights are "
            f"damaged, or the dtype is too narrow; try float32 or bfloat16"
        )


class Stream(Iterator[NDArray[np.float32]]):
    """Speech as it is made: iterate over its pieces, (N,) fp32 each.

    Attributes:
        sample_rate: in Hz.
        seed: generates the same again.
        stopped: None until the end is reached.
        notes: what the listener should know.
        num_frames: made so far.
        first_sound_ms: from the request to the first piece; None until then.
    """

    def __init__(
        self,
        model: CSM,
        codec: Mimi,
        next_turn: NextTurn,
        sampling: Sampling,
        notes: list[str],
        started: float,
    ) -> None:
        self.sample_rate = codec.config.sample_rate
        self.seed = sampling.seed
        self.stopped: Stopped | None = None
        self.notes = notes
        self.num_frames = 0
        self.first_sound_ms: float | None = None
        self._model, self._codec, self._sampling = model, codec, sampling
        self._next_turn = next_turn
        self._pieces: list[NDArray[np.float32]] = []
        self._codes: list[Tensor] = []  # (K, T) of each finished turn
        self._no_codes = torch.zeros(model.config.num_codebooks, 0, dtype=torch.long)
        self._run = self._speak()
        self._busy_s = time.perf_counter() - started

    def __next__(self) -> NDArray[np.float32]:
        started = time.perf_counter()
        try:
            piece = next(self._run)
        finally:
            self._busy_s += time.perf_counter() - started
        if self.first_sound_ms is None:
            self.first_sound_ms = 1000 * self._busy_s
        self._pieces.append(piece)
        return piece

    @property
    def rtf(self) -> float | None:
        """Seconds of computing a second of sound so far; None before there is any."""
        num_samples = sum(map(len, self._pieces))
        return self._busy_s * self.sample_rate / num_samples if num_samples else None

    def audio(self) -> Audio:
        """All that was made so far, as one."""
        return Audio(
            samples=np.concatenate([np.zeros(0, np.float32), *self._pieces]),
            sample_rate=self.sample_rate,
            stopped=self.stopped,
            seed=self.seed,
            notes=list(self.notes),
            codes=torch.cat([self._no_codes, *self._codes], dim=1),
            first_sound_ms=self.first_sound_ms,
            rtf=self.rtf,
        )

    def _speak(self) -> Iterator[NDArray[np.float32]]:
        sizes = itertools.chain(FIRST_PIECES, itertools.repeat(PIECE))
        stopped: Stopped = "end"
        while turn := self._next_turn(self._codes):
            self.notes += [note for note in turn.notes if note not in self.notes]
            ended = yield from self._speak_turn(turn, sizes)
            if ended == "limit" and stopped != "limit":
                stopped = "limit"
                self.notes.append(f"stopped: limit of {turn.limit_s:.1f} s, the model did not end")
        self.stopped = stopped
        peak = max((float(np.abs(piece).max()) for piece in self._pieces), default=0.0)
        if peak > 1:
            self.notes.append(f"clipped: the peak is {peak:.2f} of full scale")

    def _speak_turn(
        self, turn: Turn, sizes: Iterator[int]
    ) -> Generator[NDArray[np.float32], None, Stopped]:
        """Pieces of one turn; its codec starts from silence."""
        with torch.inference_mode():
            state = self._codec.new_decoder_state()
        num_codes = self._codec.config.codebook_size
        source = frames(
            self._model, turn.prompt, turn.max_frames, self._sampling, num_codes, self.num_frames
        )
        spoken: list[Tensor] = []
        stopped: Stopped | None = None
        while stopped is None:
            group: list[Tensor] = []
            for _ in range(next(sizes)):
                try:
                    group.append(next(source))
                except StopIteration as stop:
                    stopped = stop.value
                    break
            if group:
                spoken += group
                self.num_frames += len(group)
                with torch.inference_mode():
                    pcm = self._codec.decode_step(torch.stack(group, dim=-1), state)
                yield pcm[0, 0].float().cpu().numpy().copy()
        self._codes.append(torch.cat([self._no_codes, *(codes.T.cpu() for codes in spoken)], dim=1))
        return stopped
