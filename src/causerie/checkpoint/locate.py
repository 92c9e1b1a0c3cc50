"""Finds a checkpoint's files on disk.

A source is ``petit`` (the bundled model), a local file or folder, or a hub id such as
``sesame/csm-1b`` or ``sesame/csm-1b@REVISION``, which `causerie.checkpoint.hub` downloads. Knows
nothing about tensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from causerie.checkpoint.foreign import file_problem, folder_problem
from causerie.errors import CheckpointError

BUNDLED = "petit"

#: Kyutai's Mimi, for checkpoints that come without their codec: two copies with equal content.
CODECS = (
    ("kyutai/moshiko-pytorch-bf16", "tokenizer-e351c8d8-checkpoint125.safetensors"),
    ("kyutai/mimi", "model.safetensors"),
)

#: Llama 3.2's tokenizer, for models that come without it: copies with equal content.
TOKENIZERS = (("unsloth/csm-1b", "tokenizer.json"), ("sesame/csm-1b", "tokenizer.json"))
#: Files of a low-rank adapter in peft's format: its configuration, and either of its weights.
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")

_HUB_ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+))?")
#: Kyutai's name for Mimi beside a language model.
_KYUTAI_FILES = "tokenizer-*.safetensors"
_SIDE_FILES = ("*.json", "lexicon.txt.gz", "voices/*.safetensors")
#: In order of preference: the first of sesame/csm-1b's three copies holds the codec too, the other
#: two are in the original layout, without it.
_WEIGHTS = (
    "transformers.safetensors.index.json",
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "ckpt.pt",
)


def locate(source: str | Path, *, codec_alone: bool = False) -> Path:
    """The folder or file of a checkpoint; a hub id that is not in the cache is downloaded.

    Args:
        codec_alone: from a hub id that has Kyutai's codec file, take it without the weights beside
            it.

    Raises:
        CheckpointError: there is none, or the download failed; names the page to open or the
            command to run.
    """
    if source == BUNDLED:
        return Path(str(files("causerie") / "assets" / BUNDLED))
    path = Path(source).expanduser()
    if source != "" and path.exists():
        return path
    match = _HUB_ID.fullmatch(str(source))
    if match is None or isinstance(source, Path):
        raise CheckpointError(
            f"{str(source)!r} is not a file, a folder or a hub id such as sesame/csm-1b; "
            f"check the spelling, or use {BUNDLED!r}, the bundled model"
        )
    return _download(match["repo"], match["revision"], codec_alone)


def locate_codec() -> Path:
    """Kyutai's Mimi: a copy from the cache, or the first copy, downloaded.

    Raises:
        CheckpointError: the download failed.
    """
    return _copy_of(CODECS)


def locate_tokenizer() -> Path:
    """Llama 3.2's tokenizer: a copy from the cache, or the first copy, downloaded.

    Raises:
        CheckpointError: the download failed.
    """
    return _copy_of(TOKENIZERS)


def _copy_of(copies: Sequence[tuple[str, str]]) -> Path:
    """One of several equal files, as repositories and names."""
    from causerie.checkpoint import hub

    for repo, filename in copies:
        if found := hub.cached(repo, filename):
            return found
    repo, filename = copies[0]
    return hub.snapshot(repo, None, (filename,)) / filename


def kyutai_file(folder: Path) -> Path | None:
    """Kyutai's codec file in a folder, if there is one."""
    return next(iter(sorted(folder.glob(_KYUTAI_FILES))), None)


def weight_files(folder: Path) -> list[Path]:
    """The files with a folder's tensors.

    Raises:
        CheckpointError: there are none, or a part is missing.
    """
    for names in _weights(folder):
        missing = [name for name in names if not (folder / name).is_file()]
        if not missing:
            return [folder / name for name in names]
        if len(missing) < len(names):
            raise CheckpointError(
                f"{folder} lacks {len(missing)} of {len(names)} weight files, such as "
                f"{missing[0]}: download it again"
            )
    if (folder / ADAPTER).is_file():
        raise CheckpointError(f"{folder} is an adapter, and a whole model is needed here")
    raise CheckpointError(
        folder_problem(folder) or f"{folder} holds no weights; looked for {', '.join(_WEIGHTS)}"
    )


def has_weights(folder: Path) -> bool:
    """Whether a folder holds the weights of a whole model."""
    return any(all((folder / name).is_file() for name in names) for names in _weights(folder))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error})") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return values


def _weights(folder: Path) -> Iterator[list[str]]:
    """File names of each possible copy of the weights, in order of preference."""
    config = folder / "config.json"
    explicit = read_json(config).get("transformers_weights") if config.is_file() else None
    for name in (explicit, *_WEIGHTS) if explicit else _WEIGHTS:
        if not name.endswith(".index.json"):
            yield [name]
        elif (folder / name).is_file():
            weight_map = read_json(folder / name).get("weight_map", {})
            yield sorted(set(weight_map.values()))


def _download(repo: str, revision: str | None, codec_alone: bool) -> Path:
    """A snapshot with the best copy of the weights in a repository."""
    from causerie.checkpoint import hub

    if codec_alone:
        folder = hub.snapshot(repo, revision, (*_SIDE_FILES, _KYUTAI_FILES))
        if found := kyutai_file(folder):
            return found
    else:
        folder = hub.snapshot(repo, revision, _SIDE_FILES)
        if (folder / ADAPTER).is_file():
            return hub.snapshot(repo, folder.name, ADAPTER_WEIGHTS)
    for names in _weights(folder):
        # by its commit: the branch may move between the two downloads
        folder = hub.snapshot(repo, folder.name, names)
        if all((folder / name).is_file() for name in names):
            return folder
    offline = " or is not in the cache, and HF_HUB_OFFLINE is set" if hub.is_offline() else ""
    if "gguf" in repo.lower() and (problem := file_problem(Path(f"{repo}.gguf"))):
        raise CheckpointError(problem)
    raise CheckpointError(
        f"{repo} holds none of {', '.join(_WEIGHTS)}{offline}; "
        f"see https://huggingface.co/{repo}/tree/{folder.name}"
    )
