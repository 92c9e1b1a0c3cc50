"""Configurations from TOML files, and the dataclasses built from their values."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from causerie import toml_config
from causerie.config import CSMConfig, csm_1b
from causerie.dataclass_dict import from_dict
from causerie.errors import ConfigError
from causerie.train.lm.config import LMConfig, LMRecipe, Lora, Samples


@dataclass(frozen=True, kw_only=True)
class Inner:
    steps: int
    lr: float = 0.1
    kind: Literal["a", "b"] = "a"
    parts: tuple[Literal["x", "y"], ...] = ("x",)


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Inner
    maybe: Inner | None = None
    free: dict[str, Any] = field(default_factory=dict)
    chances: tuple[float, ...] | None = None
    flag: bool = False


TEXT = """
name = "é\\n\\"x\\""
chances = [1, 0.5]
[inner]
steps = 3
parts = ["y", "x"]
[free.deep]
size = 4
"""


def write(tmp_path: Path, text: str = TEXT) -> Path:
    path = tmp_path / "a.toml"
    path.write_text(text, "utf-8")
    return path


def test_read_values_and_defaults(tmp_path: Path) -> None:
    found = toml_config.read(Outer, write(tmp_path))
    assert found == Outer(
        name='é\n"x"', inner=Inner(steps=3, parts=("y", "x")), free={"deep": {"size": 4}},
        chances=(1.0, 0.5),
    )  # fmt: skip
    assert isinstance(found.chances[0], float)


def test_overrides(tmp_path: Path) -> None:
    changes = ["inner.steps=7", "name=bare word", "inner.lr=1e-3", "maybe.steps = 2", "flag=true"]
    found = toml_config.read(Outer, write(tmp_path), changes)
    assert (found.inner.steps, found.inner.lr) == (7, 1e-3)
    assert (found.name, found.flag) == ("bare word", True)
    assert found.maybe == Inner(steps=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("inner.step=1", r"unknown key inner.step: did you mean steps\?"),
        ("zzzz=1", r"unknown key zzzz: there are name, inner"),
        ("inner.lr=fast", "inner.lr must be a number, not 'fast'"),
        ("inner.steps=1.5", "inner.steps must be a whole number, not 1.5"),
        ("inner.steps=true", "inner.steps must be a whole number, not True"),
        ("inner.kind=c", "inner.kind must be 'a' or 'b', not 'c'"),
        ('inner.parts=["z"]', "inner.parts must be 'x' or 'y', not 'z'"),
        ("inner.parts=x", "inner.parts must be a list, each 'x' or 'y', not 'x'"),
        ("inner=3", "inner must be a table, not 3"),
        ("maybe.lr=1.0", "maybe.steps is missing"),
        ("name.x=1", "name is a value, not a table"),
        ("name", "must look like table.key=value"),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        toml_config.read(Outer, write(tmp_path), [change])


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml cannot be read"):
        toml_config.read(Outer, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        toml_config.read(Outer, write(tmp_path, "a = = 1"))
    with pytest.raises(ConfigError, match="name is missing; inner is missing"):
        toml_config.read(Outer, write(tmp_path, ""))


def test_written_toml_reads_back_equal(tmp_path: Path) -> None:
    config = LMConfig(
        base="petit",
        data="ä\\b",
        out="o",
        recipe=LMRecipe(steps=1, lr=1e-5, samples=Samples(turns=(0.25, 0.75))),
        lora=Lora(parts=("depth",)),
    )
    assert toml_config.read(LMConfig, write(tmp_path, toml_config.to_toml(config))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"max_frames": 3}}, "needs from_scratch = true"),
        ({"lora": {}, "from_scratch": True}, "cannot be used with from_scratch"),
        ({"lora": {"parts": ["heads"]}}, "parts must include backbone or depth"),
        ({"lora": {"layers": ["q"]}}, "layers must be some of q_proj"),
        ({"recipe": {"steps": 0, "lr": 1.0}}, "recipe.steps must be at least 1, not 0"),
        ({"recipe": {"steps": 1, "lr": 0.0}}, "lr must be above 0"),
        ({"recipe": {"steps": 1, "lr": 0.1, "ema": 1.0}}, "ema must be at least 0 and below 1"),
        ({"recipe": {"steps": 1, "lr": 0.1, "samples": {"batch": 0}}}, "samples.batch must be at"),
        (
            {"lora": {}, "recipe": {"steps": 1, "lr": 0.1, "optimizer": "muon"}},
            "muon.* is for training from scratch",
        ),
    ],
)
def test_contradictory_values_are_refused(values: dict[str, Any], message: str) -> None:
    usual = {"base": "b", "data": "d", "out": "o", "recipe": {"steps": 1, "lr": 0.1}}
    with pytest.raises(ConfigError, match=message):
        from_dict(LMConfig, {**usual, **values})


@dataclass(frozen=True)
class Shapes:
    inners: tuple[Inner, ...]
    maybe: Inner | None
    size: float | None


def test_json_values_become_nested_dataclasses() -> None:
    values = json.loads('{"inners": [{"steps": 1}, {"steps": 2}], "maybe": null, "size": 3}')
    found = from_dict(Shapes, values)
    assert found == Shapes((Inner(steps=1), Inner(steps=2)), None, 3.0)
    assert isinstance(found.size, float)


def test_asdict_and_json_are_undone() -> None:
    sizes = csm_1b()
    sizes = dataclasses.replace(sizes, depth=dataclasses.replace(sizes.depth, rope_scaling=None))
    assert from_dict(CSMConfig, json.loads(json.dumps(dataclasses.asdict(sizes)))) == sizes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_codebooks": "32"}, "num_codebooks must be a whole number, not '32'"),
        ({"max_frame": 1}, r"unknown key max_frame: did you mean max_frames"),
        ({"depth": {"dim": 4}}, "depth.num_layers is missing; depth.num_heads is missing"),
        ({"depth": None}, "depth must be a table, not None"),
    ],
)
def test_wrong_json_values_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(CSMConfig, {**dataclasses.asdict(csm_1b()), **change})
