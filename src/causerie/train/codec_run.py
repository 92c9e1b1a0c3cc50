"""A whole training of a codec: from speech with its alignment to a codec that loads.

    OUT/config.toml     the configuration with every default written out
    OUT/encoder         1. encoder and codebooks
    OUT/codes.npz       2. the speech as their codes
    OUT/recognizer      3. a listener for the decoder
    OUT/decoder         4. codes → sound
    OUT/codec           the trained codec

Every step goes on where it was killed. The losses of a step are in its ``log.jsonl``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from causerie.checkpoint.save import save_codec
from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig
from causerie.errors import ConfigError
from causerie.train import settings
from causerie.train.data import EncodedSpeech, SpeechFolder
from causerie.train.decoder_phase import DecoderRecipe, train_decoder
from causerie.train.encoder_phase import EncoderRecipe, train_encoder
from causerie.train.log import Log
from causerie.train.recognizer import RecognizerRecipe, train_recognizer

GROUP = 8  # utterances that are encoded at once


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """A whole run of ``causerie train codec``.

    Attributes:
        data: a folder of NAME.i16 and NAME.jsonl, see `causerie.train.data`.
        codec: sizes; Kyutai's by default.
        trained_codebooks: so many are learned with the encoder, of which the codec keeps the
            first; 0 for no more than it keeps.
    """

    data: str
    out: str
    encoder: EncoderRecipe
    recognizer: RecognizerRecipe
    decoder: DecoderRecipe
    codec: MimiConfig = field(default_factory=MimiConfig)
    trained_codebooks: int = 0

    def __post_init__(self) -> None:
        if 0 < self.trained_codebooks < self.codec.num_codebooks:
            raise ConfigError(
                f"trained_codebooks is {self.trained_codebooks}, but the codec keeps "
                f"{self.codec.num_codebooks}"
            )


def train_codec(
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
    out.mkdir(parents=True, exist_ok=True)
    speech = SpeechFolder(data, sizes.sample_rate)
    (out / "config.toml").write_text(settings.to_toml(config), encoding="utf-8")

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
    weights = encoder_weights(out / "encoder" / "state.pt", sizes.num_codebooks)
    if not (out / "codes.npz").exists():
        say("codes")
        codec = Mimi(sizes)
        codec.load_state_dict(weights, strict=False)  # it has no decoder yet
        encode(codec, speech).save(out / "codes.npz")
    listener = train_recognizer(
        config.recognizer,
        data,
        out / "recognizer",
        sizes.sample_rate,
        on_step=log("recognizer"),
        allow_changes=allow_changes,
    )
    trained = train_decoder(
        sizes,
        config.decoder,
        data,
        EncodedSpeech.load(out / "codes.npz"),
        listener,
        out / "decoder",
        start_from=weights,
        on_step=log("decoder"),
        allow_changes=allow_changes,
    )
    save_codec(out / "codec", trained)
    return out / "codec"


def encoder_weights(state: Path, num_codebooks: int) -> dict[str, Tensor]:
    """Encoder and the first codebooks of a state of `train_encoder`.

    Code 0 of codebook 0 is its rarest: the frame of zeros ends a segment, so it should not be a
    sound.
    """
    found = torch.load(state, weights_only=True)
    untrained = ("upsample.", "decoder_transformer.", "decoder.")
    codec: dict[str, Tensor] = found["modules"]["codec"]
    weights = {name: tensor for name, tensor in codec.items() if not name.startswith(untrained)}
    name = "quantizer.acoustic.centroids"
    weights[name] = weights[name][: num_codebooks - 1].clone()
    rarest = int(found["extra"]["semantic"]["usage"][0].argmin())
    semantic = weights["quantizer.semantic.centroids"][0]
    semantic[[0, rarest]] = semantic[[rarest, 0]]
    return weights


@torch.inference_mode()
def encode(
    codec: Mimi,
    speech: SpeechFolder,
) -> EncodedSpeech:
    """All utterances of a folder as codes, the shortest first."""
    utterances, frame = speech.utterances, codec.config.frame_size
    order = sorted(range(len(utterances)), key=lambda index: utterances[index].num_samples)
    groups = [order[first : first + GROUP] for first in range(0, len(order), GROUP)]
    codes: list[np.ndarray] = []
    for group in groups:
        frames = [-(-utterances[index].num_samples // frame) for index in group]
        pcm = np.stack(
            [speech.waveform(utterances[index], 0, max(frames) * frame) for index in group]
        )
        batch = codec.encode(torch.from_numpy(pcm)[:, None])
        codes += [
            row[:, :n].T.numpy().astype(np.int16) for row, n in zip(batch, frames, strict=True)
        ]
    return EncodedSpeech(
        [utterances[index].text for index in order],
        [utterances[index].phonemes for index in order],
        np.concatenate(codes),
        np.cumsum([0, *map(len, codes)]),
        np.array(order),
    )
