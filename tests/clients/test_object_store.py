"""The voice store in S3, served by moto: the store's tests, and behaviour specific to S3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from causerie.errors import StoreError
from causerie.server.voices.folder import open_folder
from tests.server.voices.test_store import (  # noqa: F401 run with the `where` of this module
    RATE,
    SOUND,
    store,
    test_a_deleted_voice_is_gone_everywhere,
    test_a_voice_is_found_by_id_and_name_in_every_store,
    test_a_voice_of_another_codec_is_encoded_again,
    test_an_unknown_name_gets_a_hint,
    test_concurrent_adds_of_one_name_store_at_most_one_voice,
    test_consents_are_stored_with_their_recordings,
    test_names_are_unique,
)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """An S3 file system; s3:// URLs use the same server."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    how = {"endpoint_url": f"http://{host}:{port}", "key": "a key", "secret": "a secret"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(fsspec.config.conf, "s3", how)
        yield fsspec.filesystem("s3", **how)
    server.stop()


@pytest.fixture
def where(s3: Any) -> str:
    bucket = f"bucket-{uuid4().hex}"
    s3.mkdir(bucket)
    return f"s3://{bucket}/voices"


def test_an_empty_object_is_skipped(where: str, s3: Any) -> None:
    store(where).add("ada", SOUND, RATE, "Hello.")
    s3.pipe_file(f"{where}/voices/voice_{'0' * 24}.safetensors", b"")
    one = store(where)
    assert [info.name for info in one.info()] == ["ada"]
    assert len(one.problems) == 1


def test_removing_a_missing_object_returns_false(where: str) -> None:
    folder = open_folder(where)
    folder.write("voices/a", b"one")
    assert folder.remove("voices/a")
    assert not folder.remove("voices/a")


def test_storage_errors_are_raised(where: str, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_folder(f"s3://no-{uuid4().hex}/voices")
    with pytest.raises(StoreError, match="there is no bucket 'no-"):
        folder.write("voices/a", b"one")
    nowhere = {**fsspec.config.conf["s3"], "endpoint_url": "http://127.0.0.1:1"}
    monkeypatch.setitem(fsspec.config.conf, "s3", nowhere)
    with pytest.raises(StoreError, match=r"voices cannot be listed: .*127\.0\.0\.1:1"):
        open_folder(where)
