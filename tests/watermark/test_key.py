"""Keys: their files, and what is refused."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import pytest

from causerie.errors import WatermarkError
from causerie.watermark.key import (
    KEY_VARIABLE,
    PUBLIC_KEY,
    Watermark,
    new_key,
    read_key,
    usual_key,
    write_key,
)


def test_a_key_is_read_as_it_was_written(tmp_path: Path):
    key, path = new_key(), tmp_path / "my.key"
    assert write_key(path, key) == path
    assert read_key(path) == key
    assert Watermark.load(path, payload=3) == Watermark(key=key, payload=3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(WatermarkError, match=r"my\.key exists: .*; give another name"):
        write_key(path, key)
    assert read_key(path) == key


def test_keys_differ():
    assert len({new_key() for _ in range(20)}) == 20


@pytest.mark.parametrize("contents", [b"", b"zz" * 32, b"ab" * 31, b"ab" * 33, b"\xff" * 64])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, contents: bytes):
    path = tmp_path / "bad.key"
    path.write_bytes(contents)
    with pytest.raises(WatermarkError, match=r"bad\.key must hold 64 hexadecimal digits: "):
        read_key(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(WatermarkError, match=r"key file .*gone cannot be read: No such file"):
        read_key(tmp_path / "gone")
    with pytest.raises(WatermarkError, match=r"cannot write .*gone/key: No such file"):
        write_key(tmp_path / "gone" / "key", new_key())


def test_the_variable_names_the_file_of_the_usual_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert usual_key() == PUBLIC_KEY
    path, key = tmp_path / "key", new_key()
    write_key(path, key)
    monkeypatch.setenv(KEY_VARIABLE, str(path))
    assert usual_key() == key


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"key": b"short"}, "has 32 bytes, not 5 bytes"),
        ({"key": "x" * 32}, "has 32 bytes, not str"),
        ({"payload": 65_536}, "0 to 65535, not 65536"),
        ({"payload": -1}, "0 to 65535, not -1"),
        ({"payload": True}, "a whole number, not True"),
    ],
)
def test_what_is_no_watermark_is_refused(given: dict[str, Any], message: str):
    with pytest.raises(WatermarkError, match=re.escape(message)):
        Watermark(**given)


def test_a_key_is_not_shown():
    assert "key" not in repr(Watermark(key=bytes(32), payload=7))
    assert Watermark().is_public
    assert not Watermark(key=bytes(32)).is_public
