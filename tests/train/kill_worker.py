"""Trains, killed by SIGKILL several times, until the training is done.

    python -m tests.train.kill_worker FOLDER SEED

Each run is a fork of this process, so torch is loaded once. A run is killed at a random step, or
while it writes a state file; the last run is not killed.
"""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import sys
from pathlib import Path
from typing import IO, Any

import torch

from tests.train.lm.test_training import RECIPE, training

KILLS = 5
LONG = dataclasses.replace(RECIPE, steps=20)  # saved every 2 steps


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(folder: Path, steps_to_live: int, in_checkpoint: bool) -> None:
    """Train, and die after `steps_to_live` steps, or while the next state file is written."""
    run = training(folder, LONG)
    left = [steps_to_live]
    write = torch.save

    def half(state: Any, file: IO[bytes]) -> None:
        write(state, file)
        if left[0] <= 0:
            file.truncate(file.tell() // 2)
            file.flush()
            die()

    def on_step(step: int, numbers: dict[str, float]) -> None:
        left[0] -= 1
        if left[0] <= 0 and not in_checkpoint:
            die()

    if in_checkpoint:
        torch.save = half  # type: ignore[assignment]
    run.run(on_step)


def main(folder: Path, seed: int) -> None:
    torch.set_num_threads(1)
    dice = random.Random(seed)
    for number in range(KILLS):
        steps_to_live = dice.randint(2, 5)
        pid = os.fork()
        if not pid:
            train_until_killed(folder, steps_to_live, in_checkpoint=bool(number % 2))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print("killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}")
    last = training(folder, LONG)
    print(last.step)
    last.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
