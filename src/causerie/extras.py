"""Packages that the base installation lacks, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from causerie.errors import ConfigError


def need(module: str, extra: str, *, also: str = "") -> Any:
    """A module of a package that one of causerie's extras brings.

    Args:
        extra: such as "data" or "evaluate".
        also: a further command that it takes.

    Raises:
        ConfigError: it is not installed; says how.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        install = f'pip install "causerie[{extra}]"' + (f" && {also}" if also else "")
        name = (error.name or module).partition(".")[0]
        raise ConfigError(
            f"the package {name} is needed and is not installed: {install}"
        ) from error
