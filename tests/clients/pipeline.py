"""Runs a pipeline of pipecat, and keeps the frames that come out of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from pipecat.frames.frames import CancelFrame, ErrorFrame, Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from tests.patience import PATIENCE_S

Kind = TypeVar("Kind", bound=Frame)


class Tap(FrameProcessor):
    """Keeps the frames that pass, in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)


class Running:
    """A pipeline that runs."""

    def __init__(self, worker: PipelineWorker, taps: list[Tap]) -> None:
        self._worker, self._taps = worker, taps

    async def send(self, *frames: Frame) -> None:
        """Send frames from the pipeline's beginning."""
        await self._worker.queue_frames(list(frames))

    def seen(self, kind: type[Kind]) -> list[Kind]:
        """The frames of a kind that passed the taps, each once."""
        frames = {id(f): f for tap in self._taps for f in tap.frames if isinstance(f, kind)}
        return list(frames.values())

    async def until(self, kind: type[Kind], count: int = 1) -> list[Kind]:
        """Wait for so many frames of a kind."""
        await self.when(lambda: len(self.seen(kind)) >= count, kind.__name__)
        return self.seen(kind)

    async def when(self, condition: Callable[[], bool], name: str) -> None:
        """Wait for a condition."""
        started = time.monotonic()
        while not condition():
            assert not self.seen(ErrorFrame), self.seen(ErrorFrame)
            assert time.monotonic() - started < PATIENCE_S, f"never: {name}"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(*processors: FrameProcessor) -> AsyncIterator[Running]:
    """Run processors until the block ends; their taps may not have seen an error."""
    worker = PipelineWorker(
        Pipeline([*processors]), cancel_on_idle_timeout=False, enable_rtvi=False
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")  # type: ignore[untyped-decorator]
    async def _on_started(worker: PipelineWorker, frame: Frame) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    task = asyncio.ensure_future(runner.run())
    try:
        await asyncio.wait_for(started.wait(), PATIENCE_S)
        here = Running(worker, [one for one in processors if isinstance(one, Tap)])
        yield here
        assert not here.seen(ErrorFrame)
    finally:
        await worker.queue_frame(CancelFrame())
        await asyncio.wait_for(task, PATIENCE_S)
