"""Compares ways to round weights to few bits, in plain torch, before there is a kernel for one.

    python benchmarks/rounding.py             petit, ten sentences that it says itself
    python benchmarks/rounding.py --random    random weights: a depth decoder of csm-1b's size

Each way rounds the matrices of the layers of both transformers. Heads and projection have int8
weights, as the native kernels store them; inputs are not rounded. A line has the bits per weight of
csm-1b's frame, and the divergence (KL, in nats) from the model in fp32, of codebook 0 and of the
others.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from causerie.checkpoint import load
from causerie.config import CSMConfig, LlamaConfig, csm_1b
from causerie.errors import CauserieError
from causerie.evaluate.sentences import read_sentences
from causerie.model.csm import CSM
from quality import compare, plain_logits, speak

#: Integers of a format, in units of its scale.
INT4, INT5, INT8 = torch.arange(-8.0, 8), torch.arange(-16.0, 16), torch.arange(-127.0, 128)
#: Parts of the scale that reaches a group's largest weight, tried one by one.
TODAY = (1.0, 0.8, 0.85, 0.9, 0.95, 1.05)
TRIED = (1.0, 0.9, 0.8, 0.7)
#: Sentences to compare on, and other ones that a way may look at.
NUM_SENTENCES, NUM_SEEN = 10, 16
#: Frames of random weights, for the same.
NUM_FRAMES, NUM_SEEN_FRAMES = 8, 48
#: Inputs that are compensated together: a larger inverse takes minutes.
BLOCK = 1024

#: Rounds weights (N, K), given the second moments (K, K) of their inputs.
Round = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Scales:
    """How a group of weights gets its scale.

    Attributes:
        group: weights per scale.
        short: 8 bits: ±1 to ±127 parts of the scale that the row's largest weight needs; else bf16.
        tried: parts of the scale that reaches the largest weight.
        both: tries scales of both signs; else the one that takes the largest weight to the lowest
            level.
        fits: improvements of each by least squares.
    """

    group: int
    short: bool = True
    tried: tuple[float, ...] = TRIED
    both: bool = True
    fits: int = 2

    def of(self, x: Tensor, levels: Tensor, importance: Tensor, most: Tensor) -> Tensor:
        """The scales (N, G, 1) of groups (N, G, group) whose weighted squared error is least.

        Args:
            most: the largest weight (N, 1, 1) of each row.
        """
        factor = most / (127 * levels[0].abs())

        def stored(scale: Tensor) -> Tensor:
            if not self.short:
                return scale.bfloat16().float()
            return scale.sign() * (scale.abs() / factor).round().clamp(1, 127) * factor

        top = x.gather(-1, x.abs().argmax(-1, keepdim=True))
        top = torch.where(top == 0, 1e-30, top) / levels[0]
        best, least = top, torch.full_like(top, torch.inf)
        for part in self.tried:
            for sign in (1, -1) if self.both else (1,):
                scale = stored(top * part * sign)
                kept = nearest(x / scale, levels)
                for _ in range(self.fits):
                    fit = (importance * x * kept).sum(-1, keepdim=True)
                    fit = stored(
                        fit / (importance * kept * kept).sum(-1, keepdim=True).clamp(min=1e-30)
                    )
                    scale = torch.where(fit == 0, scale, fit)
                    kept = nearest(x / scale, levels)
                error = (importance * (x - kept * scale).square()).sum(-1, keepdim=True)
                best = torch.where(error < least, scale, best)
                least = torch.minimum(error, least)
        return best


def largest(weights: Tensor) -> Tensor:
    """The largest absolute value (N, 1, 1) of each row of weights (N, K)."""
    return weights.abs().amax(1)[:, None, None].clamp(min=1e-30)


def nearest(x: Tensor, levels: Tensor) -> Tensor:
    """The nearest level of each."""
    return levels[torch.bucketize(x.contiguous(), (levels[1:] + levels[:-1]) / 2)]


def plain(levels: Tensor, scales: Scales, *, weighted: bool = False) -> Round:
    """Round each weight alone; `weighted` counts errors by the size of their inputs."""

    def run(weights: Tensor, moments: Tensor) -> Tensor:
        x = weights.unflatten(1, (-1, scales.group))
        importance = moments.diagonal().view(-1, scales.group) if weighted else torch.ones(())
        scale = scales.of(x, levels, importance, largest(weights))
        return (nearest(x / scale, levels) * scale).flatten(1)

    return run


#: The present int8.
TO_INT8 = plain(INT8, Scales(group=64, short=False, tried=(1.0,), both=False, fits=0))


def with_zero_points(group: int) -> Round:
    """Round to sixteen even steps between two numbers of each group."""

    def run(weights: Tensor, moments: Tensor) -> Tensor:
        x = weights.unflatten(1, (-1, group))
        best, least = x, torch.full_like(x[..., :1], torch.inf)
        for part in (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7):
            low = (x.amin(-1, keepdim=True) * part).bfloat16().float()
            step = ((x.amax(-1, keepdim=True) * part - low) / 15).bfloat16().float()
            kept = ((x - low) / step).round().clamp(0, 15) * step + low
            error = (kept - x).square().sum(-1, keepdim=True)
            best, least = torch.where(error < least, kept, best), torch.minimum(error, least)
        return best.flatten(1)

    return run


def compensated(levels: Tensor, scales: Scales, damping: float = 0.01) -> Round:
    """Round column by column; the columns after it make up for the error (GPTQ)."""

    def run(weights: Tensor, moments: Tensor) -> Tensor:
        blocks = zip(
            weights.split(BLOCK, 1),
            (moments[i : i + BLOCK, i : i + BLOCK] for i in range(0, len(moments), BLOCK)),
            strict=True,
        )
        return torch.cat([block(one.clone(), seen) for one, seen in blocks], 1)

    def block(weights: Tensor, moments: Tensor) -> Tensor:
        size, most = moments.diagonal().mean(), largest(weights)
        damped = moments + damping * size * torch.eye(len(moments))
        upper = torch.linalg.cholesky(torch.linalg.inv(damped.double()), upper=True).float()
        kept = torch.empty_like(weights)
        for first in range(0, weights.shape[1], scales.group):
            last = first + scales.group
            importance = upper.diagonal()[first:last] ** -2
            scale = scales.of(weights[:, None, first:last], levels, importance, most)[:, 0]
            errors = []
            for k in range(first, last):
                column = weights[:, k : k + 1]
                kept[:, k : k + 1] = nearest(column / scale, levels) * scale
                errors.append((column - kept[:, k : k + 1]) / upper[k, k])
                weights[:, k + 1 : last] -= errors[-1] * upper[k, k + 1 : last]
            weights[:, last:] -= torch.cat(errors, 1) @ upper[first:last, last:]
        return kept

    return run


def sixteen_values(group: int) -> Tensor:
    """The levels that suit normally distributed weights best, by clustering; in 8 bits."""
    x = torch.randn(4096, 1, group, generator=torch.Generator().manual_seed(0))
    scales, levels = Scales(group=group, short=False), INT4 / 8
    for _ in range(12):
        scale = scales.of(x, levels, torch.ones(()), x.abs().amax(-1, keepdim=True))
        size = scale.square().expand_as(x).flatten()
        index = torch.bucketize((x / scale).flatten(), (levels[1:] + levels[:-1]) / 2)
        total = torch.zeros(16).index_add_(0, index, size * (x / scale).flatten())
        levels = total / torch.zeros(16).index_add_(0, index, size)
        levels = levels / levels.abs().max()
        levels = -levels.flip(0) if levels[-1] > -levels[0] else levels
    return (levels * 127).round()


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to round: for each matrix by its name, and the bits per weight."""

    name: str
    rounds: Callable[[str], Round]
    bits: Callable[[str], float]


def ways(num_depth_layers: int) -> list[Way]:
    """All ways, the present formats last."""
    fine, coarse = Scales(group=32), Scales(group=64, short=False)
    int4, int5, gptq = plain(INT4, fine), plain(INT5, fine), compensated(INT4, fine)
    before = plain(INT4, Scales(group=64, short=False, tried=TODAY, both=False, fits=0))
    ends = tuple(f"depth.layers.{layer}." for layer in (0, num_depth_layers - 1))
    values = sixteen_values(32)
    simple = [
        ("int8", 8.25, TO_INT8),
        ("int4 before: groups of 64, the best of six scales", 4.25, before),
        ("scales by least squares", 4.25, plain(INT4, coarse)),
        ("groups of 32", 4.5, plain(INT4, Scales(group=32, short=False))),
        ("groups of 32, scales of 8 bits", 4.25, int4),
        ("groups of 16, scales of 8 bits", 4.5, plain(INT4, Scales(group=16))),
        ("zero points, groups of 32", 5.0, with_zero_points(32)),
        ("sixteen clustered values, groups of 32", 4.25, plain(values, fine)),
        ("the same, errors weighted by inputs", 4.25, plain(values, fine, weighted=True)),
        ("compensated by inputs (GPTQ), groups of 64", 4.25, compensated(INT4, coarse)),
        ("compensated, groups of 32", 4.25, gptq),
        ("5 bits, groups of 32", 5.25, int5),
    ]  # fmt: skip
    out = [Way(name=name, rounds=lambda _, r=r: r, bits=lambda _, b=b: b) for name, b, r in simple]

    def mixed(
        name: str, more: Callable[[str], bool], bits: float, rounds: Round, rest: Round = int4
    ) -> None:
        out.append(
            Way(
                name=name,
                rounds=lambda matrix: rounds if more(matrix) else rest,
                bits=lambda matrix: bits if more(matrix) else 4.25,
            )
        )

    mixed(
        "depth decoder's first and last layers in int8", lambda n: n.startswith(ends), 8.25, TO_INT8
    )
    mixed("attention in int8", lambda n: ".attention." in n, 8.25, TO_INT8)
    mixed("int4: attention in 5 bits", lambda n: ".attention." in n, 5.25, int5)
    in_five = lambda n: n.startswith("backbone.") or ".attention." in n  # noqa: E731
    mixed("int5+int4: backbone and attention in 5 bits", in_five, 5.25, int5)
    mixed("the same, compensated", in_five, 5.25, compensated(INT5, fine), gptq)
    return out


def matrices(model: CSM) -> dict[str, nn.Linear]:
    """The matrices of all layers by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".layers." in name
    }


def frame_bits(way: Way, config: CSMConfig) -> float:
    """Bits per weight that a frame reads; the depth decoder is read once per code."""
    with torch.device("meta"):
        model = CSM(config)
    passes = config.num_codebooks - 1
    numbers = model.codebook0_head.weight.numel() + model.audio_heads.numel()
    numbers += model.projection.weight.numel()
    bits = 8.25 * numbers
    for name, matrix in matrices(model).items():
        reads = matrix.weight.numel() * (passes if name.startswith("depth.") else 1)
        numbers, bits = numbers + reads, bits + reads * way.bits(name)
    return bits / numbers


def moments(model: CSM, run: Callable[[], object]) -> dict[str, Tensor]:
    """The second moments (K, K) of the inputs that each matrix sees in a run."""
    seen: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].flatten(0, -2).float()
            seen[name] = seen.get(name, 0) + x.T @ x

        return add

    hooks = [each.register_forward_pre_hook(hook(name)) for name, each in matrices(model).items()]
    run()
    for each in hooks:
        each.remove()
    return seen


def rounded(model: CSM, way: Way, seen: dict[str, Tensor]) -> CSM:
    """A copy of the model with rounded weights."""
    out = copy.deepcopy(model)
    for name, matrix in matrices(out).items():
        matrix.weight.copy_(way.rounds(name)(matrix.weight.data.clone(), seen[name]))
    none = torch.empty(0)
    out.codebook0_head.weight.copy_(TO_INT8(out.codebook0_head.weight.data, none))
    out.projection.weight.copy_(TO_INT8(out.projection.weight.data, none))
    for head in out.audio_heads:
        head.copy_(TO_INT8(head.T.contiguous(), none).T)
    return out


@torch.no_grad()
def of_petit() -> Iterator[tuple[Way, dict[str, float]]]:
    """Each way and its divergences, on petit."""
    checkpoint = load("petit")
    model, sentences = checkpoint.model, read_sentences()
    given = speak(checkpoint, sentences[:NUM_SENTENCES])
    other = speak(checkpoint, sentences[-NUM_SEEN:])
    seen = moments(model, lambda: [plain_logits(checkpoint, one) for one in other])
    expected = [plain_logits(checkpoint, one) for one in given]
    for way in ways(model.config.depth.num_layers):
        coarse = dataclasses.replace(checkpoint, model=rounded(model, way, seen))
        yield way, compare(expected, [plain_logits(coarse, one) for one in given])


@torch.no_grad()
def of_random() -> Iterator[tuple[Way, dict[str, float]]]:
    """Each way and its divergence, on a depth decoder of random weights."""
    config, drawn = csm_1b(), torch.Generator().manual_seed(0)
    small = LlamaConfig(num_layers=1, dim=64, num_heads=1, num_kv_heads=1, head_dim=64, ffn_dim=64)
    model = CSM(dataclasses.replace(config, backbone=small, text_vocab_size=1))
    for weights in model.parameters():
        if weights.dim() > 1:
            weights.normal_(std=weights.shape[1] ** -0.5, generator=drawn)

    def logits(of: CSM, count: int, seed: int) -> Tensor:
        shape, random = (count, config.num_codebooks, config.depth.dim), torch.Generator()
        hidden = of.depth(torch.randn(shape, generator=random.manual_seed(seed)))[:, 1:]
        return torch.einsum("mkd,kdv->mkv", hidden, of.audio_heads)

    seen = moments(model, lambda: logits(model, NUM_SEEN_FRAMES, 1))
    seen |= {name: torch.eye(64) for name in matrices(model) if name.startswith("backbone.")}
    expected = logits(model, NUM_FRAMES, 2)
    for way in ways(config.depth.num_layers):
        yield way, compare([expected], [logits(rounded(model, way, seen), NUM_FRAMES, 2)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row of the table for each way; return 2 if a model cannot be loaded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--random", action="store_true", help="random weights of csm-1b's size")
    options = parser.parse_args(arguments)
    config = csm_1b()
    bits = [frame_bits(way, config) for way in ways(config.depth.num_layers)]
    try:
        found = of_random() if options.random else of_petit()
        print("| way | bits | KL, codebook 0 | KL, others |\n|---|---:|---:|---:|")
        for (way, one), of in zip(found, bits, strict=True):
            first = "–" if options.random else f"{one['kl_semantic']:.4f}"
            print(f"| {way.name} | {of:.2f} | {first} | {one['kl_acoustic']:.4f} |", flush=True)
    except CauserieError as error:
        print(f"rounding: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
