"""Frozen dataclasses from TOML and back; unknown keys are errors that name near ones.

Knows nothing of what the settings mean.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from causerie.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def read(cls: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """The settings in a TOML file.

    Args:
        overrides: ``a.b=value`` each, the value as TOML has it; a bare word is a string.

    Raises:
        ConfigError: unreadable, unknown or missing keys, or values of another type.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    for text in overrides:
        override(values, text)
    try:
        return build(cls, values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def changed(settings: T, overrides: Sequence[str]) -> T:
    """Settings with some values changed, each by ``a.b=value``.

    Raises:
        ConfigError: as `read`.
    """
    values = tomllib.loads(to_toml(settings))
    for text in overrides:
        override(values, text)
    return build(type(settings), values)


def override(values: dict[str, Any], text: str) -> None:
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


def build(cls: type[T], values: Mapping[str, Any], table: str = "") -> T:
    """A dataclass of TOML values.

    Raises:
        ConfigError: naming every unknown key with near ones, every missing one, or the first
            value of another type.
    """
    assert dataclasses.is_dataclass(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    problems = [_unknown(f"{table}{key}", key, fields) for key in values if key not in fields]
    problems += [
        f"{table}{name} is missing"
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if problems:
        raise ConfigError("; ".join(problems))
    hints = get_type_hints(cls)
    made = {key: _value(hints[key], value, f"{table}{key}") for key, value in values.items()}
    try:
        return cls(**made)
    except ConfigError as error:
        raise ConfigError(f"{table}{error}" if table else str(error)) from error


def _unknown(name: str, key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, known, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return f"unknown key {name}: {hint}"


def _value(hint: Any, value: Any, name: str) -> Any:
    """A value as its field wants it."""
    if get_origin(hint) in (Union, types.UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        assert len(options) == 1, f"{name}: one type, or none"
        return _value(options[0], value, name)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        assert isinstance(hint, type)
        return build(hint, value, f"{name}.")
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(get_args(hint)[0], part, name) for part in value)
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return dict(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise ConfigError(f"{name} must be {_wanted(hint)}, not {value!r}")


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(repr(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list, each {_wanted(get_args(hint)[0])}"
    if dataclasses.is_dataclass(hint) or get_origin(hint) is dict:
        return "a table"
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    return names[hint]


def to_toml(settings: Any) -> str:
    """TOML that `read` gives the same dataclass for; what is None is left out."""
    return "\n".join(_tables(dataclasses.asdict(settings), "")) + "\n"


def _tables(values: Mapping[str, Any], name: str) -> list[str]:
    plain = {k: v for k, v in values.items() if v is not None and not isinstance(v, Mapping)}
    nested = {k: v for k, v in values.items() if isinstance(v, Mapping)}
    lines = [f"{key} = {_written(value)}" for key, value in plain.items()]
    for key, table in nested.items():
        inner = f"{name}{key}"
        lines += ["", f"[{inner}]", *_tables(table, f"{inner}.")]
    return lines


def _written(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_written(part) for part in value)}]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
