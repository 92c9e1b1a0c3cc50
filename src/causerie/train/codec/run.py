"""A whole training of a codec: from speech with its alignment to a codec that loads.

    OUT/config.toml     the configuration with every default written out
    OUT/encoder         1. encoder and codebooks, without sound: a fast start
    OUT/recognizer      2. a listener for the decoder
    OUT/whole           3. encoder, codebooks and decoder together
    OUT/codec           the trained codec

Every step goes on where it was killed. The losses of a step are in its ``log.jsonl``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from causerie import toml_config
from causerie.checkpoint.save import save_codec
from causerie.config import MimiConfig
from causerie.errors import ConfigError
from causerie.train.codec.aligned_speech import SpeechFolder
from causerie.train.codec.encoder import EncoderRecipe, first_codebooks, train_encoder
from causerie.train.codec.phone_recognizer import RecognizerRecipe, train_recognizer
from causerie.train.codec.whole import CodecRecipe, finished, train_codec
from causerie.train.log import Log
from causerie.train.processes import find_processes


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """A whole run of ``causerie train codec``.

    Attributes:
        data: a folder of NAME.i16 and NAME.jsonl, see `causerie.train.codec.aligned_speech`.
        codec: sizes; Kyutai's by default.
        trained_codebooks: so many are learned with the encoder, of which the codec keeps the
            first; 0 for no more than it keeps.
    """

    data: str
    out: str
    encoder: EncoderRecipe
    recognizer: RecognizerRecipe
    whole: CodecRecipe
    codec: MimiConfig = field(default_factory=MimiConfig)
    trained_codebooks: int = 0

    def __post_init__(self) -> None:
        if 0 < self.trained_codebooks < self.codec.num_codebooks:
            raise ConfigError(
                f"trained_codebooks is {self.trained_codebooks}, but the codec keeps "
                f"{self.codec.num_codebooks}"
            )


def run(
    config: CodecConfig,
    *,
    say: Callable[[str], None] = print,
    allow_changes: bool = False,
) -> Path:
    """Train by a configuration, or go on where a run was killed.

    Args:
        say: told which step begins.
        allow_changes: go on though a recipe has changed.

    Returns:
        The folder of the codec.

    Raises:
        ConfigError: no speech, or contradictions.
    """
    out, data, sizes = Path(config.out), Path(config.data), config.codec
    processes = find_processes("cpu")
    SpeechFolder(data, sizes.sample_rate)  # refuses a folder without speech before anything begins
    if processes.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.toml").write_text(toml_config.to_toml(config), encoding="utf-8")
    processes.wait_for_everyone()

    def log(step: str) -> Log:
        say(step)
        return Log(out / step / "log.jsonl")

    learned = dataclasses.replace(
        sizes, num_codebooks=config.trained_codebooks or sizes.num_codebooks
    )
    train_encoder(
        learned,
        config.encoder,
        data,
        out / "encoder",
        on_step=log("encoder"),
        allow_changes=allow_changes,
    )
    listener = train_recognizer(
        config.recognizer,
        data,
        out / "recognizer",
        sizes.sample_rate,
        on_step=log("recognizer"),
        allow_changes=allow_changes,
    )
    codec = train_codec(
        sizes,
        config.whole,
        data,
        listener,
        out / "whole",
        start_from=first_codebooks(out / "encoder" / "state.pt", sizes.num_codebooks),
        on_step=log("whole"),
        allow_changes=allow_changes,
    )
    codec.load_state_dict(finished(out / "whole" / "state.pt"))
    if processes.is_main_process:
        save_codec(out / "codec", codec)
    processes.end_training()
    return out / "codec"
