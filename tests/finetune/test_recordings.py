"""The split into training, held-out and prompt sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from causerie.checkpoint import Checkpoint
from causerie.data.shards import NewTurn, ShardWriter, SpeechData, codec_fingerprint
from causerie.errors import ConfigError
from causerie.finetune import recordings
from causerie.train.lm.corpus import Corpus
from tests import tiny
from tests.train.shards import write_shards


def test_a_tenth_is_held_out_but_never_more_than_a_third_of_the_sentences() -> None:
    lengths = [3.0] * 100
    found = recordings.held_out(lengths)
    assert len(found) == 10
    assert found == recordings.held_out(lengths)
    assert len(recordings.held_out([3.0] * 30)) == 4  # 10 s
    assert len(recordings.held_out([3.0] * 9)) == 3
    assert len(recordings.held_out([2.0] * 6)) == 2
    assert len(recordings.held_out([20.0] * 30)) == 3  # 60 s, a tenth
    assert len(recordings.held_out([5.0] * 10_000)) == 12  # a minute at most


def test_the_prompt_is_whole_sentences_of_five_to_ten_seconds() -> None:
    assert recordings.prompt([3.0, 0.5, 3.4, 12.0]) == [0, 2]
    assert recordings.prompt([1.0] * 9) == [0, 1, 2, 3, 4]
    assert recordings.prompt([9.0, 4.0, 8.0]) == [1]  # any other would make it too long
    assert recordings.prompt([14.0, 15.0]) == [0]


def data_of(folder: Path, speakers: str = "AAAAAAAA", texts: str = "The cat sat. {}") -> SpeechData:
    codec = tiny.mimi()
    writer = ShardWriter(
        folder,
        codec=codec_fingerprint(codec),
        num_codebooks=tiny.NUM_CODEBOOKS,
        frame_rate=12.5,
    )
    random = np.random.default_rng(0)
    turns = [
        NewTurn(
            text=texts.format(number), speaker=speaker, turn=number, source="a.wav",
            codes=random.integers(1, 32, size=(6, tiny.NUM_CODEBOOKS)), start_s=0.0, end_s=0.5,
        )
        for number, speaker in enumerate(speakers)
    ]  # fmt: skip
    writer.add("one recording", turns)
    writer.close()
    return SpeechData.open(folder)


@pytest.fixture
def base() -> Checkpoint:
    return tiny.checkpoint()


def test_sentences_of_a_recording_are_split_and_become_conversations(
    base: Checkpoint, tmp_path: Path
) -> None:
    data = data_of(tmp_path / "data")
    split = recordings.split(data, base)
    assert (len(split.learned), len(split.held_out)) == (6, 2)
    assert {*split.learned} | {*split.held_out} == {*data.turns}
    assert {*split.prompt} <= {*split.learned}
    recordings.write(tmp_path / "learned", split.learned, data)
    written = SpeechData.open(tmp_path / "learned")
    assert [turn.text for turn in written.turns] == [turn.text for turn in split.learned]
    for turn, source in zip(written.turns, split.learned, strict=True):
        assert np.array_equal(written.codes_of(turn), data.codes_of(source))
    corpus = Corpus.from_shards(written, base.front_end, tiny.NUM_CODEBOOKS)
    assert [len(numbers) for numbers in corpus.conversations] == [1] * 6
    recordings.write(tmp_path / "learned", split.learned, data)  # exists already


def test_the_context_of_the_voice_is_the_prompt(base: Checkpoint, tmp_path: Path) -> None:
    data = data_of(tmp_path)
    split = recordings.split(data, base)
    voice = recordings.voice_of("ann", split.prompt, data, 3)
    assert (voice.name, voice.speaker) == ("ann", 0)
    assert [segment.text for segment in voice.segments] == [turn.text for turn in split.prompt]
    codes = voice.segments[0].codes
    assert codes is not None
    assert np.array_equal(codes.numpy(), data.codes_of(split.prompt[0])[:, :3].T)


def test_the_fingerprint_changes_with_the_texts(base: Checkpoint, tmp_path: Path) -> None:
    one, two = data_of(tmp_path / "one"), data_of(tmp_path / "two", texts="The dog sat. {}")
    hashes = [
        recordings.fingerprint(recordings.split(data, base), data) for data in (one, one, two)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_several_speakers_or_few_sentences_are_refused(base: Checkpoint, tmp_path: Path) -> None:
    several = SpeechData.open(write_shards(tmp_path / "several"))
    with pytest.raises(ConfigError, match=r"has 3 speakers \(A, B, C\), but a voice needs"):
        recordings.split(several, base)
    few = data_of(tmp_path / "few", speakers="AAAAA")
    with pytest.raises(ConfigError, match="has 5 usable sentences, but at least 6 are needed"):
        recordings.split(few, base)


def test_sentences_too_long_for_the_model_are_left_out(base: Checkpoint, tmp_path: Path) -> None:
    data = data_of(tmp_path, texts="word " * 30 + "{}")
    with pytest.raises(ConfigError, match="has 0 usable sentences"):
        recordings.split(data, base)
