"""Times the native matrix products: bytes per second at one row, operations per second at many.

    python benchmarks/products.py [--kernels generic] [--threads 1]

Weights have the shape of a layer of csm-1b, in enough copies to exceed the caches; the best of
eight passes over all copies counts. Run it alone: other processes change the result.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from causerie.native.library import load
from causerie.native.products import FORMATS, Format, Packed, Pool, gemm

#: Outputs and inputs: the gate and up projections of a layer of the depth decoder.
SIZE = (16384, 1024)
NUM_ROWS = (1, 8, 120)
CACHE_BYTES = 2**27
NUM_PASSES = 8


def main() -> None:
    """Print one line per format and number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", help="avx512, avx2 or generic; the fastest by default")
    parser.add_argument("--threads", type=int, default=0, help="all cores by default")
    arguments = parser.parse_args()
    pool = Pool(arguments.threads, load(arguments.kernels))
    print(f"{pool.library.kernels}, {pool.num_threads} threads, weights {SIZE[0]} × {SIZE[1]}")
    print("| format | rows | ms | GB/s of weights | GFLOP/s |\n|---|---|---|---|---|")
    for form in FORMATS:
        for num_rows in NUM_ROWS:
            seconds, num_bytes = measure(pool, form, num_rows)
            operations = 2 * num_rows * SIZE[0] * SIZE[1]
            print(
                f"| {form} | {num_rows} | {1000 * seconds:.3f} | {num_bytes / seconds / 1e9:.1f} "
                f"| {operations / seconds / 1e9:.0f} |"
            )


def measure(pool: Pool, form: Format, num_rows: int) -> tuple[float, int]:
    """The seconds of one product, and the bytes of its weights."""
    random = np.random.default_rng(0)
    matrix = random.standard_normal(SIZE, dtype=np.float32)
    first = Packed(pool, form, matrix)
    copies = [Packed(pool, form, matrix) for _ in range(CACHE_BYTES // first.num_bytes)]
    x = random.standard_normal((num_rows, SIZE[1]), dtype=np.float32)
    best = float("inf")
    for _ in range(NUM_PASSES):
        started = time.perf_counter()
        for weights in copies:
            gemm(pool, weights, x)
        best = min(best, (time.perf_counter() - started) / len(copies))
    return best, first.num_bytes


if __name__ == "__main__":
    main()
