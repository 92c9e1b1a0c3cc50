"""Packages that only preparing data needs, imported when they are."""

from __future__ import annotations

import importlib
from typing import Any

from causerie.errors import ConfigError


def need(module: str) -> Any:
    """A module of the `data` extra.

    Raises:
        ConfigError: it is not installed; says how.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"preparing data needs the package {module.partition('.')[0]}, which is not "
            f'installed: pip install "causerie[data]"'
        ) from error
