"""Preparing takes turns with the steps: urgent pieces first, the rest while nobody speaks."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from causerie import tts
from causerie.engine.engine import Engine
from causerie.engine.preparing import Preparing
from causerie.engine.runner import Preparation
from tests import tiny
from tests.engine import asking
from tests.engine.asking import collect
from tests.patience import PATIENCE_S

REQUESTS = asking.mixed(3)


class Pieces:
    """Preparations of an engine that note when they run.

    Attributes:
        done: names, in the order in which they ran.
        clashes: pieces that ran during a step.
    """

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch, count: int = 6) -> None:
        self.done: list[int] = []
        self.clashes = self.in_step = 0
        self.on_run: Callable[[int], object] = lambda _: None
        real = engine.runner.step

        def step(draws: Any) -> Any:
            self.in_step += 1
            time.sleep(0.001)
            out = real(draws)
            self.in_step -= 1
            return out

        monkeypatch.setattr(engine.runner, "step", step)
        made = [
            Preparation(f"batches of {1 + i // 2}", lambda i=i: self._run(i), is_urgent=i < 2)  # type: ignore[misc]
            for i in range(count)
        ]
        monkeypatch.setattr(engine.runner, "preparations", lambda: made)

    def _run(self, number: int) -> None:
        self.clashes += self.in_step
        time.sleep(0.002)
        self.clashes += self.in_step
        self.on_run(number)
        self.done.append(number)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def engine() -> Engine:
    return Engine(asking.native(2))


def test_urgent_pieces_come_first(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = Pieces(engine, monkeypatch)
    engine.preparing.now(urgent_only=True)
    assert pieces.done == [0, 1]
    engine.preparing.now()
    engine.preparing.now()
    assert pieces.done == [*range(6)]


def test_progress_is_logged(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "causerie.engine")
    Pieces(engine, monkeypatch)
    engine.preparing.now()
    assert [line[: line.index(",")] for line in caplog.messages] == [
        "recorded graphs of batches of 1: 2 of 6",
        "recorded graphs of batches of 2: 4 of 6",
        "recorded graphs of batches of 3: 6 of 6",
    ]
    assert all(line.endswith(" s so far") for line in caplog.messages)


def test_pieces_and_steps_take_turns(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies are the same, however they are interleaved."""
    expected = asking.alone(asking.native, REQUESTS)
    pieces = Pieces(engine, monkeypatch, count=40)
    handles = [engine.submit(request) for request in REQUESTS]
    thread = threading.Thread(target=engine.preparing.now)
    thread.start()
    assert [collect(engine, handle) for handle in handles] == expected
    thread.join(PATIENCE_S)
    assert pieces.done == [*range(40)]
    assert not pieces.clashes


def test_in_the_background_replies_go_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = Pieces(engine, monkeypatch)
    handle = engine.submit(REQUESTS[0])
    engine.preparing.in_background()
    time.sleep(0.5)
    assert not pieces.done  # somebody waits for audio
    collect(engine, handle)
    wait_until(lambda: len(pieces.done) == 6)
    assert not pieces.clashes


def test_a_reply_that_nobody_hears_delays_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = Pieces(engine, monkeypatch)
    engine.abandon(engine.submit(REQUESTS[0]))
    engine.preparing.in_background()
    wait_until(lambda: len(pieces.done) == 6)


def test_a_piece_that_fails_ends_the_thread_and_no_reply(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = Pieces(engine, monkeypatch)

    def fail(number: int) -> None:
        assert number < 2, "this piece is broken"

    pieces.on_run = fail
    engine.preparing.in_background()
    wait_until(lambda: "preparing stopped" in caplog.text)
    assert "3 of 6" in caplog.text
    assert collect(engine, engine.submit(REQUESTS[0])) == asking.alone(asking.native, REQUESTS)[0]
    with pytest.raises(AssertionError, match="broken"):
        engine.preparing.now()


def test_a_thread_keeps_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(asking.native(2))
    pieces = Pieces(engine, monkeypatch, count=500)
    engine.preparing.in_background()
    wait_until(lambda: bool(pieces.done))
    monkeypatch.undo()  # which holds the runner
    gone = weakref.ref(engine)
    del engine

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    wait_until(is_gone)
    count = len(pieces.done)
    time.sleep(0.1)
    assert len(pieces.done) <= count + 1 < 500


def test_a_model_that_is_loaded_can_speak_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one reply needs is done by then, and the rest in the background."""
    runner, done, left = asking.native(2), list[int](), list[int]()
    pieces = [Preparation("graphs", partial(done.append, i), is_urgent=i < 2) for i in range(5)]
    monkeypatch.setattr(runner, "preparations", lambda: pieces)
    monkeypatch.setattr(tts, "new_runner", lambda *_, **__: runner)
    monkeypatch.setattr(Preparing, "in_background", lambda self: left.append(len(self)))
    assert tts.TTS(tiny.checkpoint()).engine.runner is runner
    assert done == [0, 1]
    assert left == [3]


def test_runners_that_need_nothing_start_no_thread(engine: Engine) -> None:
    threads: Sequence[threading.Thread] = threading.enumerate()
    engine.preparing.in_background()
    engine.preparing.now()
    assert threading.enumerate() == [*threads]
    assert isinstance(engine.preparing, Preparing)
    assert not len(engine.preparing)
