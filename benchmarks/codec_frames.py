"""Milliseconds to decode Mimi one frame a call: ours, moshi's and transformers' in one run.

    python benchmarks/codec_frames.py                  Kyutai's sizes, random weights
    python benchmarks/codec_frames.py --petit          the codec of petit, ours alone
    python benchmarks/codec_frames.py --streams 1,2,8  ours for several slots a call too

One JSON object a line; ``ms_per_frame`` is of a call, which is a frame of every stream. They take
turns of some frames each, after as many frames as fill the transformer's window, so that whatever
else the machine does hits all alike. transformers cannot stream the codec: its convolutions start
anew with every frame, which is audible and saves it work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import torch
from torch import nn

from causerie.checkpoint import load_codec
from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig
from causerie.native.mimi import NativeDecoder, Weights

#: Decodes the frame of some codes (B, K).
Decode = Callable[[np.ndarray], object]


def random_weights(codec: nn.Module) -> nn.Module:
    """The model with every number drawn, codebooks included."""
    for tensor in codec.state_dict().values():
        if tensor.is_floating_point():
            nn.init.normal_(tensor, std=0.02)
    return codec.eval()


def ours(codec: Mimi, streams: int, threads: int, weights: Weights) -> Decode:
    """The native decoder."""
    decoder = NativeDecoder(codec, streams, threads, weights)
    return lambda codes: decoder.decode(range(streams), codes)


def ours_in_torch(codec: Mimi) -> Decode:
    """The plain loop."""
    state = codec.new_decoder_state()
    return lambda codes: codec.decode_step(torch.from_numpy(codes)[..., None].long(), state)


def moshi(config: MimiConfig) -> Decode:
    """Streaming as its servers do it."""
    from moshi.models import loaders

    model = random_weights(loaders.get_mimi(None, num_codebooks=config.num_codebooks))
    model.streaming_forever(1)
    return lambda codes: model.decode(torch.from_numpy(codes)[..., None].long())


def transformers(config: MimiConfig) -> Decode:
    """Its decoder, with the cache of the transformer and none of the convolutions."""
    from transformers import DynamicCache, MimiModel
    from transformers import MimiConfig as TheirConfig

    theirs = TheirConfig()
    model = random_weights(MimiModel(theirs))
    cache = DynamicCache(config=theirs)
    return lambda codes: model.decode(
        torch.from_numpy(codes)[..., None].long(), decoder_past_key_values=cache
    )


def take_turns(
    contenders: dict[str, Decode], codes: np.ndarray, warm_up: int, frames: int, turn: int
) -> dict[str, list[float]]:
    """Milliseconds of each frame of each of them."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for decode in contenders.values():
        for _ in range(warm_up):
            decode(codes)
    for _ in range(0, frames, turn):
        for name, decode in contenders.items():
            for _ in range(turn):
                start = time.perf_counter()
                decode(codes)
                taken[name].append((time.perf_counter() - start) * 1e3)
    return taken


@torch.no_grad()
def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--petit", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--streams", default="1", help="slots that are decoded by one call, several with commas"
    )
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--warm-up", type=int, default=130)
    parser.add_argument("--turn", type=int, default=10, help="frames that each takes in a row")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    codec = load_codec("petit") if options.petit else Mimi(MimiConfig())
    if not options.petit:
        random_weights(codec)
    config = codec.config
    for streams in (int(number) for number in options.streams.split(",")):
        contenders = {
            f"causerie {weights}": ours(codec, streams, options.threads, weights)
            for weights in get_args(Weights)
        }
        if streams == 1:
            contenders["causerie in torch"] = ours_in_torch(codec)
            if not options.petit:
                contenders |= {"moshi": moshi(config), "transformers": transformers(config)}
        shape = (streams, config.num_codebooks)
        codes = np.random.default_rng(0).integers(config.codebook_size, size=shape, dtype=np.int32)
        turns = take_turns(contenders, codes, options.warm_up, options.frames, options.turn)
        for name, taken in turns.items():
            median = statistics.median(taken)
            line = {
                "implementation": name,
                "subject": "petit" if options.petit else "mimi",
                "threads": options.threads,
                "streams": streams,
                "ms_per_frame": round(median, 2),
                "min": round(min(taken), 2),
                "max": round(max(taken), 2),
                "rtf": round(median * config.frame_rate / 1e3, 4),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
