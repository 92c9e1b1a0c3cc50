"""A folder of models, each with a name.

    FOLDER/NAME                      a model, or an adapter in peft's layout
    FOLDER/NAME/model, …/adapter     the same, as `causerie finetune` and `train lm` write them

Knows their names and files, not their contents.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from causerie.voice_file import voice_files

ADAPTER, MODEL = "adapter_config.json", "config.json"
#: Seconds for which a listing of the folder is used.
LISTED_S = 2.0


@dataclass(frozen=True, kw_only=True)
class FolderModel:
    """A model in the folder.

    Attributes:
        voices: the voice files beside it, by name.
    """

    name: str
    folder: Path
    is_adapter: bool
    voices: dict[str, Path]


class ModelFolder:
    """The models that are in a folder now; none if there is no folder."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser() if path else None
        self._listed: tuple[float, dict[str, FolderModel]] = (-LISTED_S, {})

    def models(self) -> dict[str, FolderModel]:
        """The complete models, by name; up to 2 s old."""
        listed_at, models = self._listed
        if self.path is not None and time.monotonic() - listed_at > LISTED_S:
            found = map(_model, sorted(self.path.glob("[!.]*")))
            models = {model.name: model for model in found if model is not None}
            self._listed = (time.monotonic(), models)
        return models


def _model(path: Path) -> FolderModel | None:
    for folder in (path, path / "model", path / "adapter"):
        is_adapter = (folder / ADAPTER).is_file()
        if is_adapter or (folder / MODEL).is_file():
            return FolderModel(
                name=path.name,
                folder=folder,
                is_adapter=is_adapter,
                voices=voice_files(folder),
            )
    return None
