"""What is held out, what is the prompt, and that both stay so."""

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


def test_sentences_of_one_recording_are_parted_and_stand_alone(
    base: Checkpoint, tmp_path: Path
) -> None:
    data = data_of(tmp_path / "data")
    parts = recordings.part(data, base)
    assert (len(parts.learned), len(parts.held_out)) == (6, 2)
    assert {*parts.learned} | {*parts.held_out} == {*data.turns}
    assert {*parts.prompt} <= {*parts.learned}
    recordings.write(tmp_path / "learned", parts.learned, data)
    written = SpeechData.open(tmp_path / "learned")
    assert [turn.text for turn in written.turns] == [turn.text for turn in parts.learned]
    for turn, source in zip(written.turns, parts.learned, strict=True):
        assert np.array_equal(written.codes_of(turn), data.codes_of(source))
    corpus = Corpus.from_shards(written, base.front_end, tiny.NUM_CODEBOOKS)
    assert [len(numbers) for numbers in corpus.conversations] == [1] * 6
    recordings.write(tmp_path / "learned", parts.learned, data)  # again: it is there


def test_the_voice_has_said_the_prompt(base: Checkpoint, tmp_path: Path) -> None:
    data = data_of(tmp_path)
    parts = recordings.part(data, base)
    voice = recordings.voice_of("ann", parts.prompt, data, 3)
    assert (voice.name, voice.speaker) == ("ann", 0)
    assert [segment.text for segment in voice.segments] == [turn.text for turn in parts.prompt]
    codes = voice.segments[0].codes
    assert codes is not None
    assert np.array_equal(codes.numpy(), data.codes_of(parts.prompt[0])[:, :3].T)


def test_a_changed_text_or_code_is_noticed(base: Checkpoint, tmp_path: Path) -> None:
    one, two = data_of(tmp_path / "one"), data_of(tmp_path / "two", texts="The dog sat. {}")
    prints = [recordings.fingerprint(recordings.part(data, base), data) for data in (one, one, two)]
    assert prints[0] == prints[1] != prints[2]


def test_what_is_no_voice_is_told(base: Checkpoint, tmp_path: Path) -> None:
    several = SpeechData.open(write_shards(tmp_path / "several"))
    with pytest.raises(ConfigError, match=r"has 3 speakers \(A, B, C\), and one voice is made"):
        recordings.part(several, base)
    few = data_of(tmp_path / "few", speakers="AAAAA")
    with pytest.raises(ConfigError, match="has 5 sentences that can be used, and at least 6"):
        recordings.part(few, base)


def test_sentences_that_the_model_cannot_take_are_left_out_and_told(
    base: Checkpoint, tmp_path: Path
) -> None:
    data = data_of(tmp_path, texts="word " * 30 + "{}")
    with pytest.raises(ConfigError, match="has 0 sentences that can be used"):
        recordings.part(data, base)
