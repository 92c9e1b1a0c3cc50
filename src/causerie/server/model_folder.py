"""A folder of models, each asked for by its name.

    FOLDER/NAME                      a model, or an adapter as peft has it
    FOLDER/NAME/model, …/adapter     the same, in what `causerie finetune` or `train lm` wrote

Knows their names and files, and nothing of what is in them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

ADAPTER, MODEL = "adapter_config.json", "config.json"
#: A folder is looked at again after so many seconds.
LISTED_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """A model in the folder.

    Attributes:
        voices: files of those beside it, by name.
    """

    name: str
    folder: Path
    is_adapter: bool
    voices: dict[str, Path]


class ModelFolder:
    """What is in a folder of models now; nothing where there is none."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser() if path else None
        self._listed: tuple[float, dict[str, Found]] = (-LISTED_S, {})

    def found(self) -> dict[str, Found]:
        """Its models by name, those left out that are being written; up to 2 s old."""
        at, found = self._listed
        if self.path is not None and time.monotonic() - at > LISTED_S:
            models = map(_found, sorted(self.path.glob("[!.]*")))
            found = {model.name: model for model in models if model is not None}
            self._listed = (time.monotonic(), found)
        return found


def _found(path: Path) -> Found | None:
    for place in (path, path / "model", path / "adapter"):
        is_adapter = (place / ADAPTER).is_file()
        if is_adapter or (place / MODEL).is_file():
            files = sorted((place / "voices").glob("*.safetensors"))
            return Found(
                name=path.name,
                folder=place,
                is_adapter=is_adapter,
                voices={file.stem: file for file in files},
            )
    return None
