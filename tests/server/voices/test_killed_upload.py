"""A server killed during uploads keeps only complete voices, and serves them."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.server.process import Served, served
from tests.server.running import petit
from tests.server.test_voices import TEXT, wav

pytestmark = pytest.mark.slow


def upload(url: str, sample: bytes, name: str) -> httpx.Response:
    return httpx.post(
        f"{url}/v1/audio/voices",
        data={"name": name, "ref_text": TEXT, "consent_attested": "true"},
        files={"audio_sample": ("me.wav", sample, "audio/wav")},
    )


def uploaded(server: Served) -> set[str]:
    listed = httpx.get(f"{server.url}/v1/audio/voices").json()
    return {voice["name"] for voice in listed["uploaded_voices"]}


def test_a_server_killed_during_uploads_keeps_complete_voices(tmp_path: Path) -> None:
    sample = wav(petit().generate(TEXT, voice="mia", seed=1).samples)
    answered: set[str] = set()
    sent: set[str] = set()

    def keep_uploading(url: str, life: int, has_answered: threading.Event) -> None:
        for number in range(1000):
            name = f"voice of life {life}, {number}"
            sent.add(name)
            try:
                if upload(url, sample, name).status_code == 200:
                    answered.add(name)
                    has_answered.set()
            except httpx.HTTPError:
                return  # the server was killed

    for life, seconds in enumerate((0.05, 0.2, 0.35)):  # after the first upload
        with pytest.raises(AssertionError, match="exited with -9"), served(tmp_path) as server:  # noqa: PT012
            assert answered <= uploaded(server)
            arguments = server.url, life, threading.Event()
            uploading = threading.Thread(target=keep_uploading, args=arguments)
            uploading.start()
            assert arguments[-1].wait(PATIENCE_S)
            time.sleep(seconds)
            server.process.send_signal(signal.SIGKILL)
            uploading.join()
    with served(tmp_path) as server:
        stored = uploaded(server)
        assert answered <= stored <= sent
        assert answered
        for name in stored:  # each is complete: it speaks
            speech = {"input": "Hi.", "voice": name, "max_duration_s": 0.3}
            answer = httpx.post(f"{server.url}/v1/audio/speech", json=speech)
            assert answer.status_code == 200, answer.text
        assert upload(server.url, sample, "after all").status_code == 200
    files = {path.name for path in (tmp_path / "voices" / "voices").iterdir()}
    assert len(files) == len(stored) + 1  # no temporary files are left


def test_a_damaged_voice_is_not_served(tmp_path: Path) -> None:
    sample = wav(petit().generate(TEXT, voice="mia", seed=1).samples)
    with served(tmp_path) as server:
        ids = {name: upload(server.url, sample, name).json()["id"] for name in ("one", "two")}
    (damaged,) = (tmp_path / "voices").rglob(f"{ids['one']}*.safetensors")
    contents = damaged.read_bytes()
    damaged.write_bytes(contents[: len(contents) // 2])
    with served(tmp_path) as server:
        assert uploaded(server) == {"two"}
        assert damaged.exists()
