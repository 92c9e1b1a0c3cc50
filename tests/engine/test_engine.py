"""Batched = alone, with requests that join, leave, fail, are cancelled or cached."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Request, State
from causerie.engine.runner import BrokenSlotsError, Runner
from causerie.errors import (
    CancelledError,
    ConfigError,
    DeadlineError,
    EngineError,
    QueueFullError,
)
from tests.engine import asking
from tests.engine.asking import NewRunner, Said, alone, collect, request, said, text

RNG = random.Random(1)
VOICE, HELLO, OTHER = said(RNG, 5, 20), text(RNG, 9), text(RNG, 12)


@pytest.fixture(params=asking.RUNNERS)
def new_runner(request: pytest.FixtureRequest) -> NewRunner:
    return asking.RUNNERS[request.param]


@pytest.fixture
def engine(new_runner: NewRunner) -> Engine:
    return Engine(new_runner(3))


def spoil(monkeypatch: pytest.MonkeyPatch, runner: Runner, name: str, change: Callable) -> None:
    """Replace a runner's method by `change(real, *args)`."""
    real = getattr(runner, name)
    monkeypatch.setattr(runner, name, lambda *args: change(real, *args))


# -- batched = alone -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def solo() -> Callable[[NewRunner], tuple[list[Request], list[Said]]]:
    kept: dict[Any, Any] = {}

    def made(new_runner: NewRunner) -> tuple[list[Request], list[Said]]:
        if new_runner not in kept:
            requests = asking.mixed(64 if new_runner is asking.native else 28)  # plain is slow
            kept[new_runner] = requests, alone(new_runner, requests)
        return kept[new_runner]

    return made


@pytest.mark.parametrize(
    ("num_slots", "prefix_bytes"), [pytest.param(8, 50_000, marks=pytest.mark.slow), (3, 0)]
)
def test_mixed_requests_equal_those_alone(
    solo: Any, new_runner: NewRunner, num_slots: int, prefix_bytes: int
) -> None:
    requests, expected = solo(new_runner)
    rng = random.Random(num_slots)
    engine = Engine(new_runner(num_slots), prefix_bytes=prefix_bytes)
    handles: dict[int, Handle] = {}
    left = list(range(len(requests)))
    rng.shuffle(left)
    cancelled: set[int] = set()
    while left or engine.stats().active or engine.stats().waiting:
        for number in [left.pop() for _ in range(min(len(left), rng.choice([0, 1, 2, 9])))]:
            handles[number] = engine.submit(requests[number])
        if rng.random() < 0.25 and handles:
            number = rng.choice(list(handles))
            if not handles[number].is_done:
                engine.cancel(handles[number])
                cancelled.add(number)
        engine.step()
    for number, handle in handles.items():
        frames, sound, state = expected[number]
        if number in cancelled:
            assert handle.state is State.CANCELLED
            assert [frame.tolist() for frame in handle.frames] == frames[: len(handle.frames)]
        else:
            assert collect(engine, handle) == (frames, sound, state)
    stats = engine.stats()
    assert len(cancelled) > 2
    assert stats.num_requests == len(requests) == sum(stats.done.values())
    assert stats.done["cancelled"] == len(cancelled)
    assert max(stats.batch_sizes) > min(2, num_slots - 1)
    assert (stats.num_prefix_hits > 5) == bool(prefix_bytes)
    assert stats.prefix_bytes <= prefix_bytes


def test_a_reply_ends_by_the_stop_frame_or_at_the_limit(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(real: Any, draws: Any) -> np.ndarray:
        codes = real(draws).clip(min=1)
        for row, draw in zip(codes, draws, strict=True):
            row *= draw.frame < 2 or draw.slot > 0
        return codes

    spoil(monkeypatch, engine.runner, "step", stop)
    handles = [engine.submit(request(HELLO, max_frames=4)) for _ in range(2)]
    states = [collect(engine, handle)[2] for handle in handles]
    assert states == ["ended", "limit"]
    assert [len(handle.frames) for handle in handles] == [2, 4]
    assert handles[0].take() is None


def test_sound_is_handed_out_as_it_is_made(engine: Engine) -> None:
    handle = engine.submit(request(HELLO, max_frames=4))
    assert len(handle.take()) == 0
    engine.step()
    assert handle.num_ready == 1
    engine.step()
    assert len(handle.take(1)) == engine.runner.frame_size
    engine.wait(handle, 3)
    assert len(handle.take()) == 3 * engine.runner.frame_size
    assert handle.take() is None
    assert not engine.step()


# -- the prefix cache ----------------------------------------------------------------------------


def test_a_voice_is_read_once_with_equal_results(new_runner: NewRunner) -> None:
    requests = [request(VOICE, HELLO), request(VOICE, OTHER, seed=3), request(VOICE, HELLO)]
    engine = Engine(new_runner(2))
    assert [collect(engine, engine.submit(asked)) for asked in requests] == alone(
        new_runner, requests
    )
    stats = engine.stats()
    assert stats.num_prefix_hits == 2
    assert stats.num_rows_saved == 2 * len(VOICE)
    assert stats.num_rows + stats.num_rows_saved == 3 * len(VOICE) + 2 * len(HELLO) + len(OTHER)


def test_the_cache_does_not_grow_with_different_texts(new_runner: NewRunner) -> None:
    rng = random.Random(0)
    engine, sizes = Engine(new_runner(2)), []
    for _ in range(30):
        asked = request(VOICE, text(rng, rng.randint(1, 20)), max_frames=3)
        collect(engine, engine.submit(asked))
        sizes.append(engine.stats().prefix_bytes)
    assert engine.stats().num_prefix_hits == 29  # the voice is read once
    assert engine.stats().num_rows_saved >= 29 * len(VOICE)
    assert len(engine.prefixes) == 1 + engine.runner.row_invariant  # and the latest reply
    assert max(sizes) < 3 * min(sizes)


def test_a_context_is_read_once_and_takes_the_place_of_its_beginning(new_runner: NewRunner) -> None:
    engine = Engine(new_runner(1))
    context = said(random.Random(0), 6, 5)
    for before in ((VOICE,), (VOICE, context), (VOICE, context), (VOICE,)):
        collect(engine, engine.submit(request(*before, HELLO)))
    assert engine.stats().num_prefix_hits == 3
    assert engine.stats().num_rows <= len(VOICE) + len(context) + 4 * len(HELLO)
    assert len(engine.prefixes) == 1 + engine.runner.row_invariant  # and the latest reply


def test_the_context_of_later_turns_is_not_cached(new_runner: NewRunner) -> None:
    engine = Engine(new_runner(1))
    collect(engine, engine.submit(request(VOICE, HELLO)))
    turn = said(random.Random(0), 6, 5)
    collect(engine, engine.submit(request(VOICE, turn, OTHER, cache_context=False)))
    assert len(engine.prefixes) == 1 + engine.runner.row_invariant


def test_simultaneous_requests_share_the_first_read(new_runner: NewRunner) -> None:
    requests = [request(VOICE, HELLO, seed=seed, realtime=False) for seed in range(4)]
    engine = Engine(new_runner(4))
    handles = [engine.submit(asked) for asked in requests]
    assert [collect(engine, handle) for handle in handles] == alone(new_runner, requests)
    assert engine.stats().num_prefix_hits == 3


def test_the_next_turn_of_a_conversation_reads_only_new_rows(new_runner: NewRunner) -> None:
    engine = Engine(new_runner(1))
    first = engine.submit(request(VOICE, HELLO, max_frames=6))
    engine.wait(first, 6)
    sound = np.full((7, VOICE.shape[1]), -1, np.int32)
    sound[:, :-1] = 0
    sound[:6, :-1] = np.stack(first.frames)
    turn = np.concatenate((HELLO, sound))
    before = engine.stats()
    asked = request(VOICE, turn, OTHER)
    assert collect(engine, engine.submit(asked)) == alone(new_runner, [asked])[0]
    num_rows = engine.stats().num_rows - before.num_rows
    if engine.runner.row_invariant:
        assert num_rows == 2 + len(OTHER)  # the last frame was not read, nor is there a stop frame
    else:
        assert num_rows == len(turn) + len(OTHER)


def test_nothing_is_cached_without_memory(new_runner: NewRunner) -> None:
    engine = Engine(new_runner(1), prefix_bytes=0)
    for _ in range(2):
        collect(engine, engine.submit(request(VOICE, HELLO)))
    assert engine.stats().num_prefix_hits == 0
    assert engine.stats().prefix_bytes == 0


# -- cancelling and failing ------------------------------------------------------------------------


def test_a_cancelled_request_leaves_its_slot_at_once(engine: Engine) -> None:
    asked = request(HELLO, max_frames=50, realtime=False)
    handles = [engine.submit(asked) for _ in range(4)]
    engine.step()
    assert engine.stats().waiting == 1
    engine.cancel(handles[0])
    engine.step()
    assert engine.stats().waiting == 0
    assert len(handles[0].frames) == 1
    assert len(handles[3].frames) == 1
    assert len(handles[0].take()) == engine.runner.frame_size  # what there was can be taken
    with pytest.raises(CancelledError, match="was cancelled"):
        handles[0].take()
    engine.cancel_all()
    assert engine.stats().active == 0
    assert engine.stats().done == {"cancelled": 4}


def test_a_request_that_is_cancelled_while_it_is_computed_gets_no_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("prefill", "step", "decode"):
        one, other = (engine.submit(request(HELLO, max_frames=3)) for _ in range(2))

        def cancel(real: Any, *args: Any, one: Handle = one) -> Any:
            engine.cancel(one)
            return real(*args)

        with monkeypatch.context() as patch:
            spoil(patch, engine.runner, name, cancel)
            assert collect(engine, other)[2] == "limit"
        assert one.state is State.CANCELLED
        assert not one.frames
        assert engine.stats().active == 0


@pytest.mark.parametrize("name", ["reset", "prefill", "load"])
def test_a_failure_of_one_request_does_not_affect_others(
    new_runner: NewRunner, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    engine = Engine(new_runner(3))
    collect(engine, engine.submit(request(VOICE, HELLO)))  # so that there is something to load
    wrong = engine.submit(request(VOICE, OTHER))
    fail_once = iter([RuntimeError("made up")])

    def fail(real: Any, *args: Any) -> Any:
        for error in fail_once:
            raise error
        return real(*args)

    spoil(monkeypatch, engine.runner, name, fail)
    right = [engine.submit(request(VOICE, HELLO, seed=seed)) for seed in (1, 2)]
    assert [collect(engine, handle) for handle in right] == alone(
        new_runner, [handle.ticket.request for handle in right]
    )
    with pytest.raises(RuntimeError, match="made up"):
        wrong.take()
    assert engine.stats().failures == {"RuntimeError": 1}
    assert engine.stats().active == 0


def test_slots_that_break_end_alone(new_runner: NewRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(new_runner(3))

    def break_one(real: Any, draws: Any) -> np.ndarray:
        codes = real(draws)
        if [draw for draw in draws if draw.slot == 1 and draw.frame == 2]:
            raise BrokenSlotsError("float32", slots=[1], codes=codes)
        return codes

    spoil(monkeypatch, engine.runner, "step", break_one)
    requests = [request(HELLO, seed=seed, max_frames=5) for seed in range(3)]
    handles = [engine.submit(asked) for asked in requests]
    first, _, third = alone(new_runner, requests)
    assert collect(engine, handles[0]) == first
    assert collect(engine, handles[2]) == third
    assert len(handles[1].frames) == 2
    assert len(handles[1].take()) == 2 * engine.runner.frame_size
    with pytest.raises(BrokenSlotsError, match="not finite"):
        handles[1].take()


@pytest.mark.parametrize("name", ["step", "decode"])
def test_a_batch_that_fails_ends_those_in_it_and_the_engine_goes_on(
    new_runner: NewRunner, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    engine = Engine(new_runner(2))
    handles = [engine.submit(request(HELLO, seed=seed, realtime=False)) for seed in range(4)]

    def fail(*_: Any) -> Any:
        raise MemoryError("made up")

    with monkeypatch.context() as patch:
        spoil(patch, engine.runner, name, fail)
        engine.step()
    for handle in handles[:2]:
        with pytest.raises(MemoryError):
            handle.take()
    expected = alone(new_runner, [handle.ticket.request for handle in handles])
    assert [collect(engine, handle) for handle in handles[2:]] == expected[2:]
    assert engine.stats().done == {"failed": 2, "limit": 2}


def test_an_interrupt_leaves_no_thread_waiting(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = [engine.submit(request(HELLO)) for _ in range(5)]

    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        spoil(patch, engine.runner, "step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.wait(handles[0])
    for handle in handles:
        with pytest.raises(EngineError, match="stopped in the middle of a step: Keyboard"):
            handle.take()
    assert collect(engine, engine.submit(request(HELLO)))[2] == "limit"


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
def test_random_failures_and_cancels_leak_no_slot_and_spoil_no_neighbour(
    new_runner: NewRunner, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    engine = Engine(new_runner(rng.randint(1, 4)), max_queue=6, prefix_bytes=20_000)
    requests = [request(VOICE[: rng.randint(1, 25)], HELLO, seed=n) for n in range(8)]
    expected = alone(new_runner, requests)

    def maybe(real: Any, *args: Any) -> Any:
        if rng.random() < 0.05:
            raise RuntimeError("made up")
        return real(*args)

    for name in ("reset", "prefill", "step", "decode", "save", "load"):
        spoil(monkeypatch, engine.runner, name, maybe)
    handles: list[tuple[int, Handle]] = []
    while len(handles) < 30:
        number = rng.randrange(len(requests))
        if engine.stats().waiting < 6:
            handles.append((number, engine.submit(requests[number])))
        if rng.random() < 0.2:
            engine.cancel(rng.choice(handles)[1])
        if rng.random() < 0.7:
            engine.step()
    while engine.step():
        pass
    stats = engine.stats()
    assert (stats.active, stats.waiting) == (0, 0)
    assert sorted(engine._scheduler._free) == list(range(engine.runner.num_slots))
    assert sum(stats.done.values()) == 30
    for number, handle in handles:
        frames = [frame.tolist() for frame in handle.frames]
        assert frames == expected[number][0][: len(frames)]
        if handle.state is State.LIMIT:
            assert collect(engine, handle) == expected[number]


# -- limits ----------------------------------------------------------------------------------------


def test_a_queue_that_is_full(new_runner: NewRunner) -> None:
    engine = Engine(new_runner(1), max_queue=2)
    for _ in range(3):
        engine.submit(request(HELLO))
    with pytest.raises(QueueFullError, match="try again"):
        engine.submit(request(HELLO))
    assert engine.stats().num_requests == 3


def test_a_request_that_exceeds_the_model_is_refused(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="exceed the 128 positions"):
        engine.submit(request(HELLO, max_frames=121))
    assert collect(engine, engine.submit(request(HELLO, max_frames=120)))[2] == "limit"


def test_a_deadline(new_runner: NewRunner) -> None:
    now = [0.0]
    engine = Engine(new_runner(1), clock=lambda: now[0])
    sounding = engine.submit(request(HELLO, max_frames=3, deadline_s=1.0))
    waiting = engine.submit(request(HELLO, deadline_s=1.0))
    engine.step()
    now[0] = 2.0
    engine.step()
    with pytest.raises(DeadlineError, match=r"waited for a stream for 2\.00 s"):
        waiting.take()
    assert collect(engine, sounding)[2] == "limit"
    assert engine.stats().failures == {"DeadlineError": 1}


def test_underruns_are_counted_for_waiting_consumers(new_runner: NewRunner) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.05
        return now[0]

    engine = Engine(new_runner(2), clock=clock)
    handle = engine.submit(request(HELLO, max_frames=5))
    engine.wait(handle, 5)
    assert handle.ticket.num_underruns == 4  # a step looks at the clock more than once
    assert engine.stats().num_underruns == 4
    engine.wait(engine.submit(request(HELLO, max_frames=5, realtime=False)), 5)
    assert engine.stats().num_frames == 10


# -- threads ---------------------------------------------------------------------------------------


def test_threads_that_wait_share_batches(new_runner: NewRunner) -> None:
    requests = asking.mixed(16, seed=3)
    engine = Engine(new_runner(8))
    barrier = threading.Barrier(8)

    def speak(numbers: list[int]) -> list[Said]:
        barrier.wait()
        return [collect(engine, engine.submit(requests[number])) for number in numbers]

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(speak, [[n, n + 8] for n in range(8)]))
    together = [made[n % 8][n // 8] for n in range(16)]
    assert together == alone(new_runner, requests)
    assert max(engine.stats().batch_sizes) > 1


def test_an_abandoned_request_gives_its_slot_back(engine: Engine) -> None:
    handle = engine.submit(request(HELLO, max_frames=100))
    engine.step()
    engine.abandon(handle)
    assert engine.stats().active == 0
    assert handle.state is State.CANCELLED


def test_a_slow_consumer_holds_no_audio_of_others(engine: Engine) -> None:
    handles = [engine.submit(request(HELLO, realtime=False)) for _ in range(2)]
    engine.step()
    for handle in handles:
        assert handle.frames[0].base is None
        assert handle._audio[0].base is None


def test_handles_that_are_done_are_forgotten(engine: Engine) -> None:
    import weakref

    known = weakref.ref(engine.submit(request(HELLO)))
    while engine.step():
        pass
    gc.collect()
    assert known() is None
