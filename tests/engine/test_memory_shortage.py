"""A device without memory: one line, and nobody else's reply is lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from causerie import tts
from causerie.engine import out_of_memory
from causerie.engine.engine import Engine
from causerie.engine.request import State
from causerie.engine.runner import Draw
from causerie.engine.runners.batched import BatchedRunner
from causerie.errors import DeviceMemoryError
from causerie.statuses import status_of
from tests import tiny
from tests.engine import asking
from tests.engine.asking import alone, collect, request, said, text
from tests.engine.counting import Short

RNG = random.Random(1)
VOICE, HELLO, OTHER, THIRD = said(RNG, 5, 20), text(RNG, 9), text(RNG, 12), text(RNG, 5)
REQUESTS = [
    request(part, max_frames=6, seed=seed) for seed, part in enumerate((HELLO, OTHER, THIRD))
]


def spoil(monkeypatch: pytest.MonkeyPatch, runner: Any, name: str, fails: Callable) -> None:
    """A method of a runner that has no memory when `fails(*args)`."""
    real = getattr(runner, name)

    def limited(*given: Any) -> Any:
        if fails(*given):
            raise DeviceMemoryError("cuda:0 is out of memory")
        return real(*given)

    monkeypatch.setattr(runner, name, limited)


@pytest.mark.parametrize("method", ["step", "decode"])
def test_the_latest_fails_and_the_others_go_on(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for two: the third one fails, and the others say what they say alone."""
    engine = Engine(asking.native(3))
    spoil(monkeypatch, engine.runner, method, lambda slots, *_: len(slots) > 2)
    handles = [engine.submit(asked) for asked in REQUESTS]
    expected = alone(asking.native, REQUESTS)
    with pytest.raises(DeviceMemoryError, match="out of memory"):
        collect(engine, handles[2])
    assert handles[2].state is State.FAILED
    assert [collect(engine, handle) for handle in handles[:2]] == expected[:2]
    assert engine.stats().failures == {"DeviceMemoryError": 1}
    assert collect(engine, engine.submit(REQUESTS[2])) == expected[2]  # there is room again


def test_cached_prefixes_go_first(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(asking.native(3))
    asked = request(VOICE, HELLO, max_frames=3)
    expected = collect(engine, engine.submit(asked))
    assert len(engine.prefixes)
    spoil(monkeypatch, engine.runner, "step", lambda _: len(engine.prefixes) > 0)
    assert collect(engine, engine.submit(asked)) == expected
    assert not any(entry.reply_slot is None for entry in engine.prefixes._entries)
    assert "dropped" in caplog.text
    assert engine.stats().failures == {}


def test_what_cannot_be_cached_is_spoken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(asking.native(3))
    spoil(monkeypatch, engine.runner, "save", lambda *_: True)
    asked = request(VOICE, HELLO, max_frames=3)
    (expected,) = alone(asking.native, [asked])
    assert collect(engine, engine.submit(asked)) == expected
    assert not len(engine.prefixes)
    assert "not kept" in caplog.text


def test_a_prompt_that_does_not_fit_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(asking.native(3))
    spoil(monkeypatch, engine.runner, "prefill", lambda _, rows: len(rows) == len(OTHER))
    handles = [engine.submit(asked) for asked in REQUESTS]
    with pytest.raises(DeviceMemoryError):
        collect(engine, handles[1])
    expected = alone(asking.native, REQUESTS)
    assert [collect(engine, handles[i]) for i in (0, 2)] == [expected[0], expected[2]]


# -- torch's errors --------------------------------------------------------------------------------

MESSAGE = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 5.80 GiB of "
    "which 12.00 MiB is free.\nIncluding non-PyTorch memory, this process has 5.7 GiB in use."
)


def broken(runner: BatchedRunner, monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    """Let a computation in the middle of a call fail at its end, some times."""
    owner: Any = runner._model
    if name == "decode":
        owner, name = runner._codec.codec.decoder, "forward"
    real, left = getattr(owner, name), [times]

    def failing(*given: Any, **named: Any) -> Any:
        out = real(*given, **named)
        left[0] -= 1
        if left[0] >= 0:
            raise torch.OutOfMemoryError(MESSAGE)
        return out

    monkeypatch.setattr(owner, name, failing)


def frame(runner: BatchedRunner, number: int) -> tuple[list[int], np.ndarray[Any, Any]]:
    codes = runner.step([Draw(slot=0, sampling=asking.sampling(3), frame=number)])
    return codes[0].tolist(), runner.decode([0], codes)[0]


@pytest.mark.parametrize("name", ["draw", "decode"])
@pytest.mark.parametrize("config", [tiny.mimi_config, tiny.source_filter_config])
def test_a_call_that_ran_out_of_memory_is_repeated(
    name: str, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in silence; the second time it is one line, and a later call still gives the same."""
    codec = tiny.mimi(config=config())
    runners = [BatchedRunner(tiny.csm(), codec, num_slots=2, max_rows=60) for _ in range(2)]
    for runner in runners:
        runner.prefill(0, HELLO)
    expected = [frame(runners[0], number) for number in range(4)]
    runner = runners[1]
    found = [frame(runner, 0)]
    broken(runner, monkeypatch, name, 1)
    found.append(frame(runner, 1))
    monkeypatch.undo()
    broken(runner, monkeypatch, name, 2)
    if name == "draw":
        with pytest.raises(DeviceMemoryError) as caught:
            runner.step([Draw(slot=0, sampling=asking.sampling(3), frame=2)])
        found.append(frame(runner, 2))
    else:
        codes = runner.step([Draw(slot=0, sampling=asking.sampling(3), frame=2)])
        with pytest.raises(DeviceMemoryError) as caught:
            runner.decode([0], codes)
        found.append((codes[0].tolist(), runner.decode([0], codes)[0]))
    found.append(frame(runner, 3))
    assert "\n" not in str(caught.value)
    assert "2.50 GiB more needed" in str(caught.value)
    assert "--device cpu" in str(caught.value)
    for (codes_found, sound), (codes, heard) in zip(found, expected, strict=True):
        assert codes_found == codes
        np.testing.assert_allclose(sound, heard, atol=1e-5)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("config", [tiny.mimi_config, tiny.source_filter_config])
def test_any_allocation_may_fail_once(config: Any, at_once: bool) -> None:
    """The last ones of a frame, and some before: the codec goes on by one frame only."""
    codec = tiny.mimi(config=config())
    steady, short = [
        BatchedRunner(tiny.csm(), codec, num_slots=2, max_rows=60, speaks_at_once=at_once)
        for _ in range(2)
    ]
    for runner in (steady, short):
        runner.prefill(0, HELLO)
        frame(runner, 0)
    for number, back in enumerate((0, 1, 2, 3, 4, 6, 9, 20, 60, 100), start=1):
        with Short() as counted:
            codes, sound = frame(steady, number)
        with Short(counted.count - back) as failed:
            found, heard = frame(short, number)
        assert failed.count > counted.count  # those of the first try, too
        assert found == codes
        np.testing.assert_allclose(heard, sound, atol=1e-5)


def test_the_line_names_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (12 * 10**6, 6 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 5 * 10**9)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 4_900_000_000)
    line = out_of_memory.shortage(torch.device("cuda:0"), torch.OutOfMemoryError(MESSAGE))
    assert line == (
        "cuda:0 is out of memory: 2.50 GiB more needed, 0.11 GB free: "
        "--max-streams with fewer, or --device cpu"
    )


@pytest.mark.parametrize("call", ["load", "new_runner"])
def test_a_model_that_does_not_fit_after_all(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was free before it was loaded, another process may have taken."""

    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError(MESSAGE.replace("GPU 0", "GPU 1"))

    monkeypatch.setattr(tts, call, fail)
    with pytest.raises(DeviceMemoryError, match=r"^cuda:1 is out of memory: 2\.50 GiB more needed"):
        _ = tts.TTS.from_pretrained("petit").engine


def test_a_client_may_try_again() -> None:
    assert status_of(DeviceMemoryError("cuda:0 is out of memory")).status == 503
