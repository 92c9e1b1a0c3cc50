"""A prepared folder of random codes, as `causerie data prepare` would write it for a tiny model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from causerie.codec.mimi import Mimi
from causerie.data.shards import NewTurn, ShardWriter, codec_fingerprint
from tests import tiny


def write_shards(folder: Path, codec: Mimi | None = None, texts: str = "The cat sat. {}") -> Path:
    """Two dialogues of three turns, and four turns that stand alone."""
    codec = codec or tiny.mimi()
    random = np.random.default_rng(0)
    writer = ShardWriter(
        folder,
        codec=codec_fingerprint(codec),
        num_codebooks=codec.config.num_codebooks,
        frame_rate=12.5,
    )
    for number, speakers in enumerate(["ABA", "BCB", "A", "B", "B", "C"]):
        turns = []
        for place, speaker in enumerate(speakers):
            shape = (int(random.integers(3, 9)), codec.config.num_codebooks)
            codes = random.integers(1, codec.config.codebook_size, size=shape)
            text = texts.format(10 * number + place)
            turns.append(
                NewTurn(
                    text=text, speaker=speaker, turn=place, codes=codes, source="a.wav",
                    start_s=0.0, end_s=shape[0] / 12.5,
                )
            )  # fmt: skip
        writer.add(f"conversation {number}", turns)
    writer.close()
    return folder
