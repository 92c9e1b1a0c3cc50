"""Reads frozen dataclasses from TOML files, and writes them."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from causerie.dataclass_dict import from_dict
from causerie.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def read(cls: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """The configuration in a TOML file.

    Args:
        overrides: ``a.b=value`` each, the value in TOML syntax; a bare word is a string.

    Raises:
        ConfigError: the file cannot be read, or its values do not fit (see `from_dict`).
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    for text in overrides:
        _set(values, text)
    try:
        return from_dict(cls, values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def override(config: T, overrides: Sequence[str]) -> T:
    """The configuration with some values changed, each by ``a.b=value``.

    Raises:
        ConfigError: as `read`.
    """
    values = tomllib.loads(to_toml(config))
    for text in overrides:
        _set(values, text)
    return from_dict(type(config), values)


def to_toml(config: Any) -> str:
    """TOML from which `read` builds an equal dataclass. Values of None are left out."""
    return "\n".join(_tables(dataclasses.asdict(config), "")) + "\n"


def _set(values: dict[str, Any], text: str) -> None:
    """Set one value of nested tables by ``a.b=value``."""
    name, equals, written = text.partition("=")
    *tables, last = name.strip().split(".")
    if not equals or not last:
        raise ConfigError(f"--set {text!r} must look like table.key=value")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {text!r}: {table} is a value, not a table")
    try:
        values[last] = tomllib.loads(f"x = {written.strip()}")["x"]
    except tomllib.TOMLDecodeError:
        values[last] = written.strip()


def _tables(values: Mapping[str, Any], prefix: str) -> list[str]:
    plain = {k: v for k, v in values.items() if v is not None and not isinstance(v, Mapping)}
    nested = {k: v for k, v in values.items() if isinstance(v, Mapping)}
    lines = [f"{key} = {_literal(value)}" for key, value in plain.items()]
    for key, table in nested.items():
        name = f"{prefix}{key}"
        lines += ["", f"[{name}]", *_tables(table, f"{name}.")]
    return lines


def _literal(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_literal(item) for item in value)}]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
