"""Writes checkpoints in our own layout and in that of transformers. Local files only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from causerie.checkpoint import configs
from causerie.checkpoint.fill import prefixed, same_names
from causerie.checkpoint.keymap import (
    CODEC_PREFIX,
    FOREIGN_CODEC_PREFIX,
    Entry,
    csm_entries,
    mimi_entries,
)
from causerie.checkpoint.load import FORMAT, MODEL_PREFIX, VERSION, Checkpoint
from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig
from causerie.text.front_end import LEXICON_FILE
from causerie.voice_file import is_prompt, prompt_text

# The tokens that transformers puts in place of audio frames: their own names and Llama 3's.
_AUDIO_TOKENS = ("<|AUDIO|>", "<|reserved_special_token_0|>")
_AUDIO_EOS_TOKENS = ("<|audio_eos|>", "<|reserved_special_token_1|>")


def save(folder: Path | str, checkpoint: Checkpoint, *, dtype: torch.dtype | None = None) -> None:
    """Write a folder in our own layout, created if it does not exist.

    Args:
        dtype: of all tensors on disk; by default their own, which is exact.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(
        folder / "config.json",
        {
            "format": FORMAT,
            "version": VERSION,
            "model": asdict(checkpoint.model.config),
            "codec": _codec_sizes(checkpoint.codec.config),
            "front_end": checkpoint.front_end.kind,
            "generation": asdict(checkpoint.defaults),
            **({"tags": sorted(checkpoint.front_end.tags)} if checkpoint.front_end.tags else {}),
        },
    )
    model, codec = checkpoint.model, checkpoint.codec
    tensors = _foreign(model, prefixed(same_names(model), MODEL_PREFIX))
    tensors |= _foreign(codec, prefixed(same_names(codec), CODEC_PREFIX))
    _write_tensors(folder / "model.safetensors", tensors, dtype)
    checkpoint.tokenizer.save(folder / "tokenizer.json")
    if checkpoint.front_end.kind == "phonemes":
        _copy(checkpoint.folder / LEXICON_FILE, folder / LEXICON_FILE)
    for name, path in checkpoint.voices.items():
        if not is_prompt(path):
            _copy(path, folder / "voices" / f"{name}.safetensors")
        elif not checkpoint.base:  # the first prompt would become the voice of a merged adapter
            _copy(path, folder / "prompts" / f"{name}.wav")
            (folder / "prompts" / f"{name}.txt").write_text(prompt_text(path), "utf-8")


def save_codec(folder: Path | str, codec: Mimi, *, dtype: torch.dtype | None = None) -> None:
    """Write a folder with a codec only, for `load_codec`; created if it does not exist.

    Args:
        dtype: of all tensors on disk; by default their own.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"format": FORMAT, "version": VERSION, "codec": _codec_sizes(codec.config)}
    _write_json(folder / "config.json", sizes)
    tensors = _foreign(codec, prefixed(same_names(codec), CODEC_PREFIX))
    _write_tensors(folder / "model.safetensors", tensors, dtype)


def save_transformers(
    folder: Path | str, checkpoint: Checkpoint, *, dtype: torch.dtype | None = None
) -> None:
    """Write a folder that ``CsmForConditionalGeneration.from_pretrained`` loads.

    It does not contain our front end: transformers needs text that the front end has processed. If
    the vocabulary has no tokens for audio, two rows of zeros are added to the table.

    Args:
        dtype: of all tensors on disk; by default their own.

    Raises:
        CheckpointError: the codec has a source-filter decoder, which transformers does not know.
    """
    sizes, codec_sizes = checkpoint.model.config, checkpoint.codec.config
    config = configs.csm_to_transformers(sizes, codec_sizes)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = _foreign(checkpoint.model, csm_entries(sizes, "transformers"))
    codec_entries = prefixed(mimi_entries(codec_sizes, "transformers"), FOREIGN_CODEC_PREFIX)
    tensors |= _foreign(checkpoint.codec, codec_entries)
    audio_ids = _audio_ids(checkpoint)
    if audio_ids is None:
        audio_ids = sizes.text_vocab_size, sizes.text_vocab_size + 1
        config["text_vocab_size"] += 2
        table = tensors["embed_text_tokens.weight"]
        tensors["embed_text_tokens.weight"] = F.pad(table, (0, 0, 0, 2))
    token_ids = {
        "bos_token_id": checkpoint.tokenizer.bos_id,
        # unlike in sesame/csm-1b, not the audio token: generate() would mask out all audio
        "pad_token_id": None,
        "audio_token_id": audio_ids[0],
        "audio_eos_token_id": audio_ids[1],
    }
    stored = dtype or tensors["lm_head.weight"].dtype
    _write_json(
        folder / "config.json",
        {**config, **token_ids, "dtype": str(stored).removeprefix("torch.")},
    )
    _write_json(folder / "generation_config.json", _generation_config(checkpoint, token_ids))
    _write_tensors(folder / "model.safetensors", tensors, dtype)
    checkpoint.tokenizer.save(folder / "tokenizer.json")


def _codec_sizes(config: MimiConfig) -> dict[str, Any]:
    """The sizes without a `decoder` of None, a key that earlier versions do not know."""
    return {name: value for name, value in asdict(config).items() if value is not None}


def _generation_config(
    checkpoint: Checkpoint, token_ids: Mapping[str, int | None]
) -> dict[str, Any]:
    defaults, num_acoustic = checkpoint.defaults, checkpoint.model.config.num_codebooks - 1
    temperature, depth_temperature = defaults.temperature, defaults.acoustic_temperature
    return {
        "bos_token_id": token_ids["bos_token_id"],
        "pad_token_id": token_ids["pad_token_id"],
        # transformers has no temperature of 0; it turns sampling off instead
        "do_sample": temperature > 0,
        "temperature": temperature or 1.0,
        "top_k": defaults.top_k,
        "max_new_tokens": 125,
        "depth_decoder_do_sample": depth_temperature > 0,
        "depth_decoder_temperature": depth_temperature or 1.0,
        "depth_decoder_top_k": defaults.acoustic_top_k,
        "depth_decoder_min_new_tokens": num_acoustic,
        "depth_decoder_max_new_tokens": num_acoustic,
    }


def _audio_ids(checkpoint: Checkpoint) -> tuple[int, int] | None:
    """Ids of the two tokens for audio, if the vocabulary has both."""
    lookup = checkpoint.tokenizer.tokenizer.token_to_id
    audio, audio_eos = (
        next((id for name in names if (id := lookup(name)) is not None), None)
        for names in (_AUDIO_TOKENS, _AUDIO_EOS_TOKENS)
    )
    return None if audio is None or audio_eos is None else (audio, audio_eos)


def _foreign(module: nn.Module, entries: list[Entry]) -> dict[str, Tensor]:
    """A module's tensors in another layout."""
    ours = module.state_dict()
    return {
        name: tensor
        for entry in entries
        for name, tensor in zip(entry.theirs, entry.form.split(ours[entry.ours]), strict=True)
    }


def _write_tensors(path: Path, tensors: dict[str, Tensor], dtype: torch.dtype | None) -> None:
    # Parts of one of our tensors share its memory, which the format does not allow.
    apart = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().to(device="cpu", dtype=dtype).contiguous()
        is_part = tensor.untyped_storage().nbytes() != tensor.nbytes
        apart[name] = tensor.clone() if is_part else tensor
    written = path.with_suffix(".partial")
    save_file(apart, written, metadata={"format": "pt"})
    written.replace(path)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)
