"""Builds frozen dataclasses from dicts of plain values, as JSON and TOML files hold them.

Knows no file format and no particular dataclass.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from causerie.errors import ConfigError

T = TypeVar("T")


def from_dict(cls: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """A dataclass with these values; nested dicts become nested dataclasses.

    Args:
        prefix: put before the names of keys in errors, such as ``recipe.``.

    Raises:
        ConfigError: for all unknown keys (with similar known ones) and all missing keys, else
            for the first value of a wrong type.
    """
    assert dataclasses.is_dataclass(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    problems = [_unknown_key(f"{prefix}{key}", key, fields) for key in values if key not in fields]
    problems += [
        f"{prefix}{name} is missing"
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if problems:
        raise ConfigError("; ".join(problems))
    hints = get_type_hints(cls)
    checked = {key: _checked(hints[key], value, f"{prefix}{key}") for key, value in values.items()}
    try:
        return cls(**checked)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from error


def _unknown_key(name: str, key: str, known: Mapping[str, Any]) -> str:
    similar = difflib.get_close_matches(key, known, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(similar)}?" if similar else f"there are {', '.join(known)}"
    return f"unknown key {name}: {hint}"


def _checked(hint: Any, value: Any, name: str) -> Any:
    """The value, converted to the field's type where plain values cannot express it."""
    if get_origin(hint) in (Union, types.UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        assert len(options) == 1, f"{name}: unions other than `X | None` are not supported"
        return None if value is None else _checked(options[0], value, name)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        assert isinstance(hint, type)
        return from_dict(hint, value, f"{name}.")
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        return tuple(_checked(get_args(hint)[0], item, name) for item in value)
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return dict(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise ConfigError(f"{name} must be {_description(hint)}, not {value!r}")


def _description(hint: Any) -> str:
    """The type in the words of an error message."""
    if get_origin(hint) is Literal:
        return " or ".join(repr(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list, each {_description(get_args(hint)[0])}"
    if dataclasses.is_dataclass(hint) or get_origin(hint) is dict:
        return "a table"
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    return names[hint]
