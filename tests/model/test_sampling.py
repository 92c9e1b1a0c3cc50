"""Sampling: the right distribution, and noise that depends on the request only."""

from __future__ import annotations

import math

import pytest
import torch

from causerie.errors import ConfigError
from causerie.model.sampling import (
    MAX_SEED,
    check,
    gumbel_noise,
    noise,
    sample,
    sample_rows,
    stop_log_probability,
)


def draws(logits: torch.Tensor, temperature: float, top_k: int | None, count: int) -> torch.Tensor:
    """The frequency of each code over many seeds."""
    gumbel = noise(torch.arange(count), 0, 0, len(logits))
    codes = sample(logits.expand(count, -1), temperature, top_k, gumbel)
    return torch.bincount(codes, minlength=len(logits))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_softmax(temperature: float) -> None:
    logits = torch.tensor([2.0, 1.0, 0.5, 0.0, -0.5, -1.0, 1.5, 0.2])
    count = 40_000
    expected = torch.softmax(logits / temperature, 0) * count
    seen = draws(logits, temperature, None, count)
    chi_square = float(((seen - expected) ** 2 / expected).sum())
    assert chi_square < 24.3  # 7 degrees of freedom, one in a thousand


@pytest.mark.parametrize("axis", ["seed", "frame", "codebook", "code"])
def test_noise_is_gumbel_along_every_axis(axis: str) -> None:
    count = 16_384
    if axis == "seed":
        values = noise(torch.arange(count), 3, 1, 1).flatten()
    elif axis == "frame":
        seeds = torch.tensor([7])
        values = torch.cat([noise(seeds, frame, 1, 4).flatten() for frame in range(count // 4)])
    elif axis == "codebook":
        values = gumbel_noise(torch.tensor([7]), 5, count // 4, 4).flatten()
    else:
        values = noise(torch.tensor([7]), 5, 1, count).flatten()
    assert abs(values.mean() - 0.5772) < 4 * 1.2825 / math.sqrt(count)
    assert abs(values.std() - 1.2825) < 0.05
    neighbours = torch.corrcoef(torch.stack((values[:-1], values[1:])))[0, 1]
    assert abs(neighbours) < 4 / math.sqrt(count)


def test_noise_is_always_finite() -> None:
    seeds = torch.tensor([0, 1, MAX_SEED, MAX_SEED - 1])
    values = gumbel_noise(seeds, 0, 32, 20_000)
    assert values.isfinite().all()
    assert values.dtype == torch.float32


def test_noise_has_known_values() -> None:
    """Fixed: a seed has the same audio in every version."""
    got = noise(torch.tensor([1234]), 2, 3, 4)
    torch.testing.assert_close(got, torch.tensor([GOLDEN]), rtol=0, atol=1e-6)


GOLDEN = [-0.013919421, -1.226215482, 0.026510587, 0.281120420]


def test_noise_belongs_to_the_request() -> None:
    together = gumbel_noise(torch.tensor([5, 6, 7]), 9, 4, 100)
    for row, seed in enumerate((5, 6, 7)):
        alone = gumbel_noise(torch.tensor([seed]), 9, 4, 100)
        assert torch.equal(together[row : row + 1], alone)
    assert torch.equal(together[1:2, 2], noise(torch.tensor([6]), 9, 2, 100))
    torch.manual_seed(1)
    assert torch.equal(together, gumbel_noise(torch.tensor([5, 6, 7]), 9, 4, 100))


def test_noise_of_more_codes_begins_alike() -> None:
    seeds = torch.tensor([3])
    assert torch.equal(noise(seeds, 1, 1, 2051)[:, :2048], noise(seeds, 1, 1, 2048))


def test_noise_differs_between_seeds_frames_and_codebooks() -> None:
    rows = [
        noise(torch.tensor([seed]), frame, codebook, 64)
        for seed in (0, 1)
        for frame in (0, 1)
        for codebook in (0, 1)
    ]
    flat = torch.cat(rows)
    assert len(flat.unique(dim=0)) == 8


def test_samples_are_the_same_alone_and_in_a_batch() -> None:
    logits = torch.randn(5, 300, generator=torch.Generator().manual_seed(0))
    gumbel = noise(torch.arange(5), 0, 0, 300)
    together = sample(logits, 0.8, 20, gumbel)
    for row in range(5):
        assert sample(logits[row : row + 1], 0.8, 20, gumbel[row : row + 1]) == together[row]


def test_top_k_draws_among_the_k_likeliest() -> None:
    logits = torch.tensor([0.0, 3.0, 1.0, 2.0, -1.0])
    seen = draws(logits, 3.0, 2, 2_000)
    assert seen[[0, 2, 4]].sum() == 0
    assert seen[1] > seen[3] > 0


def test_top_k_keeps_ties() -> None:
    logits = torch.tensor([1.0, 2.0, 1.0, 1.0, 0.0])
    seen = draws(logits, 1.0, 2, 2_000)
    assert (seen[:4] > 0).all()
    assert seen[4] == 0


@pytest.mark.parametrize("top_k", [0, None, 5, 99])
def test_top_k_of_nothing_or_everything_draws_among_all(top_k: int | None) -> None:
    assert (draws(torch.zeros(5), 1.0, top_k, 1_000) > 0).all()


def test_temperature_zero_and_top_k_one_are_greedy() -> None:
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(1))
    gumbel = noise(torch.arange(4), 0, 0, 50)
    best = logits.argmax(-1)
    assert torch.equal(sample(logits, 0.0, None, gumbel), best)
    assert torch.equal(sample(logits, 1.0, 1, gumbel), best)


def test_half_precision_is_sampled_in_fp32() -> None:
    logits = torch.tensor([[1.0, 1.0]], dtype=torch.bfloat16)
    gumbel = torch.tensor([[0.0, 1e-4]])  # bf16 would lose the difference
    assert sample(logits, 1.0, None, gumbel).tolist() == [1]


def test_tiny_temperature_stays_finite() -> None:
    logits = torch.tensor([[5.0, -5.0, 4.0]])
    assert sample(logits, 1e-30, None, noise(torch.tensor([1]), 0, 0, 3)).tolist() == [0]


@pytest.mark.parametrize("temperature", [-0.1, math.nan, math.inf, "hot", True])
def test_bad_temperature(temperature: float) -> None:
    with pytest.raises(ConfigError, match="temperature must be"):
        check(temperature, None)


@pytest.mark.parametrize("top_k", [-1, 1.5, "many", True])
def test_bad_top_k(top_k: int) -> None:
    with pytest.raises(ConfigError, match="top_k must be"):
        check(1.0, top_k)


def test_rows_are_drawn_each_by_its_own_settings() -> None:
    """As `sample` does one by one, ties at the k-th code and all."""
    torch.manual_seed(0)
    temperatures = [0.0, 0.3, 1.0, 2.0, 0.9, 0.0]
    top_k = [None, 5, 0, 40, 7, 3]
    logits = torch.randn(6, 40).mul(3).round()  # rounded: there are ties
    seeds, frames = torch.arange(6) * 977, torch.tensor([0, 3, 1, 900, 4, 4])
    gumbel = gumbel_noise(seeds, frames, 3, 40)
    for codebook in range(3):
        together = sample_rows(
            logits,
            torch.tensor(temperatures),
            torch.tensor([k or 0 for k in top_k]),
            gumbel[:, codebook],
            most=8,
        )
        alone = [
            sample(row[None], t, k, noise(seed[None], int(frame), codebook, 40)).item()
            for row, t, k, seed, frame in zip(
                logits, temperatures, top_k, seeds, frames, strict=True
            )
        ]
        assert together.tolist() == alone


def test_rows_that_take_all_codes_need_no_order() -> None:
    logits, gumbel = torch.randn(2, 9), noise(torch.tensor([1, 2]), 0, 0, 9)
    got = sample_rows(logits, torch.ones(2), torch.tensor([0, 9]), gumbel, most=0)
    assert got.equal(sample(logits, 1.0, None, gumbel))


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("top_k", [None, 2, 4])
def test_a_bias_changes_draws_from_and_to_code_0_only(
    temperature: float, top_k: int | None
) -> None:
    torch.manual_seed(1)
    logits = torch.randn(200, 12)
    gumbel = noise(torch.arange(200), 0, 0, 12)
    before = sample(logits, temperature, top_k, gumbel)
    more = sample(logits, temperature, top_k, gumbel, 2.0)
    assert ((more == before) | (more == 0)).all()
    assert (more == 0).sum() > (before == 0).sum()
    less = sample(logits, temperature, top_k, gumbel, -2.0)
    assert ((less == before) | (before == 0)).all()
    assert (less == 0).sum() < (before == 0).sum()


def test_a_bias_is_in_nats_of_the_logit() -> None:
    """At a temperature of 0.5, the odds of code 0 rise by twice the bias."""
    count, bias, temperature = 20_000, 0.7, 0.5
    logits = torch.tensor([0.0, 1.0, 0.3])
    codes = sample(
        logits.expand(count, -1), temperature, None, noise(torch.arange(count), 0, 0, 3), bias
    )
    expected = torch.softmax((logits + torch.tensor([bias, 0, 0])) / temperature, 0)[0]
    assert float((codes == 0).float().mean()) == pytest.approx(float(expected), abs=0.012)


def test_rows_have_biases_of_their_own() -> None:
    torch.manual_seed(2)
    logits, gumbel = torch.randn(6, 20), noise(torch.arange(6), 0, 0, 20)
    temperatures = torch.tensor([0.0, 0.3, 1.0, 2.0, 0.9, 0.0])
    top_k = torch.tensor([0, 5, 0, 7, 1, 3])
    biases = torch.tensor([9.0, 9.0, -9.0, 1.5, 9.0, 0.0])
    together = sample_rows(logits, temperatures, top_k, gumbel, biases, most=8)
    settings = zip(temperatures.tolist(), top_k.tolist(), biases.tolist(), strict=True)
    alone = [
        sample(logits[n : n + 1], t, k, gumbel[n : n + 1], b).item()
        for n, (t, k, b) in enumerate(settings)
    ]
    assert together.tolist() == alone
    assert together[[0, 1, 4]].tolist() == [0, 0, 0]


def test_the_probability_of_a_stop() -> None:
    logits = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 100.0, 0.0, 0.0]])
    expected = torch.tensor([-math.log(4), -100.0])
    torch.testing.assert_close(stop_log_probability(logits), expected)
