"""Forks, Ctrl-C and pickles: each works, or is one clear error."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import pytest

from causerie.tts import TTS
from tests import tiny
from tests.patience import PATIENCE_S

#: Threads speak until `is_over` is set; `results` has the number of frames or the error of each.
HEAD = """
import os, signal, sys, threading, time
from causerie.tts import TTS

signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
TEXT = "We go down to the river, and we cross the bridge as long as it stands."
tts = TTS.from_pretrained("petit", max_streams=3)
expected = tts.generate(TEXT, seed=1).codes.shape[1]
is_over, results = threading.Event(), []

def work():
    while not is_over.is_set():
        try:
            results.append(tts.generate(TEXT, seed=1).codes.shape[1])
        except BaseException as error:
            results.append(repr(error))

threads = [threading.Thread(target=work) for _ in range(2)]
"""

CTRL_C = """
for thread in threads:
    thread.start()
num_stopped = 0
while num_stopped < 8:
    timer = threading.Timer(0.05 * num_stopped, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        tts.generate(TEXT * 9, seed=2)
    except KeyboardInterrupt:
        num_stopped += 1
is_over.set()
for thread in threads:
    thread.join()
assert results and set(results) == {expected}, results
assert tts.generate(TEXT, seed=1).codes.shape[1] == expected
assert tts.engine.stats().active == 0
"""

#: The child tries at once, and its parent waits for it at most a minute.
FORK = """
import asyncio
from causerie.errors import EngineError

async def listen():
    reply = await tts.astream(TEXT, seed=1)
    async for _ in reply:
        pass
    return reply.num_frames

async def twice():
    return [await listen(), await listen()]

assert asyncio.run(listen()) == expected  # the thread of `astream` is not in the child
if IS_BUSY:
    for thread in threads:
        thread.start()
    time.sleep(0.5)
statuses = []
for _ in range(NUM_FORKS):
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        try:
            assert tts.generate(TEXT, seed=1).codes.shape[1] == expected
            assert asyncio.run(twice()) == [expected, expected]
        except EngineError as error:
            assert IS_BUSY and "load the model after the fork" in str(error), error
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(2)
        os._exit(0)
    statuses.append(os.waitpid(pid, 0)[1])
is_over.set()
if IS_BUSY:
    for thread in threads:
        thread.join()
    assert results and set(results) == {expected}, results
assert statuses == [0] * NUM_FORKS, statuses
"""


def run(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=4 * PATIENCE_S
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill has no SIGINT there")
def test_ctrl_c_ends_only_the_reply_of_its_thread() -> None:
    run(HEAD + CTRL_C)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize(
    ("is_busy", "num_forks"), [pytest.param(True, 5, marks=pytest.mark.slow), (False, 1)]
)
def test_a_forked_child_speaks_or_gets_a_clear_error(is_busy: bool, num_forks: int) -> None:
    """While other threads speak, it depends on the moment of the fork; otherwise it speaks."""
    run(f"{HEAD}\nIS_BUSY, NUM_FORKS = {is_busy}, {num_forks}\n{FORK}")


@pytest.mark.parametrize("save", [pickle.dumps, copy.deepcopy, lambda tts: pickle.dumps(tts.read)])
def test_a_model_does_not_pickle_and_says_what_to_do(save: object) -> None:
    assert callable(save)
    with pytest.raises(TypeError, match=r"call TTS\.from_pretrained in each process"):
        save(TTS(tiny.checkpoint()))
