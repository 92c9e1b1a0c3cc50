"""What the engine asks of whoever computes: rows in, codes and sound out, for numbered slots.

A slot is one row index shared by everything with state: keys and values, the codec's state, the
codes drawn last. Runners know nothing of requests, queues or time.

Rows are int32 arrays (n, K+1) like those of a prompt, ``[c0 … c(K-1), text]``, in which -1 marks
what is masked out: a text row has only its last number, an audio row all but its last, a stop row
K zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from causerie.engine.request import Sampling as Sampling
from causerie.errors import CheckpointError

Rows = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The next frame of one slot.

    Attributes:
        frame: its number within the reply, for the noise.
    """

    slot: int
    sampling: Sampling
    frame: int


class BrokenSlotsError(CheckpointError):
    """The model computes NaN or infinity for some of the slots of a step; the others are well.

    Args:
        numbers: the dtype or format that is computed in.

    Attributes:
        slots: the broken ones.
        codes: what the step would have returned; rows of broken slots mean nothing.
    """

    def __init__(self, numbers: object, *, slots: Sequence[int], codes: NDArray[np.int32]) -> None:
        super().__init__(
            f"the model computes numbers that are not finite in {numbers}: the weights are "
            f"damaged, or {numbers} is too narrow; try float32 or bfloat16"
        )
        self.slots, self.codes = tuple(slots), codes


class SavedRows(Protocol):
    """Keys and values of the first rows of a slot, kept outside of it."""

    @property
    def num_rows(self) -> int: ...

    @property
    def num_bytes(self) -> int: ...


class Runner(Protocol):
    """Computes for `num_slots` slots. Not thread-safe: the engine calls it from one at a time.

    Attributes:
        max_rows: positions of a slot, prompt and reply together.
        num_codebooks: K.
        frame_size: samples to a frame.
        frame_rate: frames a second.
        sample_rate: in Hz.
        row_invariant: a row's results depend on nothing but the rows before it, to the bit:
            neither on how prefills are cut, nor on other slots. Saved rows may then end anywhere;
            else they must end where a chunk of a prefill ended.
    """

    num_slots: int
    max_rows: int
    num_codebooks: int
    frame_size: int
    frame_rate: float
    sample_rate: int
    row_invariant: bool

    def reset(self, slot: int) -> None:
        """Forget what the slot has read and said; the memory stays."""

    def prefill(self, slot: int, rows: Rows) -> None:
        """Read the next rows of a prompt into the slot, one or more."""

    def step(self, draws: Sequence[Draw]) -> NDArray[np.int32]:
        """The next frame (B, K) of each of some different slots.

        Each slot has read a prompt. Codes drawn are read by the next step of the slot, so the last
        frame of a reply costs no reading. A frame of zeros is the model's stop; nothing may be
        asked of its slot then but `save` and `reset`.

        Raises:
            BrokenSlotsError: the model computes NaN or infinity for some of the slots. Any other
                error concerns all slots of the step.
        """

    def decode(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Sound (B, frame_size) of the next frame (B, K) of each of some different slots.

        The codec of a slot starts from silence after `reset`.
        """

    def save(self, slot: int, num_rows: int) -> SavedRows:
        """Copy the keys and values of the first rows of the slot."""

    def load(self, slot: int, saved: SavedRows, num_rows: int) -> None:
        """Let a slot that was just reset begin with the first of the saved rows.

        At least one row of the prompt must still be read after it.
        """
