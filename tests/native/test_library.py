"""The choice of the library, and the errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from causerie import native
from causerie.errors import ConfigError
from causerie.native import build
from causerie.native.library import load, runnable


def test_the_fastest_kernels_are_taken():
    assert native.problem() is None, "the tests need a C++ compiler"
    assert load().kernels == runnable()[0] == native.describe()
    assert runnable()[-1] == "generic"


def test_the_environment_turns_them_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CAUSERIE_NATIVE", "0")
    assert native.describe() == "not in use: CAUSERIE_NATIVE=0 turns them off"
    with pytest.raises(ConfigError, match="CAUSERIE_NATIVE=0"):
        load.__wrapped__()


def test_a_library_of_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "source_hash", lambda: "another")
    with pytest.raises(
        ConfigError, match=r"built from other sources; `python -m causerie\.native`"
    ):
        load.__wrapped__()


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    assert "not built, perhaps without a C++ compiler" in native.describe()


def test_unknown_kernels_are_refused():
    with pytest.raises(ConfigError, match=r"does not run 'avx1024' kernels, only .*generic"):
        load("avx1024")


def test_current_libraries_are_not_compiled_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "/no/compiler")
    assert [path.name for path in build.build()] == [
        f"causerie_{kernels}.so" for kernels in build.variants()
    ]


def test_a_missing_compiler_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "/no/compiler")
    monkeypatch.setattr(build, "source_hash", lambda: "another")
    with pytest.raises(build.BuildError, match="/no/compiler cannot be run"):
        build.build()
