"""Checks and times the GPU path on this machine.

    python benchmarks/gpu.py --plot gpu.png > gpu.jsonl       about ten minutes for csm-1b's shapes
    python benchmarks/gpu.py --device cpu --subject tiny      tries the script without a GPU

First it checks, in fp32 and in bf16: graphs against calls, batched slots against single ones, all
of them against the plain model, and the codec of slots against the codec. Then it times all ways
to run a frame of one stream: calls or graphs, attention by torch's fused kernel or by matrix
products, torch.compile, the Triton kernels, and these with the depth decoder in 8 bits. It times
the fastest exact way by context and streams, and for prompts and first sounds. The floor beside
each figure is the bytes of a frame over the bandwidth of a copy.

Prints one JSON object per line: checks, then results like those of `causerie bench`, whose --from
shows them as tables. The exit code is 0; 1 if a check fails; 2 without a GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causerie.bench.machine import new_machine, synchronize
from causerie.bench.ours import Ours
from causerie.bench.result import Machine, Result, to_line
from causerie.bench.subjects import SUBJECTS, load_subject
from causerie.checkpoint import Checkpoint
from causerie.engine.runner import Draw, Rows, Sampling
from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.choose import KERNEL_SLOTS
from causerie.engine.runners.cuda_graph import Eager
from causerie.engine.runners.slot_model import Attention, fused, products
from causerie.nn.kv_cache import KVCache
from floor import bandwidth_gb_s, floor_bytes

ATTENTIONS: dict[str, Attention] = {"fused": fused, "products": products}
#: Largest difference from the expected values, relative to the largest one, by dtype.
LIMITS = {torch.float32: 2e-3, torch.bfloat16: 6e-2}
#: The same for equal kernels.
SAME = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
#: Largest share of different codes; after the first difference all others may differ.
OTHER_CODES = {torch.float32: 0.05, torch.bfloat16: 0.8}
CHECKED_FRAMES = 6
#: Rows of the prompts of the checked slots.
CHECKED_ROWS = (40, 3, 70, 17)
VOICES = ("none", "new", "kept")


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to run frames."""

    graphs: bool
    attention: str
    compiled: bool = False
    kernels: bool = False
    int8: bool = False

    @property
    def name(self) -> str:
        parts = ["graphs" if self.graphs else "calls", self.attention]
        parts += ["compiled"] * self.compiled + ["kernels"] * self.kernels + ["int8"] * self.int8
        return "causerie batched " + " ".join(parts)


def new_runner(checkpoint: Checkpoint, way: Way, num_slots: int) -> BatchedRunner:
    """Create a runner; without CUDA all ways are calls."""
    return BatchedRunner(
        checkpoint.model,
        checkpoint.codec,
        num_slots=num_slots,
        runs=None if way.graphs else Eager(),
        attention=ATTENTIONS[way.attention],
        compiled=way.compiled,
        kernel_slots=KERNEL_SLOTS if way.kernels else 0,
        depth_int8=way.int8,
    )


# -- checks ---------------------------------------------------------------------------------------


def prompts(checkpoint: Checkpoint) -> list[Rows]:
    """Prompts of text and audio rows, of several lengths."""
    config, drawn = checkpoint.model.config, np.random.default_rng(1)
    out = []
    for count in CHECKED_ROWS:
        rows = np.full((count, config.num_codebooks + 1), -1, np.int32)
        size = checkpoint.codec.config.codebook_size
        rows[: count // 2, :-1] = drawn.integers(1, size, (count // 2, config.num_codebooks))
        rows[count // 2 :, -1] = drawn.integers(1, 300, count - count // 2)
        out.append(rows)
    return out


def draws(slots: Sequence[int], frame: int) -> list[Draw]:
    """Different settings for each slot."""
    return [
        Draw(
            slot=slot,
            sampling=Sampling(
                temperature=0.9, top_k=50 if slot % 2 else None, depth_temperature=0.7,
                depth_top_k=20, seed=slot,
            ),
            frame=frame,
        )
        for slot in slots
    ]  # fmt: skip


def frames(runner: BatchedRunner, given: Sequence[Rows], slots: Sequence[int]) -> Any:
    """Hidden states (B, D) of the first frame, and codes (T, B, K) of all."""
    for slot in slots:
        runner.reset(slot)
        runner.prefill(slot, given[slot])
    codes, first = [], None
    for frame in range(CHECKED_FRAMES):
        codes.append(runner.step(draws(slots, frame)))
        if first is None:
            first = runner.hidden(slots).float()
    return first, np.stack(codes)


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def check(checkpoint: Checkpoint, way: Way) -> Iterator[dict[str, Any]]:
    """Check a way; each result has its limit."""
    model, given = checkpoint.model, prompts(checkpoint)
    dtype, device = model.projection.weight.dtype, model.projection.weight.device
    slots = range(len(given))
    runner = new_runner(checkpoint, way, len(given))
    calls = new_runner(checkpoint, Way(graphs=False, attention=way.attention, int8=way.int8), 4)
    hidden, codes = frames(runner, given, slots)
    eager_hidden, eager_codes = frames(calls, given, slots)
    facts = {"way": way.name, "dtype": str(dtype).removeprefix("torch.")}
    yield facts | {
        "check": "recorded = called",
        "value": difference(hidden, eager_hidden),
        "limit": (LIMITS if way.compiled or way.kernels else SAME)[dtype],
        "same_codes": float((codes == eager_codes).mean()),
    }
    yield facts | {
        "check": "codes of the first frame",
        "value": 1 - float((codes[0] == eager_codes[0]).mean()),
        "limit": OTHER_CODES[dtype],
    }
    alone, alone_codes = zip(*(frames(runner, given, [slot]) for slot in slots), strict=True)
    yield facts | {
        "check": "together = alone",
        "value": difference(hidden, torch.cat(alone)),
        "limit": LIMITS[dtype],
        "same_codes": float((codes == np.concatenate(alone_codes, axis=1)).mean()),
    }
    plain = []
    with torch.inference_mode():
        for rows in given:
            cache = KVCache(model.config.backbone, 1, len(rows), device=device, dtype=dtype)
            read = torch.from_numpy(rows).long().to(device)[None]
            plain.append(model.prefill(read.clamp(min=0), read >= 0, cache).float())
    yield facts | {
        "check": "batched = plain",
        "value": difference(hidden, torch.cat(plain)),
        "limit": LIMITS[dtype],
    }
    some = torch.randint(1, 60, (2, model.config.num_codebooks, 8))
    sound = [runner.decode([3, 0], some[:, :, time].numpy().astype(np.int32)) for time in range(8)]
    expected = checkpoint.codec.decode(some.to(device))[:, 0].cpu()
    yield facts | {
        "check": "codec of slots = codec",
        "value": difference(torch.from_numpy(np.concatenate(sound, axis=1)), expected),
        "limit": LIMITS[torch.float32],
    }


# -- times ----------------------------------------------------------------------------------------


class Times:
    """Times ways."""

    def __init__(self, checkpoint: Checkpoint, machine: Machine, count: int) -> None:
        self.checkpoint, self.machine, self.count = checkpoint, machine, count
        self.frame_ms = 1000 / checkpoint.codec.config.frame_rate

    def contestant(self, way: Way, num_slots: int) -> Ours:
        """A runner to time."""
        dtype = str(self.checkpoint.model.projection.weight.dtype).removeprefix("torch.")
        runner = new_runner(self.checkpoint, way, num_slots)
        return Ours(way.name, self.checkpoint, runner, (dtype, "int8" if way.int8 else dtype))

    def frames(self, ours: Ours, measure: str, rows: int, streams: int) -> Iterator[Result]:
        """Results of frames, without and with audio."""
        ours.frames(2, rows=rows, streams=streams)  # warm up
        codes, sound = ours.frames(self.count, rows=rows, streams=streams)
        both = [a + b for a, b in zip(codes, sound, strict=True)]
        for codec, times in ((False, codes), (True, both)):
            floor = floor_bytes(ours, rows=rows, streams=streams, codec=codec)
            yield self.result(
                ours, measure, times, rows=rows, streams=streams, codec_included=codec,
                frame_ms=self.frame_ms, floor_ms=floor / self.machine.bandwidth_gb_s / 1e6,
            )  # fmt: skip

    def prefill(self, ours: Ours, rows: int) -> Iterator[Result]:
        """The result of a prefill."""
        ours.prefill(rows)
        times = [ours.prefill(rows) for _ in range(5)]
        yield self.result(ours, "prefill", times, rows=rows, codec_included=False)

    def first_sound(self, ours: Ours) -> Iterator[Result]:
        """Results of a sentence, with and without a voice."""
        for voice in VOICES:
            ours.first_sound(voice)
            times = [ours.first_sound(voice) for _ in range(self.count)]
            yield self.result(
                ours, "first-sound", times, voice=voice, rows=ours.prompt_rows(voice),
                codec_included=True,
            )  # fmt: skip

    def result(
        self, ours: Ours, measure: str, times_ms: Sequence[float], *, streams: int = 1, **what: Any
    ) -> Result:
        memory = None
        if ours.checkpoint.model.projection.weight.is_cuda:
            memory = torch.cuda.max_memory_allocated() / 1e9
        return Result.of(
            times_ms, measure=measure, implementation=ours.name, subject=self.checkpoint.name,
            backbone_format=ours.formats[0], depth_format=ours.formats[1], streams=streams,
            memory_gb=memory, **what,
        )  # fmt: skip


def measure(checkpoint: Checkpoint, options: argparse.Namespace, machine: Machine) -> Any:
    """All results, as they are measured."""
    times = Times(checkpoint, machine, options.frames)
    medians: dict[Way, float] = {}
    for way in ways(options, has_cuda=machine_has_cuda(checkpoint)):
        found = list(times.frames(times.contestant(way, 1), "frame", 100, 1))
        medians[way] = found[-1].ms
        yield from found
        free()
    best = min((way for way in medians if not way.int8), key=lambda way: medians[way])
    ours = times.contestant(best, max(options.streams))
    for rows in (rows for rows in options.contexts if rows + options.frames < ours.max_rows):
        yield from times.frames(ours, "context", rows, 1)
    for streams in options.streams:
        yield from times.frames(ours, "streams", 100, streams)
    yield from times.prefill(ours, min(1000, ours.max_rows))
    yield from times.first_sound(ours)


def ways(options: argparse.Namespace, *, has_cuda: bool) -> list[Way]:
    """The ways to try; without CUDA only calls."""
    if not has_cuda:
        return [Way(graphs=False, attention=name) for name in ATTENTIONS]
    graphs = [Way(graphs=True, attention=name) for name in ATTENTIONS]
    if not options.no_compile:
        graphs.append(Way(graphs=True, attention="fused", compiled=True))
    kernels = Way(graphs=True, attention="fused", compiled=not options.no_compile, kernels=True)
    return [
        Way(graphs=False, attention="fused"), *graphs, kernels,
        dataclasses.replace(kernels, int8=True),
    ]  # fmt: skip


def machine_has_cuda(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is on a GPU."""
    return checkpoint.model.projection.weight.is_cuda


def free() -> None:
    """Free unused memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--subject", default="csm-1b", choices=SUBJECTS)
    parser.add_argument("--frames", type=int, default=30, help="frames per figure")
    parser.add_argument("--streams", type=_numbers, default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--contexts", type=_numbers, default=[100, 500, 1000, 2000])
    parser.add_argument("--no-compile", action="store_true", help="skip torch.compile")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        message = "no CUDA device; --device cpu --subject tiny tries the script out"
        print(f"gpu: {message}", file=sys.stderr)
        return 2
    # comparisons need full fp32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    has_failed = False
    for dtype in LIMITS:
        checkpoint = load_subject(options.subject, dtype, device)
        for way in ways(options, has_cuda=device.type == "cuda"):
            for found in check(checkpoint, way):
                found["ok"] = found["value"] <= found["limit"]
                has_failed |= not found["ok"]
                print(json.dumps(found), flush=True)
            free()
        del checkpoint
        free()
    torch.backends.cudnn.allow_tf32 = True  # torch's default
    checkpoint = load_subject(options.subject, torch.bfloat16, device)
    seconds = 0.1 if options.subject == "tiny" else 2
    machine = new_machine(device, bandwidth_gb_s=bandwidth_gb_s(device, seconds=seconds))
    results = []
    for result in measure(checkpoint, options, machine):
        results.append(result)
        print(to_line(result, machine), flush=True)
    synchronize(device)
    if options.plot:
        from plot import draw

        draw(results, [machine], options.plot)
    return int(has_failed)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
