"""One run: contestants are built, and measured in turn, round after round.

What else the machine does meanwhile then falls on all of them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch

from causerie.bench import peers
from causerie.bench.machine import new_machine, peak_gb
from causerie.bench.ours import Ours
from causerie.bench.plan import Contestant as Named
from causerie.bench.plan import Plan
from causerie.bench.result import Machine, Result
from causerie.bench.subjects import load_subject, sizes
from causerie.checkpoint.load import Checkpoint
from causerie.engine.runners.choose import Kernels, new_runner
from causerie.errors import ConfigError

#: Rows before a frame where nothing else is said: a sentence and some seconds.
USUAL_ROWS = 100
#: Frames that fill the window of the codec's transformer, 250 steps of two a frame.
CODEC_WINDOW = 125
#: Voices of a first sound; see `Result`.
VOICES = ("none", "new", "kept")
#: Told what is going on.
Tell = Callable[[str], None]
#: Given each result at once.
Found = Callable[[Result, Machine], None]
CPU = torch.device("cpu")
T = TypeVar("T")


class Contestant(Protocol):
    """What makes frames."""

    name: str
    formats: tuple[str, str]
    max_rows: int
    max_streams: int

    def frames(self, count: int, *, rows: int, streams: int) -> tuple[list[float], list[float]]:
        """Milliseconds of each frame of all streams: of its codes, and of its sound."""

    def prefill(self, rows: int) -> float:
        """Milliseconds of reading so many rows."""

    def floor_bytes(self, *, rows: int, streams: int, codec: bool) -> float:
        """Bytes that a frame of all streams reads."""


class Sounding(Protocol):
    """What makes sound of codes."""

    name: str

    def sound(self, count: int) -> list[float]:
        """Milliseconds of each of the next frames of one stream, which no call ends."""


class Bench:
    """Carries out a plan.

    Attributes:
        results: found so far.
        notes: who is absent, and why.
    """

    def __init__(
        self,
        plan: Plan,
        tell: Tell = lambda message: None,
        found: Found = lambda result, machine: None,
    ) -> None:
        self.plan, self._tell, self._found = plan, tell, found
        self.results: list[Result] = []
        self.notes: list[str] = []
        if plan.threads:
            torch.set_num_threads(plan.threads)
        self._memory_gb: dict[tuple[str, tuple[str, str]], float] = {}
        tell("measuring how fast memory is read")
        self.machine: Machine = new_machine(CPU, seconds=0.1 if plan.subject == "tiny" else 2)

    def run(self) -> None:
        """Build all, and measure one after the other."""
        plan = self.plan
        if "memory" in plan.measures:
            self._measure_memory()
        self._tell(f"building {plan.subject}")
        checkpoint = load_subject(plan.subject, plan.dtype, CPU)
        self._frame_ms = 1000 / checkpoint.codec.config.frame_rate
        ours = [self._ours(checkpoint, *contestant) for contestant in plan.contestants]
        all_: list[Contestant] = [*ours, *self._others(peers.MODELS, checkpoint)]
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
            self._measure_codec([ours[0], *self._others(peers.CODECS, checkpoint)])

    # -- who takes part ------------------------------------------------------------------------

    def _ours(self, checkpoint: Checkpoint, kernels: Kernels, formats: tuple[str, str]) -> Ours:
        self._tell(f"building {kernels}, {'+'.join(formats)}")
        return build(self.plan, checkpoint, kernels, formats)

    def _others(self, kinds: Any, checkpoint: Checkpoint) -> list[Any]:
        """Those of a kind that are asked for; who is not installed is noted."""
        found = []
        for name in self.plan.peers:
            if name not in kinds:
                continue
            self._tell(f"building {name}")
            try:
                found.append(
                    kinds[name](checkpoint.model.config, checkpoint.codec.config, self.plan.dtype)
                )
            except ConfigError as error:
                note = f"{name} is absent: {error}"
                self.notes += [] if note in self.notes else [note]
        return found

    # -- measures ------------------------------------------------------------------------------

    def _measure_frames(
        self, measure: str, all_: Sequence[Contestant], rows: int, streams: int
    ) -> None:
        count = self.plan.frames
        able = [c for c in all_ if streams <= c.max_streams and rows + count < c.max_rows]
        codes: list[list[float]] = [[] for _ in able]
        sound: list[list[float]] = [[] for _ in able]
        what = f"frames after {rows} rows, {streams} streams"
        for number in self._rounds(what):
            for index, contestant in enumerate(able):
                # the first round takes what is done only once
                new = contestant.frames(count if number else 1, rows=rows, streams=streams)
                if number:
                    codes[index] += new[0]
                    sound[index] += new[1]
        for index, contestant in enumerate(able):
            both = [a + b for a, b in zip(codes[index], sound[index], strict=True)]
            for codec, times in ((False, codes[index]), (True, both)):
                floor = contestant.floor_bytes(rows=rows, streams=streams, codec=codec)
                self._add(
                    contestant, measure, times, rows=rows, streams=streams, codec_included=codec,
                    frame_ms=self._frame_ms, floor_bytes=floor,
                )  # fmt: skip

    def _measure_prefill(self, all_: Sequence[Contestant]) -> None:
        rows = self.plan.prefill_rows
        able = [c for c in all_ if rows <= c.max_rows]
        times: list[list[float]] = [[] for _ in able]
        for number in self._rounds(f"reading {rows} rows"):
            for index, contestant in enumerate(able):
                taken = contestant.prefill(rows if number else 2)
                times[index] += [taken] if number else []
        for contestant, taken_ms in zip(able, times, strict=True):
            self._add(contestant, "prefill", taken_ms, rows=rows, codec_included=False)

    def _measure_first_sound(self, ours: Sequence[Ours]) -> None:
        for contestant in ours:
            contestant.first_sound("none")
        times: dict[tuple[int, str], list[float]] = {}
        for number in range(self.plan.sounds):
            self._tell(f"first sound, {number} of {self.plan.sounds}")
            for index, contestant in enumerate(ours):
                for voice in VOICES:
                    taken = contestant.first_sound(voice)
                    times.setdefault((index, voice), []).append(taken)
        for (index, voice), taken_ms in times.items():
            self._add(
                ours[index], "first-sound", taken_ms, voice=voice,
                rows=ours[index].prompt_rows(voice), codec_included=True,
            )  # fmt: skip

    def _measure_codec(self, all_: Sequence[Sounding]) -> None:
        """The first round fills the window of the codec's transformer."""
        times: list[list[float]] = [[] for _ in all_]
        for number in self._rounds("the codec"):
            for index, contestant in enumerate(all_):
                taken = contestant.sound(2 * self.plan.frames if number else CODEC_WINDOW)
                times[index] += taken if number else []
        for contestant, taken_ms in zip(all_, times, strict=True):
            self._keep(
                Result.of(
                    taken_ms,
                    measure="codec",
                    implementation=contestant.name,
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
        """The peak of processes that have one contestant each, and make a few frames."""
        context = multiprocessing.get_context("spawn")
        for contestant in [*self.plan.contestants, *self.plan.peers]:
            self._tell(f"memory of {contestant}")
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=hold, args=(self.plan, contestant, sender))
            process.start()
            sender.close()
            try:
                name, formats, peak = receiver.recv()
                self._memory_gb[name, formats] = peak
            except EOFError:  # it is absent, as will be told, or has no frames
                pass
            process.join()

    # -- helpers -------------------------------------------------------------------------------

    def _rounds(self, what: str) -> range:
        self._tell(f"measuring {what}")
        return range(self.plan.rounds + 1)

    def _keep(self, result: Result) -> None:
        self.results.append(result)
        self._found(result, self.machine)

    def _add(
        self,
        contestant: Contestant,
        measure: str,
        times_ms: Sequence[float],
        *,
        streams: int = 1,
        floor_bytes: float | None = None,
        **what: Any,
    ) -> None:
        gb_s = self.machine.bandwidth_gb_s
        self._keep(
            Result.of(
                times_ms,
                measure=measure,
                implementation=contestant.name,
                subject=self.plan.subject,
                backbone_format=contestant.formats[0],
                depth_format=contestant.formats[1],
                streams=streams,
                floor_ms=None if floor_bytes is None else floor_bytes / gb_s / 1e6,
                memory_gb=self._memory_gb.get((contestant.name, contestant.formats)),
                **what,
            )
        )


def build(plan: Plan, checkpoint: Checkpoint, kernels: Kernels, formats: tuple[str, str]) -> Ours:
    """One of ours."""
    slots = max(plan.streams) if "streams" in plan.measures else 1
    stored = formats if kernels == "native" else ("auto", "auto")
    runner = new_runner(
        checkpoint,
        slots,
        backbone_format=stored[0],
        depth_format=stored[1],
        num_threads=plan.threads or None,
        kernels=kernels,
    )
    return Ours(f"causerie {kernels}", checkpoint, runner, formats)


def hold(plan: Plan, contestant: str | Named, sender: Any) -> None:
    """Build one contestant and let it make frames; send its name, its formats and the peak."""
    if plan.threads:
        torch.set_num_threads(plan.threads)
    if isinstance(contestant, str):
        if contestant not in peers.MODELS:
            return
        try:
            built: Contestant = peers.MODELS[contestant](*sizes(plan.subject), plan.dtype)
        except ConfigError:
            return
    else:
        built = build(plan, load_subject(plan.subject, plan.dtype, CPU), *contestant)
    built.frames(2, rows=USUAL_ROWS, streams=1)
    sender.send((built.name, built.formats, peak_gb()))
