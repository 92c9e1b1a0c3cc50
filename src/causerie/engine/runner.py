"""The protocol of a runner: it computes the model and the codec for numbered slots.

A slot is one row index shared by everything with state: keys and values, the codec's state, the
codes drawn last. Runners know nothing of requests, queues or time.

Rows are int32 arrays (n, K+1) ``[c0 … c(K-1), text]`` in which -1 is masked out: a text row has
only its last number, an audio row all but its last, a stop row K zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        frame: number of the frame within the reply, for the noise.
        stop_bias: added to the logit of code 0 of codebook 0, which begins a stop frame.
    """

    slot: int
    sampling: Sampling
    frame: int
    stop_bias: float = 0.0


class BrokenSlotsError(CheckpointError):
    """The model computed NaN or infinity for some slots of a step; the other slots are fine.

    Args:
        numbers: the dtype or format of the computation.

    Attributes:
        slots: the broken slots.
        codes: the result of the step; the rows of broken slots are meaningless.
    """

    def __init__(self, numbers: object, *, slots: Sequence[int], codes: NDArray[np.int32]) -> None:
        super().__init__(
            f"the model computes numbers that are not finite in {numbers}: the weights are "
            f"damaged, or {numbers} is too narrow; try float32 or bfloat16"
        )
        self.slots, self.codes = tuple(slots), codes


@dataclass(frozen=True)
class Preparation:
    """Something that a runner may do before it is first needed, between two calls.

    Attributes:
        what: for the log; the same for those that belong together.
        run: does it; nothing if it was done meanwhile.
        is_urgent: the first frame of a reply that is alone needs it.
    """

    what: str
    run: Callable[[], None]
    is_urgent: bool = False


class SavedRows(Protocol):
    """A copy of the keys and values of a slot's first rows."""

    @property
    def num_rows(self) -> int: ...

    @property
    def num_bytes(self) -> int: ...


class Runner(Protocol):
    """Computes for `num_slots` slots. Not thread-safe.

    Attributes:
        max_rows: positions of a slot, prompt and reply together.
        num_codebooks: K.
        frame_size: samples in a frame.
        frame_rate: frames per second.
        sample_rate: in Hz.
        row_invariant: the results of a row depend, to the bit, only on the rows before it: not
            on how a prefill is cut, nor on other slots. Saved rows may then end anywhere;
            otherwise they must end where a `prefill` ended.
    """

    num_slots: int
    max_rows: int
    num_codebooks: int
    frame_size: int
    frame_rate: float
    sample_rate: int
    row_invariant: bool

    def reset(self, slot: int) -> None:
        """Empty the slot; its memory stays allocated."""

    def prefill(self, slot: int, rows: Rows) -> None:
        """Read the next one or more rows of a prompt."""

    def step(self, draws: Sequence[Draw]) -> NDArray[np.int32]:
        """The next frame (B, K) of each of B different slots.

        Each slot has read a prompt. The slot's next step reads the codes, so the last frame of a
        reply is not read. A frame of zeros is the model's stop; after it, only `save` and `reset`
        may be called for the slot.

        Raises:
            BrokenSlotsError: the model computed NaN or infinity for some slots. Any other error
                concerns all slots of the step.
        """

    def stops(self, slots: Sequence[int]) -> NDArray[np.float32]:
        """Log-probabilities (B,) of a stop in the latest step of these slots.

        Of code 0 in codebook 0, at a temperature of 1 and without `Draw.stop_bias`.
        """

    def decode(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Audio (B, frame_size) of the next frame (B, K) of each of B different slots.

        After `reset`, the codec of a slot starts from silence.
        """

    def save(self, slot: int, num_rows: int) -> SavedRows:
        """A copy of the keys and values of the slot's first rows."""

    def load(self, slot: int, saved: SavedRows, num_rows: int) -> None:
        """Load the first `num_rows` saved rows into a slot that was just reset.

        At least one row of the prompt must be read after it.
        """

    def preparations(self) -> Sequence[Preparation]:
        """What else takes long when it is first needed, the most urgent first."""
