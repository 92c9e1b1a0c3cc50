"""Models of the folder: listed, loaded on demand, used, and unloaded."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import weakref
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from causerie.audio.io import pcm16
from causerie.checkpoint import save
from causerie.checkpoint.adapter import Adapter
from causerie.engine.runners.native import NativeRunner
from causerie.errors import CheckpointError, ConfigError, QueueFullError
from causerie.prompt import Segment
from causerie.server.model_folder import ModelFolder
from causerie.server.models import LoadedModel, Models
from causerie.server.settings import Settings
from causerie.train.lm.config import LMConfig, LMRecipe, Lora, Samples
from causerie.train.lm.run import train_lm
from causerie.tts import TTS
from causerie.voices import Voice
from tests import tiny
from tests.server.running import Running, receive, running, send
from tests.train.shards import write_shards

RECIPE = LMRecipe(
    steps=2, lr=3e-2, warmup=1, precision="fp32", samples=Samples(batch=2, depth_share=1.0)
)
#: A tiny random model never ends by itself.
LIMIT_S = 0.4
BODY = {"input": "Good morning.", "seed": 5, "max_duration_s": LIMIT_S, "response_format": "pcm"}


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `causerie train lm`: adapters, one with a voice, and a whole model."""
    folder = tmp_path_factory.mktemp("models")
    data = write_shards(tmp_path_factory.mktemp("data") / "shards")
    for seed, (name, keep) in enumerate([("ada", "adapter"), ("leon", "both"), ("zoe", "adapter")]):
        train_lm(
            LMConfig(
                base=str(tiny_folder), data=str(data), out=str(folder / name), device="cpu",
                recipe=dataclasses.replace(RECIPE, seed=seed),
                lora=Lora(rank=2, alpha=4.0, keep=keep),
            )
        )  # fmt: skip
    tts = TTS.from_pretrained(tiny_folder, device="cpu")
    audio = tts.generate("I am Ada.", seed=1, max_duration_s=0.3)
    voices = folder / "ada" / "adapter" / "voices"
    voices.mkdir()
    segment = Segment(speaker=0, text="I am Ada.", codes=audio.codes)
    Voice(name="ada", segments=(segment,)).save(voices / "ada.safetensors")
    (folder / "notes.txt").write_text("no model")
    (folder / "being-trained").mkdir()
    return folder


@pytest.fixture(scope="module")
def tts(tiny_folder: Path) -> TTS:
    return TTS.from_pretrained(tiny_folder, device="cpu", max_streams=2, max_queue=2)


@pytest.fixture(scope="module")
def server(tts: TTS, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(
        tmp_path_factory.mktemp("voices"), tts=tts, models=str(folder), max_models=1, device="cpu"
    ) as here:
        yield here


@pytest.fixture(scope="module")
def alone(tiny_folder: Path, folder: Path) -> dict[str, bytes]:
    """The audio of each model, generated in this process."""
    found = {}
    for name in ("first", "ada", "leon", "zoe"):
        tts = TTS.from_pretrained(
            folder / "leon" / "model" if name == "leon" else tiny_folder, device="cpu"
        )
        if name in ("ada", "zoe"):
            Adapter.open(folder / name / "adapter").merge_into(tts.checkpoint.model)
        voice = folder / "ada" / "adapter" / "voices" / "ada.safetensors" if name == "ada" else None
        audio = tts.generate(BODY["input"], voice=voice, seed=5, max_duration_s=LIMIT_S)
        found[name] = pcm16(audio.samples).tobytes()
    assert len({*found.values()}) == 4
    return found


def post(server: Running, **changes: object) -> httpx.Response:
    return httpx.post(f"{server.http}/v1/audio/speech", json={**BODY, **changes})


def loaded(server: Running) -> list[str]:
    return httpx.get(f"{server.http}/ready").json()["loaded"]


def test_a_model_speaks_by_its_name(server: Running, alone: dict[str, bytes]) -> None:
    for name in "ada", "leon", "zoe", "ada":
        answer = post(server, model=name)
        assert answer.status_code == 200, answer.text
        assert answer.content == alone[name]
        assert loaded(server) == [name], "one stays loaded"
    for name in None, "tts-1", server.tts.checkpoint.name.rpartition("/")[2]:
        assert post(server, model=name).content == alone["first"]


def test_a_model_is_a_voice_in_every_protocol(server: Running, alone: dict[str, bytes]) -> None:
    assert post(server, voice="leon").content == alone["leon"]
    with server.connect("/v1/audio/speech/stream") as socket:
        send(socket, type="session.config", model="zoe", seed=5, max_duration_s=LIMIT_S)
        send(socket, type="input.text", text=BODY["input"])
        send(socket, type="input.done")
        assert receive(socket)["voice"] == "0"
        assert receive(socket)["type"] == "audio.start"
        sound = b""
        while isinstance(data := socket.recv(timeout=30), bytes):
            sound += data
        assert sound == alone["zoe"]
    with server.connect("/v1/realtime?model=leon") as socket:
        assert receive(socket)["session"]["audio"]["output"]["voice"] == "leon"
    turns = [{"voice": name, "text": "Hello."} for name in ("ada", "0", "ada")]
    talk = httpx.post(
        f"{server.http}/v1/audio/dialogue",
        json={"turns": turns, "seed": 5, "max_duration_s": LIMIT_S, "response_format": "pcm"},
    )
    assert talk.status_code == 200, talk.text
    assert len(talk.content) > 2 * 2 * 24_000 * LIMIT_S


def test_a_recording_for_a_model_needs_consent(server: Running) -> None:
    turn = {"text": "I am Ada.", "audio": "AAAA"}
    for fields in {"ref_audio": "AAAA", "ref_text": "I am Ada."}, {"context": [turn]}:
        for name in {"model": "ada"}, {"voice": "leon"}:
            answer = post(server, **name, **fields)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "consent_required")


def test_models_are_listed(server: Running) -> None:
    models = [one["id"] for one in httpx.get(f"{server.http}/v1/models").json()["data"]]
    assert models[1:4] == ["ada", "leon", "zoe"]
    assert models[4] == "tts-1"
    assert httpx.get(f"{server.http}/v1/models/leon").json()["id"] == "leon"
    voices = httpx.get(f"{server.http}/v1/audio/voices").json()["voices"]
    assert {"ada", "leon", "zoe"} <= {one["id"] for one in voices}
    preview = httpx.get(f"{server.http}/v1/audio/voices/leon/preview")
    assert preview.status_code == 200


def test_unknown_names(server: Running) -> None:
    for name in ("nobody", "notes.txt", "being-trained", "../models/ada"):
        answer = post(server, model=name)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    answer = post(server, model="ada", voice="leo")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "voice_not_found")
    assert "leon" in answer.json()["error"]["message"]


def test_a_model_that_speaks_is_not_unloaded(server: Running, alone: dict[str, bytes]) -> None:
    with server.connect("/v1/audio/speech/stream") as busy:
        send(busy, type="session.config", voice="ada")
        send(busy, type="input.text", text="Good morning. This goes on")  # goes on until its end
        assert receive(busy)["type"] == "session.configured"
        assert receive(busy)["type"] == "audio.start"
        refused = post(server, model="zoe")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
        assert "ada speak" in refused.json()["error"]["message"]
        assert int(refused.headers["retry-after"]) >= 1
        assert post(server).content == alone["first"]
        assert post(server, model="ada").content == alone["ada"]
    server.wait_for(lambda: post(server, model="zoe").status_code == 200)


def test_counts_survive_unloading(server: Running) -> None:
    def frames() -> float:
        lines = httpx.get(f"{server.http}/metrics").text.splitlines()
        return next(float(one.split()[1]) for one in lines if one.startswith("causerie_frames_to"))

    before = frames()
    for name in "ada", "leon":
        post(server, model=name)
    assert frames() == before + 2 * 5


def models(tts: TTS, folder: Path, **settings: object) -> Models:
    return Models(tts, Settings(models=str(folder), device="cpu", **settings))


def test_a_model_is_loaded_once_and_unloading_frees_its_memory(tts: TTS, folder: Path) -> None:
    async def task() -> None:
        all_models = models(tts, folder, max_models=1)
        used: list[str] = []

        async def note(name: str) -> None:
            used.append(name)

        all_models.on_use = note
        first, second = await asyncio.gather(all_models.take("ada"), all_models.take("ada"))
        assert first is second
        assert used == ["ada", "ada"]
        assert first.tts is not None
        async for _ in await first.tts.astream("Hello.", max_duration_s=LIMIT_S):
            pass
        large = [
            weakref.ref(one)
            for one in (first.tts, first.tts.engine.runner, first.tts.checkpoint.model)
        ]
        first.give_back()
        with pytest.raises(QueueFullError, match="'zoe' is not loaded, and there is no room: ada"):
            await all_models.take("zoe")
        second.give_back()
        (await all_models.take("zoe")).give_back()
        assert [one() for one in large] == [None] * 3, "without waiting for the garbage collector"
        await all_models.aclose()

    asyncio.run(task())


def test_a_model_is_prepared_before_it_is_used(
    tts: TTS, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its graphs are recorded on a GPU: no request pays for one."""
    prepared: list[str] = []
    monkeypatch.setattr(TTS, "prepare", lambda self: prepared.append(self.checkpoint.name))

    async def task() -> None:
        all_models = models(tts, folder)
        assert not prepared
        (await all_models.take("zoe")).give_back()
        await all_models.aclose()

    asyncio.run(task())
    assert prepared == ["zoe"]


@pytest.mark.parametrize("name", ["zoe", "leon"])
def test_models_of_the_folder_obey_fast(tts: TTS, folder: Path, name: str) -> None:
    async def task() -> None:
        all_models = models(tts, folder, fast=True)
        model = await all_models.take(name)
        runner = model.tts.engine.runner if model.tts is not None else None
        assert isinstance(runner, NativeRunner)
        assert runner.formats == {"backbone": "int5", "depth": "int4"}
        model.give_back()
        await all_models.aclose()

    asyncio.run(task())


def test_a_cancelled_request_does_not_cancel_the_loading(tts: TTS, folder: Path) -> None:
    async def task() -> LoadedModel:
        all_models = models(tts, folder)
        leaving = asyncio.create_task(all_models.take("ada"))
        await asyncio.sleep(0)
        leaving.cancel()
        model = await all_models.take("ada")
        await all_models.aclose()
        return model

    assert asyncio.run(task()).num_users == 1


def test_models_that_cannot_be_loaded(tts: TTS, folder: Path, tmp_path: Path) -> None:
    def adapter(name: str, base: str = "") -> Path:
        place = tmp_path / name
        place.mkdir()
        facts = {"r": 2, "lora_alpha": 4, "base_model_name_or_path": base}
        (place / "adapter_config.json").write_text(json.dumps(facts))
        return place

    adapter("empty")
    weights = (folder / "ada" / "adapter" / "adapter_model.safetensors").read_bytes()
    (adapter("other", "/models/csm-1b") / "adapter_model.safetensors").write_bytes(weights)
    away = tmp_path.with_name("another-base")
    save(away, tiny.checkpoint(seed=7))
    (adapter("away", str(away)) / "adapter_model.safetensors").write_bytes(weights)
    (adapter("same", tts.checkpoint.name) / "adapter_model.safetensors").write_bytes(weights)
    (tmp_path / "petit").symlink_to(Path(__file__).parents[2] / "src/causerie/assets/petit")

    async def task() -> None:
        all_models = models(tts, tmp_path, max_models=1)
        for name, message in {
            "empty": "holds no readable adapter",
            "other": "is an adapter of /models/csm-1b, which cannot be opened",
            "petit": "model petit has another codec than",
            "away": "model away has another codec than",
        }.items():
            with pytest.raises(CheckpointError, match=message):
                await all_models.take(name)
        assert all_models.loaded == []
        (await all_models.take("same")).give_back()
        save(away, dataclasses.replace(tiny.checkpoint(seed=7), codec=tts.checkpoint.codec))
        assert (await all_models.take("away")).tts.checkpoint.base == str(away)
        await all_models.aclose()

    asyncio.run(task())


def test_unsuitable_folders(tts: TTS, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the folder of models .*nowhere does not exist"):
        models(tts, tmp_path / "nowhere")
    (tmp_path / "tts-1").mkdir()
    (tmp_path / "tts-1" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="name that means the first model: rename tts-1"):
        models(tts, tmp_path)
    assert ModelFolder(str(tmp_path)).models()["tts-1"].is_adapter is False


def test_other_names_of_a_model(
    tts: TTS, folder: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    settings = {"models": str(folder), "device": "cpu", "alias": ["reader=leon"]}
    with running(tmp_path, tts=tts, **settings) as here:
        for names in {"model": " Reader "}, {"voice": "reader"}, {"model": "leon", "voice": ""}:
            assert post(here, **names).content == alone["leon"], names
        listed = httpx.get(f"{here.http}/v1/audio/voices/leon").json()
        assert listed["id"] == "leon"
        assert "leon" in [voice["value"] for voice in listed["voices"]]
        path = "/v1/text-to-speech/0?output_format=pcm_24000"
        body = {"text": "...", "model_id": "reader"}
        assert httpx.post(here.http + path, json=body).status_code == 200
        assert loaded(here) == ["leon"]
