"""Finds out on this machine's GPU what is right, how fast it is and how much memory it takes.

    python benchmarks/gpu.py                                  three minutes for csm-1b's shapes
    python benchmarks/gpu.py --against before/run.jsonl       beside an earlier run
    python benchmarks/gpu.py --steps graphs,kernels           some steps only
    python benchmarks/gpu.py --device cpu --subject tiny      tries all steps out without a GPU

The steps run in the order of their value, each in a process of its own with a limit of its own:
one that hangs or crashes takes no other along. A line of JSON is printed as soon as something is
known, failures included. The folder of --out then has the lines (run.jsonl), a table (table.md),
a plot (plot.png), petit's speech (sound) and what the steps wrote besides (log.txt).

It needs torch, numpy, safetensors, tokenizers and huggingface-hub, and for the plot matplotlib.
The exit code is 0; 1 if a check or a step failed; 2 without a GPU, or if the arguments are wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_report import plot, read_lines, table

HERE = Path(__file__).parent
#: Prints why a device cannot be used.
_USABLE = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from causerie.device import card_problem, cuda_problem
print(cuda_problem() or card_problem(torch.device(sys.argv[2])) or "")
"""
Line = dict[str, Any]
#: A step that has fewer seconds left is not begun.
LEAST_S = 8
#: Seconds that a step has to write where it is.
TRACE_S = 2
#: The seconds of a run, by default: within three minutes on a card.
SECONDS = 170
#: The limit of each step in seconds, in the order of their value; it grows with the run's.
STEPS = {
    "facts": 30, "petit": 45, "equal": 45, "graphs": 45, "kernels": 60, "first-sound": 40,
    "streams": 60, "equal-kernels": 60, "int8": 60, "two-models": 30, "prefill": 30, "training": 30,
    "calls": 30, "record": 45, "at-once": 30, "products": 30, "no-early-starts": 45,
    "kernels-8": 90, "compiled": 90,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is asked for."""

    device: str
    subject: str
    steps: tuple[str, ...]
    seconds: float
    out: Path
    against: tuple[Line, ...] | None


class Run:
    """A run of all steps; `finish` ends it.

    Attributes:
        lines: those printed so far.
    """

    def __init__(self, options: Options) -> None:
        self._options, self._end = options, time.monotonic() + options.seconds
        self.lines: list[Line] = []
        options.out.mkdir(parents=True, exist_ok=True)
        self._kept = (options.out / "run.jsonl").open("w", encoding="utf-8")
        self._log = (options.out / "log.txt").open("w", encoding="utf-8")

    def tell(self, line: Line) -> None:
        """Print and keep a line."""
        self.lines.append(line)
        text = json.dumps(line)
        print(text, flush=True)
        print(text, file=self._kept, flush=True)

    def steps(self) -> None:
        """Run the steps while there is time."""
        for name in self._options.steps:
            left = self._end - time.monotonic()
            if left < LEAST_S:
                self.tell(outcome(name, "left out", why="no time was left: --seconds"))
            else:
                self.step(name, min(STEPS[name] * self._options.seconds / SECONDS, left))

    def step(self, name: str, limit_s: float) -> None:
        """Run a step in a process of its own."""
        print(f"-- {name}", file=self._log, flush=True)
        started, before, late = time.monotonic(), self._log.tell(), threading.Event()
        last: Line | None = None
        with subprocess.Popen(
            self._command(name), env=self._environment(), stdout=subprocess.PIPE,
            stderr=self._log, encoding="utf-8", errors="replace", start_new_session=True,
        ) as worker:  # fmt: skip
            timer = threading.Timer(limit_s, lambda: (late.set(), _trace(worker), _kill(worker)))
            timer.start()
            try:
                assert worker.stdout is not None
                for text in worker.stdout:
                    last = self._take(text) or last
                code = worker.wait()
            finally:
                timer.cancel()
                _kill(worker)
        took = round(time.monotonic() - started, 2)
        if last is not None and last["name"] == "outcome" and not late.is_set():
            self.tell(last | {"value": took})
        else:
            why = f"not done after {limit_s:.0f} s" if late.is_set() else _why(code)
            said = self._last_log_line(before)
            self.tell(outcome(name, "failed", why=why, took_s=took, log=said))

    def finish(self) -> int:
        """Write table and plot; return the exit code."""
        text = table(self.lines, self._options.against)
        (self._options.out / "table.md").write_text(text, encoding="utf-8")
        problem = plot(self.lines, self._options.out / "plot.png")
        status = "left out" if problem else "done"
        self.tell(outcome("plot", status, **({"why": problem} if problem else {})))
        self._kept.close()
        self._log.close()
        print(f"\n{text}\n{self._options.out}: run.jsonl, table.md, log.txt", file=sys.stderr)
        failed = any(
            line.get("ok") is False or line.get("status") == "failed" for line in self.lines
        )
        return int(failed)

    def _take(self, text: str) -> Line | None:
        """Print a line of a step, except for its outcome, whose time is not known yet."""
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or "name" not in line:  # a library printed it
            self._log.write(text)
            return None
        if line["name"] != "outcome":
            self.tell(line)
        return line

    def _command(self, step: str) -> list[str]:
        options = self._options
        return [
            sys.executable, str(HERE / "gpu_worker.py"), step, "--device", options.device,
            "--subject", options.subject, "--out", str(options.out),
        ]  # fmt: skip

    def _environment(self) -> dict[str, str]:
        """The environment of a step: on the CPU, Triton interprets its kernels.

        Tiny models gain nothing from threads, and lose where other work shares the cores.
        """
        extra = {"TRITON_INTERPRET": "1"} if self._options.device == "cpu" else {}
        extra |= {"OMP_NUM_THREADS": "1"} if self._options.subject == "tiny" else {}
        return os.environ | extra | {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}

    def _last_log_line(self, start: int) -> str:
        """What a step wrote last, or the place at which a signal ended it."""
        with (self._options.out / "log.txt").open(encoding="utf-8", errors="replace") as log:
            log.seek(start)
            lines = [line.strip() for line in log if line.strip()]
        places = [line for before, line in itertools.pairwise(lines) if _is_trace(before)]
        return (places or lines or [""])[-1][:300]


def outcome(step: str, status: str, *, took_s: float | None = None, **more: Any) -> Line:
    """The last line of a step.

    Args:
        status: "done", "left out" or "failed"; "why" says the reason.
    """
    return {"step": step, "name": "outcome", "value": took_s, "unit": "s", "status": status} | more


def _why(code: int) -> str:
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code} before it was done"


def _is_trace(line: str) -> bool:
    """Whether the line after this one is the place at which a signal ended a process."""
    return line.startswith("Current thread 0x") and line.endswith("(most recent call first):")


def _trace(worker: subprocess.Popen[str]) -> None:
    """Let a step write where it is, and end."""
    worker.send_signal(signal.SIGABRT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(TRACE_S)


def _kill(worker: subprocess.Popen[str]) -> None:
    """End a step and its processes."""
    try:
        os.killpg(worker.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    worker.wait()


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--subject", default="csm-1b", choices=("csm-1b", "petit", "tiny"))
    parser.add_argument(
        "--steps", default=",".join(STEPS), help="in this order; default: %(default)s"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all steps together")
    parser.add_argument("--out", type=Path, default=Path("gpu-run"))
    parser.add_argument("--against", type=Path, help="run.jsonl of an earlier run")
    given = parser.parse_args(arguments)
    steps = tuple(given.steps.split(","))
    if unknown := [name for name in steps if name not in STEPS]:
        parser.error(f"no step {', '.join(unknown)}: {', '.join(STEPS)}")
    against = None
    if given.against:
        try:
            against = tuple(read_lines(given.against.read_text("utf-8")))
        except (OSError, ValueError) as error:
            parser.error(f"--against {given.against}: {error}")
    return Options(
        device=given.device, subject=given.subject, steps=steps, seconds=given.seconds,
        out=given.out, against=against,
    )  # fmt: skip


def _problem(device: str) -> str | None:
    """Why nothing can run, in one line."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    if not device.startswith("cuda"):
        return None
    done = subprocess.run(
        [sys.executable, "-c", _USABLE, str(HERE.parent / "src"), device],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    if said:
        return f"no CUDA device: {said[-1]}; --device cpu --subject tiny tries the steps out"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps; return the exit code."""
    options = _options(arguments)
    if problem := _problem(options.device):
        print(f"gpu: {problem}", file=sys.stderr)
        return 2
    run = Run(options)
    try:
        run.steps()
    except KeyboardInterrupt:
        print("gpu: interrupted", file=sys.stderr)
        run.finish()
        return 130
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
