"""One run: builds the implementations and measures them in turn, round after round.

Taking turns spreads the machine's other load over all of them.
"""

from __future__ import annotations

import importlib
import multiprocessing
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import torch

from causerie.bench.machine import new_machine, peak_gb
from causerie.bench.ours import Ours
from causerie.bench.plan import Plan, Variant
from causerie.bench.result import Machine, Result
from causerie.bench.subjects import load_subject, sizes
from causerie.checkpoint.load import Checkpoint
from causerie.config import CSMConfig, MimiConfig
from causerie.engine.runners.choose import new_runner
from causerie.errors import ConfigError

#: Rows before a frame, except for "context": a sentence and some seconds.
USUAL_ROWS = 100
#: Frames that fill the window of the codec's transformer, 250 steps at two per frame.
CODEC_WINDOW = 125
#: Voices of a first sound; see `Result`.
VOICES = ("none", "new", "kept")
#: Called with a line of progress.
Report: TypeAlias = Callable[[str], None]
#: Called with each result as soon as it is measured.
OnResult: TypeAlias = Callable[[Result, Machine], None]
CPU = torch.device("cpu")
T = TypeVar("T")


class Implementation(Protocol):
    """An implementation of CSM."""

    name: str
    formats: tuple[str, str]
    max_rows: int
    max_streams: int

    def frames(self, count: int, *, rows: int, streams: int) -> tuple[list[float], list[float]]:
        """Milliseconds for the codes, and for the audio, of each frame of all streams."""

    def prefill(self, rows: int) -> float:
        """Milliseconds to prefill this number of rows."""


class CodecImplementation(Protocol):
    """An implementation of Mimi's decoder."""

    name: str

    def sound(self, count: int) -> list[float]:
        """Milliseconds to decode each of the next `count` frames of one endless stream."""


#: Builds an implementation for these sizes.
Build: TypeAlias = Callable[[CSMConfig, MimiConfig, torch.dtype], T]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The comparison of a benchmark: other implementations, and the limit that memory sets.

    Attributes:
        models, codecs: by the names that `--peers` takes. Building one raises ConfigError if its
            package is not installed.
        bandwidth_gb_s: measures the memory bandwidth of a device.
        floor_bytes: bytes that a frame of all streams reads.
    """

    models: Mapping[str, Build[Implementation]]
    codecs: Mapping[str, Build[CodecImplementation]]
    bandwidth_gb_s: Callable[[torch.device], float]
    floor_bytes: FloorBytes


class FloorBytes(Protocol):
    """See `Comparison`."""

    def __call__(
        self, implementation: Implementation, *, rows: int, streams: int, codec: bool
    ) -> float:
        """Bytes that a frame of all streams reads."""


def load_comparison() -> Comparison:
    """The comparison of `benchmarks/peers.py`, in the checkout that causerie runs from.

    Raises:
        ConfigError: causerie does not run from a checkout.
    """
    folder = Path(__file__).parents[3] / "benchmarks"
    if not (folder / "peers.py").is_file():
        raise ConfigError(
            "--peers needs benchmarks/peers.py of causerie's repository, which the package does "
            "not contain: clone the repository and run `pip install -e .` there"
        )
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    found: Comparison = importlib.import_module("peers").COMPARISON
    return found


class Bench:
    """Carries out a plan.

    Args:
        comparison: needed if the plan has peers; adds the floor to all frames.

    Attributes:
        results: all results so far.
        notes: peers that could not be measured, and why.

    Raises:
        ConfigError: the comparison does not have a peer of the plan.
    """

    def __init__(
        self,
        plan: Plan,
        report: Report = lambda message: None,
        on_result: OnResult = lambda result, machine: None,
        *,
        comparison: Comparison | None = None,
    ) -> None:
        self.plan, self._report, self._on_result = plan, report, on_result
        self._models = comparison.models if comparison else {}
        self._codecs = comparison.codecs if comparison else {}
        self._floor_bytes = comparison.floor_bytes if comparison else None
        names = dict.fromkeys((*self._models, *self._codecs))
        if unknown := [name for name in plan.peers if name not in names]:
            raise ConfigError(f"no peer {', '.join(unknown)}: {', '.join(names)}")
        self.results: list[Result] = []
        self.notes: list[str] = []
        if plan.threads:
            torch.set_num_threads(plan.threads)
        self._memory_gb: dict[tuple[str, tuple[str, str]], float] = {}
        bandwidth_gb_s = None
        if comparison:
            report("measuring the memory bandwidth")
            bandwidth_gb_s = comparison.bandwidth_gb_s(CPU)
        self.machine: Machine = new_machine(CPU, bandwidth_gb_s=bandwidth_gb_s)

    def run(self) -> None:
        """Build all implementations, and take one measure after the other."""
        plan = self.plan
        if "memory" in plan.measures:
            self._measure_memory()
        self._report(f"building {plan.subject}")
        checkpoint = load_subject(plan.subject, plan.dtype, CPU)
        self._frame_ms = 1000 / checkpoint.codec.config.frame_rate
        ours = [self._ours(checkpoint, variant) for variant in plan.variants]
        all_: list[Implementation] = [*ours, *self._peers(self._models, checkpoint)]
        if "frame" in plan.measures:
            self._measure_frames("frame", all_, USUAL_ROWS, 1)
        for rows in plan.contexts if "context" in plan.measures else ():
            self._measure_frames("context", all_, rows, 1)
        for streams in plan.streams if "streams" in plan.measures else ():
            self._measure_frames("streams", all_, USUAL_ROWS, streams)
        if "prefill" in plan.measures:
            self._measure_prefill(all_)
        if "first-sound" in plan.measures:
            self._measure_first_sound(ours)
        if "codec" in plan.measures:
            self._measure_codec([ours[0], *self._peers(self._codecs, checkpoint)])

    # -- implementations -----------------------------------------------------------------------

    def _ours(self, checkpoint: Checkpoint, variant: Variant) -> Ours:
        kernels, formats = variant
        self._report(f"building {kernels}, {'+'.join(formats)}")
        return new_ours(self.plan, checkpoint, variant)

    def _peers(self, builds: Mapping[str, Build[T]], checkpoint: Checkpoint) -> list[T]:
        """The peers of the plan among `builds`; adds a note for each that is not installed."""
        found = []
        for name in self.plan.peers:
            if name not in builds:
                continue
            self._report(f"building {name}")
            try:
                found.append(
                    builds[name](checkpoint.model.config, checkpoint.codec.config, self.plan.dtype)
                )
            except ConfigError as error:
                note = f"{name} is skipped: {error}"
                self.notes += [] if note in self.notes else [note]
        return found

    # -- measures ------------------------------------------------------------------------------

    def _measure_frames(
        self, measure: str, all_: Sequence[Implementation], rows: int, streams: int
    ) -> None:
        count = self.plan.frames
        able = [i for i in all_ if streams <= i.max_streams and rows + count < i.max_rows]
        codes: list[list[float]] = [[] for _ in able]
        sound: list[list[float]] = [[] for _ in able]
        for number in self._rounds(f"frames after {rows} rows, {streams} streams"):
            for index, implementation in enumerate(able):
                # the first round warms up and does not count
                new = implementation.frames(count if number else 1, rows=rows, streams=streams)
                if number:
                    codes[index] += new[0]
                    sound[index] += new[1]
        for index, implementation in enumerate(able):
            both = [a + b for a, b in zip(codes[index], sound[index], strict=True)]
            for codec, times in ((False, codes[index]), (True, both)):
                self._add(
                    implementation, measure, times, rows=rows, streams=streams,
                    codec_included=codec, frame_ms=self._frame_ms,
                    floor_ms=self._floor_ms(implementation, rows, streams, codec=codec),
                )  # fmt: skip

    def _measure_prefill(self, all_: Sequence[Implementation]) -> None:
        rows = self.plan.prefill_rows
        able = [i for i in all_ if rows <= i.max_rows]
        times: list[list[float]] = [[] for _ in able]
        for number in self._rounds(f"the prefill of {rows} rows"):
            for index, implementation in enumerate(able):
                taken = implementation.prefill(rows if number else 2)
                times[index] += [taken] if number else []
        for implementation, taken_ms in zip(able, times, strict=True):
            self._add(implementation, "prefill", taken_ms, rows=rows, codec_included=False)

    def _measure_first_sound(self, ours: Sequence[Ours]) -> None:
        for implementation in ours:
            implementation.first_sound("none")
        times: dict[tuple[int, str], list[float]] = {}
        for number in range(self.plan.sounds):
            self._report(f"measuring the first sound, {number + 1} of {self.plan.sounds}")
            for index, implementation in enumerate(ours):
                for voice in VOICES:
                    taken = implementation.first_sound(voice)
                    times.setdefault((index, voice), []).append(taken)
        for (index, voice), taken_ms in times.items():
            self._add(
                ours[index], "first-sound", taken_ms, voice=voice,
                rows=ours[index].prompt_rows(voice), codec_included=True,
            )  # fmt: skip

    def _measure_codec(self, all_: Sequence[CodecImplementation]) -> None:
        """Time the codec; the first round fills the window of its transformer."""
        times: list[list[float]] = [[] for _ in all_]
        for number in self._rounds("the codec"):
            for index, implementation in enumerate(all_):
                taken = implementation.sound(2 * self.plan.frames if number else CODEC_WINDOW)
                times[index] += taken if number else []
        for implementation, taken_ms in zip(all_, times, strict=True):
            self._store(
                Result.of(
                    taken_ms,
                    measure="codec",
                    implementation=implementation.name,
                    subject=self.plan.subject,
                    backbone_format="",
                    depth_format="",
                    streams=1,
                    rows=0,
                    codec_included=True,
                    frame_ms=self._frame_ms,
                )
            )

    def _measure_memory(self) -> None:
        """Peak memory of one process per implementation, which makes a few frames."""
        context = multiprocessing.get_context("spawn")
        models = [(name, self._models[name]) for name in self.plan.peers if name in self._models]
        for name, implementation in [*((str(v), v) for v in self.plan.variants), *models]:
            self._report(f"measuring the memory of {name}")
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=send_peak, args=(self.plan, implementation, sender))
            process.start()
            sender.close()
            try:
                key, peak = receiver.recv()
                self._memory_gb[key] = peak
            except EOFError:  # it is not installed; `_peers` adds a note
                pass
            process.join()

    # -- helpers -------------------------------------------------------------------------------

    def _rounds(self, what: str) -> range:
        self._report(f"measuring {what}")
        return range(self.plan.rounds + 1)

    def _floor_ms(
        self, implementation: Implementation, rows: int, streams: int, *, codec: bool
    ) -> float | None:
        if self._floor_bytes is None:
            return None
        assert self.machine.bandwidth_gb_s is not None
        num_bytes = self._floor_bytes(implementation, rows=rows, streams=streams, codec=codec)
        return num_bytes / self.machine.bandwidth_gb_s / 1e6

    def _store(self, result: Result) -> None:
        self.results.append(result)
        self._on_result(result, self.machine)

    def _add(
        self,
        implementation: Implementation,
        measure: str,
        times_ms: Sequence[float],
        *,
        streams: int = 1,
        **fields: Any,
    ) -> None:
        self._store(
            Result.of(
                times_ms,
                measure=measure,
                implementation=implementation.name,
                subject=self.plan.subject,
                backbone_format=implementation.formats[0],
                depth_format=implementation.formats[1],
                streams=streams,
                memory_gb=self._memory_gb.get((implementation.name, implementation.formats)),
                **fields,
            )
        )


def new_ours(plan: Plan, checkpoint: Checkpoint, variant: Variant) -> Ours:
    """A runner of causerie."""
    kernels, formats = variant
    stored = formats if kernels == "native" else ("auto", "auto")
    runner = new_runner(
        checkpoint,
        max(plan.streams) if "streams" in plan.measures else 1,
        backbone_format=stored[0],
        depth_format=stored[1],
        num_threads=plan.threads or None,
        kernels=kernels,
    )
    return Ours(f"causerie {kernels}", checkpoint, runner, formats)


def send_peak(plan: Plan, implementation: Variant | Build[Implementation], sender: Any) -> None:
    """Make frames by one implementation; send its name, its formats and the peak memory."""
    if plan.threads:
        torch.set_num_threads(plan.threads)
    built: Implementation
    if isinstance(implementation, tuple):
        built = new_ours(plan, load_subject(plan.subject, plan.dtype, CPU), implementation)
    else:
        try:
            built = implementation(*sizes(plan.subject), plan.dtype)
        except ConfigError:
            return
    built.frames(2, rows=USUAL_ROWS, streams=1)
    sender.send(((built.name, built.formats), peak_gb()))
