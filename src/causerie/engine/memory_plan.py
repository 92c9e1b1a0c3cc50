"""What a model needs of the memory of a CUDA device, before anything is loaded.

The weights, the slots and the working memory are computed, and tested against what `BatchedRunner`
allocates. Graphs and libraries are estimates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from causerie.codec.mimi import Mimi
from causerie.codec.source_filter import SourceFilter
from causerie.config import CSMConfig, LlamaConfig
from causerie.engine.runners.batched import LENGTHS, PROMPT_ROWS, RANKED, SIZES
from causerie.engine.runners.joined import ALIGNED
from causerie.engine.runners.slot_codec import state_bytes
from causerie.errors import DeviceMemoryError
from causerie.model.csm import CSM

#: Estimates: a node of a graph, as 64,000 of them are said to take 0.3 to 0.6 GB; the kernels and
#: workspaces of torch's libraries; the CUDA context, which is there before anything is loaded.
NODE_BYTES, LIBRARY_BYTES, CONTEXT_BYTES = 7_000, 300_000_000, 400_000_000
#: Kernels that a graph has for a layer, for a pass of the depth decoder besides its layers, and for
#: the sound of a frame: counted.
LAYER_NODES, PASS_NODES, SOUND_NODES = 24, 23, 400
#: The largest number of streams that `most_streams` tries.
MAX_STREAMS = 1024


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Bytes by what they are for.

    Attributes:
        weights: of the model and the codec.
        slots: keys, values and the codec's state, for all slots.
        working: what a step needs while it runs.
        prefixes: voices and contexts that are kept.
        graphs, libraries: see `NODE_BYTES` and `LIBRARY_BYTES`.
    """

    weights: int
    slots: int
    working: int
    prefixes: int
    graphs: int
    libraries: int = LIBRARY_BYTES

    @property
    def total(self) -> int:
        """All of them."""
        parts = (self.weights, self.slots, self.working, self.prefixes, self.graphs)
        return sum(parts) + self.libraries


def memory_plan(
    model: CSM,
    codec: Mimi,
    dtype: torch.dtype,
    num_slots: int,
    *,
    prefix_bytes: int,
    depth_int8: bool = False,
    kernels: bool = False,
    max_rows: int | None = None,
) -> MemoryPlan:
    """The memory that `BatchedRunner` needs.

    Args:
        model, codec: on any device, "meta" too; only their sizes count.
        dtype: that the model will have.
        prefix_bytes: limit of the prefix cache.
        kernels: whether Triton's compute, which keep the heads and a table once more.
    """
    config, size = model.config, dtype.itemsize
    rows = (max_rows or config.max_frames) + 1
    return MemoryPlan(
        weights=_weight_bytes(model, codec, size, depth_int8=depth_int8, kernels=kernels),
        slots=num_slots * _cache_bytes(config.backbone, rows, size)
        + num_slots * _cache_bytes(config.depth, config.num_codebooks, size)
        + state_bytes(codec, num_slots)
        + kernels * num_slots * _noise_bytes(config, codec),
        working=_working_bytes(config, codec, num_slots, rows, size),
        prefixes=prefix_bytes,
        graphs=NODE_BYTES * _num_nodes(config, num_slots, rows - 1),
    )


def check_memory(plan: MemoryPlan, free: int, *, most: int, device: str, what: str) -> None:
    """Raise DeviceMemoryError if a plan needs more bytes than are free.

    Args:
        most: streams that fit.
        what: the model and its settings, as "csm-1b in bfloat16 and 8 streams".
    """
    if plan.total <= free:
        return
    fewer = f"--max-streams {most}, or " if most else ""
    raise DeviceMemoryError(
        f"{what} need {plan.total / 1e9:.1f} GB, {device} has {free / 1e9:.1f} free: "
        f"{fewer}--device cpu"
    )


def most_streams(
    model: CSM, codec: Mimi, dtype: torch.dtype, free: int, *, prefix_bytes: int,
    depth_int8: bool = False, kernels: bool = False,
) -> int:  # fmt: skip
    """The largest number of streams whose plan fits into the free bytes; 0 if none does."""

    def fits(num_slots: int) -> bool:
        plan = memory_plan(
            model, codec, dtype, num_slots, prefix_bytes=prefix_bytes,
            depth_int8=depth_int8, kernels=kernels,
        )  # fmt: skip
        return plan.total <= free

    low, high = 0, MAX_STREAMS + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def memory_table(model: CSM, codec: Mimi, cards_gb: tuple[int, ...], *, prefix_bytes: int) -> str:
    """How many streams fit into cards of these GiB, in Markdown."""
    lines = ["| card | bfloat16 | int8 depth decoder | float32 |", "|---|---:|---:|---:|"]
    for card in cards_gb:
        free = card * 2**30 - CONTEXT_BYTES
        counts = [
            most_streams(
                model, codec, dtype, free, prefix_bytes=prefix_bytes,
                depth_int8=int8, kernels=int8,
            )
            for dtype, int8 in (
                (torch.bfloat16, False), (torch.bfloat16, True), (torch.float32, False)
            )
        ]  # fmt: skip
        cells = (str(count) if count < MAX_STREAMS else f"{MAX_STREAMS}+" for count in counts)
        lines.append(f"| {card} GiB | {' | '.join(cells)} |")
    return "\n".join(line.replace("| 0 ", "| – ") for line in lines)


def _weight_bytes(model: CSM, codec: Mimi, size: int, *, depth_int8: bool, kernels: bool) -> int:
    heads = model.audio_heads
    padding = heads.shape[0] * heads.shape[1] * (-heads.shape[2] % ALIGNED)
    total = size * (sum(weight.numel() for weight in model.parameters()) + padding)
    total += sum(weight.nbytes for weight in (*codec.parameters(), *codec.buffers()))
    if depth_int8:  # the numbers, and torch's copy in the model's dtype
        matrices = [w for w in (*model.depth.parameters(), heads) if w.dim() > 1]
        total += sum(weight.numel() for weight in matrices) * (1 + size)
    if kernels:  # the projections of all embeddings, and the heads a code in a row
        config = model.config
        total += size * config.num_codebooks * config.audio_vocab_size * config.depth.dim
        drawn = heads[..., : codec.config.codebook_size].numel()
        total += drawn * (1 if depth_int8 else size)
    return total


def _cache_bytes(config: LlamaConfig, rows: int, size: int) -> int:
    """Keys and values of one slot."""
    return 2 * config.num_layers * config.num_kv_heads * rows * config.head_dim * size


def _noise_bytes(config: CSMConfig, codec: Mimi) -> int:
    """What the kernels keep for the draws of one slot, in fp32."""
    return 4 * config.num_codebooks * codec.config.codebook_size


def _working_bytes(config: CSMConfig, codec: Mimi, num_slots: int, rows: int, size: int) -> int:
    """The largest of what a piece of a prompt, a drawing and the sound of a frame need."""
    backbone, columns = config.backbone, config.num_codebooks + 1
    embedded = 2 * columns * backbone.dim * size  # of a row: the columns, and masked
    seen = 2 * 2 * backbone.num_kv_heads * rows * backbone.head_dim * size
    bias = 3 * rows * (backbone.num_heads // backbone.num_kv_heads) * size
    inside = size * (3 * backbone.ffn_dim + 4 * backbone.dim)
    prompt = PROMPT_ROWS * max(embedded, inside + bias) + seen
    reading = num_slots * max(embedded, inside + bias)
    noise = 25 * config.num_codebooks * codec.config.codebook_size  # hashes in 64 bits
    return max(prompt, reading, num_slots * max(noise, _sound_bytes(codec))) + 2**20


def _sound_bytes(codec: Mimi) -> int:
    """What the sound of a frame of one stream needs."""
    config = codec.config
    if isinstance(codec.decoder, SourceFilter):
        return 152 * config.frame_size  # its sines and noise in fp32 and 64 bits
    return 4 * 4 * config.frame_size * config.num_filters  # four tensors of the last layer


def _num_nodes(config: CSMConfig, num_slots: int, max_rows: int) -> int:
    """Nodes of all graphs."""
    lengths = 1 + sum(length < max_rows for length in LENGTHS)
    sizes = 1 + sum(size < num_slots for size in SIZES)
    read = LAYER_NODES * config.backbone.num_layers
    passes = config.num_codebooks - 1
    draw = passes * (LAYER_NODES * config.depth.num_layers + PASS_NODES)
    step = lengths * read + (1 + len(RANKED)) * draw + SOUND_NODES
    return lengths * read + sizes * step
