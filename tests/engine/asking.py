"""Random requests, and runners of tiny models."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Request, Sampling
from causerie.engine.runner import Runner
from causerie.engine.runners.native import NativeRunner
from causerie.engine.runners.plain import PlainRunner
from tests import tiny

#: Makes a runner of so many slots, of the tiny model of that seed.
NewRunner = Callable[[int], Runner]


def plain(num_slots: int) -> Runner:
    return PlainRunner(tiny.csm(), tiny.mimi(), num_slots)


def native(num_slots: int) -> Runner:
    return NativeRunner(tiny.csm(), tiny.mimi(), num_slots)


#: Every runner of which "batched = alone, to the bit" is promised.
RUNNERS: dict[str, NewRunner] = {"plain": plain, "native": native}


def sampling(seed: int = 0, **more: Any) -> Sampling:
    usual: dict[str, Any] = {"temperature": 0.9, "top_k": 20}
    usual |= {"depth_temperature": 0.7, "depth_top_k": None}
    return Sampling(**usual | more, seed=seed)


def text(rng: random.Random, num_rows: int) -> NDArray[np.int32]:
    rows = np.full((num_rows, tiny.NUM_CODEBOOKS + 1), -1, np.int32)
    rows[:, -1] = [rng.randrange(256) for _ in range(num_rows)]
    return rows


def said(rng: random.Random, num_text: int, num_frames: int) -> NDArray[np.int32]:
    """Rows of a spoken turn: text, frames, and the stop frame."""
    sound = np.full((num_frames + 1, tiny.NUM_CODEBOOKS + 1), -1, np.int32)
    sound[:, :-1] = 0
    for row in sound[:-1]:
        row[:-1] = [rng.randrange(tiny.CODEBOOK_SIZE) for _ in range(tiny.NUM_CODEBOOKS)]
    return np.concatenate((text(rng, num_text), sound))


def request(*parts: NDArray[np.int32], max_frames: int = 4, seed: int = 0, **more: Any) -> Request:
    return Request(
        rows=np.concatenate(parts),
        part_ends=tuple(np.cumsum([len(part) for part in parts]).tolist()),
        max_frames=max_frames,
        sampling=more.pop("sampling", sampling(seed)),
        **more,
    )


def mixed(count: int, seed: int = 0) -> list[Request]:
    """Requests of random lengths, seeds and settings; most start with one of a few voices."""
    rng = random.Random(seed)
    voices = [said(rng, 5, 20), said(rng, 8, 60), said(rng, 3, 4)]
    asked = []
    for number in range(count):
        before = [rng.choice(voices)] if rng.random() < 0.7 else []
        if rng.random() < 0.2:
            before.append(said(rng, rng.randint(1, 5), rng.randint(1, 10)))
        settings = sampling(
            seed=rng.randrange(2**40),
            temperature=rng.choice([0.0, 0.5, 1.0]),
            top_k=rng.choice([None, 0, 3, 50]),
        )
        asked.append(
            request(
                *before,
                text(rng, rng.randint(1, 20)),
                max_frames=rng.randint(1, 9),
                first_frame=rng.choice([0, 0, 7]),
                realtime=rng.random() < 0.7,
                priority=rng.choice([0, 0, 1]),
                sampling=settings,
            )
        )
        assert len(asked[number].rows) < 115
    return asked


Said = tuple[list[list[int]], bytes, str]


def collect(engine: Engine, handle: Handle) -> Said:
    """The output of a request: codes, audio, and final state."""
    engine.wait(handle, 10**9)
    sound = handle.take()
    frames = [frame.tolist() for frame in handle.frames]
    return frames, b"" if sound is None else sound.tobytes(), handle.state.value


def alone(new_runner: NewRunner, requests: Sequence[Request]) -> list[Said]:
    """The output of each request from an engine with one slot and no cache."""
    engine = Engine(new_runner(1), prefix_bytes=0)
    return [collect(engine, engine.submit(asked)) for asked in requests]
