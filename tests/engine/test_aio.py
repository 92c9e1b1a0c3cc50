"""Many tasks, event loops and threads share one engine."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie.engine.aio import AsyncEngine, RequestStream
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import State, Ticket
from causerie.engine.runner import Draw, Runner
from causerie.errors import CancelledError, EngineError, QueueFullError
from tests.engine import asking
from tests.engine.asking import NewRunner, Said, alone, request
from tests.engine.test_engine import HELLO, VOICE

T = TypeVar("T")


@pytest.fixture(params=asking.RUNNERS)
def new_runner(request: pytest.FixtureRequest) -> NewRunner:
    return asking.RUNNERS[request.param]


@pytest.fixture
def slow_runner(new_runner: NewRunner) -> NewRunner:
    """A runner whose frames take at least 5 ms, so that events can happen in between."""

    def made(num_slots: int) -> Runner:
        runner = new_runner(num_slots)
        step = runner.step

        def slowly(draws: Sequence[Draw]) -> NDArray[np.int32]:
            time.sleep(0.005)
            return step(draws)

        runner.step = slowly  # type: ignore[method-assign]
        return runner

    return made


def run(new_runner: NewRunner, task: Callable[[AsyncEngine], Awaitable[T]], **more: Any) -> T:
    async def main() -> T:
        async with AsyncEngine(Engine(new_runner(4), **more)) as running:
            return await asyncio.wait_for(task(running), 60)

    return asyncio.run(main())


async def hear(speech: RequestStream) -> Said:
    pieces = [piece async for piece in speech]
    frames = [frame.tolist() for frame in speech.handle.frames]
    sound = b"".join(piece.tobytes() for piece in pieces)
    return frames, sound, speech.handle.state.value


#: Threads that were there before the test: another module's engine may run in this process.
_before: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def other_threads() -> None:
    _before.clear()
    _before.update(threading.enumerate())


def threads_of_engines() -> list[threading.Thread]:
    """The engine threads that this test started."""
    new = set(threading.enumerate()) - _before
    return [thread for thread in new if thread.name == "causerie engine"]


def test_many_tasks_get_the_same_audio_as_alone(new_runner: NewRunner) -> None:
    requests = asking.mixed(24, seed=5)

    async def task(running: AsyncEngine) -> list[Said]:
        return await asyncio.gather(*(hear(running.speak(asked)) for asked in requests))

    assert run(new_runner, task) == alone(new_runner, requests)
    assert not threads_of_engines()


def test_several_loops_and_threads_share_one_engine(new_runner: NewRunner) -> None:
    requests = asking.mixed(9, seed=6)
    running = AsyncEngine(engine := Engine(new_runner(4)))
    made: dict[int, Said] = {}

    async def some(numbers: range) -> None:
        for number, output in zip(
            numbers, await asyncio.gather(*(hear(running.speak(requests[n])) for n in numbers)),
            strict=True,
        ):  # fmt: skip
            made[number] = output

    threads = [
        threading.Thread(target=lambda start=start: asyncio.run(some(range(start, start + 3))))
        for start in (0, 3)
    ]
    for thread in threads:
        thread.start()
    for number in (6, 7, 8):  # and one without any loop, which steps too
        made[number] = asking.collect(engine, engine.submit(requests[number]))
    for thread in threads:
        thread.join()
    running.close()
    assert [made[number] for number in range(9)] == alone(new_runner, requests)


def test_the_first_chunks_are_frames(new_runner: NewRunner) -> None:
    async def task(running: AsyncEngine) -> list[int]:
        return [len(piece) async for piece in running.speak(request(HELLO, max_frames=8))]

    sizes = run(new_runner, task)
    assert sizes[:2] == [1_920, 1_920]
    assert sum(sizes) == 8 * 1_920


def test_leaving_cancels(slow_runner: NewRunner) -> None:
    async def task(running: AsyncEngine) -> None:
        left, closed, forgotten, stopped = (
            running.speak(request(HELLO, max_frames=110)) for _ in range(4)
        )
        async for _ in left:
            break
        await left.aclose()
        await closed.aclose()
        handle = forgotten.handle
        del forgotten
        gc.collect()
        listening = asyncio.create_task(hear(stopped))
        await asyncio.sleep(0.01)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        running.engine.stats()
        for gone in (left.handle, closed.handle, handle, stopped.handle):
            assert gone.state is State.CANCELLED
        assert running.engine.stats().active == 0

    run(slow_runner, task)


def test_a_waiting_task_gets_the_error_of_a_cancelled_request(slow_runner: NewRunner) -> None:
    async def task(running: AsyncEngine) -> None:
        speech = running.speak(request(HELLO, max_frames=110))
        listening = asyncio.create_task(hear(speech))
        await asyncio.sleep(0.01)
        running.engine.cancel(speech.handle)
        with pytest.raises(CancelledError):
            await listening

    run(slow_runner, task)


def test_failures_reach_the_listeners(
    new_runner: NewRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def task(running: AsyncEngine) -> None:
        def fail(*_: Any) -> Any:
            raise RuntimeError("made up")

        with monkeypatch.context() as patch:
            patch.setattr(running.engine.runner, "decode", fail)
            with pytest.raises(RuntimeError, match="made up"):
                await hear(running.speak(request(HELLO)))
        assert (await hear(running.speak(request(HELLO))))[2] == "limit"

    run(new_runner, task)


def test_an_engine_that_breaks_down_leaves_no_task_waiting(
    new_runner: NewRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def task(running: AsyncEngine) -> None:
        states: list[str] = []

        def fail(*_: Any) -> Any:
            late = running.engine.submit(request(HELLO))  # it comes in the middle of the step
            late.on_change = lambda: states.append(late.state.value)
            raise ZeroDivisionError("made up")

        monkeypatch.setattr(running.engine._scheduler, "plan", fail)
        with pytest.raises(EngineError, match="stopped in the middle of a step"):
            await hear(running.speak(request(HELLO)))
        while threads_of_engines():  # it notifies one consumer after the other
            await asyncio.sleep(0.01)
        assert states == ["failed"]
        with pytest.raises(EngineError, match="broke down: ZeroDivisionError"):
            running.speak(request(HELLO))

    run(new_runner, task)


def test_a_request_that_comes_and_ends_within_one_step_is_reported(
    new_runner: NewRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def task(running: AsyncEngine) -> None:
        expire, late = running.engine._scheduler.expire, list[Handle]()

        def come_late(now: float) -> list[Ticket]:
            if not late:
                late.append(running.engine.submit(request(HELLO, max_frames=1)))
                late[0].on_done = lambda: states.append(late[0].state.value)
            return expire(now)

        states: list[str] = []
        monkeypatch.setattr(running.engine._scheduler, "expire", come_late)
        await hear(running.speak(request(HELLO)))
        await running.finished(late[0])
        assert states == ["limit"]

    run(new_runner, task)


def test_a_full_queue_is_an_error_at_once(slow_runner: NewRunner) -> None:
    async def task(running: AsyncEngine) -> None:
        speeches = []
        with pytest.raises(QueueFullError):  # noqa: PT012 how many fit depends on the thread
            for _ in range(20):
                speeches.append(running.speak(request(HELLO, max_frames=100)))
        for speech in speeches:
            await speech.aclose()

    run(slow_runner, task, max_queue=1)


@pytest.mark.parametrize("drain", [True, False])
def test_closing_drains_or_cancels(slow_runner: NewRunner, drain: bool) -> None:
    async def task() -> Said:
        running = AsyncEngine(Engine(slow_runner(4)))
        speech = running.speak(request(HELLO, max_frames=20))
        await running.aclose(drain=drain)
        with pytest.raises(EngineError, match="closed: make a new one"):
            running.speak(request(HELLO))
        return await hear(speech)

    if drain:
        assert len(asyncio.run(task())[0]) == 20
    else:
        with pytest.raises(CancelledError):
            asyncio.run(task())
    assert not threads_of_engines()


def test_an_error_in_the_block_does_not_wait_for_the_rest(slow_runner: NewRunner) -> None:
    async def main() -> AsyncIterator[np.ndarray]:
        async with AsyncEngine(Engine(slow_runner(1))) as running:
            speech = running.speak(request(HELLO, max_frames=110))
            await anext(speech)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())  # type: ignore[arg-type]


def test_an_idle_engine_sleeps(new_runner: NewRunner) -> None:
    running = AsyncEngine(Engine(new_runner(1)))
    asyncio.run(hear(running.speak(request(HELLO))))
    before, steps = time.process_time(), running.engine.stats().num_steps
    time.sleep(0.2)
    assert time.process_time() - before < 0.05
    assert running.engine.stats().num_steps == steps
    running.close()


def test_audio_that_is_not_taken_is_limited(new_runner: NewRunner) -> None:
    async def task(running: AsyncEngine) -> None:
        speech = running.speak(request(VOICE, HELLO, max_frames=12))
        while not speech.handle.is_done:
            await asyncio.sleep(0.01)
        assert speech.handle.num_ready == 12
        sizes = [len(piece) // 1_920 async for piece in speech]
        assert sizes == [1, 1, 2, 4, 4]

    run(new_runner, task)


def test_a_loop_that_is_gone_gives_up_its_requests(slow_runner: NewRunner) -> None:
    running = AsyncEngine(Engine(slow_runner(1)))
    loop = asyncio.new_event_loop()
    speech = running.speak(request(HELLO, max_frames=110))
    listening = loop.create_task(hear(speech))
    while speech.handle.on_change is None:
        loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    while not speech.handle.is_done:
        time.sleep(0.01)
    assert speech.handle.state is State.CANCELLED
    listening._log_destroy_pending = False  # type: ignore[attr-defined]
    running.close()
