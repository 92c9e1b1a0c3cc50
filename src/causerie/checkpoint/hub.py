"""Downloads from the Hugging Face hub; the only code that uses the network.

Files lie in the usual Hugging Face cache, and HF_HUB_OFFLINE and the other variables of
huggingface_hub work. `causerie.checkpoint.locate` imports this module when a source is a hub id,
so that local checkpoints load without huggingface_hub and its HTTP client.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HFValidationError,
    HTTPError,  # of the HTTP client that this huggingface_hub uses
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from causerie.errors import CheckpointError


def snapshot(repo: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The folder with those files of a repository that match a pattern, downloaded if needed.

    Offline, some of the files may be missing: the caller checks for those it needs.

    Raises:
        CheckpointError: the download failed; names the page to open or the command to run.
    """
    with _explained(repo, revision):
        try:
            return Path(
                huggingface_hub.snapshot_download(
                    repo, revision=revision, allow_patterns=list(patterns)
                )
            )
        except LocalEntryNotFoundError as error:
            partial = getattr(error, "snapshot_path", None)
            if partial is None:
                raise
            return Path(partial)


def cached(repo: str, filename: str) -> Path | None:
    """The path of a file in the cache; None if it is not there."""
    found = huggingface_hub.try_to_load_from_cache(repo, filename)
    return Path(found) if isinstance(found, str) else None


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE is set."""
    return bool(huggingface_hub.constants.HF_HUB_OFFLINE)


@contextmanager
def _explained(repo: str, revision: str | None) -> Iterator[None]:
    """Turns errors of the hub into a CheckpointError with the cure."""
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
            "HF_HUB_OFFLINE is set: run `unset HF_HUB_OFFLINE` once to download it"
            if is_offline()
            else f"the hub cannot be reached: check the network, or download it from {page} "
            "elsewhere and pass the folder"
        )
        raise CheckpointError(f"{repo} is not in the cache ({page}), and {cure}") from error
    except HFValidationError as error:
        first_line = str(error).splitlines()[0]
        raise CheckpointError(
            f"{repo!r} is neither a local file nor a hub id: {first_line}"
        ) from error
    except (HTTPError, OSError) as error:  # every other answer of the hub, and a full disk
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise CheckpointError(
            f"{repo} could not be downloaded from {page}: {first_line}"
        ) from error
