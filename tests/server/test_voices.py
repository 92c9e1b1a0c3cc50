"""Voices and consents, by OpenAI's client against a real server."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import errno
import io
import itertools
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import filelock
import httpx
import numpy as np
import openai
import pytest
import soundfile

from causerie.consent import OWN_SPEECH, QUESTION, today
from causerie.errors import StoreError
from causerie.server.routes import voices as routes
from causerie.server.voices import cloning
from causerie.server.voices.openai_names import OPENAI_VOICES
from causerie.server.voices.recording import Recording
from causerie.server.voices.store import VoiceStore
from causerie.tts import TTS
from causerie.voice_file import read_header, voice_files
from tests import tiny
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, running
from tests.standin_mark import marked, stand_in

TEXT = "This is how I sound when I talk about nothing in particular."
#: A recording that causerie did not make.
PEOPLE = np.random.default_rng(0).normal(0, 0.1, 72_000).astype(np.float32)


def wav(samples: np.ndarray, rate: int = 24_000, format: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format)
    return file.getvalue()


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return petit().generate(TEXT, voice="mia", seed=1).samples


@pytest.fixture
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.http}/v1", api_key="-", max_retries=0) as made:
        yield made


def post(server: Running, **fields: Any) -> httpx.Response:
    sample = fields.pop("audio_sample")
    files = {"audio_sample": ("me.wav", sample, "audio/wav")}
    return httpx.post(f"{server.http}/v1/audio/voices", data=fields, files=files)


def say(client: openai.OpenAI, voice: Any) -> bytes:
    return client.audio.speech.create(
        model="tts-1", voice=voice, input="Hello.", response_format="pcm", extra_body={"seed": 1}
    ).content


def test_the_life_of_a_voice_with_a_recorded_consent(
    client: openai.OpenAI, server: Running, speech: np.ndarray
) -> None:
    agreed = petit().generate(TEXT, voice="mia", seed=2).to_bytes()
    consent = client.audio.voice_consents.create(
        name="Ada agrees", language="en-US", recording=("yes.wav", agreed, "audio/wav")
    )
    assert consent.id.startswith("cons_")
    assert (consent.object, consent.name) == ("audio.voice_consent", "Ada agrees")
    voice = client.audio.voices.create(
        name="Ada",
        consent=consent.id,
        audio_sample=("ada.wav", wav(speech), "audio/wav"),
        extra_body={"ref_text": TEXT},
    )
    assert voice.id.startswith("voice_")
    assert voice.name == "Ada"
    sound = say(client, {"id": voice.id})
    assert sound == say(client, "ada")
    assert sound != say(client, "alloy")
    listed = httpx.get(f"{server.http}/v1/audio/voices").json()
    assert [one["id"] for one in listed["uploaded_voices"]] == [voice.id]
    with pytest.raises(openai.ConflictError, match="'Ada'"):
        client.audio.voice_consents.delete(consent.id)
    preview = httpx.get(f"{server.http}/v1/audio/voices/{voice.id}/preview")
    samples, rate = soundfile.read(io.BytesIO(preview.content))
    assert rate == 24_000
    assert len(samples) > 12_000
    assert httpx.get(str(preview.url)).content == preview.content
    deleted = client.audio.voices.delete(voice.id)
    assert (deleted.id, deleted.deleted) == (voice.id, True)
    with pytest.raises(openai.BadRequestError, match="no voice"):
        say(client, "Ada")
    assert client.audio.voice_consents.delete(consent.id).deleted


def test_consents_are_listed_in_pages_and_renamed(
    client: openai.OpenAI, speech: np.ndarray
) -> None:
    made = [
        client.audio.voice_consents.create(
            name=f"consent {number}", language="en", recording=("a.wav", wav(speech), "audio/wav")
        )
        for number in range(3)
    ]
    page = client.audio.voice_consents.list(limit=2)
    assert page.has_more
    assert [consent.id for consent in page.data] == [made[2].id, made[1].id]
    assert {consent.id for consent in client.audio.voice_consents.list(limit=2)} == {
        consent.id for consent in made
    }
    assert client.audio.voice_consents.update(made[0].id, name="renamed").name == "renamed"
    assert client.audio.voice_consents.retrieve(made[0].id).name == "renamed"
    for consent in made:
        assert client.audio.voice_consents.delete(consent.id).deleted
    with pytest.raises(openai.NotFoundError) as caught:
        client.audio.voice_consents.retrieve(made[0].id)
    assert caught.value.code == "consent_not_found"


def test_attested_voices_of_all_formats(server: Running, speech: np.ndarray) -> None:
    padded = np.concatenate([np.zeros(12_000, np.float32), speech, np.zeros(24_000, np.float32)])
    for format in ("WAV", "FLAC", "OGG", "MP3"):
        sample = wav(padded, format=format)
        made = post(server, audio_sample=sample, name="me", ref_text=TEXT, consent_attested="true")
        assert made.status_code == 200, made.text
        url = f"{server.http}/v1/audio/voices/{made.json()['id']}"
        assert httpx.get(url).json()["name"] == "me"
        assert httpx.delete(url).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "code", "words"),
    [
        (
            {"consent_attested": "false", "audio_sample": wav(PEOPLE)},
            400,
            "consent_required",
            QUESTION,
        ),
        ({"consent": "cons_nobody"}, 400, "consent_not_found", "no consent"),
        ({"ref_text": ""}, 400, "missing_required_parameter", "ref_text"),
        ({"name": "Heart"}, 409, "name_taken", "built-in"),
        ({"name": "Alloy"}, 409, "name_taken", "built-in"),
        ({"name": "7"}, 400, "invalid_value", "speaker number"),
        ({"audio_sample": b"hello"}, 415, "invalid_audio", "cannot be read as sound"),
        ({"audio_sample": b""}, 400, "invalid_audio", "empty"),
        ({"audio_sample": wav(np.zeros(72_000))}, 400, "invalid_audio", "silent"),
        ({"audio_sample": "short"}, 400, "invalid_audio", "1.5 to 30 s"),
        ({"audio_sample": "loud"}, 400, "invalid_audio", "full scale"),
        ({"audio_sample": b"RIFF" + bytes(11 * 2**20)}, 413, "too_large", "10 MiB"),
    ],
)
def test_errors_are_one_line(
    server: Running, speech: np.ndarray, change: Any, status: int, code: str, words: str
) -> None:
    recordings = {"short": wav(speech[:24_000]), "loud": wav(np.clip(50 * speech, -1, 1))}
    fields = {"audio_sample": wav(speech), "name": "eve", "ref_text": TEXT}
    fields |= {"consent_attested": "true", **change}
    sample = fields["audio_sample"]
    fields["audio_sample"] = recordings[sample] if isinstance(sample, str) else sample
    answer = post(server, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert words in error["message"]
    assert "\n" not in error["message"]
    listed = httpx.get(f"{server.http}/v1/audio/voices").json()
    assert listed["uploaded_voices"] == []


def test_a_stored_voice_says_who_consents_and_since_when(
    tmp_path: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    before = today()
    with running(tmp_path, transcribe="off") as server:
        agreed = {"recording": ("yes.wav", wav(speech[::-1]), "audio/wav")}
        url, data = f"{server.http}/v1/audio/voice_consents", {"name": "Ada L.", "language": "en"}
        monkeypatch.setattr("causerie.server.voices.consent_check._encoder", lambda: None)
        consent = httpx.post(url, data=data, files=agreed).json()["id"]
        for name, fields in {
            "attested": {"consent_attested": "true"},
            "recorded": {"consent": consent},
            "own": {"audio_sample": wav(marked(speech))},
        }.items():
            fields = {"audio_sample": wav(speech), "ref_text": TEXT, **fields}
            assert post(server, name=name, **fields).status_code == 200
    headers = [read_header(path) for path in (tmp_path / "voices").glob("*.safetensors")]
    assert {header.name: header.consent for header in headers} == {
        "attested": "attested by a client of the server",
        "recorded": f"Ada L., by the recording {consent}",
        "own": OWN_SPEECH,
    }
    assert {header.consent_date for header in headers} <= {before, today()}


@pytest.mark.parametrize(
    ("policy", "status"),
    [({}, 200), ({"consent": "recording"}, 400), ({"cloning": False}, 403)],
)
def test_a_watermark_counts_as_much_as_a_statement(
    tmp_path: Path,
    speech: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    policy: dict[str, Any],
    status: int,
) -> None:
    stand_in(monkeypatch)
    fields = {"audio_sample": wav(marked(speech)), "name": "eve", "ref_text": TEXT}
    audio = base64.b64encode(fields["audio_sample"]).decode()
    said = {"input": "Hello.", "max_duration_s": 0.3, "response_format": "pcm"}
    with running(tmp_path, **policy) as server:
        assert post(server, **fields).status_code == status
        for more in {"ref_audio": audio, "ref_text": TEXT}, {"context": [{"audio": audio}]}:
            answer = httpx.post(f"{server.http}/v1/audio/speech", json={**said, **more})
            assert answer.status_code == status, answer.text


def test_the_recording_policy_needs_a_recording(tmp_path: Path, speech: np.ndarray) -> None:
    with running(tmp_path, consent="recording") as server:
        fields = {"audio_sample": wav(speech), "name": "eve", "ref_text": TEXT}
        refused = post(server, **fields, consent_attested="true")
        assert refused.json()["error"]["code"] == "consent_required"
    with running(tmp_path, cloning=False) as server:
        refused = post(server, **fields, consent_attested="true")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "cloning_disabled")


def test_a_huge_body_is_not_read_to_its_end(tmp_path: Path) -> None:
    num_sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal num_sent
        yield b'--x\r\nContent-Disposition: form-data; name="audio_sample"; filename="a"\r\n\r\n'
        while num_sent < 2**30:
            num_sent += 2**16
            yield bytes(2**16)

    with running(tmp_path, max_upload_mb=0.1) as server:
        url, kind = (
            f"{server.http}/v1/audio/voices",
            {"content-type": "multipart/form-data; boundary=x"},
        )
        large = {"audio_sample": ("me.wav", bytes(3 * 2**20), "audio/wav")}
        for answer in (
            httpx.post(url, data={"name": "x"}, files=large),  # with a content-length
            httpx.post(url, content=itertools.islice(endless(), 48), headers=kind),
            httpx.post(f"{server.http}/v1/audio/speech", content=b" " * 3 * 2**20),
        ):
            assert answer.status_code == 413
            assert answer.json()["error"]["code"] == "too_large"
        with contextlib.suppress(httpx.TransportError):  # it may be cut off while sending
            assert httpx.post(url, content=endless(), headers=kind).status_code == 413
        assert num_sent < 2**26


def test_too_many_recordings_are_refused_with_retry_after(
    tmp_path: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloning, "MAX_WAITING", 0)
    entered, leave = threading.Event(), threading.Event()

    def slowly(*args: Any) -> Recording:
        entered.set()
        assert leave.wait(30)
        return real(*args)

    real = routes.voice_sound
    monkeypatch.setattr(routes, "voice_sound", slowly)
    fields = {"audio_sample": wav(speech), "ref_text": TEXT, "consent_attested": "true"}
    with running(tmp_path) as server, ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, server, name="one", **fields)
        assert entered.wait(30)
        refused = post(server, name="two", **fields)
        leave.set()
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            429,
            "rate_limit_exceeded",
        )
        assert refused.headers["retry-after"] == "5"
        assert first.result().status_code == 200
        assert post(server, name="two", **fields).status_code == 200
        again = post(server, name="two", **fields)
        assert (again.status_code, again.headers["x-should-retry"]) == (409, "false")


def test_a_failing_store_is_reported(
    tmp_path: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with running(tmp_path) as server:
        fields = {"audio_sample": wav(speech), "ref_text": TEXT, "consent_attested": "true"}
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            failed = post(server, name="one", **fields)
        assert (failed.status_code, failed.json()["error"]["code"]) == (503, "storage_failed")
        assert "No space left" in failed.json()["error"]["message"]
        assert str(tmp_path) not in failed.text
        assert post(server, name="one", **fields).status_code == 200


def test_a_models_first_prompt_is_the_default_and_noted(tmp_path: Path) -> None:
    recorded = tmp_path / "prompts" / "read_speech_b.wav"
    recorded.parent.mkdir()
    soundfile.write(recorded, np.random.default_rng(0).normal(0, 0.1, 48_000), 24_000)
    checkpoint = tiny.checkpoint(max_frames=512)
    tts = TTS(dataclasses.replace(checkpoint, voices=voice_files(tmp_path)))
    body = {"input": "Hi.", "max_duration_s": 0.2, "response_format": "pcm", "seed": 1}
    with running(tmp_path / "store", tts) as server:
        (listed,) = httpx.get(f"{server.http}/v1/audio/voices").json()["voices"]
        assert (listed["id"], listed["description"]) == ("read_speech_b", "Man, reading")
        url = f"{server.http}/v1/audio/speech"
        default = httpx.post(url, json=body)
        note = "voice: read_speech_b, the model's first, as none was given"
        assert note in json.loads(default.headers["x-notes"])
        named = httpx.post(url, json={**body, "voice": "read_speech_b"})
        assert "voice" not in named.headers.get("x-notes", "")
        assert default.content == named.content


def test_a_model_without_named_voices_lists_numbers(tmp_path: Path) -> None:
    with running(tmp_path, TTS(tiny.checkpoint())) as server:
        for voice in httpx.get(f"{server.http}/v1/audio/voices").json()["voices"]:
            body = {"input": "Hi.", "voice": voice["id"], "max_duration_s": 0.2}
            spoken = httpx.post(f"{server.http}/v1/audio/speech", json=body)
            assert spoken.status_code == 200, spoken.text


def test_the_list_has_the_fields_of_all_clients(server: Running) -> None:
    listed = httpx.get(f"{server.http}/v1/audio/voices").json()
    assert [voice["id"] for voice in listed["voices"]][:1] == ["heart"]
    assert {"id", "name", "language", "description", "preview_url", "origin"} <= set(
        listed["voices"][0]
    )
    assert listed["data"] == listed["voices"]
    legacy = httpx.get(f"{server.http}/v1/audio/voices?legacy=true").json()
    assert "theo" in legacy["voices"]


@pytest.mark.parametrize("name", sorted(OPENAI_VOICES))
def test_each_of_openais_voices_speaks(client: openai.OpenAI, name: str) -> None:
    assert len(say(client, name)) > 10_000


def test_a_delete_that_another_one_overtakes_finds_nothing(
    server: Running, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"audio_sample": wav(speech), "ref_text": TEXT, "consent_attested": "true"}
    assert post(server, **fields, name="me").status_code == 200
    delete = VoiceStore.delete

    def twice(store: VoiceStore, id: str) -> Any:
        delete(store, id)
        return delete(store, id)

    monkeypatch.setattr(VoiceStore, "delete", twice)
    answer = httpx.delete(f"{server.http}/v1/audio/voices/me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "voice_not_found")


def test_a_locked_folder_delays_no_other_request(
    tmp_path: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Semaphore(0)
    delete = VoiceStore.delete

    def counted(store: VoiceStore, id: str) -> Any:
        begun.release()
        return delete(store, id)

    monkeypatch.setattr(VoiceStore, "delete", counted)
    fields = {"audio_sample": wav(speech), "ref_text": TEXT, "consent_attested": "true"}
    with running(tmp_path) as server, ThreadPoolExecutor(9) as pool:
        assert post(server, **fields, name="me").status_code == 200
        url = f"{server.http}/v1/audio/voices"
        # as another process would hold it
        with filelock.FileLock(tmp_path / ".lock"):
            deletes = [pool.submit(httpx.delete, f"{url}/me", timeout=PATIENCE_S) for _ in range(9)]
            for _ in range(4):  # as many as change the folder at a time
                assert begun.acquire(timeout=PATIENCE_S)
            for voice in "theo", "me":
                answer = httpx.post(
                    f"{server.http}/v1/audio/speech",
                    json={"input": "Hi.", "voice": voice, "response_format": "pcm"},
                    timeout=PATIENCE_S,
                )
                assert answer.status_code == 200
            for path in url, f"{url}/mia/preview":
                assert httpx.get(path, timeout=PATIENCE_S).status_code == 200
            assert not any(delete.done() for delete in deletes)
        statuses = [delete.result().status_code for delete in deletes]
    assert sorted(statuses) == [200] + 8 * [404]


def test_a_preview_on_a_full_disk_is_sent(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(VoiceStore, "keep_preview", fail)
    answer = httpx.get(f"{server.http}/v1/audio/voices/theo/preview", timeout=PATIENCE_S)
    assert answer.status_code == 200
    assert soundfile.read(io.BytesIO(answer.content))[1] == 24_000
