"""Finds the fastest launches of the Triton kernels on this machine's GPU.

    python benchmarks/kernels.py                           five minutes for csm-1b's shapes
    python benchmarks/kernels.py --device cpu --subject tiny --tiles 64 --warps 4   tries it out

For one kernel after another it times a whole frame, recorded as a graph, with each tile size and
number of warps, and keeps the fastest. It prints one JSON object per line: the launch and the
milliseconds of a frame; at the end the launches for
`causerie.engine.runners.slot_kernels.LAUNCHES`, and a frame without early starts of kernels. The
exit code is 2 without a GPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from causerie.bench.machine import synchronize
from causerie.bench.subjects import SUBJECTS, load_subject
from causerie.engine.runners import slot_kernels
from causerie.engine.runners.cuda_graph import CudaRecorder, Eager, Graphs
from causerie.engine.runners.slot_kernels import LAUNCHES, KernelModel, Launch
from causerie.engine.runners.slot_model import SlotModel

POSITION, LENGTH, NUM_POSITIONS = 100, 256, 257
TOP_K = 50


class Frame:
    """One frame of one slot, to time with different launches."""

    def __init__(self, subject: str, device: torch.device, count: int) -> None:
        checkpoint = load_subject(subject, torch.bfloat16, device)
        codec, config = checkpoint.codec.config, checkpoint.model.config
        slots = SlotModel(checkpoint.model, 1, NUM_POSITIONS, codec.codebook_size)
        self.kernels = KernelModel(slots, 1)
        self._device, self._count = device, count
        self._row = torch.ones(1, 1, config.num_codebooks + 1, dtype=torch.int64, device=device)
        self._position = torch.full((1, 1), POSITION, device=device)
        self._number = torch.ones(1, dtype=torch.int64, device=device)
        self._temperatures = torch.ones(1, 2, device=device)
        self._top_k = torch.full((1, 2), TOP_K, device=device)
        self._bias = torch.zeros(1, device=device)

    def compute(self) -> Tensor:
        """The codes of the frame."""
        hidden = self.kernels.read(self._row, self._position, LENGTH)[:, 0]
        return self.kernels.draw(
            hidden, self._number, self._number, self._temperatures, self._top_k, self._bias,
            most=TOP_K,
        )  # fmt: skip

    def milliseconds(self) -> float:
        """The median time of a frame with the current launches."""
        runs = Graphs(CudaRecorder(self._device)) if self._device.type == "cuda" else Eager()
        times = []
        with torch.inference_mode():
            runs.record("frame", self.compute)
            for _ in range(self._count):
                synchronize(self._device)
                start = time.perf_counter()
                runs.run("frame", self.compute)
                synchronize(self._device)
                times.append(1000 * (time.perf_counter() - start))
        return statistics.median(times)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all launches, and print the fastest; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--subject", default="csm-1b", choices=SUBJECTS)
    parser.add_argument("--frames", type=int, default=15, help="frames per figure")
    parser.add_argument("--tiles", type=_numbers, default=[4096, 8192, 16384, 32768])
    parser.add_argument("--warps", type=_numbers, default=[2, 4, 8])
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("kernels: no CUDA device", file=sys.stderr)
        return 2
    frame = Frame(options.subject, device, options.frames)
    best = frame.milliseconds()
    print(json.dumps({"tried": "current launches", "ms": best}), flush=True)
    for kernel, before in list(LAUNCHES.items()):
        tiles = options.tiles if before.tile else [0]
        for launch in (Launch(tile=t, num_warps=w) for t in tiles for w in options.warps):
            kept, LAUNCHES[kernel] = LAUNCHES[kernel], launch
            ms = frame.milliseconds()
            tried = {"tried": kernel, "tile": launch.tile, "num_warps": launch.num_warps, "ms": ms}
            print(json.dumps(tried), flush=True)
            if ms < best:
                best = ms
            else:
                LAUNCHES[kernel] = kept
    found = {name: [launch.tile, launch.num_warps] for name, launch in LAUNCHES.items()}
    print(json.dumps({"best": found, "ms": best}), flush=True)
    slot_kernels.MAY_START_EARLY = False
    frame = Frame(options.subject, device, options.frames)
    print(json.dumps({"tried": "no early starts", "ms": frame.milliseconds()}), flush=True)
    return 0


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
