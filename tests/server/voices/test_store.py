"""The voice store: atomic writes, the same contents for every process."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

from causerie.errors import ConfigError, StoreError, UnknownVoiceError
from causerie.prompt import Segment
from causerie.server.dictionaries import Dictionaries
from causerie.server.errors import ApiError
from causerie.server.voices import folder as folders
from causerie.server.voices import store as stores
from causerie.server.voices.consents import UnknownConsentError
from causerie.server.voices.folder import LocalFolder, open_folder
from causerie.server.voices.openai_names import OPENAI_VOICES, builtin_voices, openai_voice
from causerie.server.voices.store import (
    _VOICE_FACTS,
    ConsentInUseError,
    NameTakenError,
    VoiceStore,
    codec_id,
    open_store,
)
from causerie.text.lexicon import UserLexicon
from causerie.tts import TTS
from causerie.voices import Voice
from tests import tiny
from tests.patience import PATIENCE_S

RATE = 24_000
SOUND = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32)


def made(name: str, segment: Segment) -> Voice:
    """A voice with made-up codes: fast, and different for different sounds."""
    assert isinstance(segment.audio, np.ndarray)
    codes = torch.from_numpy((np.abs(segment.audio[: 5 * 38]) * 100).astype("i8")).reshape(5, 38)
    return Voice(name=name, segments=(Segment(speaker=0, text=segment.text, codes=codes),))


def store(where: str | Path, codec: str = "a") -> VoiceStore:
    return VoiceStore(where, make_voice=made, codec=codec, taken=["heart", "alloy"])


@pytest.fixture(params=["disk", "objects"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder, or an object store."""
    if request.param == "disk":
        return str(tmp_path / "voices")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    return "memory://bucket/voices"


def same(one: Voice, other: Voice) -> bool:
    (ours,), (theirs,) = one.segments, other.segments
    assert ours.codes is not None
    assert theirs.codes is not None
    return (
        one.name == other.name
        and ours.text == theirs.text
        and torch.equal(ours.codes, theirs.codes)
    )


def test_a_voice_is_found_by_id_and_name_in_every_store(where: str) -> None:
    ours, other = store(where), store(where)
    assert ours.info() == []
    info = ours.add("Zoë", SOUND, RATE, "Hello.", language="fr", description="Calm")
    for one in (ours, other, store(where)):
        for name in (info.id, "Zoë", "ZOË", "Zoe\u0308", " zoë "):
            assert same(one.get(name), ours.get(info.id))
        assert one.info() == [info]
    assert ours.get("zoë") is ours.get("zoë")
    assert (info.name, info.language, info.description) == ("Zoë", "fr", "Calm")
    assert info.origin == "uploaded"
    assert info.preview_url == f"/v1/audio/voices/{info.id}/preview"
    found = other.find("zoë")
    assert found is not None
    assert (found.ref_text, found.consent) == ("Hello.", "")


def test_the_voices_in_memory_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MAX_LOADED", 2)
    one = store(tmp_path)
    names = [one.add(f"voice {number}", SOUND, RATE, "Hello.").id for number in range(3)]
    latest = one.get(names[2])
    first = one.get(names[0])
    assert one.get(names[2]) is latest
    one.get(names[1])
    assert one.get(names[0]) is not first


def test_a_deleted_voice_is_gone_everywhere(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "LISTED_S", 0.0)
    ours, other = store(where), store(where)
    info = ours.add("ada", SOUND, RATE, "Hello.")
    other.get("ada")
    ours.keep_preview(f"{info.id}-1.wav", b"one")
    ours.keep_preview("builtin-2.wav", b"two")
    assert other.preview(f"{info.id}-1.wav") == b"one"
    assert ours.delete("ADA") == info
    for one in (ours, other):
        with pytest.raises(UnknownVoiceError, match="no voice 'ada'"):
            one.get("ada")
        with pytest.raises(UnknownVoiceError):
            one.get(info.id)
        with pytest.raises(UnknownVoiceError):
            one.delete(info.id)
        assert one.info() == []
        assert one.preview(f"{info.id}-1.wav") is None
        assert one.preview("builtin-2.wav") == b"two"
    ours.add("ada", SOUND, RATE, "Hello.")


def test_an_unknown_name_gets_a_hint(where: str) -> None:
    one = store(where)
    one.add("adam", SOUND, RATE, "Hello.")
    with pytest.raises(UnknownVoiceError, match="no voice 'adan': did you mean adam"):
        one.get("adan")
    with pytest.raises(UnknownVoiceError, match="did you mean heart"):
        one.get("hart")
    with pytest.raises(UnknownVoiceError, match="GET /v1/audio/voices lists all"):
        one.get("../../etc/passwd")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "must not be empty"),
        (" \t", "must not be empty"),
        ("x" * 65, "has 65 characters: the limit is 64"),
        ("a/b", "not contain slashes"),
        ("a\\b", "not contain slashes"),
        ("a\nb", "or control characters"),
        ("a\x00", "or control characters"),
        (".", "must have a letter or a digit"),
        ("-- _", "must have a letter or a digit"),
        ("12", "speaker number"),
        ("voice_1", "look like an id"),
        ("Speaker 1", "look like an id"),
    ],
)
def test_invalid_names_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        store(tmp_path).add(name, SOUND, RATE, "Hello.")
    assert "\n" not in str(caught.value)


def test_names_are_unique(where: str) -> None:
    one, other = store(where), store(where)
    first = one.add("Straße", SOUND, RATE, "Hello.")
    for name in ("Straße", "STRASSE", "strasse "):
        with pytest.raises(
            NameTakenError, match=f"already a voice .*, {first.id}: delete it first"
        ):
            other.add(name, SOUND, RATE, "Hello.")
    for name in ("heart", "Alloy", "ａｌｌｏｙ"):
        with pytest.raises(NameTakenError, match="built-in voice: choose another"):
            other.add(name, SOUND, RATE, "Hello.")
    assert [info.id for info in other.info()] == [first.id]


def test_concurrent_adds_of_one_name_store_at_most_one_voice(where: str) -> None:
    barrier = threading.Barrier(6)

    def slowly(name: str, segment: Segment) -> Voice:
        barrier.wait(PATIENCE_S)  # by now, all have found the name free
        return made(name, segment)

    def add(number: int) -> str | None:
        one = VoiceStore(where, make_voice=slowly)
        try:
            return one.add("ada", SOUND, RATE, f"Hello {number}.").id
        except NameTakenError:
            return None

    with ThreadPoolExecutor(6) as pool:
        ids = [id for id in pool.map(add, range(6)) if id]
    assert [info.id for info in store(where).info()] == ids
    # Object stores have no lock, so all writers may withdraw.
    assert len(ids) == 1 or (not ids and "://" in where)


def test_a_voice_of_another_codec_is_encoded_again(where: str) -> None:
    store(where, "a").add("ada", SOUND, RATE, "Hello.")
    encoded = []

    def make_again(name: str, segment: Segment) -> Voice:
        encoded.append(segment)
        return made(name, segment)

    other = VoiceStore(where, make_voice=make_again, codec="b")
    assert same(other.get("ada"), store(where, "a").get("ada"))
    other.get("ada")
    (segment,) = encoded
    assert segment.text == "Hello."
    assert segment.sample_rate == RATE
    assert isinstance(segment.audio, np.ndarray)
    assert np.abs(segment.audio - SOUND).max() <= 0.5 / 32768


def test_the_library_loads_a_stored_voice(tmp_path: Path) -> None:
    tts = TTS(tiny.checkpoint())
    one = open_store(tmp_path, tts)
    info = one.add("ada", SOUND, RATE, "Hello.")
    (path,) = tmp_path.glob("voices/*.safetensors")
    settings = {"seed": 3, "max_duration_s": 0.3}
    by_store = tts.generate("Now.", voice=one.get(info.id), **settings)
    assert np.array_equal(by_store.samples, tts.generate("Now.", voice=path, **settings).samples)
    assert not np.array_equal(by_store.samples, tts.generate("Now.", **settings).samples)
    with pytest.raises(NameTakenError):
        one.check_name("Shimmer")
    assert codec_id(tts) == codec_id(TTS(tiny.checkpoint()))
    assert codec_id(tts) != codec_id(TTS(tiny.checkpoint(seed=1)))


def test_the_default_folder_is_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSERIE_CACHE", str(tmp_path / "cache"))
    open_store("", TTS(tiny.checkpoint())).add("ada", SOUND, RATE, "Hello.")
    assert len(list((tmp_path / "cache/voices/voices").iterdir())) == 1
    if os.name != "nt":
        assert (tmp_path / "cache/voices").stat().st_mode & 0o777 == 0o700


# -- damage ------------------------------------------------------------------------------------


@pytest.fixture
def voice_file(tmp_path: Path) -> Path:
    """The file of voice ada."""
    store(tmp_path).add("ada", SOUND, RATE, "Hello.")
    (path,) = tmp_path.glob("voices/*.safetensors")
    return path


@pytest.mark.parametrize("left", [0, 7, 8, 300, -1])
def test_a_truncated_file_is_logged_and_not_served(
    voice_file: Path, caplog: pytest.LogCaptureFixture, left: int
) -> None:
    voice_file.write_bytes(voice_file.read_bytes()[:left])
    with caplog.at_level(logging.WARNING):
        one = store(voice_file.parent.parent)
        assert one.info() == one.info() == []
    (record,) = caplog.records  # logged once, not on every refresh
    assert voice_file.name in record.getMessage()
    assert "\n" not in record.getMessage()
    (problem,) = one.problems
    assert voice_file.name in problem
    assert voice_file.exists()
    with pytest.raises(UnknownVoiceError):
        one.get("ada")
    one.add("ada", SOUND, RATE, "Hello.")  # the name is free


@pytest.mark.parametrize("where", ["codes", "facts"])
def test_a_flipped_bit_is_detected_on_read(voice_file: Path, where: str) -> None:
    contents = bytearray(voice_file.read_bytes())
    place = len(contents) - 9 if where == "codes" else contents.index(b"Hello.") + 4
    contents[place] ^= 1
    voice_file.write_bytes(contents)
    one = store(voice_file.parent.parent)
    with pytest.raises(UnknownVoiceError):
        one.get("ada")
    assert one.info() == []
    assert one.problems == [f"voices/{voice_file.name}: its contents have changed"]
    contents[place] ^= 1
    voice_file.write_bytes(contents)  # put back from elsewhere
    os.utime(voice_file, ns=(1, 1))
    assert one.get("ada").name == "ada"
    assert one.problems == []


def test_foreign_files_are_reported(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.add("ada", SOUND, RATE, "Hello.")
    good = one.get("ada")
    (tmp_path / "voices/notes.txt").write_text("notes")
    good.save(tmp_path / "voices/eve.safetensors")
    good.save(tmp_path / f"voices/voice_{'0' * 24}.safetensors")
    facts = {"facts": json.dumps({"name": 3})}
    (tmp_path / f"voices/voice_{'1' * 24}.safetensors").write_bytes(good.to_bytes(metadata=facts))
    again = store(tmp_path)
    assert [info.name for info in again.info()] == ["ada"]
    problems = "\n".join(again.problems)
    assert "its name does not have the form voice_…" in problems
    assert "it has no facts" in problems
    assert "its facts do not match this version" in problems
    assert len(again.problems) == 3


def file_with(metadata: object) -> bytes:
    """A safetensors file without tensors."""
    header = json.dumps({"__metadata__": metadata}).encode()
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize(
    "contents",
    [
        (60_000).to_bytes(8, "little") + 60_000 * b"[",
        (2**63).to_bytes(8, "little") + b"{}",
        file_with({"facts": 5}),
        file_with({"facts": "5"}),
        file_with({"facts": 50_000 * "["}),
        file_with([["facts", 5]]),
        file_with({"facts": json.dumps(dict.fromkeys(_VOICE_FACTS, "\ud800"))}),
    ],
)
def test_strange_contents_are_a_damaged_file(voice_file: Path, contents: bytes) -> None:
    voice_file.with_name(f"voice_{'3' * 24}.safetensors").write_bytes(contents)
    one = store(voice_file.parent.parent)
    assert [info.name for info in one.info()] == ["ada"]
    assert len(one.problems) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself", "link to nothing"])
def test_what_is_no_file_does_not_stop_the_store(voice_file: Path, kind: str) -> None:
    strange = voice_file.with_name(f"voice_{'3' * 24}.safetensors")
    if kind == "folder":
        strange.mkdir()
        voice_file.with_name(".a.part").mkdir()
    elif kind == "pipe":
        os.mkfifo(strange)
    else:
        strange.symlink_to(strange if kind == "link to itself" else "nothing")
    one = store(voice_file.parent.parent)
    assert [info.name for info in one.info()] == ["ada"]
    one.add("eve", SOUND, RATE, "Hello.")
    assert len(one.problems) == (kind in ("folder", "pipe"))


def test_a_file_of_another_user_is_damaged(
    voice_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = voice_file.with_name(f"voice_{'3' * 24}.safetensors")
    other.write_bytes(voice_file.read_bytes())
    openly = Path.open

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:  # root may read everything
        if path.name == other.name:
            raise PermissionError(13, "Permission denied")
        return openly(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    one = store(voice_file.parent.parent)
    assert [info.name for info in one.info()] == ["ada"]
    assert one.problems == [f"voices/{other.name}: this user may not read it"]


@pytest.mark.parametrize(
    "contents", [b"", b"{", b"[]", b'{"id": 5}', 60_000 * b"[", b"\xff", b'{"versions": []}']
)
def test_a_damaged_dictionary_does_not_hide_the_others(tmp_path: Path, contents: bytes) -> None:
    one = Dictionaries(store(tmp_path).folder)
    made = one.add("names", "", UserLexicon({}))
    (tmp_path / "dictionaries/dict_broken.json").write_bytes(contents)
    (tmp_path / "dictionaries/notes.txt").write_text("notes")
    assert one.all() == [made]
    with pytest.raises(ApiError, match="there is no pronunciation dictionary 'dict_broken'"):
        one.get("dict_broken")


def test_temporary_files_are_removed_on_start(voice_file: Path) -> None:
    left = voice_file.with_name(f".{voice_file.name}.1234.part")
    left.write_bytes(b"half")
    store(voice_file.parent.parent)
    assert not left.exists()
    assert voice_file.exists()


_HOLD = """
import sys
from pathlib import Path
from causerie.server.voices.folder import LocalFolder
folder = LocalFolder(Path(sys.argv[1]))
with folder.locked():
    print("held", flush=True)
    sys.stdin.readline()
    folder.write("voices/x", b"mine")
"""


def test_processes_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = LocalFolder(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        monkeypatch.setattr(ours._lock, "timeout", 0.1)
        with pytest.raises(StoreError, match="locked by another process"):
            ours.write("voices/x", b"ours")
        monkeypatch.setattr(folders, "LOCK_S", 0.1)
        with pytest.raises(ConfigError, match="locked by another process"):
            open_folder(tmp_path)
        ours._lock.timeout = 30
        other.stdin.write("\n")
        other.stdin.flush()
        ours.write("voices/x", b"ours")  # waits until the other has written
        assert other.wait() == 0
    assert ours.read("voices/x") == b"ours"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize(("kind", "least"), [("voice", 3), ("rename", 3), ("delete", 2)])
def test_a_write_killed_at_any_step_is_complete_or_absent(
    tmp_path: Path, kind: str, least: int
) -> None:
    store(tmp_path).add("first", SOUND, RATE, "Hello.")
    command = [sys.executable, "-m", "tests.server.voices.killed_store", str(tmp_path), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    num_kills = int(done.stdout)
    assert num_kills >= least
    after = store(tmp_path)
    assert after.problems == []
    assert not list(tmp_path.rglob("*.part"))
    names = {info.name for info in after.info()}
    if kind == "delete":
        assert names == set()
    else:
        assert "first" in names
    if kind == "voice":
        # The last write was not killed; the one killed after the rename is complete, too.
        assert f"voice {num_kills}" in names
        assert f"voice {num_kills - 1}" in names
        assert "voice 0" not in names
    for name in names:
        assert same(
            after.get(name),
            made(name, Segment(speaker=0, text="Hello.", audio=SOUND, sample_rate=RATE)),
        )
    (kept,), _ = after.consents.list()
    assert after.consents.recording(kept.id) == b"sound"
    assert kept.name == (f"name {num_kills}" if kind == "rename" else "Ada")


def test_a_full_disk_raises_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = store(tmp_path)

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        (tmp_path / "voices").mkdir()
        with pytest.raises(StoreError, match="cannot be written: No space left on device"):
            one.add("ada", SOUND, RATE, "Hello.")
    assert list((tmp_path / "voices").iterdir()) == []
    one.add("ada", SOUND, RATE, "Hello.")


def test_an_unusable_folder_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"folder of voices .*file cannot be used: File exists"):
        open_folder(tmp_path / "file")
    with pytest.raises(ConfigError, match="voices at nosuch://x cannot be opened"):
        open_folder("nosuch://x")
    local = open_folder(f"file://{tmp_path}/more")
    assert isinstance(local, LocalFolder)
    assert local.root == tmp_path / "more"


def test_known_voices_need_no_requests_to_the_object_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    MemoryFileSystem.store.clear()
    one = store("memory://bucket/seldom")
    one.add("ada", SOUND, RATE, "Hello.")
    files = fsspec.filesystem("memory")
    requests = []
    monkeypatch.setattr(folders, "LISTED_S", 1e9)
    for name in ("ls", "cat_file"):
        monkeypatch.setattr(files, name, lambda *a, _name=name, **k: requests.append(_name))
    for _ in range(3):
        one.get("ada")
    assert requests == []


# -- consents ----------------------------------------------------------------------------------


def consent(one: VoiceStore, name: str = "Ada") -> str:
    return one.consents.add(b"sound", name=name, language="en-US", media_type="audio/wav").id


def test_consents_are_stored_with_their_recordings(where: str) -> None:
    ours, other = store(where), store(where)
    id = consent(ours)
    for one in (ours, other):
        assert one.consents.recording(id) == b"sound"
        got = one.consents.get(id)
        assert (got.id, got.name, got.language, got.media_type) == (
            id,
            "Ada",
            "en-US",
            "audio/wav",
        )
    renamed = other.consents.rename(id, "Ada L.")
    assert renamed.created_at == got.created_at
    ours.consents.list()  # refreshes an object store, which is else read every 2 s
    assert ours.consents.get(id).name == "Ada L."
    assert ours.consents.recording(id) == b"sound"
    ours.delete_consent(id)
    for one in (other, ours):
        one.consents.list()
        for call in (one.consents.get, one.consents.recording, one.delete_consent):
            with pytest.raises(UnknownConsentError, match=id):
                call(id)
        with pytest.raises(UnknownConsentError, match=id):
            one.consents.rename(id, "x")


def test_consents_are_paginated_while_they_are_deleted(tmp_path: Path) -> None:
    one = store(tmp_path)
    ids = [consent(one, str(number)) for number in range(7)]
    seen: list[str] = []
    after = None
    while True:
        page, has_more = one.consents.list(after=after, limit=3)
        seen += [item.id for item in page]
        for item in page:
            one.delete_consent(item.id)
        after = page[-1].id
        if not has_more:
            break
    assert seen == ids[::-1]
    assert one.consents.list() == ([], False)
    for after in ("nonsense", "voice_" + "0" * 24, ""):
        with pytest.raises(ConfigError, match="after must be the id of a consent"):
            one.consents.list(after=after)


def test_a_consent_in_use_cannot_be_deleted(where: str) -> None:
    one = store(where)
    id = consent(one)
    one.add("ada", SOUND, RATE, "Hello.", consent=id)
    with pytest.raises(
        ConsentInUseError, match=r"voice 'ada' depends on consent 'cons_\w+': delete it first"
    ):
        one.delete_consent(id)
    one.add("eve", SOUND, RATE, "Hello.", consent=id)
    with pytest.raises(
        ConsentInUseError, match=r"voice 'eve' and voice 'ada' depend on .*: delete them first"
    ):
        one.delete_consent(id)
    one.delete("ada")
    one.delete("eve")
    one.delete_consent(id)
    with pytest.raises(UnknownConsentError):
        one.add("ada", SOUND, RATE, "Hello.", consent=id)
    assert one.info() == []


# -- built-in voices ---------------------------------------------------------------------------


def test_openai_names_work_with_any_model() -> None:
    petit = ["bruno", "clara", "heart", "mia", "nadia", "oscar", "ruth", "theo"]
    assert len(OPENAI_VOICES) == 13
    assert {openai_voice(name, petit) for name in OPENAI_VOICES} == set(petit)
    assert openai_voice("Onyx", petit) == "bruno"
    assert openai_voice("nobody", petit) is None
    assert {openai_voice(name, ["leon"]) for name in OPENAI_VOICES} == {"leon"}
    assert sorted(openai_voice(name, []) for name in OPENAI_VOICES) == list(range(13))


def test_builtin_voices_have_descriptions() -> None:
    petit = TTS.from_pretrained("petit").voices
    listed = builtin_voices(petit)
    assert listed[0].id == "heart"
    assert {info.id for info in listed} == set(petit)
    assert all(info.description and info.origin == "builtin" for info in listed)
    assert [info.id for info in builtin_voices([])] == ["0", "1", "2", "3"]
    (leon,) = builtin_voices(["leon b"])
    assert leon.preview_url == "/v1/audio/voices/leon%20b/preview"
