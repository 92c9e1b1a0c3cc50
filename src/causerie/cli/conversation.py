"""Reads the file of `--context`: earlier turns, as JSON.

    [{"speaker": 0, "text": "What they said.", "audio": "turn1.wav"}, …]

Paths are relative to the file. A turn whose words are unknown has no text.
"""

from __future__ import annotations

import json
from pathlib import Path

from causerie.errors import ConfigError
from causerie.prompt import Segment

_KEYS = {"speaker": int, "text": str, "audio": str}


def read_conversation(path: Path) -> list[Segment]:
    """The turns in a file.

    Raises:
        ConfigError: the file is missing, not JSON, or has another structure.
    """
    try:
        turns = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"context file {path} cannot be opened: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"context file {path} is not JSON: {error}") from error
    if not isinstance(turns, list):
        raise ConfigError(f"context file {path} must hold a list of turns, not {_kind(turns)}")
    return [_segment(turn, f"{path}, turn {n}", path.parent) for n, turn in enumerate(turns, 1)]


def _segment(turn: object, name: str, folder: Path) -> Segment:
    wanted = 'an object such as {"speaker": 0, "text": "…", "audio": "turn.wav"}'
    if not isinstance(turn, dict):
        raise ConfigError(f"{name} must be {wanted}, not {_kind(turn)}")
    turn = {"text": "", **turn}
    missing, unknown = sorted(_KEYS.keys() - turn.keys()), sorted(turn.keys() - _KEYS.keys())
    if missing or unknown:
        raise ConfigError(f"{name}: missing keys {missing}, unknown keys {unknown}; write {wanted}")
    for key, kind in _KEYS.items():
        if not isinstance(turn[key], kind) or isinstance(turn[key], bool):
            raise ConfigError(f"{name}: {key} must be {kind.__name__}, not {turn[key]!r}")
    return Segment(speaker=turn["speaker"], text=turn["text"], audio=folder / turn["audio"])


def _kind(value: object) -> str:
    return type(value).__name__
