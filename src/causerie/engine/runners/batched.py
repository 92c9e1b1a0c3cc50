"""The runner for GPUs: all slots in one batch.

The device holds keys, values and the codec's state. The host holds the positions of the slots and
the codes not read yet, and sends them with each frame. A step computes the slots from 0 to the
highest requested one, rounded up to one of a few sizes; slots without a request write to a dummy
position. So there are few shapes, and each can be a CUDA graph. Steps are cheapest if low slots are
used first. A prompt is read in pieces of one shape too, so that no length of it is a new shape.

The host waits for the device for the codes, which show whether the reply ends, and then for the
sound. Reading the codes one step late would save about 0.03 ms per frame and make every reply
compute one frame too many. With `speaks_at_once` it waits once, for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.codec.mimi import Mimi
from causerie.engine.out_of_memory import within_memory
from causerie.engine.request import CHUNK_ROWS
from causerie.engine.runner import BrokenSlotsError, Draw, Preparation, Rows, SavedRows
from causerie.engine.runners.cuda_graph import CudaRecorder, Eager, Graphs, Runs, has_graphs
from causerie.engine.runners.slot_codec import new_slot_codec
from causerie.engine.runners.slot_model import Attention, SlotModel, fused
from causerie.model.csm import CSM
from causerie.nn.kv_cache import SavedPositions

if TYPE_CHECKING:
    from causerie.engine.runners.slot_kernels import KernelModel

#: Batch sizes that have a graph.
SIZES = (1, 2, 4, 8, 16, 32, 64)
#: Positions that a step attends to: the smallest that covers every slot's rows.
LENGTHS = (256, 512, 1024, 2048)
#: Number of likeliest codes that are sorted: the smallest that covers every top_k. There are few,
#: as the graphs of all of them together take memory.
RANKED = (64,)
#: Rows of a prompt that are read at once, padded if there are fewer: the engine cuts prompts so.
PROMPT_ROWS = CHUNK_ROWS
#: Columns of a slot's inputs after the K + 1 of its row.
POSITION, SEED, FRAME, TOP_K, DEPTH_TOP_K, CODEC_SLOT, CODEC_POSITION = range(7)
NUM_COLUMNS = 7


class BatchedRunner:
    """A `Runner` by torch, on any device.

    The last row of a slot waits in `_waiting` until the slot's next step reads it. So a step is the
    same for the first frame of a reply and for later ones.

    Args:
        max_rows: positions of a slot; the model's own by default.
        runs: CUDA graphs on NVIDIA GPUs by default, otherwise plain calls.
        attention: of the steps; see `causerie.engine.runners.slot_model`.
        compiled: fuse the small operations between the products with torch.compile.
        kernel_slots: largest batch that the Triton kernels of
            `causerie.engine.runners.slot_kernels` compute.
        depth_int8: store the depth decoder in int8: faster in the kernels; torch computes with the
            same rounded weights.
        speaks_at_once: draw codes and compute their sound in one graph. Then `decode` must follow
            each step, for all its slots that go on; others may only be reset.
    """

    row_invariant = False

    def __init__(
        self,
        model: CSM,
        codec: Mimi,
        *,
        num_slots: int,
        max_rows: int | None = None,
        runs: Runs | None = None,
        attention: Attention = fused,
        compiled: bool = False,
        kernel_slots: int = 0,
        depth_int8: bool = False,
        speaks_at_once: bool = False,
    ) -> None:
        config, self._device = model.config, model.projection.weight.device
        self.num_slots, self.max_rows = num_slots, max_rows or config.max_frames
        self.num_codebooks = config.num_codebooks
        self.frame_size, self.frame_rate = codec.config.frame_size, codec.config.frame_rate
        self.sample_rate = codec.config.sample_rate
        recorded = has_graphs(self._device)
        self._runs = runs or (Graphs(CudaRecorder(self._device)) if recorded else Eager())
        # One more position than rows: the dummy position of slots without a request.
        self._model = SlotModel(
            model, num_slots, self.max_rows + 1, codec.config.codebook_size,
            attention=attention, compiled=compiled, depth_int8=depth_int8,
        )  # fmt: skip
        self._by_kernels = _by_kernels(self._model, min(kernel_slots, num_slots))
        self._codec = new_slot_codec(codec, num_slots)
        self._sizes = [*(size for size in SIZES if size < num_slots), num_slots]
        self._lengths = [*(size for size in LENGTHS if size < self.max_rows), self.max_rows]
        self._ranked = [*(size for size in RANKED if size < self._num_codes), self._num_codes]
        self._num_read = [0] * num_slots  # rows in the cache
        self._num_decoded = [0] * num_slots  # frames of the codec
        self._waiting: list[Rows | None] = [None] * num_slots
        self._speaks_at_once = speaks_at_once
        self._spoken: dict[int, Spoken] = {}  # by their slot
        width = self.num_codebooks + 1 + NUM_COLUMNS
        self._numbers = HostInputs(num_slots, width, torch.int64, self._device)
        self._settings = HostInputs(num_slots, 3, torch.float32, self._device)
        self._stops = np.zeros(num_slots, np.float32)
        self._sound = HostInputs(num_slots, self.num_codebooks + 2, torch.int64, self._device)
        self._prompt = torch.zeros(
            PROMPT_ROWS, self.num_codebooks + 3, dtype=torch.int64, device=self._device
        )
        some = model.projection.weight
        self._hidden = some.new_zeros(num_slots, config.backbone.dim)

    @property
    def device(self) -> torch.device:
        """The device that computes."""
        return self._device

    @property
    def _num_codes(self) -> int:
        return self._model.num_codes

    # -- rows --------------------------------------------------------------------------------

    def reset(self, slot: int) -> None:
        """Empty the slot."""
        self._num_read[slot], self._waiting[slot] = 0, None
        self._spoken.pop(slot, None)
        if self._num_decoded[slot]:
            self._num_decoded[slot] = 0
            with torch.inference_mode():
                self._codec.reset(slot)

    @within_memory
    def prefill(self, slot: int, rows: Rows) -> None:
        """Read the next rows of a prompt, except for the last, which waits for the step."""
        waiting = self._waiting[slot]
        rows = rows if waiting is None else np.concatenate((waiting, rows))
        self._check_room(slot, len(rows))
        self._read(slot, rows[:-1])
        self._num_read[slot] += len(rows) - 1
        self._waiting[slot] = rows[-1:].copy()

    @within_memory
    def save(self, slot: int, num_rows: int) -> SavedRows:
        """A copy of the keys and values; a waiting row among them is read first."""
        waiting, done = self._waiting[slot], self._num_read[slot]
        assert 0 < num_rows <= done + (waiting is not None), "the slot has read fewer rows"
        if num_rows > done and waiting is not None:
            self._read(slot, waiting)  # the step reads it again, into the same place
        return self._model.backbone.cache.save(slot, num_rows)

    @within_memory
    def load(self, slot: int, saved: SavedRows, num_rows: int) -> None:
        """Load the first saved rows into a slot that was just reset."""
        assert isinstance(saved, SavedPositions)
        assert num_rows <= saved.num_rows
        used = self._num_read[slot] or self._waiting[slot] is not None
        assert not used, "the slot was not reset"
        self._check_room(slot, num_rows)
        with torch.inference_mode():
            self._model.backbone.cache.load(slot, saved, num_rows)
        self._num_read[slot] = num_rows

    # -- frames ------------------------------------------------------------------------------

    @within_memory
    def step(self, draws: Sequence[Draw]) -> NDArray[np.int32]:
        """The next frame (B, K) of each of B different slots."""
        for draw in draws:
            self._check_room(draw.slot, 1)
        size = _least(self._sizes, 1 + max(draw.slot for draw in draws))
        length = _least(self._lengths, 1 + max(self._num_read[draw.slot] for draw in draws))
        most = _least(self._ranked, max(self._limit(draw) for draw in draws))
        self._prepare(size, length, most)
        for draw in draws:
            waiting, slot, sampling = self._waiting[draw.slot], draw.slot, draw.sampling
            assert waiting is not None, "the slot has read no prompt"
            numbers = self._numbers.host[slot]
            numbers[: self.num_codebooks + 1] = waiting[0]
            assert slot not in self._spoken, "the sound of the slot's last frame was not taken"
            numbers[self.num_codebooks + 1 :] = (
                self._num_read[slot], sampling.seed, draw.frame,
                sampling.top_k or 0, sampling.depth_top_k or 0, slot, self._num_decoded[slot],
            )  # fmt: skip
            self._settings.host[slot] = (
                sampling.temperature, sampling.depth_temperature, draw.stop_bias,
            )  # fmt: skip
        with torch.inference_mode():
            self._numbers.send(size)
            self._settings.send(size)
            self._runs.run(("read", size, length), lambda: self._hidden_of(size, length))
            out = self._runs.run(("draw", size, most), lambda: self._drawn(size, most))
            drawn = out.cpu().numpy()[[draw.slot for draw in draws]]
        codes, finite, stops, sound = self._split(drawn)
        self._stops[[draw.slot for draw in draws]] = stops
        if self._speaks_at_once:
            for draw, frame, pcm in zip(draws, codes, sound, strict=True):
                self._num_decoded[draw.slot] += 1
                self._spoken[draw.slot] = Spoken(codes=frame, pcm=pcm)
        for draw, frame in zip(draws, codes, strict=True):
            self._num_read[draw.slot] += 1
            self._waiting[draw.slot] = np.append(frame, np.int32(-1))[None]
        broken = [draw.slot for draw, is_finite in zip(draws, finite, strict=True) if not is_finite]
        if broken:
            self._clear(broken)
            dtype = self._hidden.dtype
            raise BrokenSlotsError(dtype, slots=broken, codes=codes)
        return codes

    def stops(self, slots: Sequence[int]) -> NDArray[np.float32]:
        """Log-probabilities (B,) of a stop in the latest step of these slots."""
        return self._stops[list(slots)]

    @within_memory
    def decode(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Audio (B, frame_size) of the next frame (B, K) of each of B different slots."""
        if any(slot in self._spoken for slot in slots):
            return self._take(slots, codes)
        size = _least(self._sizes, 1 + max(slots))
        self._prepare_sound(size)
        for slot, frame in zip(slots, codes, strict=True):
            self._sound.host[slot] = (slot, self._num_decoded[slot], *frame)
        with torch.inference_mode():
            self._sound.send(size)
            pcm = self._runs.run(("sound", size), lambda: self._sound_of(size))
            sound: NDArray[np.float32] = pcm.cpu().numpy()[list(slots)]
        for slot in slots:
            self._num_decoded[slot] += 1
        return sound

    def _take(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """The sound that the latest step computed for these slots."""
        sound = []
        for slot, frame in zip(slots, codes, strict=True):
            spoken = self._spoken.pop(slot, None)
            assert spoken is not None, f"slot {slot} is not of the latest step"
            assert np.array_equal(spoken.codes, frame), "other codes than the latest step's"
            sound.append(spoken.pcm)
        return np.stack(sound)

    def preparations(self) -> list[Preparation]:
        """The graphs to record, those of small batches first."""
        if not self._runs.records:
            return []
        (length, *longer), (most, *others) = self._lengths, self._ranked
        found = [Preparation("prompts", partial(self._prepare_prompt, length), is_urgent=True)]
        for size in self._sizes:
            what, is_first = f"batches of {size}", size == 1
            found += [
                Preparation(what, run, is_urgent=is_first)
                for run in (
                    partial(self._prepare, size, length, most),
                    partial(self._prepare_sound, size),
                )
            ]
            steps = [*((end, most) for end in longer), *((length, other) for other in others)]
            found += [Preparation(what, partial(self._prepare, size, *step)) for step in steps]
        found += [Preparation("long prompts", partial(self._prepare_prompt, end)) for end in longer]
        return found

    def hidden(self, slots: Sequence[int]) -> Tensor:
        """Hidden states (B, D) from which the latest frames of slots were drawn."""
        return self._hidden[list(slots)].clone()

    # -- computations on the device; they depend on no value on the host -----------------------

    def _hidden_of(self, size: int, length: int) -> Tensor:
        numbers = self._numbers.device[:size]
        rows = numbers[:, None, : self.num_codebooks + 1]
        positions = numbers[:, self.num_codebooks + 1 + POSITION, None]
        computed = self._computed_by(size).read(rows, positions, length)
        return self._hidden[:size].copy_(computed[:, 0])

    def _drawn(self, size: int, most: int) -> Tensor:
        """What a step gives the host: `SlotModel.draw`'s frames, or these in fp32 and sound."""
        frames = self._frames_of(size, most)
        if not self._speaks_at_once:
            return frames
        numbers, end = self._numbers.device[:size, self.num_codebooks + 1 :], self.num_codebooks
        out = self._hidden.new_empty(size, end + 2 + self.frame_size, dtype=torch.float32)
        out[:, : end + 1] = frames[:, :-1]  # codes are small: exact
        out[:, end + 1] = frames[:, -1].int().view(torch.float32)
        # the last, which changes state: what allocates after it might fail, and be repeated
        out[:, end + 2 :] = self._codec.decode(
            frames[:, :end], numbers[:, CODEC_SLOT], numbers[:, CODEC_POSITION]
        )
        return out

    def _frames_of(self, size: int, most: int) -> Tensor:
        numbers = self._numbers.device[:size, self.num_codebooks + 1 :]
        return (self._by_kernels or self._model).draw(
            self._hidden[:size],
            numbers[:, SEED],
            numbers[:, FRAME],
            self._settings.device[:size, :2],
            numbers[:, TOP_K : DEPTH_TOP_K + 1],
            self._settings.device[:size, 2],
            most=most,
        )

    def _read_of(self, length: int) -> Tensor:
        rows, positions, slots = self._prompt.split((self.num_codebooks + 1, 1, 1), dim=1)
        return self._model.read(rows[None], positions[None, :, 0], length, slots[0])

    def _sound_of(self, size: int) -> Tensor:
        numbers = self._sound.device[:size]
        return self._codec.decode(numbers[:, 2:], numbers[:, 0], numbers[:, 1])

    # -- helpers -----------------------------------------------------------------------------

    def _split(
        self, drawn: NDArray[Any]
    ) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Codes (B, K), whether they are of finite logits, stops, and sound of `_drawn`."""
        end = self.num_codebooks
        stops, sound = drawn[:, end + 1].astype(np.float32), drawn[:, end + 2 :]
        if not self._speaks_at_once:
            stops = drawn[:, end + 1].astype(np.int32).view(np.float32)
        return drawn[:, :end].astype(np.int32), drawn[:, end], stops, sound

    def _computed_by(self, size: int) -> SlotModel | KernelModel:
        """The model that reads a row of each of `size` slots."""
        by_kernels = self._by_kernels
        return by_kernels if by_kernels and size <= by_kernels.max_slots else self._model

    def _read(self, slot: int, rows: Rows) -> None:
        """Append the keys and values of rows to the cache."""
        start = self._num_read[slot]
        for first in range(0, len(rows), PROMPT_ROWS):
            self._read_piece(slot, start + first, rows[first : first + PROMPT_ROWS])

    def _read_piece(self, slot: int, start: int, rows: Rows) -> None:
        """Read at most `PROMPT_ROWS` rows from position `start` on."""
        end = start + len(rows)
        length = _least(self._lengths, end)
        self._prepare_prompt(length)
        numbers = self._padding(slot)
        numbers[: len(rows), : self.num_codebooks + 1] = rows
        numbers[: len(rows), -2] = np.arange(start, end)
        with torch.inference_mode():
            # from memory that is not pinned, so the host may go on at once
            self._prompt.copy_(torch.from_numpy(numbers))
            self._runs.run(("prompt", length), lambda: self._read_of(length))

    def _padding(self, slot: int) -> NDArray[np.int64]:
        """Rows of a prompt that write to the slot's dummy position: see `_read_of`."""
        numbers = np.full((PROMPT_ROWS, self.num_codebooks + 3), -1, np.int64)
        numbers[:, -2:] = self.max_rows, slot
        return numbers

    def _prepare_prompt(self, length: int) -> None:
        """Record the graph of prompts up to this length if needed."""
        if not self._runs.is_recorded(("prompt", length)):
            with torch.inference_mode():
                self._prompt.copy_(torch.from_numpy(self._padding(0)))
                self._runs.record(("prompt", length), lambda: self._read_of(length))

    def _prepare(self, size: int, length: int, most: int) -> None:
        """Mark all slots as not requested, and record the graphs of these sizes if needed."""
        self._numbers.host[:, : self.num_codebooks + 1] = -1
        self._numbers.host[:, self.num_codebooks + 1 :] = 0
        self._numbers.host[:, self.num_codebooks + 1 + POSITION] = self.max_rows
        self._numbers.host[:, self.num_codebooks + 1 + CODEC_SLOT] = self.num_slots
        self._settings.host[:] = 1, 1, 0
        read, draw = ("read", size, length), ("draw", size, most)
        if self._runs.is_recorded(read) and self._runs.is_recorded(draw):
            return
        with torch.inference_mode():
            self._numbers.send(size)
            self._settings.send(size)
            if not self._runs.is_recorded(read):
                self._runs.record(read, lambda: self._hidden_of(size, length))
            if not self._runs.is_recorded(draw):
                self._runs.record(draw, lambda: self._drawn(size, most))

    def _prepare_sound(self, size: int) -> None:
        """Assign all rows to the dummy slot, and record the graph of this size if needed."""
        self._sound.host[:] = 0
        self._sound.host[:, 0] = self.num_slots
        if not self._runs.is_recorded(("sound", size)):
            with torch.inference_mode():
                self._sound.send(size)
                self._runs.record(("sound", size), lambda: self._sound_of(size))

    def _limit(self, draw: Draw) -> int:
        """The largest top_k of a draw that excludes any code."""
        chosen = (draw.sampling.top_k or 0, draw.sampling.depth_top_k or 0)
        return max(k if k < self._num_codes else 0 for k in chosen)

    def _check_room(self, slot: int, num_rows: int) -> None:
        used = self._num_read[slot]
        assert used + num_rows <= self.max_rows, f"slot {slot} is full after {used} rows"

    def _clear(self, slots: list[int]) -> None:
        """Zero the caches of broken slots: a NaN times a weight of 0 would still be NaN."""
        with torch.inference_mode():
            for cache in (self._model.backbone.cache, self._model.depth.cache):
                cache.keys[:, slots] = 0
                cache.values[:, slots] = 0


class Spoken(NamedTuple):
    """A frame (K,) of a step, and its sound."""

    codes: NDArray[np.int32]
    pcm: NDArray[np.float32]


class HostInputs:
    """Inputs that the host fills in and the device reads, one row per slot.

    The host may write again after it has waited for the results.
    """

    def __init__(self, num_rows: int, width: int, dtype: torch.dtype, device: torch.device) -> None:
        pinned = torch.zeros(num_rows, width, dtype=dtype, pin_memory=device.type == "cuda")
        self.host: NDArray[np.int64] | NDArray[np.float32] = pinned.numpy()
        self.device = torch.zeros(num_rows, width, dtype=dtype, device=device)
        self._pinned = pinned

    def send(self, size: int) -> None:
        """Copy the first rows to the device."""
        self.device[:size].copy_(self._pinned[:size], non_blocking=True)


def _by_kernels(model: SlotModel, max_slots: int) -> KernelModel | None:
    """The model by Triton kernels; None if no batch uses them."""
    if not max_slots:
        return None
    from causerie.engine.runners.slot_kernels import KernelModel  # needs Triton

    return KernelModel(model, max_slots)


def _least(sizes: Sequence[int], needed: int) -> int:
    return next(size for size in sizes if size >= needed)
