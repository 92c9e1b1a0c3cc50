"""Shards: what is written is read, whole or not at all, and by the right codec only."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from causerie.codec.mimi import Mimi
from causerie.data.shards import (
    NewTurn,
    ShardWriter,
    SpeechData,
    Turn,
    codec_fingerprint,
)
from causerie.errors import ConfigError
from tests import tiny

K = 3


def new_turn(turn: int, num_frames: int, speaker: str = "ann") -> NewTurn:
    codes = np.random.default_rng(turn).integers(0, 2048, (num_frames, K))
    return NewTurn(
        text=f"Turn {turn}, é.", speaker=speaker, turn=turn, codes=codes,
        source="a.wav", start_s=1.5 * turn, end_s=1.5 * turn + 1,
    )  # fmt: skip


def writer(folder: Path, codec: str = "c0de", num_codebooks: int = K) -> ShardWriter:
    return ShardWriter(
        folder, codec=codec, num_codebooks=num_codebooks, frame_rate=12.5, frames_per_shard=20
    )


TALKS = {f"talk {i}": [new_turn(2 * i, 4 + i), new_turn(2 * i + 1, 7, "bob")] for i in range(5)}


def write_all(folder: Path, stop_after: int | None = None) -> None:
    """Stopped as by a kill: without close."""
    to = writer(folder)
    for count, (name, turns) in enumerate(TALKS.items()):
        if count == stop_after:
            return
        if name not in to.done:
            to.add(name, turns)
    to.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_all(tmp_path)
    data = SpeechData.open(tmp_path)
    assert (data.num_codebooks, data.frame_rate, data.codec) == (K, 12.5, "c0de")
    talks = data.conversations()
    assert [talk[0].conversation for talk in talks] == list(TALKS)
    for talk, wanted in zip(talks, TALKS.values(), strict=True):
        assert len({turn.shard for turn in talk}) == 1
        for turn, new in zip(talk, wanted, strict=True):
            assert (turn.text, turn.speaker, turn.turn) == (new.text, new.speaker, new.turn)
            assert (turn.source, turn.start_s, turn.end_s) == (new.source, new.start_s, new.end_s)
            codes = data.codes_of(turn)
            assert codes.dtype == np.int16
            assert np.array_equal(codes, new.codes)
    assert len({turn.shard for turn in data.turns}) == 3  # 11 + 12, 13 + 14, 15
    assert json.loads((tmp_path / "dataset.json").read_text())["shards"] == [
        "00000", "00001", "00002",
    ]  # fmt: skip


@pytest.mark.parametrize("stops", [(1,), (3,), (2, 4), (0, 1, 2, 3, 4)])
def test_stopped_runs_end_as_one_that_was_not(tmp_path: Path, stops: tuple[int, ...]) -> None:
    write_all(tmp_path / "whole")
    for stop in stops:
        write_all(tmp_path / "stopped", stop)
        with pytest.raises(ConfigError, match="run it again if it was stopped"):
            SpeechData.open(tmp_path / "stopped")
    # half a file, and a shard without its index
    (tmp_path / "stopped" / "00001.safetensors.partial").write_bytes(b"half")
    write_all(tmp_path / "stopped")
    for path in (tmp_path / "stopped").glob("*.partial"):
        path.unlink()
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_finished_folder_takes_more(tmp_path: Path) -> None:
    write_all(tmp_path)
    to = writer(tmp_path)
    assert to.done == set(TALKS)
    to.add("late", [new_turn(0, 3)])
    to.close()
    assert len(SpeechData.open(tmp_path).conversations()) == len(TALKS) + 1
    with pytest.raises(ConfigError, match="two conversations have the name 'late'"):
        writer(tmp_path).add("late", [new_turn(0, 3)])


def test_turns_come_in_order_of_their_numbers(tmp_path: Path) -> None:
    to = writer(tmp_path)
    to.add("a", [new_turn(3, 2), new_turn(1, 2)])
    to.close()
    assert [turn.turn for turn in SpeechData.open(tmp_path).conversations()[0]] == [1, 3]


def test_travels_to_another_process(tmp_path: Path) -> None:
    write_all(tmp_path)
    data = SpeechData.open(tmp_path)
    wanted = data.codes_of(data.turns[3])
    again = pickle.loads(pickle.dumps(data))
    assert again.turns[3] == data.turns[3]
    assert isinstance(again.turns[3], Turn)
    assert np.array_equal(again.codes_of(again.turns[3]), wanted)


def test_a_folder_without_data_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="causerie data prepare"):
        SpeechData.open(tmp_path / "nowhere")


def test_shards_of_another_codec_are_refused(tmp_path: Path) -> None:
    write_all(tmp_path, 3)
    with pytest.raises(ConfigError, match="another codec"):
        writer(tmp_path, codec="else")
    with pytest.raises(ConfigError, match="another codec"):
        writer(tmp_path, num_codebooks=K + 1)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("dataset.json", lambda b: b[:20], "cannot read"),
        ("dataset.json", lambda b: b.replace(b"causerie-data", b"other"), "is not an index"),
        ("dataset.json", lambda b: b.replace(b'"version": 1', b'"version": 9'), "version 9"),
        ("dataset.json", lambda b: b.replace(b"c0de", b"c1de"), "another codec"),
        ("00001.jsonl", lambda b: b[:-9], "cannot read"),
        ("00001.jsonl", lambda b: b[: b.index(b"\n") + 1], "does not match its codes"),
        ("00001.jsonl", lambda b: b.replace(b'"text"', b'"said"'), "keys"),
        ("00001.safetensors", lambda b: b[:-10], "cannot read"),
        ("00001.safetensors", lambda b: b"", "cannot read"),
    ],
)
def test_damage_is_reported(tmp_path: Path, name: str, change, message: str) -> None:  # type: ignore[no-untyped-def]
    write_all(tmp_path)
    path = tmp_path / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ConfigError, match=message) as caught:
        SpeechData.open(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_shard_is_reported(tmp_path: Path) -> None:
    write_all(tmp_path)
    (tmp_path / "00002.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"cannot read .*00002\.safetensors"):
        SpeechData.open(tmp_path)


def test_the_fingerprint_does_not_depend_on_the_kind_of_decoder() -> None:
    codecs = [Mimi(config) for config in (tiny.mimi_config(), tiny.source_filter_config())]
    for codec in codecs:
        for tensor in codec.state_dict().values():
            tensor.zero_()
    # as before there were two kinds
    assert {codec_fingerprint(codec) for codec in codecs} == {"9ff256b7f6edfe7924b3b96824a21e99"}


def test_the_fingerprint_is_that_of_what_makes_the_codes(tmp_path: Path) -> None:
    codec, other = tiny.mimi(0), tiny.mimi(1)
    mark = codec_fingerprint(codec)
    assert mark == codec_fingerprint(tiny.mimi(0))
    assert mark != codec_fingerprint(other)
    with torch.no_grad():
        codec.decoder.load_state_dict(other.decoder.state_dict())
    assert mark == codec_fingerprint(codec)
    to = writer(tmp_path, codec=mark)
    to.add("a", [new_turn(0, 2)])
    to.close()
    SpeechData.open(tmp_path).require_codec(codec)
    with torch.no_grad():
        codec.quantizer.acoustic.centroids[0, 0, 0] += 1e-3
    assert mark != codec_fingerprint(codec)
    with pytest.raises(ConfigError, match="encoded by another codec than this model's"):
        SpeechData.open(tmp_path).require_codec(codec)
