"""Fine-tuning on recordings: complete, killed and refused runs."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers

from causerie import TTS
from causerie.checkpoint import load, save
from causerie.data.shards import SpeechData
from causerie.errors import ConfigError
from causerie.evaluate import speaking
from causerie.finetune.choice import Choice
from causerie.finetune.run import FinetuneOptions, voice_name
from causerie.folder_lock import holds_only_lock, lock_folder
from causerie.voice_file import read_header
from causerie.voices import Voice
from tests import tiny
from tests.finetune import small


@pytest.fixture(autouse=True, scope="module")
def brief() -> Iterator[None]:
    """Undo the limit that `small.run` sets."""
    before = speaking.MAX_DURATION_S
    yield
    speaking.MAX_DURATION_S = before


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.record(tmp_path_factory.mktemp("recordings") / "Ann B.")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, recorded: Path) -> Path:
    out = tmp_path_factory.mktemp("finished") / "out"
    small.run(tiny_folder, recorded, out, consent="Ann B., by letter")
    return out


def test_the_model_speaks_in_the_voice(finished: Path, tiny_folder: Path) -> None:
    tts = TTS.from_pretrained(finished / "model", device="cpu")
    assert tts.voices == ["ann-b"]
    audio = tts.generate("hi", voice="ann-b", seed=0, max_duration_s=0.3)
    assert audio.samples.size > 0
    header = read_header(tts.checkpoint.voices["ann-b"])
    assert (header.consent, len(header.consent_date)) == ("Ann B., by letter", 10)
    after, before = tts.checkpoint.model.state_dict(), load(tiny_folder).model.state_dict()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all("_proj." in name for name in moved)


def test_transformers_computes_the_same(finished: Path) -> None:
    ours = load(finished / "model")
    theirs = transformers.CsmForConditionalGeneration.from_pretrained(
        finished / "transformers"
    ).eval()
    tokens = torch.tensor([ours.tokenizer.encode("The cat sat.", 0)])
    codes = torch.randint(1, tiny.CODEBOOK_SIZE, (3, tiny.NUM_CODEBOOKS))
    frames = torch.nn.functional.pad(tokens[..., None], (tiny.NUM_CODEBOOKS, 0))
    mask = torch.zeros_like(frames, dtype=torch.bool)
    mask[..., -1] = True
    with torch.no_grad():
        hidden = ours.model.backbone(ours.model.embed_frames(frames, mask))
        found = (
            theirs(input_ids=tokens).logits,
            theirs.depth_decoder(
                input_ids=torch.nn.functional.pad(codes[:, :-1], (1, 0)),
                backbone_last_hidden_state=hidden[0, :3],
            ).logits,
        )
        expected = ours.model.codebook0_head(hidden), ours.model.depth_logits(hidden[0, :3], codes)
    for one, other in zip(found, expected, strict=True):
        assert other.std() > 0.3
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    about = (finished / "transformers" / "README.md").read_text()
    assert "no place for voices" in about
    assert "Consent: Ann B., by letter, stated 20" in about


def test_the_report_has_base_and_all_checkpoints(finished: Path) -> None:
    facts = json.loads((finished / "report.json").read_text("utf-8"))
    wanted = {"wer", "cer", "similarity", "stopped", "held_out_codebook0", "held_out_rest"}
    assert wanted <= facts["base_figures"].keys()
    assert facts["checkpoints"].keys() == {"0", "1", "2"}
    assert all(wanted <= figures.keys() for figures in facts["checkpoints"].values())
    assert facts["similarity_of_recordings"].keys() == {"recordings", "recordings after codec"}
    texts = {kind: {row["text"] for row in rows} for kind, rows in facts["sentences"].items()}
    assert (len(texts["learned"]), len(texts["held_out"])) == (6, 2)
    assert not texts["learned"] & texts["held_out"]
    assert {turn.text for turn in SpeechData.open(finished / "run" / "data").turns} == (
        texts["learned"]
    )
    page = (finished / "report.html").read_text("utf-8")
    assert f"<strong>step {facts['choice']['step']}</strong>" in page
    assert "recordings after codec" in page
    assert page.count("<svg") == 2
    sounds = re.findall('src="([^"]*)"', page)
    assert len(sounds) == 4
    assert all((finished / sound).is_file() for sound in sounds)
    kinds = {path.name: len(list(path.iterdir())) for path in (finished / "samples").iterdir()}
    assert kinds == {"recordings": 2, "base": 1, "model": 1}


def test_a_second_run_changes_nothing_and_other_options_are_refused(
    finished: Path, tiny_folder: Path, recorded: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished, tmp_path / "out")
    written = {path: path.stat().st_mtime_ns for path in out.rglob("figures.json")}
    small.run(tiny_folder, recorded, out)
    assert len(written) == 4
    assert written == {path: path.stat().st_mtime_ns for path in out.rglob("figures.json")}
    with pytest.raises(ConfigError, match=r"out is of another run \(steps was 2, is 3\)"):
        small.run(tiny_folder, recorded, out, steps=3)
    other = small.record(tmp_path / "other")
    with pytest.raises(ConfigError, match=r"recordings was .*Ann B\., is .*other"):
        small.run(tiny_folder, other, out, voice="ann-b")
    assert (out / "data" / "dataset.json").is_file()


def test_a_folder_in_use_is_refused(tiny_folder: Path, recorded: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path), pytest.raises(ConfigError, match="is in use by process"):
        small.run(tiny_folder, recorded, tmp_path)
    assert holds_only_lock(tmp_path)


@pytest.mark.slow
def test_a_killed_run_resumes_exactly(
    finished: Path, tiny_folder: Path, recorded: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for number in (5, 14, 6, 8):  # in the preparation, the training, and its checkpoints
        small.run_and_kill(tiny_folder, recorded, out, number)
    assert not (out / "report.json").exists()
    small.run(tiny_folder, recorded, out)
    assert (out / "report.json").read_text() == (
        (finished / "report.json").read_text().replace(str(finished), str(out))
    )
    last, other = (load(folder / "model").model.state_dict() for folder in (out, finished))
    assert all(torch.equal(tensor, other[name]) for name, tensor in last.items())


@pytest.mark.slow
def test_a_trained_decoder_needs_no_prompt(
    finished: Path, tiny_folder: Path, recorded: Path, tmp_path: Path
) -> None:
    first = finished / "run" / "checkpoints" / "000000"
    alone, base = load(first), load(tiny_folder)
    before, after = base.codec.state_dict(), alone.codec.state_dict()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(name.startswith(("decoder", "upsample")) for name in moved)
    assert all(
        torch.equal(tensor, alone.model.state_dict()[name])
        for name, tensor in base.model.state_dict().items()
    )
    last = load(finished / "model").codec.state_dict()
    assert all(torch.equal(tensor, last[name]) for name, tensor in after.items())
    facts = json.loads((finished / "report.json").read_text("utf-8"))
    assert any("step 0 is the base's language model" in note for note in facts["notes"])
    report = small.run(tiny_folder, recorded, tmp_path / "out", decoder_steps=0)
    assert report.checkpoints.keys() == {1, 2}
    unchanged = load(tmp_path / "out" / "model").codec.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in unchanged.items())


@pytest.mark.slow
def test_a_base_with_a_source_filter_decoder(recorded: Path, tmp_path: Path) -> None:
    """Its decoder is trained, and the model not written for transformers."""
    codec = tiny.mimi(config=tiny.source_filter_config())
    save(tmp_path / "base", dataclasses.replace(tiny.checkpoint(), codec=codec))
    out = tmp_path / "out"
    report = small.run(tmp_path / "base", recorded, out, decoder_steps=2)
    assert any("not written for transformers" in note for note in report.notes)
    assert not (out / "transformers").exists()
    after = load(out / "model").codec.state_dict()
    changed = {
        name for name, weight in codec.state_dict().items() if not torch.equal(after[name], weight)
    }
    assert changed
    assert all(name.startswith("decoder.") for name in changed)


@pytest.mark.slow
def test_the_voice_of_step_0_has_no_context(
    tiny_folder: Path, recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Choice(step=0, qualified=(0,), why="the test says so")
    monkeypatch.setattr("causerie.finetune.run.choose", lambda *_: chosen)
    small.run(tiny_folder, recorded, tmp_path / "out", steps=1)
    tts = TTS.from_pretrained(tmp_path / "out" / "model", device="cpu")
    assert Voice.load(tts.checkpoint.voices["ann-b"]).segments == ()
    assert tts.generate("hi", voice="ann-b", seed=0, max_duration_s=0.3).samples.size > 0


@pytest.mark.slow
def test_a_prepared_folder_is_used_as_it_is(
    finished: Path, tiny_folder: Path, recorded: Path, tmp_path: Path
) -> None:
    prepared = shutil.copytree(finished / "data", tmp_path / "ann")
    messages: list[str] = []
    report = small.run(tiny_folder, prepared, tmp_path / "one", messages=messages)
    assert messages[:2] == [
        "1 of 5: prepare the recordings",
        f"{prepared} is already prepared and is used as it is",
    ]
    phases = [line for line in messages if re.match(r"\d of 5: ", line)]
    assert [phase[0] for phase in phases] == ["1", "2", "3", "4", "5"]
    assert "4 of 5: train the adapters for 2 steps, with checkpoints every 1" in phases
    assert not (tmp_path / "one" / "data").exists()
    assert report.ceilings.keys() == {"recordings", "recordings after codec"}
    facts = json.loads((prepared / "report.json").read_text())
    (prepared / "report.json").write_text(json.dumps({**facts, "folder": str(tmp_path / "gone")}))
    report = small.run(tiny_folder, prepared, tmp_path / "two")
    assert report.ceilings.keys() == {"decoded recordings"}
    assert any("are gone: similarity is to their codes" in line for line in report.lines())


def test_mistakes_are_found_before_any_work(
    tiny_folder: Path, recorded: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for options, message in (
        ({"voice": "7"}, "'7' cannot be the name of a voice"),
        ({"voice": "a/b"}, "'a/b' cannot be the name of a voice"),
        ({"changes": ("recipe.lrr=1",)}, "unknown key recipe.lrr"),
        ({"device": "tpu"}, "device must be auto, cpu or cuda"),
    ):
        with pytest.raises(ConfigError, match=message):
            small.run(tiny_folder, recorded, out, **options)
    with pytest.raises(ConfigError, match="there is no folder"):
        small.run(tiny_folder, tmp_path / "nowhere", out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("Dear …")
    with pytest.raises(ConfigError, match="mine holds other files"):
        small.run(tiny_folder, recorded, tmp_path / "mine")


def test_voices_are_named_after_their_folders(tmp_path: Path) -> None:
    def name(folder: str, voice: str = "") -> str:
        return voice_name(FinetuneOptions(folder=Path(folder), base="b", out=tmp_path, voice=voice))

    assert name("/talks/Ann's Voice") == "ann-s-voice"
    assert name("/talks/Ann", "Bea_2") == "Bea_2"
    with pytest.raises(ConfigError, match="'2024' cannot be the name"):
        name("/talks/2024")
