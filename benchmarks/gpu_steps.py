"""One step of `benchmarks/gpu.py`, in this process: prints a line of JSON for each thing it finds.

The steps that time a frame have csm-1b's shapes with random weights, or those of --subject. So have
prompts, first sounds and streams. Equalities, two models and training are of petit, which is small
and has true weights; for the subject "tiny" they are of that too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import platform
import shutil
import statistics
import subprocess
import sys
import time
import traceback
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stand_ins
from causerie.bench.machine import commit, processor, synchronize
from causerie.bench.ours import Ours
from causerie.bench.subjects import load_subject, sizes
from causerie.checkpoint.load import Checkpoint, load
from causerie.codec.mimi import Mimi
from causerie.engine.engine import Engine
from causerie.engine.frame_cost import frame_bytes
from causerie.engine.memory_plan import MemoryPlan, memory_plan
from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.plain import PlainRunner
from causerie.errors import DeviceMemoryError
from causerie.kernels import compiler
from causerie.model.csm import CSM, loss
from causerie.tts import TTS
from floor import bandwidth_gb_s
from gpu_checks import (
    CHECKED_FRAMES,
    CHECKED_POSITIONS,
    Equality,
    Way,
    equalities,
    first_frame,
    new_runner,
    survives_another,
)

GB = 1e9
#: Rows before the frames that are timed.
FRAME_ROWS = 100
#: Rows of a slot where many slots are timed.
STREAM_ROWS = 256
STREAMS = (64, 8, 1, 32, 16, 4, 2)
SENTENCES = (
    "Hello, it is nice to meet you.", "The train leaves at a quarter past nine.",
    "Please put the kettle on.", "I have never seen so much snow in April.",
    "She sold her bicycle to a neighbour.", "Where did you leave the keys?",
    "They walked along the river until it was dark.", "Our meeting is on Thursday afternoon.",
)  # fmt: skip
#: Numbers of `torch._fused_sdp_choice`.
BACKENDS = {0: "math", 1: "flash", 2: "efficient", 3: "cudnn", 4: "overrideable"}


class LeftOut(Exception):
    """A step, or the rest of one, that this machine cannot run."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that runs.

    Attributes:
        out: folder for what it keeps.
    """

    name: str
    device: torch.device
    subject: str
    out: Path

    def tell(self, name: str, value: object, unit: str = "", **more: Any) -> None:
        """Print a line."""
        rounded = float(f"{value:.5g}") if isinstance(value, float) else value
        line = {"step": self.name, "name": name, "value": rounded, "unit": unit}
        text = json.dumps(line | more, default=str)
        print(f"{text}\n", end="", flush=True)  # at once: other threads print lines, too

    def check(self, found: Equality, what: str = "", **more: Any) -> None:
        """Print a line of a check."""
        name = f"{found.name}, {what}" if what else found.name
        self.tell(name, found.value, ok=found.ok, limit=found.limit, **more)

    @property
    def is_small(self) -> bool:
        """Whether this only tries the steps out."""
        return self.subject == "tiny"

    @property
    def has_cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def checked(self) -> str:
        """The subject of what needs no large model."""
        return "tiny" if self.is_small else "petit"

    def memory(self, name: str = "memory in use") -> None:
        """Print how much of the GPU's memory is in use, by other processes too."""
        if self.has_cuda:
            free, total = torch.cuda.mem_get_info(self.device)
            self.tell(name, (total - free) / GB, "GB")

    def needs(self, gigabytes: float) -> None:
        """Leave the rest of the step out if the GPU has less free memory."""
        if self.has_cuda:
            free = torch.cuda.mem_get_info(self.device)[0] / GB
            if gigabytes > free:
                raise LeftOut(f"needs about {gigabytes:.1f} GB, and {free:.1f} are free")


class Logged(logging.Handler):
    """Prints the warnings and errors of causerie as lines; an error is a check that is wrong.

    A graph that cannot be recorded is one: calls would be timed in its place.
    """

    def __init__(self, step: Step) -> None:
        super().__init__(logging.WARNING)
        self._step = step

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        wrong = {"ok": False} if record.levelno >= logging.ERROR else {}
        self._step.tell(record.levelname.lower(), record.getMessage(), **wrong)


# -- the machine ----------------------------------------------------------------------------------


def facts(step: Step) -> None:
    """What the machine is, and its bandwidth."""
    device = step.device
    step.tell("card", processor(device))
    if step.has_cuda:
        found = torch.cuda.get_device_properties(device)
        free, _ = torch.cuda.mem_get_info(device)
        step.tell("memory", found.total_memory / GB, "GB", free=round(free / GB, 2))
        step.tell(
            "capability", f"{found.major}.{found.minor}", processors=found.multi_processor_count,
            bf16=torch.cuda.is_bf16_supported(including_emulation=False),
        )  # fmt: skip
        asked = "driver_version,clocks.sm,clocks.max.sm,clocks.mem,clocks.max.mem,power.limit"
        step.tell("driver and clocks", _nvidia_smi(asked), asked=asked)
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip}
    versions["cudnn"] = torch.backends.cudnn.version() if step.has_cuda else None
    versions["python"] = platform.python_version()
    versions["triton"] = _version("triton")
    step.tell("versions", ", ".join(f"{name} {v}" for name, v in versions.items() if v))
    step.tell("commit", commit() or "unknown")
    step.tell("compiler", shutil.which("cc") or shutil.which("gcc") or "none: Triton needs one")
    step.tell("missing packages", ", ".join(stand_ins.missing()) or "none")
    seconds = 0.2 if step.is_small else 1.0
    num_bytes = 2**26 if step.is_small else 2**30
    step.needs(1.1 * num_bytes / GB)
    step.tell("bandwidth", bandwidth_gb_s(device, num_bytes=num_bytes, seconds=seconds), "GB/s")
    if step.has_cuda:
        _attention_backends(step)


def _attention_backends(step: Step) -> None:
    """Which kernel torch chooses for attention with a mask, and what its first call costs."""
    shapes = {"a step": (8, 4, 256, 64), "the depth decoder": (2, 4, 32, 128)}
    shapes |= {"a prompt": (8, 4 * 61, 189, 64), "another prompt": (8, 4 * 62, 190, 64)}
    for name, (groups, rows, length, width) in shapes.items():
        like = {"device": step.device, "dtype": torch.bfloat16}
        query = torch.randn(1, groups, rows, width, **like)
        keys = torch.randn(1, groups, 2049, width, **like)[:, :, :length]
        bias = torch.zeros(1, 1, rows, length, **like)
        chosen = int(torch._fused_sdp_choice(query, keys, keys, bias))
        times = []
        for _ in range(3):
            synchronize(step.device)
            start = time.perf_counter()
            torch.nn.functional.scaled_dot_product_attention(query, keys, keys, attn_mask=bias)
            synchronize(step.device)
            times.append(1000 * (time.perf_counter() - start))
        backend = BACKENDS.get(chosen, str(chosen))
        step.tell(
            f"attention of {name}, by {backend}", times[-1], "ms", first_ms=round(times[0], 2)
        )


# -- petit and equalities -------------------------------------------------------------------------


def petit(step: Step) -> None:
    """Let petit speak: times, sound for a recogniser, and the codes of the CPU."""
    start = time.perf_counter()
    tts = TTS.from_pretrained(device=str(step.device))
    step.tell("load", time.perf_counter() - start, "s", missing=stand_ins.missing())
    for when in ("cold", "warm", "again"):
        stream = tts.stream(SENTENCES[0], seed=1)
        stream.collect()
        step.tell(f"petit's first sound, {when}", stream.first_sound_ms, "ms")
    folder = step.out / "sound"
    folder.mkdir(parents=True, exist_ok=True)
    texts, seconds, start = {}, 0.0, time.perf_counter()
    for number, text in enumerate(SENTENCES[: 2 if step.is_small else None]):
        audio = tts.generate(text, seed=number)
        name = f"{number}.wav"
        _write(folder / name, audio.samples, audio.sample_rate)
        texts[name] = text
        seconds += len(audio.samples) / audio.sample_rate
    took = time.perf_counter() - start
    (folder / "texts.json").write_text(json.dumps(texts, indent=1), encoding="utf-8")
    step.tell("speech kept", seconds, "s", folder=str(folder))
    step.tell("real-time factor", took / seconds)
    step.memory()
    codes = {}
    for where in (torch.device("cpu"), step.device):
        checkpoint = load("petit", device=where, dtype=torch.float32)
        model, codec = checkpoint.model, checkpoint.codec
        is_here = len(codes) == 1
        runner = (
            BatchedRunner(model, codec, num_slots=1) if is_here else PlainRunner(model, codec, 1)
        )
        said = TTS(checkpoint, engine=Engine(runner)).generate(
            SENTENCES[0], seed=1, max_duration_s=1 if step.is_small else 3
        )
        codes[is_here] = said.codes
    plain, here = codes[False], codes[True]
    count = min(plain.shape[1], here.shape[1])
    differ = plain[:, :count] != here[:, :count]
    step.check(
        Equality(name="other codes than the CPU's, fp32", value=float(differ.float().mean()),
                 limit=0.05),
        frames=count, same_frames=int((differ.any(dim=0).cumsum(0) == 0).sum()),
    )  # fmt: skip
    start = time.perf_counter()
    tts.prepare()  # until now, graphs were recorded in the background, between replies
    step.tell("the rest of the graphs", time.perf_counter() - start, "s")


def equal(way: Way) -> Callable[[Step], None]:
    """A step that checks a way in fp32 and bf16."""

    def run(step: Step) -> None:
        checked = _possible(step, way)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        for dtype in (torch.bfloat16, torch.float32):
            checkpoint = load_subject(step.checked, dtype, step.device)
            name = {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]
            is_slow = checked.kernel_slots and not step.has_cuda
            for found in equalities(checkpoint, checked, 1 if is_slow else CHECKED_FRAMES):
                step.check(found, name)

    return run


def two_models(step: Step) -> None:
    """Two runners in one process, one of which goes."""
    checkpoint = load_subject(step.checked, torch.float32, step.device)
    for found in survives_another(checkpoint, step.device):
        step.check(found)
    if step.has_cuda and torch.cuda.device_count() > 1:
        other = torch.device("cuda", 1)
        there = load_subject(step.checked, torch.float32, other)
        for found in survives_another(there, other):
            step.check(found, "a second card")


# -- times ----------------------------------------------------------------------------------------


def frame(way: Way, *, slots: int = 1, profiled: bool = False) -> Callable[[Step], None]:
    """A step that times a frame by a way."""

    def run(step: Step) -> None:
        chosen = _possible(step, way)
        if chosen.compiled and not step.has_cuda:
            raise LeftOut("torch.compile is timed on a GPU only")
        is_interpreted = chosen.kernel_slots > 0 and not step.has_cuda
        checkpoint, runner, ours = _made(step, chosen, slots)
        for streams in range(slots, 0, -max(1, slots // 2)) if slots > 1 else [1]:
            _time_frames(step, ours, streams, once=is_interpreted)
        if is_interpreted:
            return  # equal-kernels has compared them
        step.check(first_frame(checkpoint, runner, chosen))
        if profiled and step.has_cuda:
            _profile(step, ours)

    return run


def no_early_starts(step: Step) -> None:
    """The kernels without programmatic dependent launch."""
    if not step.has_cuda or torch.cuda.get_device_capability(step.device) < (9, 0):
        raise LeftOut("kernels start early from compute capability 9.0 on only")
    way = _possible(step, Way(kernel_slots=1))
    from causerie.engine.runners import slot_kernels

    slot_kernels.MAY_START_EARLY = False
    frame(way)(step)


def prefill(step: Step) -> None:
    """Prompts: the first of each length, which may plan, and the second."""
    _, runner, ours = _made(step, Way())
    for rows in (61, 62, 64, 180, 400, 1000):
        if rows < runner.max_rows:
            times = [ours.prefill(rows) for _ in range(3)]
            step.tell(f"{rows} rows, first", times[0], "ms")
            step.tell(f"{rows} rows, again", times[-1], "ms")


def first_sound(step: Step) -> None:
    """From a text to the first sound: at once after loading, and later."""
    _, _, ours = _made(step, Way())
    step.tell("first sound, cold", ours.first_sound("none"), "ms")
    count = 2 if step.is_small else 7
    for name, voice in (
        ("without a voice", "none"), ("a new voice", "new"), ("a kept voice", "kept"),
    ):  # fmt: skip
        first = ours.first_sound(voice)
        times = [ours.first_sound(voice) for _ in range(count)]
        step.tell(f"first sound, {name}", statistics.median(times), "ms", first_ms=round(first, 1))
    step.memory()


def streams(step: Step) -> None:
    """Frames of up to 64 streams."""
    most = max(STREAMS)
    while most > 8 and not _fits(step, most):
        most //= 2
    if most < max(STREAMS):
        step.tell("streams that do not fit", max(STREAMS), "streams", fits=most)
    _, _, ours = _made(step, Way(), most, rows=STREAM_ROWS)
    for number in (number for number in STREAMS if number <= most):
        _time_frames(step, ours, number)
    step.memory(f"memory in use, {most} streams")


def record(step: Step) -> None:
    """All graphs of eight slots, recorded as at the start of a server."""
    _, runner, _ = _made(step, Way(), 8)
    step.memory("memory in use before the graphs")
    start = time.perf_counter()
    for piece in runner.preparations():
        piece.run()
    synchronize(step.device)
    step.tell("recording of all graphs, 8 slots", time.perf_counter() - start, "s")
    step.memory("memory in use after the graphs")


def training(step: Step) -> None:
    """Steps on batches of changing lengths, as training has them."""
    checkpoint = load_subject(step.checked, torch.float32, step.device)
    model = checkpoint.model.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    generator, size = torch.Generator().manual_seed(0), checkpoint.codec.config.codebook_size
    count, length = (2, 40) if step.is_small or not step.has_cuda else (8, 300)
    shape = (count, length + 40, model.config.num_codebooks + 1)
    every = torch.randint(1, min(size, 60), shape, generator=generator).to(step.device)
    times, losses = [], []
    for number in range(8):
        rows = every[:, : length + 5 * (number % 8)]
        heard = torch.arange(rows.shape[1], device=step.device) >= 20
        mask = torch.zeros_like(rows, dtype=torch.bool)
        mask[:, ~heard, -1] = True
        mask[:, heard, :-1] = True
        predicted = heard.expand(rows.shape[:2]).clone()
        predicted[:, :21] = False
        synchronize(step.device)
        start = time.perf_counter()
        with torch.autocast(step.device.type, torch.bfloat16):
            first, others = loss(model, rows, mask, predicted, predicted)
        (first + others).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append((first + others).item())
        times.append(1000 * (time.perf_counter() - start))
    step.tell("first step", times[0], "ms")
    step.tell("a step", statistics.median(times[1:]), "ms", batch=count, rows=length)
    step.tell(
        "the loss falls", losses[-1], "nats", ok=losses[-1] < losses[0],
        losses=[round(value, 3) for value in losses],
    )  # fmt: skip
    step.memory()


# -- helpers --------------------------------------------------------------------------------------


def _made(
    step: Step, way: Way, slots: int = 1, rows: int | None = None
) -> tuple[Checkpoint, BatchedRunner, Ours]:
    """The subject in bf16, a runner and what times it, if they fit."""
    need = needed_gb(step.subject, way, slots, rows)
    step.needs(need)
    start = time.perf_counter()
    checkpoint = load_subject(step.subject, torch.bfloat16, step.device)
    synchronize(step.device)
    between = time.perf_counter()
    runner = new_runner(checkpoint, way, slots, rows)
    synchronize(step.device)
    end = time.perf_counter()
    step.tell(
        "build", end - between, "s", load_s=round(between - start, 2), reckoned_gb=round(need, 1)
    )
    depth = "int8" if way.int8 else "bfloat16"
    return checkpoint, runner, Ours(step.name, checkpoint, runner, ("bfloat16", depth))


def _time_frames(step: Step, ours: Ours, streams: int, *, once: bool = False) -> None:
    """Print the times of frames; the first of them records graphs.

    Args:
        once: time the first frame only.
    """
    after = "" if streams == 1 else f", {streams} streams"
    rows = min(FRAME_ROWS, ours.max_rows // 2)
    start = time.perf_counter()
    codes, sound = ours.frames(1, rows=rows, streams=streams)
    first_s = round(time.perf_counter() - start, 2)
    if not once:
        codes, sound = ours.frames(2 if step.is_small else 20, rows=rows, streams=streams)
    config = ours.checkpoint.model.config
    floor = frame_bytes(config, *ours.formats, rows=rows, streams=streams) / GB
    codes_ms, sound_ms = statistics.median(codes), statistics.median(sound)
    step.tell(
        f"codes of a frame{after}", codes_ms, "ms", floor_gb=round(floor, 5),
        least=round(min(codes), 3), first_s=first_s,
    )  # fmt: skip
    step.tell(f"sound of a frame{after}", sound_ms, "ms")
    both_ms = statistics.median(map(sum, zip(codes, sound, strict=True)))
    step.tell(f"a frame with its sound{after}", both_ms, "ms")
    frame_ms = 1000 / ours.checkpoint.codec.config.frame_rate
    step.tell(
        f"real time, {streams} streams", streams * frame_ms / both_ms, "times",
        streams=streams,
    )  # fmt: skip


def _profile(step: Step, ours: Ours) -> None:
    """Count the kernels of a frame, and print the most costly ones."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        ours.frames(2, rows=FRAME_ROWS, streams=1)
    kernels = profiled.key_averages()
    step.tell("kernels of three frames and a prompt", sum(kernel.count for kernel in kernels))
    total = sum(kernel.device_time_total for kernel in kernels)
    step.tell("time in them", total / 1000, "ms")
    for kernel in sorted(kernels, key=lambda kernel: -kernel.device_time_total)[:8]:
        name = f"kernel {kernel.key[:60]}"
        step.tell(name, kernel.device_time_total / 1000, "ms", count=kernel.count)


def _fits(step: Step, slots: int) -> bool:
    try:
        step.needs(needed_gb(step.subject, Way(), slots, STREAM_ROWS))
    except LeftOut:
        return False
    return True


def needed_gb(subject: str, way: Way, slots: int, rows: int | None = None) -> float:
    """Memory of a runner with its models, and of the calls of one slot that it is compared with."""
    config, codec_config = sizes(subject)
    with torch.device("meta"):
        model, codec = CSM(config), Mimi(codec_config)

    def plan(num_slots: int, max_rows: int | None, *, int8: bool, kernels: bool) -> MemoryPlan:
        return memory_plan(
            model, codec, torch.bfloat16, num_slots, prefix_bytes=0, depth_int8=int8,
            kernels=kernels, max_rows=max_rows,
        )  # fmt: skip

    timed = plan(slots, rows, int8=way.int8, kernels=way.kernel_slots > 0)
    calls = plan(1, CHECKED_POSITIONS, int8=way.int8, kernels=False)
    shared = plan(1, CHECKED_POSITIONS, int8=False, kernels=False)
    return (timed.total + calls.slots + calls.weights - shared.weights) / GB


def _possible(step: Step, way: Way) -> Way:
    """The way, if Triton and a compiler are there for its kernels; fewer for its interpreter."""
    if not way.kernel_slots:
        return way
    if why := compiler.problem(step.device):
        raise LeftOut(why)
    return way if step.has_cuda else dataclasses.replace(way, kernel_slots=1)


def _nvidia_smi(asked: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi: {error}"
    return done.stdout.strip() or done.stderr.strip()


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _write(path: Path, samples: Any, sample_rate: int) -> None:
    """Write samples as a 16-bit wav file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


RUN: dict[str, Callable[[Step], None]] = {
    "facts": facts,
    "petit": petit,
    "equal": equal(Way()),
    "graphs": frame(Way(), profiled=True),
    "kernels": frame(Way(kernel_slots=1), profiled=True),
    "equal-kernels": equal(Way(kernel_slots=4)),
    "first-sound": first_sound,
    "streams": streams,
    "int8": frame(Way(kernel_slots=1, int8=True)),
    "two-models": two_models,
    "prefill": prefill,
    "training": training,
    "calls": frame(Way(graphs=False)),
    "record": record,
    "at-once": frame(Way(at_once=True)),
    "products": frame(Way(attention="products")),
    "no-early-starts": no_early_starts,
    "kernels-8": frame(Way(kernel_slots=8), slots=8),
    "compiled": frame(Way(compiled=True)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a step; its last line says how it ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("step", choices=RUN)
    parser.add_argument("--device", default="cuda", type=torch.device)
    parser.add_argument("--subject", default="csm-1b")
    parser.add_argument("--out", default=Path("gpu-run"), type=Path)
    given = parser.parse_args(arguments)
    step = Step(name=given.step, device=given.device, subject=given.subject, out=given.out)
    logging.getLogger("causerie").addHandler(logged := Logged(step))
    try:
        RUN[step.name](step)
    except LeftOut as reason:
        step.tell("outcome", None, "s", status="left out", why=str(reason))
    except (torch.OutOfMemoryError, DeviceMemoryError) as error:
        reason = str(error).splitlines()[0]
        step.tell("outcome", None, "s", status="left out", why=f"out of memory: {reason[:200]}")
    except Exception as error:  # noqa: BLE001 - a line says it, and the log where
        traceback.print_exc()
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        step.tell("outcome", None, "s", status="failed", why=text[:300])
    else:
        step.tell("outcome", None, "s", status="done")
    finally:
        logging.getLogger("causerie").removeHandler(logged)
    return 0


if __name__ == "__main__":
    sys.exit(main())
