"""Facts about the machine on which a benchmark runs."""

from __future__ import annotations

import datetime
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import torch

from causerie.bench.result import Machine


def new_machine(device: torch.device, *, bandwidth_gb_s: float | None = None) -> Machine:
    """This machine, today.

    Args:
        bandwidth_gb_s: its memory bandwidth, if it was measured.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    return Machine(
        date=now.strftime("%Y-%m-%d"),
        processor=processor(device),
        threads=torch.get_num_threads(),
        commit=commit(),
        bandwidth_gb_s=bandwidth_gb_s,
    )


def processor(device: torch.device) -> str:
    """The name of the processor or GPU, as far as the system knows it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info, name = Path("/proc/cpuinfo"), platform.processor() or platform.machine()
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores"


def commit() -> str:
    """The commit of this code, with a + if files differ from it; empty outside a repository."""
    folder = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        name = git("rev-parse", "--short", "HEAD")
        return name + ("+" if name and git("status", "--porcelain", "--", ".") else "")
    except OSError:  # git is not installed
        return ""


def peak_gb() -> float:
    """Peak memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
