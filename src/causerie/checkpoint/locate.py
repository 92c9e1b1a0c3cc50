"""From the name of a checkpoint to files on disk; the only code that uses the network.

A source is ``petit`` (the bundled model), a local file or folder, or a hub id such as
``sesame/csm-1b`` or ``sesame/csm-1b@REVISION``. Downloads lie in the usual Hugging Face cache, and
HF_HUB_OFFLINE and the other variables of huggingface_hub work. Knows nothing of tensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HFValidationError,
    HTTPError,  # that of the client which this huggingface_hub uses
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from causerie.errors import CheckpointError

BUNDLED = "petit"

#: Kyutai's Mimi, for checkpoints that come without their codec, in two copies of equal content.
CODECS = (
    ("kyutai/moshiko-pytorch-bf16", "tokenizer-e351c8d8-checkpoint125.safetensors"),
    ("kyutai/mimi", "model.safetensors"),
)

_HUB_ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+))?")
#: What Kyutai calls Mimi where it lies beside a language model.
_KYUTAI_FILES = "tokenizer-*.safetensors"
_SIDE_FILES = ("*.json", "lexicon.txt.gz", "voices/*.safetensors")
#: In order of preference: beside the first, which has the codec inside, sesame/csm-1b also has two
#: copies in the original layout, which has not.
_WEIGHTS = (
    "transformers.safetensors.index.json",
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "ckpt.pt",
)


def locate(source: str | Path, *, codec_alone: bool = False) -> Path:
    """The folder, or file, of a checkpoint; fetched first where it is a hub id not yet cached.

    Args:
        codec_alone: take Kyutai's file of a hub id that has one, and not the weights beside it.

    Raises:
        CheckpointError: if there is none, or it cannot be fetched; says which page to open and
            which command to run.
    """
    if source == BUNDLED:
        return Path(str(files("causerie") / "assets" / BUNDLED))
    path = Path(source).expanduser()
    if source != "" and path.exists():
        return path
    match = _HUB_ID.fullmatch(str(source))
    if match is None or isinstance(source, Path):
        raise CheckpointError(
            f"{str(source)!r} is no file or folder, nor a hub id such as sesame/csm-1b; "
            f"check the spelling, or use {BUNDLED!r}, the bundled model"
        )
    return _fetch(match["repo"], match["revision"], codec_alone)


def locate_codec() -> Path:
    """Kyutai's Mimi: whichever copy is cached, else the first, fetched.

    Raises:
        CheckpointError: as `locate`.
    """
    for repo, filename in CODECS:
        cached = huggingface_hub.try_to_load_from_cache(repo, filename)
        if isinstance(cached, str):
            return Path(cached)
    repo, filename = CODECS[0]
    return _snapshot(repo, None, (filename,)) / filename


def kyutai_file(folder: Path) -> Path | None:
    """Kyutai's file of a Mimi in a folder."""
    return next(iter(sorted(folder.glob(_KYUTAI_FILES))), None)


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's tensors.

    Raises:
        CheckpointError: if there are none, or a part is missing.
    """
    for names in _weights(folder):
        missing = [name for name in names if not (folder / name).is_file()]
        if not missing:
            return [folder / name for name in names]
        if len(missing) < len(names):
            raise CheckpointError(f"{folder} lacks a part of its weights: {', '.join(missing)}")
    raise CheckpointError(f"{folder} holds no weights; looked for {', '.join(_WEIGHTS)}")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        CheckpointError: if it cannot be read.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error})") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return values


def _weights(folder: Path) -> Iterator[list[str]]:
    """Names of the files of each copy of the weights that may be there, the best first."""
    config = folder / "config.json"
    explicit = read_json(config).get("transformers_weights") if config.is_file() else None
    for name in (explicit, *_WEIGHTS) if explicit else _WEIGHTS:
        if not name.endswith(".index.json"):
            yield [name]
        elif (folder / name).is_file():
            weight_map = read_json(folder / name).get("weight_map", {})
            yield sorted(set(weight_map.values()))


def _fetch(repo: str, revision: str | None, codec_alone: bool) -> Path:
    """A snapshot with one copy of the weights, whichever is the best there."""
    if codec_alone:
        folder = _snapshot(repo, revision, (*_SIDE_FILES, _KYUTAI_FILES))
        if found := kyutai_file(folder):
            return found
    else:
        folder = _snapshot(repo, revision, _SIDE_FILES)
    for names in _weights(folder):
        # by its commit: the branch may move on between the two
        folder = _snapshot(repo, folder.name, names)
        if all((folder / name).is_file() for name in names):
            return folder
    offline = " or is not in the cache, and HF_HUB_OFFLINE is set" if _is_offline() else ""
    raise CheckpointError(
        f"{repo} holds none of {', '.join(_WEIGHTS)}{offline}; "
        f"see https://huggingface.co/{repo}/tree/{folder.name}"
    )


def _snapshot(repo: str, revision: str | None, patterns: Sequence[str]) -> Path:
    with _explained(repo, revision):
        try:
            return Path(
                huggingface_hub.snapshot_download(
                    repo, revision=revision, allow_patterns=list(patterns)
                )
            )
        except LocalEntryNotFoundError as error:
            # Offline, with some of the repository cached: the caller checks what it needs.
            partial = getattr(error, "snapshot_path", None)
            if partial is None:
                raise
            return Path(partial)


@contextmanager
def _explained(repo: str, revision: str | None) -> Iterator[None]:
    page = f"https://huggingface.co/{repo}"
    try:
        yield
    except GatedRepoError as error:
        raise CheckpointError(
            f"{repo} is gated: accept its terms on {page}, then run `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(
            f"{repo} has no revision {revision!r}: choose one on {page}/commits"
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{repo} is not on the hub, or it is private: open {page}; "
            "if you have access to it, run `hf auth login`"
        ) from error
    except LocalEntryNotFoundError as error:
        cure = (
            "HF_HUB_OFFLINE is set: run `unset HF_HUB_OFFLINE` once to fetch it"
            if _is_offline()
            else f"the hub cannot be reached: check the network, or fetch it from {page} elsewhere "
            "and give the folder"
        )
        raise CheckpointError(f"{repo} is not in the cache ({page}), and {cure}") from error
    except HFValidationError as error:
        first_line = str(error).splitlines()[0]
        raise CheckpointError(f"{repo!r} is neither here nor a hub id: {first_line}") from error
    except (HTTPError, OSError) as error:  # every other answer of the hub, and a full disk
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise CheckpointError(f"{repo} could not be fetched from {page}: {first_line}") from error


def _is_offline() -> bool:
    return bool(huggingface_hub.constants.HF_HUB_OFFLINE)
