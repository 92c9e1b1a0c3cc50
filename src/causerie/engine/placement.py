"""Where a model runs: "auto" is the device that is fastest for it, never one that cannot run it.

A small model is faster on the CPU by the native kernels than on a card by graphs of many small
kernels. So a card is chosen only for a model that the CPU cannot speak with room to spare; and
Apple's GPU, which torch reaches by calls only, where these take less time than the CPU. The times
are estimates by counted bytes and launches, see `causerie.engine.frame_cost`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from causerie.codec.mimi import Mimi
from causerie.device import (
    card_problem,
    cuda_problem,
    find_device,
    find_dtype,
    half_dtype,
    usable_cards,
)
from causerie.engine.frame_cost import calls_ms, native_ms
from causerie.engine.memory_plan import check_memory, memory_plan, most_streams
from causerie.engine.out_of_memory import free_bytes
from causerie.engine.runners.choose import FAST_FORMATS
from causerie.engine.runners.cuda_graph import has_graphs
from causerie.errors import DeviceMemoryError
from causerie.kernels import compiler
from causerie.model.csm import CSM
from causerie.native import library

#: Share of a frame's duration within which the CPU must compute it to be preferred to a card.
QUICK = 0.5


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user asks for.

    Attributes:
        name: of the model, for messages.
        backbone_format, depth_format: see `causerie.engine.runners.choose.new_runner`.
        fast: the native kernels store weights in `FAST_FORMATS`; elsewhere nothing changes.
    """

    name: str
    device: str | torch.device = "auto"
    dtype: str | torch.dtype = "auto"
    num_slots: int = 1
    prefix_bytes: int = 0
    backbone_format: str = "auto"
    depth_format: str = "auto"
    fast: bool = False

    @property
    def needs_cpu(self) -> bool:
        """Whether only the native kernels store weights in these formats."""
        return (self.backbone_format, self.depth_format) not in (("auto", "auto"), ("auto", "int8"))


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where and in which dtype a model runs.

    Attributes:
        reason: why, in words; says which figures are estimates.
    """

    device: torch.device
    dtype: torch.dtype
    reason: str


def choose_place(model: CSM, codec: Mimi, stored: torch.dtype, wishes: Wishes) -> Placement:
    """The place of a model, before it is loaded: only the sizes of `model` and `codec` count.

    Args:
        stored: the dtype of the weights on disk.

    Raises:
        ConfigError: the requested device or dtype is not available; says why.
        DeviceMemoryError: the requested device has too little memory; says what is needed.
    """
    if wishes.device != "auto":
        device = find_device(wishes.device)
        dtype = dtype_on(device, stored, wishes)
        if device.type == "cuda":
            _check_card(device, model, codec, dtype, wishes)
        return Placement(
            device=device, dtype=dtype, reason=f"as requested{_why_half(device, dtype)}"
        )
    return _fastest(model, codec, stored, wishes)


def describe_kernels(device: torch.device) -> str:
    """What computes on a device other than a CPU, and what is missing there."""
    if not has_graphs(device):
        return "torch's own, by calls"
    found = "torch's own, in CUDA graphs; with --depth-format int8 "
    why = compiler.problem(device)
    return found + (f"these too, without gain: {why}" if why else "those of Triton")


def dtype_on(device: torch.device, stored: torch.dtype, wishes: Wishes) -> torch.dtype:
    """The dtype of the model on a device: the native kernels keep bfloat16 as it is stored."""
    keeps = device.type == "cpu" and library.problem() is None
    return find_dtype(wishes.dtype, device, stored if keeps else torch.float32)


def _fastest(model: CSM, codec: Mimi, stored: torch.dtype, wishes: Wishes) -> Placement:
    cpu = torch.device("cpu")
    on_cpu, cpu_ms = dtype_on(cpu, stored, wishes), cpu_frame_ms(model, stored, wishes)
    frame_ms = 1000 / codec.config.frame_rate
    speed = f"the CPU takes about {_ms(cpu_ms)} for a frame of {_ms(frame_ms)} (estimated)"
    if wishes.needs_cpu:
        formats = f"{wishes.backbone_format} and {wishes.depth_format}"
        return Placement(device=cpu, dtype=on_cpu, reason=f"only its kernels store {formats}")
    if library.problem() is None and cpu_ms <= QUICK * frame_ms:
        return Placement(device=cpu, dtype=on_cpu, reason=f"{speed}, so no card is needed")
    refused = []
    for card in usable_cards():
        number = dtype_on(card, stored, wishes)
        try:
            _check_card(card, model, codec, number, wishes)
        except DeviceMemoryError as error:
            refused.append(str(error).partition(": ")[0])
            continue
        why = f"{speed}{_why_half(card, number)}"
        return Placement(device=card, dtype=number, reason=why)
    if torch.backends.mps.is_available():
        mps = torch.device("mps")
        number = dtype_on(mps, stored, wishes)
        mps_ms = calls_ms(model.config, str(number).removeprefix("torch."), "mps")
        if mps_ms < cpu_ms:
            why = f"{speed}, mps about {_ms(mps_ms)}"
            return Placement(device=mps, dtype=number, reason=why)
        refused.append(f"mps would take about {_ms(mps_ms)} (estimated)")
    refused += unusable_cards()
    return Placement(device=cpu, dtype=on_cpu, reason="; ".join([speed, *refused]))


def cpu_frame_ms(model: CSM, stored: torch.dtype, wishes: Wishes) -> float:
    """Estimated milliseconds of a frame on an ordinary CPU."""
    number = str(dtype_on(torch.device("cpu"), stored, wishes)).removeprefix("torch.")
    if library.problem() is not None or number == "float16":  # which native kernels do not store
        return calls_ms(model.config, number, "cpu")
    formats = FAST_FORMATS if wishes.fast else (wishes.backbone_format, wishes.depth_format)
    return native_ms(model.config, *(number if one == "auto" else one for one in formats))


def unusable_cards() -> list[str]:
    """Why CUDA, or each of its cards, cannot be used."""
    problem = cuda_problem()
    if problem:
        return [f"no CUDA: {problem}"]
    cards = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [problem for card in cards if (problem := card_problem(card))]


def _check_card(
    card: torch.device, model: CSM, codec: Mimi, dtype: torch.dtype, wishes: Wishes
) -> None:
    """Raise DeviceMemoryError if a card has too little memory."""
    free, int8 = free_bytes(card), wishes.depth_format == "int8"
    plan = memory_plan(
        model, codec, dtype, wishes.num_slots, prefix_bytes=wishes.prefix_bytes,
        depth_int8=int8, kernels=int8,
    )  # fmt: skip
    if plan.total <= free:
        return
    most = most_streams(
        model, codec, dtype, free, prefix_bytes=wishes.prefix_bytes,
        depth_int8=int8, kernels=int8,
    )  # fmt: skip
    streams = f"{wishes.num_slots} stream{'s' if wishes.num_slots > 1 else ''}"
    what = f"{wishes.name} in {str(dtype).removeprefix('torch.')} and {streams}"
    check_memory(plan, free, most=most, device=str(card), what=what)


def _ms(time: float) -> str:
    return f"{time:.1f} ms" if time < 9.95 else f"{time:.0f} ms"


def _why_half(card: torch.device, dtype: torch.dtype) -> str:
    """Says so where a card has no bfloat16."""
    if card.type == "cuda" and dtype == half_dtype(card) == torch.float16:
        return f"; in float16, as {torch.cuda.get_device_name(card)} has no bfloat16"
    return ""
