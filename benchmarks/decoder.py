"""Times a frame of the codec's native decoders, for one stream and for many.

    python benchmarks/decoder.py [--kernels generic] [--threads 1]

Weights are random, in the sizes of petit, and so are codes. The best and the median of a hundred
frames count. Run it alone: other processes change the result.
"""

from __future__ import annotations

import argparse
import time
from typing import get_args

import numpy as np
import torch

from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig, SourceFilterConfig
from causerie.native.codec import native_decoder
from causerie.native.decoder import Weights
from causerie.native.library import load
from causerie.native.products import Pool

DECODERS = {"SEANet": None, "source-filter": SourceFilterConfig()}
NUM_SLOTS = (1, 64)
NUM_FRAMES = 100


def main() -> None:
    """Print one line per decoder, format and number of slots."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", help="avx512, avx2 or generic; the fastest by default")
    parser.add_argument("--threads", type=int, default=0, help="all cores by default")
    arguments = parser.parse_args()
    pool = Pool(arguments.threads, load(arguments.kernels))
    print(f"{pool.library.kernels}, {pool.num_threads} threads")
    print("| decoder | format | slots | ms, best | ms, median |\n|---|---|---|---|---|")
    for name, decoder in DECODERS.items():
        codec = random_codec(decoder)
        for form in get_args(Weights):
            for num_slots in NUM_SLOTS:
                times = measure(pool, codec, form, num_slots)
                best, median = np.min(times) * 1000, np.median(times) * 1000
                print(f"| {name} | {form} | {num_slots} | {best:.2f} | {median:.2f} |", flush=True)


def random_codec(decoder: SourceFilterConfig | None) -> Mimi:
    """A codec of petit's sizes."""
    config = MimiConfig(
        num_filters=16, dim=256, ratios=(4, 5, 6, 8), num_layers=3, num_heads=4, ffn_dim=1024,
        num_codebooks=4, codebook_size=1024, codebook_dim=96, decoder=decoder,
    )  # fmt: skip
    torch.manual_seed(0)
    codec = Mimi(config).eval()
    for branch in (codec.quantizer.semantic, codec.quantizer.acoustic):
        torch.nn.init.normal_(branch.centroids)
    return codec


def measure(pool: Pool, codec: Mimi, form: Weights, num_slots: int) -> list[float]:
    """Seconds of each frame."""
    config, rng = codec.config, np.random.default_rng(0)
    decoder, slots = native_decoder(codec, num_slots, form, pool), list(range(num_slots))
    times = []
    for _ in range(NUM_FRAMES):
        codes = rng.integers(config.codebook_size, size=(num_slots, 4), dtype=np.int32)
        start = time.perf_counter()
        decoder.decode(slots, codes)
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
