"""train.py: its phases, resume, and export."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from codec_training.aligned_speech import SpeechFolder
from codec_training.phone_recognizer import PhoneRecognizer
from encoded_speech import EncodedSpeech

from causerie.checkpoint import load, load_codec
from causerie.checkpoint.save import save_codec
from causerie.codec.mimi import Mimi
from causerie.model.csm import CSM
from causerie.voices import Voice
from tests import tiny
from tests.recipes.codec_training.test_codec import CODEC, ENCODER, RECOGNIZER, TINY
from tests.recipes.speech import write_speech_folder
from tests.recipes.targets import write_targets


@pytest.fixture
def train(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = importlib.import_module("train")
    monkeypatch.delitem(sys.modules, "train")  # too common a name to leave behind
    return found


def run(
    train: ModuleType, patch: pytest.MonkeyPatch, *arguments: str, phase: str = "export"
) -> None:
    threads = str(torch.get_num_threads())
    patch.setattr(sys, "argv", ["train.py", phase, *arguments, "--threads", threads])
    train.main()


def write_codes(train: ModuleType, speech: Path, work: Path) -> EncodedSpeech:
    """Write random codes for a folder of speech."""
    utterances = SpeechFolder(speech, 24_000).utterances
    codes = np.random.default_rng(0).integers(1, 1024, (len(utterances), 10, train.NUM_CODEBOOKS))
    encoded = EncodedSpeech.of(utterances, [*codes])
    encoded.save(work / "codes.npz")
    return encoded


def test_the_language_model_is_trained_on_the_codes_of_the_speech(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = write_speech_folder(tmp_path / "speech", voices=(train.DEFAULT_VOICE, "ann"))
    work = tmp_path / "work"
    work.mkdir()
    write_codes(train, speech, work)
    small = dataclasses.replace(train.LM, samples=dataclasses.replace(train.LM.samples, batch=2))
    sizes = train.model_config(300)
    layer = dataclasses.replace(sizes.backbone, num_layers=1, dim=32, ffn_dim=48)
    monkeypatch.setattr(
        train,
        "model_config",
        lambda vocab: dataclasses.replace(
            sizes, backbone=layer, depth=layer, text_vocab_size=vocab
        ),
    )
    monkeypatch.setattr(train, "LM", dataclasses.replace(small, steps=2))
    for _ in range(2):  # the second time there is nothing left to do
        run(train, monkeypatch, str(speech), str(work), phase="lm")
    state = torch.load(work / "lm" / "state.pt", weights_only=True)
    assert state["step"] == 2
    assert state["facts"]["recipe"]["optimizer"] == "muon"
    assert set(state["modules"]) == {"model"}


def test_single_utterances_of_rare_voices_are_repeated(train: ModuleType, tmp_path: Path) -> None:
    folder = write_speech_folder(tmp_path / "speech", voices=(train.DEFAULT_VOICE, "oscar"))
    corpus = write_codes(train, folder, tmp_path).corpus()
    corpus = dataclasses.replace(corpus, conversations=[[0], [1], [2, 3], [4], [5]])
    once, often = [[0], [2, 3], [4]], [[1], [5]]
    learned = train.balanced(corpus).conversations
    assert sorted(learned) == sorted(once + often * train.REPEATED["oscar"])


def test_the_codec_is_trained_phase_by_phase(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = write_speech_folder(tmp_path / "speech")
    work = tmp_path / "work"
    for name, recipe in (("ENCODER", ENCODER), ("RECOGNIZER", RECOGNIZER), ("CODEC", CODEC)):
        monkeypatch.setattr(train, name, dataclasses.replace(recipe, steps=2))
    monkeypatch.setattr(
        train,
        "DECODER",
        dataclasses.replace(train.DECODER, steps=2, batch=2),
    )
    monkeypatch.setattr(train, "SourceFilterConfig", lambda: tiny.source_filter_config().decoder)
    write_targets(work / "targets" / "low", 100.0, 0, TINY.num_codebooks)
    monkeypatch.setattr(train, "TRAINED_CODEBOOKS", TINY.num_codebooks + 1)
    monkeypatch.setattr(train, "NUM_CODEBOOKS", TINY.num_codebooks)
    monkeypatch.setattr(
        train, "codec_config", lambda count: dataclasses.replace(TINY, num_codebooks=count)
    )
    for phase in ("encoder", "recognizer", "codec", "decoder"):
        run(train, monkeypatch, str(speech), str(work), phase=phase)
        assert torch.load(work / phase / "state.pt", weights_only=True)["step"] == 2
    before, after = (
        torch.load(work / phase / "state.pt", weights_only=True)["modules"]["codec"]
        for phase in ("codec", "decoder")
    )
    kept = {name for name in after if not name.startswith("decoder.")}
    assert {name.split(".")[0] for name in kept} >= {"encoder", "quantizer"}
    for name in kept - {"quantizer.semantic.centroids"}:  # code 0 is exchanged
        assert torch.equal(before[name], after[name]), name
    codec = train.first_codec(work)
    assert torch.equal(codec.quantizer.semantic.centroids, after["quantizer.semantic.centroids"])
    save_codec(tmp_path / "codec", codec)
    pcm = torch.randn(1, 1, 5 * 1920)
    loaded = load_codec(tmp_path / "codec")
    assert loaded.decode(loaded.encode(pcm)).shape == pcm.shape


def write_states(train: ModuleType, work: Path, decoder: int, lm: int) -> tuple[Mimi, CSM]:
    """Write state files of untrained modules with these step numbers."""
    tokenizer = train.TextTokenizer.load(train.ASSETS / "tokenizer.json")
    codec = Mimi(train.with_source_filter(train.codec_config(train.NUM_CODEBOOKS)))
    model = CSM(train.model_config(tokenizer.vocab_size))
    for phase, step, modules in (
        ("decoder", decoder, {"codec": codec}),
        ("lm", lm, {"model": model}),
    ):
        (work / phase).mkdir(parents=True)
        weights = {name: module.state_dict() for name, module in modules.items()}
        state = {"step": step, "modules": weights}
        torch.save(state, work / phase / "state.pt")
    return codec, model


@pytest.mark.parametrize("short", ["decoder", "lm"])
def test_an_unfinished_training_is_exported_on_request_only(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: str
) -> None:
    steps = {"decoder": train.DECODER.steps, "lm": train.LM.steps}
    wanted = steps[short]
    steps[short] -= 1
    codec, model = write_states(train, tmp_path / "work", **steps)
    write_codes(train, write_speech_folder(tmp_path / "speech"), tmp_path / "work")
    arguments = [str(tmp_path / name) for name in ("speech", "work", "out")]
    with pytest.raises(SystemExit, match=rf"{short}/state.pt is at step {wanted - 1} of {wanted}"):
        run(train, monkeypatch, *arguments)
    assert not (tmp_path / "out").exists()
    run(train, monkeypatch, *arguments, "--unfinished")
    written = load(tmp_path / "out", device=torch.device("cpu"), dtype=torch.float32)
    train.sharpen(codec.decoder)
    for ours, theirs in ((written.model, model), (written.codec, codec)):
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], tensor.half().float()), name


def test_every_voice_of_the_speech_comes_with_the_model(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_states(train, tmp_path / "work", train.DECODER.steps, train.LM.steps)
    speech, work, out = (tmp_path / name for name in ("speech", "work", "out"))
    encoded = write_codes(train, write_speech_folder(speech, voices=("ann", "bob")), work)
    run(train, monkeypatch, str(speech), str(work), str(out))
    voices = load(out, device=torch.device("cpu"), dtype=torch.float32).voices
    assert sorted(voices) == ["ann", "bob"]
    (segment,) = Voice.load(voices["bob"]).segments
    first = (1, 3)  # bob's first two, all being of like length
    assert segment.text == " ".join(encoded.texts[index] for index in first)
    said = np.concatenate([encoded.codes_of(index) for index in first])
    assert segment.codes is not None
    assert segment.codes.T.tolist() == said.tolist()


def test_prompts_are_the_chosen_ones(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = ("ann", "bob", "eve")
    found = write_codes(train, write_speech_folder(tmp_path / "speech", voices=voices), tmp_path)
    encoded = dataclasses.replace(found, texts=[f"Cat {n} sat." for n in range(len(found.texts))])
    clear = encoded.texts[0::3]  # Ann's
    monkeypatch.setattr(train, "PROMPTS", {"ann": clear[::-1], "bob": ["Nobody said this."]})
    train.make_voices(encoded, tmp_path / "voices")
    made = {path.stem: Voice.load(path) for path in (tmp_path / "voices").iterdir()}
    assert made.keys() == {"ann", "bob", "eve"}
    assert made["ann"].segments[0].text == " ".join(clear[::-1])


def test_training_starts_with_the_weights_of_a_model(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, model = write_states(train, tmp_path / "work", train.DECODER.steps, train.LM.steps)
    first = Mimi(train.codec_config(train.NUM_CODEBOOKS))
    save_codec(tmp_path / "work" / "codec", first)
    speech, work, out, before = (tmp_path / name for name in ("speech", "work", "out", "before"))
    write_codes(train, write_speech_folder(speech), work)
    run(train, monkeypatch, str(speech), str(work), str(out))
    run(train, monkeypatch, str(speech), str(work), str(before), "--first-decoder")
    started = {}

    def note_codec(*_: object, start_from: Any, **__: object) -> None:
        started["codec"] = start_from["codec"]

    def note_decoder(codec: Mimi, *_: object, is_new: bool, **__: object) -> None:
        assert not is_new
        started["decoder"] = codec.state_dict()

    class NoteModel:
        def __init__(self, model: CSM, *_: object, **__: object) -> None:
            started["lm"] = model.state_dict()

        def run(self, on_step: object) -> None: ...

    for name, stand_in in (
        ("listener", lambda work: None),
        ("train_codec", note_codec),
        ("train_source_filter", note_decoder),
        ("LMTraining", NoteModel),
    ):
        monkeypatch.setattr(train, name, stand_in)
    no_speech = SimpleNamespace(corpus=lambda: None)
    monkeypatch.setattr(train.EncodedSpeech, "load", lambda path: no_speech)
    monkeypatch.setattr(train, "balanced", lambda corpus: corpus)
    for phase, base in (("codec", before), ("lm", out)):
        run(train, monkeypatch, str(speech), str(work), "--base", str(base), phase=phase)
    for name, module in (("codec", first), ("lm", model)):
        for key, tensor in module.state_dict().items():
            assert torch.equal(started[name][key], tensor.half().float()), key
    for phase in ("decoder", "refine"):  # both start before the envelope was deepened
        run(train, monkeypatch, str(speech), str(work), "--base", str(out), phase=phase)
        for key, tensor in decoded.state_dict().items():
            torch.testing.assert_close(started["decoder"].pop(key), tensor, rtol=1e-3, atol=1e-4)
    with pytest.raises(SystemExit, match="has other sizes"):  # no decoder of Mimi's
        run(train, monkeypatch, str(speech), str(work), "--base", str(out), phase="codec")


def test_encoder_and_decoder_can_be_trained_together(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, speech = tmp_path / "work", write_speech_folder(tmp_path / "speech")
    decoded, _ = write_states(train, work, train.DECODER.steps, train.LM.steps)
    save_codec(work / "codec", Mimi(train.codec_config(train.NUM_CODEBOOKS)))
    write_targets(work / "targets" / "ann", 150.0, 0, train.NUM_CODEBOOKS)
    write_codes(train, speech, work)
    recipe = dataclasses.replace(train.JOINT, steps=1, batch=2, window_frames=4, warmup=1)
    monkeypatch.setattr(train, "JOINT", recipe)
    monkeypatch.setattr(train, "listener", lambda work: PhoneRecognizer(24_000, dim=8))
    run(train, monkeypatch, str(speech), str(work), phase="joint")
    joined = train.encoding_codec(work, "petit")
    kept = "quantizer.semantic.centroids"
    assert torch.equal(joined.state_dict()[kept], decoded.state_dict()[kept])
    short = dataclasses.replace(train.REFINED, steps=1, batch=2, window_frames=4, warmup=1)
    monkeypatch.setattr(train, "REFINED", short)
    run(train, monkeypatch, str(speech), str(work), phase="refine")
    refined = torch.load(work / "refined/state.pt", weights_only=True)["modules"]["codec"]
    changed = {
        name.split(".")[0]
        for name in refined
        if not torch.equal(refined[name], joined.state_dict()[name])
    }
    assert changed == {"decoder"}
    run(train, monkeypatch, str(speech), str(work), str(tmp_path / "out"))
    joined.load_state_dict(refined)
    train.sharpen(joined.decoder)
    exported = load_codec(tmp_path / "out").state_dict()
    for name, tensor in joined.state_dict().items():
        torch.testing.assert_close(exported[name], tensor.half().float(), rtol=0, atol=1e-6)
    run(train, monkeypatch, str(speech), str(work), str(tmp_path / "first"), "--first-decoder")
    assert load_codec(tmp_path / "first").config == train.codec_config(train.NUM_CODEBOOKS)


def test_a_codec_of_other_sizes_is_refused(
    train: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = dataclasses.replace(train.codec_config(train.NUM_CODEBOOKS), ffn_dim=64)
    monkeypatch.setattr(train, "codec_config", lambda num_codebooks: sizes)
    with pytest.raises(SystemExit, match="the codec of petit has other sizes"):
        run(train, monkeypatch, "speech", "work", "--base", "petit", phase="codec")


def test_a_codec_folder_replaces_its_training(train: ModuleType, tmp_path: Path) -> None:
    torch.manual_seed(0)
    codec = Mimi(train.codec_config(train.NUM_CODEBOOKS))
    save_codec(tmp_path / "codec", codec, dtype=torch.float16)
    for name, tensor in train.first_codec(tmp_path).state_dict().items():
        assert torch.equal(tensor, codec.state_dict()[name].half().float()), name


def test_a_model_can_start_from_one_with_fewer_codebooks(train: ModuleType) -> None:
    sizes = train.model_config(300)
    torch.manual_seed(0)
    old, new = CSM(dataclasses.replace(sizes, num_codebooks=3)), CSM(sizes)
    fresh = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    train.fill(new, old.state_dict())
    codes = torch.randint(1, 1024, (1, 5, 4))
    frames = torch.nn.functional.pad(codes, (0, 1))
    mask = torch.ones_like(frames, dtype=torch.bool)
    mask[..., -1] = mask[..., 3] = False
    there = torch.cat((mask[..., :3], mask[..., 4:]), dim=-1)
    less = torch.cat((frames[..., :3], frames[..., 4:]), dim=-1)
    assert torch.equal(new.embed_frames(frames, mask), old.embed_frames(less, there))
    assert torch.equal(new.audio_heads[:2], old.audio_heads)
    assert torch.equal(new.audio_heads[2], fresh["audio_heads"][2])
