"""Lets causerie run where only torch's own packages are, as in torch's container images.

A missing package becomes a module that raises ModuleNotFoundError when something in it is used.
A missing sentencex becomes one that ends sentences at full stops, question and exclamation marks.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

#: Packages that causerie imports and that speech from a plain text does not need.
UNNEEDED = ("soundfile", "soxr")
_SENTENCE = re.compile(r".+?(?:[.!?]+\s*|\Z)", re.DOTALL)


class Missing(ModuleType):
    """Stands in for a package until something in it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by importlib and inspect
            raise AttributeError(name)
        raise ModuleNotFoundError(f"{self.__name__} is not installed", name=self.__name__)


def segment(language: str, text: str) -> Iterator[str]:
    """The sentences of a plain text, each with the space after it."""
    return (found.group() for found in _SENTENCE.finditer(text))


def install() -> list[str]:
    """Put modules in the place of missing packages; return the names of these."""
    absent = [name for name in (*UNNEEDED, "sentencex") if not _is_there(name)]
    for name in absent:
        sys.modules[name] = Missing(name)
    if "sentencex" in absent:
        vars(sys.modules["sentencex"])["segment"] = segment
    return absent


def missing() -> list[str]:
    """The names of the packages that were replaced."""
    known = (*UNNEEDED, "sentencex")
    return [name for name in known if isinstance(sys.modules.get(name), Missing)]


def _is_there(name: str) -> bool:
    try:
        return name in sys.modules or find_spec(name) is not None
    except ModuleNotFoundError:
        return False
