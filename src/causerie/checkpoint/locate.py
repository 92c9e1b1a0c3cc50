"""Finds a checkpoint's files on disk.

A source is ``petit`` (the bundled model), a local file or folder, or a hub id such as
``sesame/csm-1b`` or ``sesame/csm-1b@REVISION``, which `causerie.checkpoint.hub` downloads. Knows
nothing about tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from causerie.errors import CheckpointError
from causerie.model_files import (
    ADAPTER,
    ADAPTER_WEIGHTS,
    BUNDLED,
    WEIGHTS,
    file_problem,
    hub_id,
    weight_copies,
)

#: Kyutai's Mimi, for checkpoints that come without their codec: two copies with equal content.
CODECS = (
    ("kyutai/moshiko-pytorch-bf16", "tokenizer-e351c8d8-checkpoint125.safetensors"),
    ("kyutai/mimi", "model.safetensors"),
)

#: Llama 3.2's tokenizer, for models that come without it: copies with equal content.
TOKENIZERS = (("unsloth/csm-1b", "tokenizer.json"), ("sesame/csm-1b", "tokenizer.json"))
#: Kyutai's name for Mimi beside a language model.
_KYUTAI_FILES = "tokenizer-*.safetensors"
_VOICE_FILES = ("voices/*.safetensors", "prompts/*.wav", "prompts/*.txt")
_SIDE_FILES = ("*.json", "lexicon.txt.gz", *_VOICE_FILES)


def locate(source: str | Path, *, codec_alone: bool = False) -> Path:
    """The folder or file of a checkpoint; a hub id that is not in the cache is downloaded.

    Args:
        codec_alone: from a hub id that has Kyutai's codec file, take it without the weights beside
            it.

    Raises:
        CheckpointError: there is none, or the download failed; names the page to open or the
            command to run.
    """
    if (found := _local(source)) is not None:
        return found
    match = hub_id(source)
    return _download(match["repo"], match["revision"], codec_alone)


def locate_voices(source: str | Path) -> Path:
    """The folder with the voices of a checkpoint; no weights are downloaded.

    Raises:
        CheckpointError: as `locate`.
    """
    if (found := _local(source)) is not None:
        return found if found.is_dir() else found.parent
    from causerie.checkpoint import hub

    match = hub_id(source)
    return hub.snapshot(match["repo"], match["revision"], ("config.json", ADAPTER, *_VOICE_FILES))


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


def _local(source: str | Path) -> Path | None:
    """The folder or file of the bundled model, or on the disk; None if it is neither."""
    if source == BUNDLED:
        return Path(str(files("causerie") / "assets" / BUNDLED))
    path = Path(source).expanduser()
    return path if source != "" and path.exists() else None


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
    for names in weight_copies(folder):
        # by its commit: the branch may move between the two downloads
        folder = hub.snapshot(repo, folder.name, names)
        if all((folder / name).is_file() for name in names):
            return folder
    offline = " or is not in the cache, and HF_HUB_OFFLINE is set" if hub.is_offline() else ""
    if "gguf" in repo.lower() and (problem := file_problem(Path(f"{repo}.gguf"))):
        raise CheckpointError(problem)
    raise CheckpointError(
        f"{repo} holds none of {', '.join(WEIGHTS)}{offline}; "
        f"see https://huggingface.co/{repo}/tree/{folder.name}"
    )
