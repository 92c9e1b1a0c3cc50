"""Folders as decoder_targets.py writes them, of synthetic speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from causerie.codec.source_filter import APERIODICITY_HZ, ENVELOPE_HZ, Parameters, synthesize
from causerie.config import HOP
from tests import tiny

FRAMES, HOPS, LABELS = 24, 16, 4  # per utterance; hops and phone labels per frame


def write_targets(
    folder: Path, pitch_hz: float, seed: int, num_codebooks: int = tiny.NUM_CODEBOOKS
) -> None:
    """Three utterances whose codes follow their level."""
    random = np.random.default_rng(seed)
    count = 3 * FRAMES
    loud = random.integers(0, 4, count)
    hops = count * HOPS
    envelope = -np.array(ENVELOPE_HZ) / 4000 - 4 + np.repeat(loud, HOPS)[:, None]
    pitch = np.full(hops, pitch_hz, np.float32)
    given = Parameters(
        pitch=torch.from_numpy(pitch)[None],
        voicing=torch.full((1, hops), 9.0),
        envelope=torch.from_numpy(envelope).float()[None],
        aperiodicity=torch.full((1, hops, len(APERIODICITY_HZ)), -3.0),
    )
    pcm = torch.cat((synthesize(given)[0, HOP:], torch.zeros(HOP))).numpy()
    codes = np.stack([loud + 4 * seed, *random.integers(0, 8, (num_codebooks - 1, count))], 1)
    folder.mkdir(parents=True)
    arrays = {
        "codes": codes.astype(np.int16),
        "drawn": codes.astype(np.int16) + 8,
        "pcm": (pcm.clip(-1, 1) * 32767).astype(np.int16),
        "pitch": pitch,
        "voiced": np.ones(hops, np.uint8),
        "envelope": envelope.astype(np.float16),
        "aperiodicity": np.full((hops, len(APERIODICITY_HZ)), -3, np.float16),
        "labels": np.repeat(loud, LABELS).astype(np.int16),
        "starts": np.arange(4) * FRAMES,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
