"""Voices in S3, as moto serves it: the tests of the voice store, and what only S3 does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from causerie.errors import StoreError
from causerie.server.voices.folder import open_folder
from tests.server.voices.test_store import (  # noqa: F401 each with the `where` of this module
    RATE,
    SOUND,
    store,
    test_a_deleted_voice_is_gone_everywhere,
    test_a_name_is_given_once,
    test_a_voice_is_found_by_id_and_by_name_of_any_case_and_by_other_stores,
    test_an_unknown_name_gets_a_hint,
    test_codes_of_another_codec_are_made_anew_from_the_recording,
    test_consents_are_kept_with_their_recordings,
    test_of_many_that_want_a_name_at_once_at_most_one_has_it,
)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A file system of S3, which URLs get too."""
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


def test_an_empty_object_is_passed_over(where: str, s3: Any) -> None:
    store(where).add("ada", SOUND, RATE, "Hello.")
    s3.pipe_file(f"{where}/voices/voice_{'0' * 24}.safetensors", b"")
    one = store(where)
    assert one.names()[1:] == ["ada"]
    assert len(one.problems) == 1


def test_what_is_not_there_is_not_removed(where: str) -> None:
    folder = open_folder(where)
    folder.write("voices/a", b"one")
    assert folder.remove("voices/a")
    assert not folder.remove("voices/a")


def test_what_hinders_is_told(where: str, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_folder(f"s3://no-{uuid4().hex}/voices")
    with pytest.raises(StoreError, match="there is no bucket 'no-"):
        folder.write("voices/a", b"one")
    nowhere = {**fsspec.config.conf["s3"], "endpoint_url": "http://127.0.0.1:1"}
    monkeypatch.setitem(fsspec.config.conf, "s3", nowhere)
    with pytest.raises(StoreError, match=r"voices cannot be listed: .*127\.0\.0\.1:1"):
        open_folder(where)
