"""Converts the values of options and arguments.

typer converts them by pydantic, whose import takes as long as the rest of the command line, and
whose errors do not repeat the value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

_EXPECTED: dict[type, str] = {int: "a whole number", float: "a number", str: "", Path: ""}
_LISTS: dict[Any, type] = {list[value_type]: value_type for value_type in _EXPECTED}  # type: ignore[valid-type]


def convert_without_pydantic(params: list[Any]) -> None:
    """Give parameters of numbers, strings and paths our conversion; others keep typer's."""
    for param in params:
        described = getattr(param, "type_descriptor", None)
        if described is None or described.is_ranged:  # None: a typer without pydantic
            continue
        convert = _LISTS.get(described.annotation, described.annotation)
        if convert in _EXPECTED:
            param._runtime_param = _Value(convert)


@dataclass(frozen=True)
class _Value:
    convert: Callable[[Any], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value of a parameter: None, one value, or a list.

        Raises:
            BadParameter: the value is not a number.
        """
        is_list = param.multiple or param.nargs != 1
        if value is None:
            return () if is_list else None
        if is_list:
            return [self._one(item, param, ctx) for item in value]
        return self._one(value, param, ctx)

    def _one(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            return self.convert(value)
        except ValueError:
            expected = _EXPECTED[self.convert]  # type: ignore[index]
            raise typer.BadParameter(f"{value!r} is not {expected}", ctx=ctx, param=param) from None
