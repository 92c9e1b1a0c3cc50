"""Imports packages of the extra `evaluate` when they are needed, and says what to install."""

from __future__ import annotations

import importlib
from typing import Any

from causerie.errors import ConfigError

EXTRA = 'pip install "causerie[evaluate]"'


def need(module: str, install: str = EXTRA) -> Any:
    """A module of a package that the base installation lacks.

    Args:
        install: the command that brings it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = error.name or module
        raise ConfigError(f"evaluation needs {name}, which is not installed: {install}") from error
