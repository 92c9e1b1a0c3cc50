"""A whole run: from a configuration and shards to a checkpoint that speaks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from causerie import TTS, toml_config
from causerie.checkpoint import load
from causerie.checkpoint.adapter import Adapter
from causerie.data.shards import SpeechData, codec_fingerprint
from causerie.errors import ConfigError
from causerie.folder_lock import lock_folder
from causerie.text.front_end import FrontEnd
from causerie.train.lm.config import LMConfig, LMRecipe, Lora, Samples, Watch
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.run import train_lm
from tests import tiny
from tests.train.shards import write_shards

RECIPE = LMRecipe(
    steps=4, lr=1e-3, warmup=1, precision="fp32", samples=Samples(batch=3, depth_share=0.5)
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("data") / "shards")


def config(tiny_folder: Path, data: Path, out: Path, **changes: Any) -> LMConfig:
    values = {"device": "cpu", "recipe": RECIPE, "save_every": 2, "log_every": 2, **changes}
    return LMConfig(base=str(tiny_folder), data=str(data), out=str(out), **values)


def test_a_trained_model_speaks(tiny_folder: Path, data: Path, tmp_path: Path) -> None:
    wanted = config(tiny_folder, data, tmp_path / "out", log_every=3)
    messages: list[str] = []
    folder = train_lm(wanted, on_message=messages.append)
    assert folder is not None
    assert folder == tmp_path / "out" / "model"
    assert messages == []
    audio = TTS.from_pretrained(folder, device="cpu").generate("hi", max_duration_s=0.3, seed=0)
    assert audio.samples.size > 0
    before, after = load(tiny_folder), load(folder)
    assert codec_fingerprint(after.codec) == codec_fingerprint(before.codec)
    moved = {
        name
        for name, tensor in after.model.state_dict().items()
        if not torch.equal(tensor, before.model.state_dict()[name])
    }
    assert moved == set(after.model.state_dict())
    assert toml_config.read(LMConfig, tmp_path / "out" / "config.toml") == wanted
    rows = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 4]
    assert {"codebook0", "rest", "lr", "gradient", "seconds"} <= set(rows[0])


def test_a_run_resumes(tiny_folder: Path, data: Path, tmp_path: Path) -> None:
    wanted = config(tiny_folder, data, tmp_path)
    train_lm(wanted)
    messages: list[str] = []
    longer = dataclasses.replace(wanted, recipe=dataclasses.replace(RECIPE, steps=6))
    with pytest.raises(ConfigError, match=r"recipe\.steps was 4, is 6"):
        train_lm(longer)
    assert toml_config.read(LMConfig, tmp_path / "config.toml") == wanted
    train_lm(longer, on_message=messages.append, allow_changes=True)
    assert messages == ["resuming at step 4 of 6"]
    other = write_shards(tmp_path / "other", texts="Another text {}")
    with pytest.raises(ConfigError, match=r"\(data was \w+, is \w+\)"):
        train_lm(dataclasses.replace(longer, data=str(other)))


def test_intermediate_checkpoints_are_judged(tiny_folder: Path, data: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, ema=0.9)
    wanted = config(tiny_folder, data, tmp_path, recipe=recipe, watch=Watch(every=2, held_out=1))
    judged: list[Path] = []

    def judge(folder: Path) -> dict[str, float]:
        load(folder)
        judged.append(folder)
        return {"wer": 0.5}

    train_lm(wanted, judge=judge)
    assert judged == [tmp_path / "checkpoints" / "000002", tmp_path / "checkpoints" / "000004"]
    figures = json.loads((judged[1] / "figures.json").read_text())
    assert figures.keys() == {"step", "wer", "held_out_codebook0", "held_out_rest"}
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["wer"] for row in rows if "wer" in row] == [0.5, 0.5]
    last, exported = load(judged[1]).model.state_dict(), load(tmp_path / "model").model.state_dict()
    assert all(torch.equal(tensor, exported[name]) for name, tensor in last.items())
    train_lm(wanted, judge=judge)
    assert len(judged) == 2  # not judged again


def test_lora_writes_a_merged_model_and_an_adapter(
    tiny_folder: Path, data: Path, tmp_path: Path
) -> None:
    wanted = config(tiny_folder, data, tmp_path, lora=Lora(rank=2, keep="both"))
    assert train_lm(wanted) == tmp_path / "model"
    again = load(tiny_folder).model
    Adapter.open(tmp_path / "adapter").merge_into(again)
    merged, before = load(tmp_path / "model").model.state_dict(), tiny.csm().state_dict()
    for name, tensor in again.state_dict().items():
        torch.testing.assert_close(merged[name], tensor, atol=1e-6, rtol=1e-5)
        assert torch.equal(tensor, before[name]) == ("_proj." not in name), name
    alone = dataclasses.replace(wanted, lora=Lora(rank=2, keep="adapter"), out=str(tmp_path / "b"))
    assert train_lm(alone) == tmp_path / "b" / "adapter"
    assert not (tmp_path / "b" / "model").exists()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert all("lora_" in name for name in state["modules"]["model"])


def test_a_new_model_takes_changed_sizes(tiny_folder: Path, data: Path, tmp_path: Path) -> None:
    sizes = {"max_frames": 64, "backbone": {"num_layers": 1}}
    recipe = dataclasses.replace(RECIPE, optimizer="muon")
    wanted = config(
        tiny_folder, data, tmp_path, recipe=recipe, from_scratch=True, model=sizes, dtype="bfloat16"
    )
    train_lm(wanted)
    found = load(tmp_path / "model").model.config
    expected = tiny.csm_config()
    assert found == dataclasses.replace(
        expected, max_frames=64, backbone=dataclasses.replace(expected.backbone, num_layers=1)
    )


def test_data_of_another_codec_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    other = write_shards(tmp_path / "other", tiny.mimi(seed=1))
    with pytest.raises(ConfigError, match="was encoded by another codec than this model's"):
        train_lm(config(tiny_folder, other, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_refused(tiny_folder: Path, data: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path), pytest.raises(ConfigError, match="is in use by process"):
        train_lm(config(tiny_folder, data, tmp_path))
    assert not (tmp_path / "config.toml").exists()


def test_spelling_needs_phonemes(tiny_folder: Path, data: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, samples=Samples(spelled_sentences=0.5))
    with pytest.raises(ConfigError, match="needs a model that reads phonemes"):
        train_lm(config(tiny_folder, data, tmp_path, recipe=recipe))


def test_a_corpus_is_read_by_the_model_s_front_end(data: Path) -> None:
    opened = SpeechData.open(data)
    corpus = Corpus.from_shards(opened, FrontEnd("plain"), 2)
    assert [len(conversation) for conversation in corpus.conversations] == [3, 3, 1, 1, 1, 1]
    assert corpus.spoken[4] == "The cat sat. eleven."
    assert [corpus.speakers[i] for i in corpus.conversations[1]] == ["B", "C", "B"]
    for number, turn in enumerate(opened.turns):
        assert (corpus.codes_of(number) == opened.codes_of(turn)[:, :2]).all()
    kept, held_out = corpus.split(2, seed=0)
    assert len(kept.conversations) == 4
    both = [*kept.conversations, *held_out.conversations]
    assert sorted(both) == sorted(corpus.conversations)
    assert kept.fingerprint() != corpus.fingerprint()
    with pytest.raises(ConfigError, match="held_out is 6, of 6 conversations"):
        corpus.split(6, seed=0)
    with pytest.raises(ConfigError, match="has 5 codebooks and the model 32"):
        Corpus.from_shards(opened, FrontEnd("plain"), 32)


def test_turns_without_words_are_left_out(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "mute", texts="")
    with pytest.raises(ConfigError, match="has no turn that the model's front end can read"):
        Corpus.from_shards(SpeechData.open(folder), FrontEnd("plain"), 5)
