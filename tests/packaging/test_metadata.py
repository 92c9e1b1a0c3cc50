"""What is published: one version, extras for users alone, and a README that works there."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import causerie
from causerie import extras

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
EXTRAS = PROJECT["optional-dependencies"]
README = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]


def test_there_is_one_version() -> None:
    assert metadata.version("causerie") == causerie.__version__ == PROJECT["version"]
    sources = (ROOT / "src" / "causerie").rglob("*.py")
    assert [path for path in sources if f'"{PROJECT["version"]}"' in path.read_text("utf-8")] == []


def test_the_pythons_are_the_same_everywhere() -> None:
    listed = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert listed == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    accepted = SpecifierSet(PROJECT["requires-python"])
    assert [version in accepted for version in ("3.9", *listed)] == [False] + 5 * [True]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "(3, 10) <= v < (3, 15)" in makefile
    assert "3.10 to 3.14" in makefile


def test_causerie_info_lists_every_extra() -> None:
    assert {*extras.EXTRAS} == {*EXTRAS}


def test_development_tools_are_groups_and_not_published() -> None:
    assert {"dev", "reference", "clients", "recipe", "docs", "release"} <= {*GROUPS}
    assert not {*GROUPS} & {*EXTRAS}
    published = {Requirement(line).name for lines in EXTRAS.values() for line in lines}
    assert not {"pytest", "ruff", "mypy", "hypothesis", "mkdocs", "twine"} & published


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-clients.txt"])
def test_every_requirement_is_pinned(name: str) -> None:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    pinned = {canonicalize_name(pin.name) for pin in pins}
    if name == "constraints.txt":
        parts = [EXTRAS[extra] for extra in EXTRAS if extra not in ("ray", "pipecat", "livekit")]
        parts += [GROUPS[group] for group in GROUPS if group != "clients"]
    else:
        parts = [GROUPS["clients"], EXTRAS["server"]]
        parts += [EXTRAS[extra] for extra in ("ray", "pipecat", "livekit")]
    required = [Requirement(line) for part in [PROJECT["dependencies"], *parts] for line in part]
    # torch pins the triton that it brings.
    names = {canonicalize_name(requirement.name) for requirement in required}
    assert names - pinned - {"causerie", "triton"} == set()
    assert "pip" in pinned


def _published(text: str) -> str:
    """A README as the metadata hook of pyproject.toml changes it."""
    for change in README["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    return text.replace("$HFPR_VERSION", PROJECT["version"])


def test_links_and_pictures_of_a_readme_become_absolute() -> None:
    page = f"https://github.com/causerie/causerie/blob/v{PROJECT['version']}/"
    file = f"https://raw.githubusercontent.com/causerie/causerie/v{PROJECT['version']}/"
    for text, expected in {
        "[a](docs/a.md#b)": f"[a]({page}docs/a.md#b)",
        "![a](docs/a.png)": f"![a]({file}docs/a.png)",
        "[![a](docs/a.png)](LICENSE)": f"[![a]({file}docs/a.png)]({page}LICENSE)",
        '<img alt="a" src="docs/a.png">': f'<img alt="a" src="{file}docs/a.png">',
        '<a href="docs/a.md">': f'<a href="{page}docs/a.md">',
        "[a](#b) [a](https://a.b/c) ![a](https://a.b/c)": "[a](#b) [a](https://a.b/c) ![a](https://a.b/c)",
    }.items():
        assert _published(text) == expected


def test_the_readme_has_only_absolute_links_on_an_index() -> None:
    """The links themselves are checked by tests/test_docs.py."""
    text = _published((ROOT / "README.md").read_text("utf-8"))
    found = re.findall(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"', text)
    links = ["".join(pair) for pair in found]
    assert links
    assert [link for link in links if not re.match(r"https?://|#", link)] == []
