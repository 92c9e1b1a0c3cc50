"""Packed products against numpy, and, to the bit, against products with other tilings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causerie.native.library import load
from causerie.native.products import FORMATS, Floats, Format, Packed, Pool, gemm
from tests.kernels import KERNELS

#: (N, K): less than a panel, whole panels and groups, and neither.
SIZES = [(1, 1), (5, 7), (16, 64), (33, 100), (130, 257), (64, 1000)]
GROUP = 64
#: Weights per scale of int4 and int5, and their integers: from -levels to levels - 1.
HALF, LEVELS = 32, {"int4": 8, "int5": 16}


def random(*shape: int) -> Floats:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def bf16(x: Floats) -> Floats:
    return torch.from_numpy(x).bfloat16().float().numpy()


def quantized(x: Floats) -> Floats:
    """Inputs x (M, K) rounded to ±127 with a scale per group of 64."""
    pad = np.pad(x, ((0, 0), (0, -x.shape[1] % GROUP))).reshape(len(x), -1, GROUP)
    scale = np.abs(pad).max(-1, keepdims=True) / np.float32(127)
    return (np.rint(pad / scale) * scale).reshape(len(x), -1)[:, : x.shape[1]]


def short(w: Floats, levels: int) -> Floats:
    """Weights (N, K) as int4 and int5 keep them: the plain reference.

    A row has a factor, and each half of a group a scale of 1 to 127 factors, the best of seven on
    both sides of 0.
    """
    factor = np.abs(w).max(-1)[:, None, None] / np.float32(127 * levels)
    x = np.pad(w, ((0, 0), (0, -w.shape[1] % HALF))).reshape(len(w), -1, HALF) / factor
    most = np.abs(x).max(-1, keepdims=True)
    best, least = np.zeros_like(x), np.full(most.shape, np.inf)
    for part in (1.06, 1, 0.94, 0.88, 0.82, 0.76, 0.7):
        for sign in (-1, 1):
            scale = sign * np.clip(np.rint(most / levels * part), 1, 127)
            kept = np.clip(np.rint(x / scale), -levels, levels - 1) * scale
            error = np.square(kept - x).sum(-1, keepdims=True)
            best = np.where(error < least, kept, best)
            least = np.minimum(error, least)
    return (best * factor).reshape(len(w), -1)[:, : w.shape[1]].astype(np.float32)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("form", ["int4", "int5"])
@pytest.mark.parametrize("size", SIZES)
def test_short_integers_are_those_of_the_reference(
    kernels: str, form: Format, size: tuple[int, int]
):
    w = random(*size)
    w[:, : size[1] // 3] *= np.float32(0.01)  # scales far below the largest of the row
    kept = gemm(
        Pool(2, load(kernels)),
        Packed(Pool(1, load(kernels)), form, w),
        np.eye(size[1], dtype=np.float32),
    ).T
    expected = short(w, LEVELS[form])
    off, due = np.square(kept - w).sum(), np.square(expected - w).sum()
    assert off == pytest.approx(due, rel=1e-4, abs=1e-9)
    # Two scales may be as good as each other but for rounding.
    assert np.isclose(kept, expected, rtol=1e-5, atol=1e-6).mean() > 0.99


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", SIZES)
def test_products_match_the_formats(kernels: str, form: Format, size: tuple[int, int]):
    pool, w, x = Pool(2, load(kernels)), random(*size), random(9, size[1])
    packed = Packed(pool, form, w)
    y = gemm(pool, packed, x)
    if form == "bfloat16":
        x, w = bf16(x), bf16(w)
    elif form != "float32":
        x = quantized(x)
        w = gemm(pool, packed, np.eye(size[1], dtype=np.float32)).T  # what was kept of them
    expected = (x.astype(np.float64) @ w.T.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(y, expected, atol=2e-6 * size[1] + 1e-5)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(("form", "error"), [("int8", 0.0061), ("int5", 0.045), ("int4", 0.086)])
def test_integer_formats_have_small_errors(kernels: str, form: Format, error: float):
    pool, w = Pool(2, load(kernels)), random(40, 1000)
    kept = gemm(pool, Packed(pool, form, w), np.eye(1000, dtype=np.float32)).T
    assert np.sqrt(np.square(kept - w).mean()) < error  # of a spread of 1


@pytest.mark.parametrize("form", FORMATS)
def test_matrices_on_top_of_each_other_begin_at_panels(form: Format):
    pool, parts, x = Pool(2), [random(n, 70) for n in (5, 32, 17)], random(3, 70)
    y = gemm(pool, Packed(pool, form, *parts), x)
    assert y.shape == (3, 16 + 32 + 17)
    for first, part in zip((0, 16, 48), parts, strict=True):
        assert np.array_equal(
            y[:, first : first + len(part)], gemm(pool, Packed(pool, form, part), x)
        )
    assert not y[:, 5:16].any()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("num_inputs", [256, 257])
def test_a_row_is_the_same_in_any_number_of_rows_and_threads(
    kernels: str, form: Format, num_inputs: int
):
    library = load(kernels)
    w, x = random(130, num_inputs), random(263, num_inputs)
    packed, pools = Packed(Pool(2, library), form, w), [Pool(n, library) for n in (1, 2, 5)]
    alone = np.concatenate([gemm(pools[0], packed, row[None]) for row in x])
    for num_rows in (2, 3, 5, 7, 12, 13, 120, 121, 263):
        for pool in pools:
            assert np.array_equal(gemm(pool, packed, x[:num_rows].copy()), alone[:num_rows])


@pytest.mark.parametrize("kernels", KERNELS)
def test_bias_and_previous_output_are_added(kernels: str):
    library = load(kernels)
    w, x, bias, there = random(37, 20), random(8, 20), random(37), random(8, 37)
    y = gemm(Pool(1, library), Packed(Pool(2, library), "float32", w), x, bias, there)
    np.testing.assert_allclose(y, x @ w.T + bias + there, atol=1e-5)


@pytest.mark.parametrize("form", FORMATS)
def test_nan_and_infinity_are_not_lost(form: Format):
    w = random(20, 104)
    for wrong in (np.nan, np.inf):
        x = random(2, 104)
        x[1, 70] = wrong
        y = gemm(Pool(1), Packed(Pool(2), form, w), x)
        assert np.isfinite(y[0]).all()
        assert not np.isfinite(y[1]).any()
        broken = w.copy()
        broken[3, 5] = wrong
        y = gemm(Pool(1), Packed(Pool(2), form, broken), random(2, 104))
        assert not np.isfinite(y[:, 3]).any()
        assert np.isfinite(y[:, 4:]).all()


@pytest.mark.parametrize("kernels", KERNELS)
def test_packed_weights_take_the_bytes_that_they_should(kernels: str):
    pool, w = Pool(2, load(kernels)), random(256, 1024)
    bits = {form: Packed(pool, form, w).num_bytes * 8 / w.size for form in FORMATS}
    compact = 16 if kernels == "generic" else 12.09375
    factor = 32 / 1024  # of a row
    assert bits == {
        "float32": 32, "bfloat16": compact, "int8": 8.25, "int5": 5.25 + factor,
        "int4": 4.25 + factor,
    }  # fmt: skip
    assert Packed(pool, "bfloat16", w, plain=True).num_bytes == 2 * w.size


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("sizes", ["alike", "some unlike", "all unlike"])
@pytest.mark.parametrize("shape", [(130, 256), (5, 8), (70, 1000), (64, 4096)])
def test_bf16_in_12_bits_is_bf16_to_the_bit(kernels: str, sizes: str, shape: tuple[int, int]):
    pool, w = Pool(2, load(kernels)), random(*shape)
    chosen = np.random.default_rng(1)
    if sizes != "alike":
        factors = 2.0 ** chosen.integers(-60, 60, shape).astype(np.float32)
        w = np.where(chosen.random(shape) < (2e-4 if sizes == "some unlike" else 1), w * factors, w)
        w = w.astype(np.float32)
    w[3, 5], w[2], w[4, :4] = 0, 0, (-0.0, 1e-40, -1e38, 3e-39)
    short, plain = Packed(pool, "bfloat16", w), Packed(pool, "bfloat16", w, plain=True)
    for num_rows in (1, 2, 6, 7, 48, 49, 130):
        x = random(num_rows, shape[1])
        assert np.array_equal(gemm(pool, short, x), gemm(pool, plain, x), equal_nan=True)
    if sizes == "all unlike" and kernels != "generic":  # kept as they were, which costs memory
        assert short.num_bytes > plain.num_bytes


def test_one_pool_serves_callers_at_the_same_time():
    from concurrent.futures import ThreadPoolExecutor

    pool, packed, x = Pool(2), Packed(Pool(2), "float32", random(256, 512)), random(40, 512)
    alone = gemm(pool, packed, x)
    with ThreadPoolExecutor(4) as callers:
        results = list(callers.map(lambda _: gemm(pool, packed, x), range(200)))
    assert all(np.array_equal(result, alone) for result in results)
