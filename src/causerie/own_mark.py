"""Tells speech that causerie made from recordings of people, by its watermark."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.audio.decode import MAX_S, Blocks, decode
from causerie.errors import AudioError
from causerie.watermark.detect import detect

#: Seconds of a window; windows overlap by half. Each must carry the mark, so that no speech of
#: people stands beside it: what makes a voice, 1.5 s and more, fills most of a window.
WINDOW_S = 1.5
#: The chance that a window without the mark is taken for one with it.
MAX_P = 1e-6


def has_own_mark(
    source: str | os.PathLike[str] | bytes, *, key: bytes | None = None, max_s: float = MAX_S
) -> bool:
    """Whether all of a recording carries causerie's watermark; ends at the first part without.

    The mark of the public key is a statement, not a proof: whoever wants to can put it on anything.

    Args:
        source: a path, or the bytes of a sound file.
        key: as of `detect`.
        max_s: limit of its length in seconds.

    Raises:
        AudioError: it is missing, cannot be read as sound, or is longer.
    """

    def use(rate: int, blocks: Blocks) -> bool:
        size, step = round(WINDOW_S * rate), round(WINDOW_S * rate / 2)
        rest = np.zeros(0, np.float32)
        for mixed, _ in blocks:
            rest = np.concatenate([rest, mixed])
            while len(rest) >= size + step:
                if not _is_marked(rest[:size], rate, key):
                    return False
                rest = rest[step:]
        last = [rest[:size], rest[-size:]] if len(rest) > size else [rest]
        return all(_is_marked(window, rate, key) for window in last)

    if not isinstance(source, bytes) and not os.path.isfile(source):
        raise AudioError(f"{os.fspath(source)} does not exist")
    name = "the recording" if isinstance(source, bytes) else os.fspath(source)
    return decode(source, name, use, max_s=max_s)


def _is_marked(samples: NDArray[np.float32], rate: int, key: bytes | None) -> bool:
    found = detect(Audio(samples=samples, sample_rate=rate), key, other_speeds=False)
    return found.p <= MAX_P
