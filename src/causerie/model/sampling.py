"""Draws codes from logits, with noise that depends on the request only.

The noise is a hash of (seed, frame, codebook, code): it does not depend on the other rows of a
batch, on earlier calls, or on a global generator. So a request sounds the same alone or in a batch.
Knows nothing about models: logits and numbers in, codes out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causerie.errors import ConfigError
from causerie.nn.hashing import STEP, mix

#: Seeds are 0 … MAX_SEED.
MAX_SEED = 2**63 - 1


def check(temperature: float, top_k: int | None) -> None:
    """Check sampling settings.

    Raises:
        ConfigError: temperature is negative or not finite, or top_k is negative.
    """
    if not _is_number(temperature) or not math.isfinite(temperature) or temperature < 0:
        raise ConfigError(
            f"temperature must be a number from 0 (always the likeliest) upwards, "
            f"not {temperature!r}; 0.5 … 1.0 is usual"
        )
    if top_k is not None and (not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 0):
        raise ConfigError(
            f"top_k must be a whole number from 1 upwards, or 0 for all codes, not {top_k!r}"
        )


def sample(
    logits: Tensor, temperature: float, top_k: int | None, noise: Tensor, bias: float = 0.0
) -> Tensor:
    """Draw a code for each row.

    Args:
        logits: (B, V), any floating dtype; the computation is in fp32.
        temperature: 0 takes the likeliest code.
        top_k: draw from the k likeliest codes and those as likely as the k-th; 0 or None: all.
        noise: (B, V) of standard Gumbel noise, see `gumbel_noise`. The argmax of log-probability
            plus such noise is a draw from the distribution.
        bias: added to the logit of code 0 once the k likeliest are known, so that it changes no
            draw between two other codes.

    Returns:
        Codes (B,), int64.
    """
    logits = logits.float()
    if temperature == 0:
        return _biased(logits, bias).argmax(dim=-1)
    scaled = logits / temperature
    kept = _biased(scaled, bias / temperature)
    if top_k and top_k < logits.shape[-1]:
        kth = scaled.topk(top_k, dim=-1).values[:, -1:]
        kept = kept.masked_fill(kept < kth, -math.inf)
    return (kept + noise).argmax(dim=-1)


def sample_rows(
    logits: Tensor,
    temperatures: Tensor,
    top_k: Tensor,
    noise: Tensor,
    biases: Tensor | None = None,
    *,
    most: int,
) -> Tensor:
    """`sample` for rows with different settings, independent of any value on the host.

    Args:
        logits: (B, V), any floating dtype; the computation is in fp32.
        temperatures: (B,), fp32.
        top_k: (B,), int64; 0 or V and above: all.
        noise: (B, V), see `sample`.
        biases: (B,), fp32, see `sample`; None: all 0.
        most: upper bound of the `top_k` below V; 0 if there are none.

    Returns:
        Codes (B,), int64.
    """
    logits = logits.float()
    greedy = temperatures[:, None] == 0
    scaled = logits / temperatures[:, None].masked_fill(greedy, 1.0)
    biased = scaled
    if biases is not None:
        biased = _biased(scaled, biases[:, None] / temperatures[:, None].masked_fill(greedy, 1.0))
    kept = biased
    if most:
        ranked = scaled.topk(min(most, logits.shape[-1]), dim=-1).values
        kth = ranked.gather(1, (top_k[:, None] - 1).clamp(0, ranked.shape[-1] - 1))
        limited = (top_k > 0) & (top_k < logits.shape[-1])
        kept = biased.masked_fill((biased < kth) & limited[:, None], -math.inf)
    return torch.where(greedy, biased, kept + noise).argmax(dim=-1)


def stop_log_probability(logits: Tensor) -> Tensor:
    """The log-probability (B,) of code 0 given logits (B, V) of codebook 0, fp32.

    Code 0 of codebook 0 begins a stop frame.
    """
    return logits.float().log_softmax(dim=-1)[:, 0]


def _biased(logits: Tensor, bias: Tensor | float) -> Tensor:
    """The logits (B, V) with a bias, a number or (B, 1), added to that of code 0."""
    return torch.cat((logits[:, :1] + bias, logits[:, 1:]), dim=-1)


def gumbel_noise(seeds: Tensor, frame: int | Tensor, num_codebooks: int, size: int) -> Tensor:
    """Standard Gumbel noise (B, K, V), fp32 and finite, for one frame of each request.

    Args:
        seeds: (B,) int64, one per request, on the device of the noise.
        frame: number of the frame within the request; (B,) int64 if it differs.
        num_codebooks: K.
        size: V, number of codes. A larger size does not change the noise of the first codes.
    """
    codebooks = torch.arange(num_codebooks, device=seeds.device)
    counters = codebooks[:, None] * 2**32 + torch.arange(size, device=seeds.device)
    frames = frame if isinstance(frame, Tensor) else torch.full_like(seeds, frame)
    key = mix(mix(seeds * STEP) + frames * STEP)  # products wrap
    bits = mix(key[:, None, None] + counters * STEP)
    # 23 bits plus one half: exact in fp32, and never 0 or 1, so both logarithms are finite.
    uniform = ((bits >> 41 & (2**23 - 1)).float() + 0.5) / 2**23
    return -(-uniform.log()).log()


def noise(seeds: Tensor, frame: int, codebook: int, size: int) -> Tensor:
    """The noise (B, V) of one codebook: a row of `gumbel_noise`."""
    return gumbel_noise(seeds, frame, codebook + 1, size)[:, codebook]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
