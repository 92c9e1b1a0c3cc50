"""A recording in a request for speech: its voice, its consent, and fetching it by URL."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from causerie.server.settings import Settings
from causerie.server.voices import cloning, fetch
from causerie.server.voices.recording import voice_sound
from causerie.server.voices.store import open_store
from tests.server.running import Running, petit, running
from tests.server.test_voices import PEOPLE, TEXT, wav


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return petit().generate(TEXT, voice="mia", seed=1).samples


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), max_upload_mb=1) as here:
        yield here


def post(server: Running, path: str = "/v1/audio/speech", **body: Any) -> httpx.Response:
    fields = {"input": "Hello.", "response_format": "pcm", "seed": 1, **body}
    return httpx.post(server.http + path, json=fields)


def encoded(file: bytes) -> str:
    return base64.b64encode(file).decode()


def test_it_speaks_like_an_uploaded_voice(server: Running, speech: np.ndarray) -> None:
    made = httpx.post(
        f"{server.http}/v1/audio/voices",
        data={"name": "me", "ref_text": TEXT, "consent_attested": "true"},
        files={"audio_sample": ("me.wav", wav(speech), "audio/wav")},
    )
    assert made.status_code == 200, made.text
    expected = post(server, voice="me").content
    audio = encoded(wav(speech))
    fields = {"ref_text": TEXT, "consent_attested": True}
    for sent in (audio, f"data:audio/wav;base64,{audio}", audio):
        answer = post(server, voice="alloy", ref_audio=sent, **fields)
        assert answer.status_code == 200, answer.text
        assert answer.content == expected
        assert "x-ignored-params" not in answer.headers
    assert post(server, voice="alloy").content != expected
    listed = httpx.get(f"{server.http}/v1/audio/voices").json()
    assert [voice["name"] for voice in listed["uploaded_voices"]] == ["me"]
    httpx.delete(f"{server.http}/v1/audio/voices/me")
    answer = post(
        server, "/v1/audio/speech/batch", items=[{"input": "Hello."}], ref_audio=audio, **fields
    ).json()
    assert base64.b64decode(answer["results"][0]["audio_data"]) == expected


def test_only_the_speech_of_a_recording_stays_in_memory(speech: np.ndarray) -> None:
    silence = np.zeros(100 * 24_000)
    found = voice_sound(wav(np.concatenate([speech, silence])), 24_000)
    assert found.speech.base is None
    assert len(found.speech) < 1.1 * len(speech)


def test_the_voices_of_recordings_in_memory_are_limited(
    tmp_path: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloning, "MAX_CACHED", 2)
    settings = Settings(voices=str(tmp_path), transcribe="off")

    async def main() -> None:
        made = cloning.Cloning(petit(), open_store(tmp_path, petit()), settings)
        first = await made.voice(wav(speech), TEXT)
        for number in range(2):
            assert await made.voice(wav(speech), TEXT) is first
            await made.voice(wav(speech), TEXT[: -1 - number])
        await made.voice(wav(speech), TEXT[:-1])
        assert await made.voice(wav(speech), TEXT) is not first

    asyncio.run(main())


def test_openais_client_with_a_recorded_consent(tmp_path: Path, speech: np.ndarray) -> None:
    with (
        running(tmp_path, consent="recording") as server,
        openai.OpenAI(base_url=f"{server.http}/v1", api_key="-", max_retries=0) as client,
    ):
        agreed = petit().generate(TEXT, voice="mia", seed=2).to_bytes()
        consent = client.audio.voice_consents.create(
            name="Ada agrees", language="en", recording=("yes.wav", agreed, "audio/wav")
        )
        fields = {"ref_audio": encoded(wav(speech)), "ref_text": TEXT}

        def say(**more: Any) -> bytes:
            return client.audio.speech.create(
                model="tts-1", voice="alloy", input="Hello.", extra_body={**fields, **more}
            ).content

        assert len(say(consent=consent.id)) > 4_000
        for more in ({}, {"consent_attested": True}, {"consent": "cons_nobody"}):
            with pytest.raises(openai.BadRequestError, match="consent"):
                say(**more)


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        (
            {"consent_attested": False, "ref_audio": encoded(wav(PEOPLE))},
            400,
            "consent_required",
            "consent",
        ),
        ({"consent": "cons_nobody"}, 400, "consent_not_found", "consent"),
        ({"ref_text": None}, 400, "missing_required_parameter", "ref_text"),
        ({"ref_text": "☃"}, 400, "invalid_text", "input"),
        ({"ref_audio": None}, 400, "missing_required_parameter", "ref_audio"),
        ({"ref_audio": "!"}, 400, "invalid_audio", "ref_audio"),
        ({"ref_audio": ""}, 415, "invalid_audio", "ref_audio"),
        ({"ref_audio": encoded(b"hello")}, 415, "invalid_audio", "ref_audio"),
        ({"ref_audio": encoded(wav(np.zeros(72_000)))}, 400, "invalid_audio", "ref_audio"),
        ({"ref_audio": encoded(bytes(2**20 + 1))}, 413, "too_large", "ref_audio"),
        ({"ref_audio": "http://example.org/a.wav"}, 403, "urls_not_allowed", "ref_audio"),
        ({"ref_audio": "file:///etc/passwd"}, 403, "urls_not_allowed", "ref_audio"),
    ],
)
def test_errors_are_one_line(
    server: Running, speech: np.ndarray, change: Any, status: int, code: str, param: str
) -> None:
    fields = {"ref_audio": encoded(wav(speech)), "ref_text": TEXT, "consent_attested": True}
    answer = post(server, **{**fields, **change})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
    assert "\n" not in error["message"]


def test_bad_recordings_have_notes_on_every_path(server: Running, speech: np.ndarray) -> None:
    """The same words for `ref_audio`, alone and in a batch, uploads, consents and contexts."""
    loud = wav(np.clip(4 * speech / np.abs(speech).max(), -1, 1))
    fields = {"ref_audio": encoded(loud), "ref_text": TEXT, "consent_attested": True}
    notes = json.loads(post(server, **fields).headers["x-notes"])
    (note,) = [note for note in notes if note.startswith("the recording is distorted: ")]
    items = [{"input": "Hello."}]
    batch = post(server, "/v1/audio/speech/batch", items=items, **fields).json()
    assert note in batch["results"][0]["notes"]
    url, kind = f"{server.http}/v1/audio", "audio/wav"
    data = {"name": "loud", "ref_text": TEXT, "consent_attested": "true", "language": "en"}
    made = httpx.post(f"{url}/voices", data=data, files={"audio_sample": ("a.wav", loud, kind)})
    assert note in json.loads(made.headers["x-notes"])
    assert httpx.delete(f"{url}/voices/loud").status_code == 200
    files = {"recording": ("a.wav", loud, kind)}
    consent = httpx.post(f"{url}/voice_consents", data=data, files=files)
    assert json.loads(consent.headers["x-notes"]) == [note]
    context = [{"text": TEXT, "audio": encoded(loud)}]
    notes = json.loads(post(server, context=context, consent_attested=True).headers["x-notes"])
    assert note.replace("the recording", "context segment 1") in notes


def test_a_wrong_transcript_is_a_note_on_every_path(
    tmp_path: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    languages = []

    def recognizer(language: str) -> Callable[[np.ndarray], str] | None:
        languages.append(language)
        return None if language == "klingon" else lambda _: "These are the words that are said."

    monkeypatch.setattr("causerie.server.voices.cloning.packaged_recognizer", recognizer)
    wrong = "the recording says other words than its transcript: the recognizer heard 'These are"
    with running(tmp_path, transcribe="auto") as server:
        for text, expected in ((TEXT, True), ("these are the words, that are said", False)):
            fields = {"ref_audio": encoded(wav(speech)), "ref_text": text, "consent_attested": True}
            one = post(server, **fields, max_duration_s=0.2)
            data = {"name": "me", "ref_text": text, "consent_attested": "true", "language": "de-DE"}
            two = httpx.post(
                f"{server.http}/v1/audio/voices",
                data=data,
                files={"audio_sample": ("a.wav", wav(speech), "audio/wav")},
            )
            httpx.delete(f"{server.http}/v1/audio/voices/me").raise_for_status()
            for answer in (one, two):
                assert answer.status_code == 200
                assert (wrong in answer.headers.get("x-notes", "")) == expected
        unknown = httpx.post(
            f"{server.http}/v1/audio/voices",
            data=data | {"ref_text": TEXT, "language": "Klingon"},
            files={"audio_sample": ("a.wav", wav(speech), "audio/wav")},
        )
        assert unknown.status_code == 200
        assert "other words" not in unknown.headers.get("x-notes", "")
    assert languages == ["en", "de", "en", "de", "klingon"]


def test_unusable_recordings_are_the_same_error_on_every_path(
    server: Running, speech: np.ndarray
) -> None:
    still, url = wav(0 * speech), f"{server.http}/v1/audio"
    message = "is silent: check the microphone"
    fields = {"ref_text": TEXT, "consent_attested": True}
    data = {"name": "me", "ref_text": TEXT * 9, "consent_attested": "true", "language": "en"}

    def upload(path: str, field: str, recording: bytes) -> httpx.Response:
        return httpx.post(f"{url}/{path}", data=data, files={field: ("a.wav", recording, "a/b")})

    silent = {"text": "", "audio": encoded(still)}
    for answer, name in (
        (post(server, ref_audio=encoded(still), **fields), "the recording"),
        (upload("voices", "audio_sample", still), "the recording"),
        (upload("voice_consents", "recording", still), "the recording"),
        (post(server, context=[silent], consent_attested=True), "context segment 1"),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "invalid_audio")
        assert error["message"] == f"{name} {message}"
    fields["ref_text"] *= 9
    context = [{"text": TEXT * 9, "audio": encoded(wav(speech))}]
    for answer in (
        post(server, ref_audio=encoded(wav(speech)), **fields),
        upload("voices", "audio_sample", wav(speech)),
        post(server, context=context, consent_attested=True),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "invalid_audio")
        assert "has a transcript that is too long to be said in" in error["message"]


def test_cloning_can_be_disabled(tmp_path: Path, speech: np.ndarray) -> None:
    with running(tmp_path, cloning=False) as server:
        fields = {"ref_audio": encoded(wav(speech)), "ref_text": TEXT, "consent_attested": True}
        refused = post(server, **fields)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "cloning_disabled")


# -- by URL ------------------------------------------------------------------------------------


@pytest.fixture
def site(speech: np.ndarray) -> Iterator[str]:
    """A web site with a recording, on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here = f"http://{self.headers['host']}"
            moves = {
                "/moved": "/me.wav",
                "/elsewhere": here.replace("127.0.0.1", "127.0.0.2") + "/me.wav",
                "/round": "/round",
                "/file": "file:///etc/passwd",
            }
            if self.path in moves:
                self.send_response(302)
                self.send_header("location", moves[self.path])
                self.end_headers()
                return
            files = {"/me.wav": wav(speech), "/large": bytes(2**20 + 1)}
            self.send_response(200 if self.path in files else 404)
            self.end_headers()
            self.wfile.write(files.get(self.path, b""))

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), allow_urls=True, max_upload_mb=1) as here:
        yield here


@pytest.fixture
def is_public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], bool]]:
    """Makes this machine's address count as public."""
    real = fetch.is_public
    monkeypatch.setattr(fetch, "is_public", lambda ip: ip == "127.0.0.1" or real(ip))
    return real


@pytest.mark.usefixtures("is_public")
def test_a_recording_by_url(fetching: Running, site: str, speech: np.ndarray) -> None:
    fields = {"ref_text": TEXT, "consent_attested": True}
    expected = post(fetching, ref_audio=encoded(wav(speech)), **fields).content
    for path in ("/me.wav", "/moved"):
        answer = post(fetching, ref_audio=site + path, **fields)
        assert answer.status_code == 200, answer.text
        assert answer.content == expected
    turn = {"text": TEXT, "audio": f"{site}/me.wav"}
    assert post(fetching, context=[turn], consent_attested=True).status_code == 200


@pytest.mark.usefixtures("is_public")
@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("{site}/large", 413, "too_large"),
        ("{site}/nothing", 400, "url_not_fetched"),
        ("{site}/round", 400, "url_not_fetched"),
        ("{site}/file", 400, "url_not_fetched"),
        ("{site}/elsewhere", 403, "urls_not_allowed"),
        ("http://127.0.0.1:1/", 400, "url_not_fetched"),
        ("http://127.0.0.1:99999/", 400, "url_not_fetched"),
        ("http://[/", 400, "url_not_fetched"),
        ("http://nobody.invalid/", 400, "url_not_fetched"),
        ("file:///etc/passwd", 400, "url_not_fetched"),
        ("http://localhost.:80@127.0.0.3/", 403, "urls_not_allowed"),
        ("http://10.0.0.1/", 403, "urls_not_allowed"),
        ("http://169.254.169.254/latest/meta-data", 403, "urls_not_allowed"),
        ("http://[::1]/", 403, "urls_not_allowed"),
        ("http://0x7f000002/", 403, "urls_not_allowed"),
    ],
)
def test_urls_that_are_not_fetched(
    fetching: Running, site: str, url: str, status: int, code: str
) -> None:
    fields = {"ref_text": TEXT, "consent_attested": True}
    answer = post(fetching, ref_audio=url.format(site=site), **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, "ref_audio"), error


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fec0::1", False),
        ("64:ff9b:1::7f00:1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("::7f00:1", False),
        ("::127.0.0.1", False),
        ("::8.8.8.8", False),
        ("::ffff:0:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:0a00:0001::", False),
    ],
)
def test_public_addresses(address: str, is_public: bool) -> None:
    assert fetch.is_public(address) is is_public


def test_a_slow_site_is_cut_off(
    fetching: Running, is_public: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MAX_S", 0.5)
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            while not over.wait(0.05):
                try:
                    self.wfile.write(b"H")
                except OSError:
                    return

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        fields = {"ref_text": TEXT, "consent_attested": True}
        answer = post(fetching, ref_audio=f"http://127.0.0.1:{served.server_port}/", **fields)
        over.set()
        served.shutdown()
        thread.join()
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "url_not_fetched")
    assert answer.elapsed.total_seconds() < 5
