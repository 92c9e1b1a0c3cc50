"""Bodies that are large, deep or strange: each is answered at once, and takes little memory.

A server in a process of its own gets each of them while `/health` is asked all the time.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from tests.patience import PATIENCE_S
from tests.server.process import Served, served

pytestmark = pytest.mark.slow  # each starts a server, or sends it megabytes

MIB = 2**20
SPEECH, BATCH = "/v1/audio/speech", "/v1/audio/speech/batch"
RULES, FILE = (f"/v1/pronunciation-dictionaries/add-from-{kind}" for kind in ("rules", "file"))
#: MB of memory, and seconds of `/health`, that a request may take.
MAX_MB, MAX_S = 300, 0.2


def many(pair: str, size: int) -> bytes:
    """An object of pairs, in which %d is their number."""
    number = size // len(pair % 0 + "1234567,")
    return ("{" + ",".join(pair % index for index in range(number)) + "}").encode()


def flac(seconds: int, channels: int, rate: int = 24_000) -> str:
    """Silence in base64."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((seconds * rate, channels), np.int16), rate, format="FLAC")
    return base64.b64encode(buffer.getvalue()).decode()


def context(*audio: str) -> bytes:
    turns = [{"text": "Hello.", "audio": one} for one in audio]
    return json.dumps({"input": "Hi.", "context": turns, "consent_attested": True}).encode()


def field(name: str, value: object, **more: object) -> bytes:
    return json.dumps({"input": "Hi.", **more, name: value}).encode()


def form(name: str, size: int, *, content: bytes = b"a", parts: int = 1) -> tuple[bytes, str]:
    """A form with a file, or many, and the type of its content."""
    file = (content * (size // len(content) + 1))[:size]
    head = f'--B\r\ncontent-disposition: form-data; name="{name}"; filename="a"\r\n\r\n'
    return parts * (
        head.encode() + file + b"\r\n"
    ) + b"--B--\r\n", "multipart/form-data; boundary=B"


def dictionary(file: bytes) -> tuple[bytes, str]:
    """A form with a pronunciation dictionary."""
    head = b'--B\r\ncontent-disposition: form-data; name="%s"'
    parts = head % b"name" + b"\r\n\r\na\r\n", head % b"file" + b'; filename="a"\r\n\r\n', file
    return b"".join(parts) + b"\r\n--B--\r\n", "multipart/form-data; boundary=B"


def words(number: int) -> bytes:
    """The lines of a dictionary."""
    return b"".join(b"w%d\tab\n" % index for index in range(number))


#: Name → the path, the body (made when it is needed), and the statuses that are right.
BODIES: dict[str, tuple[str, Callable[[], bytes | tuple[bytes, str]], set[int]]] = {
    "14 MiB of keys": (SPEECH, lambda: many('"k%d":1', 14 * MIB), {413}),
    "1 MiB of keys": (SPEECH, lambda: many('"k%d":1', MIB), {400}),
    "14 MiB of keys in a batch": (BATCH, lambda: many('"k%d":1', 14 * MIB), {413}),
    "20 MiB of numbers": (SPEECH, lambda: b"[" + 10 * MIB * b"1," + b"1]", {413}),
    "one number of 20 MiB": (SPEECH, lambda: b'{"seed":' + 20 * MIB * b"1" + b"}", {400}),
    "one number of 1 MiB": (SPEECH, lambda: b'{"input":"a","seed":' + MIB * b"1" + b"}", {400}),
    "20 MiB of brackets": (SPEECH, lambda: 20 * MIB * b"[", {413}),
    "1 MiB of brackets": (SPEECH, lambda: MIB * b"[", {400}),
    "1 MiB of braces": (SPEECH, lambda: (MIB // 5) * b'{"a":', {400}),
    "a deep context": (SPEECH, lambda: b'{"context":' + 2000 * b"[" + 2000 * b"]" + b"}", {400}),
    "20 MiB of spaces": (SPEECH, lambda: field("input", 20 * MIB * " "), {400}),
    "20 MiB of spaces around": (SPEECH, lambda: b"{" + 20 * MIB * b" " + b"}", {400}),
    "20 MiB of text": (SPEECH, lambda: field("input", 4 * MIB * "word "), {400}),
    "5 MiB of emoji": (
        SPEECH, lambda: json.dumps({"input": MIB * "😀"}, ensure_ascii=False).encode(), {413},
    ),
    "20 MiB and one emoji": (
        SPEECH,
        lambda: json.dumps({"input": 20 * MIB * "a" + "😀"}, ensure_ascii=False).encode(),
        {413},
    ),
    "20 MiB of escapes": (SPEECH, lambda: b'{"input":"' + 3 * MIB * b"\\u00e9" + b'"}', {413}),
    "20 MiB of quotes": (SPEECH, lambda: field("input", 10 * MIB * '"'), {413}),
    "20 MiB of input in SSML": (
        SPEECH, lambda: field("input", "<speak>" + 5 * MIB * "<p/>" + "</speak>"), {400},
    ),
    "SSML that is deep": (SPEECH, lambda: field("input", "<speak>" + 2500 * "<p>"), {400}),
    "20 MiB of voice": (SPEECH, lambda: field("voice", 20 * MIB * "a"), {400}),
    "1 MiB of voice": (SPEECH, lambda: field("voice", MIB * "a"), {400}),
    "1 MiB of voice id": (SPEECH, lambda: field("voice", {"id": MIB * "a"}), {400}),
    "20 MiB of model": (SPEECH, lambda: field("model", 20 * MIB * "a"), {404}),
    "1 MiB of model": (SPEECH, lambda: field("model", MIB * "a"), {404}),
    "1 MiB of consent": (
        SPEECH, lambda: field("consent", MIB * "a", ref_audio=flac(2, 1), ref_text="a"), {400},
    ),
    "20 MiB of an unknown field": (SPEECH, lambda: field("unknown", 20 * MIB * "a"), {200}),
    "an unknown name of 1 MiB": (SPEECH, lambda: field(MIB * "a", 1), {200}),
    "1 MiB of lexicon": (SPEECH, lambda: field("lexicon", {MIB * "a": "b"}), {200, 400}),
    "100,000 wrong entries": (
        SPEECH, lambda: field("lexicon", {f"{n}": [] for n in range(60_000)}), {400},
    ),
    "backticks": (SPEECH, lambda: field("input", 6_000 * "a `b` ", max_duration_s=0.1), {200, 400}),
    "a batch of backticks": (
        BATCH,
        lambda: json.dumps({"items": 32 * [{"input": 19_000 * "`"}]}).encode(),
        {200},
    ),
    "a batch of 100,000": (BATCH, lambda: json.dumps({"items": 100_000 * [{}]}).encode(), {400}),
    "ref_audio of 20 MiB": (
        SPEECH, lambda: field("ref_audio", 20 * MIB * "A", consent_attested=True), {413},
    ),
    "ref_audio that is no base64": (
        SPEECH, lambda: field("ref_audio", 20 * MIB * "é", consent_attested=True), {400, 413},
    ),
    "2 h of silence": (SPEECH, lambda: context(flac(7200, 1)), {413}),
    "8 channels of silence": (SPEECH, lambda: context(flac(900, 8)), {413}),
    "192 kHz of silence": (SPEECH, lambda: context(flac(119, 2, 192_000)), {400}),
    "64 turns of 100 s": (SPEECH, lambda: context(*64 * [flac(100, 1)]), {413}),
    "64 turns of 0.3 MiB": (SPEECH, lambda: context(*64 * [300_000 * "A"]), {415}),
    "a file of 20 MiB": ("/v1/audio/voices", lambda: form("audio_sample", 20 * MIB), {400, 413}),
    "a file of line ends": (
        "/v1/audio/voices",
        lambda: form("audio_sample", 9 * MIB, content=b"\r\n--A\r\n-"),
        {400},
    ),
    "100,000 files": (
        "/v1/audio/voices", lambda: form("audio_sample", 1, parts=100_000), {400},
    ),
    "2 h of silence uploaded": (
        "/v1/audio/voice_consents",
        lambda: form("recording", MIB, content=base64.b64decode(flac(7200, 1))),
        {400},
    ),
    "19 MiB that are no JSON": (SPEECH, lambda: 19 * MIB * b"a", {400}),
    "19 MiB of zeros": (SPEECH, lambda: bytes(19 * MIB), {400}),
    "bytes that are no text": (SPEECH, lambda: b'{"input":"' + MIB * b"\xff" + b'"}', {400}),
    "30 MiB": (SPEECH, lambda: 30 * MIB * b"a", {413}),
    "keys of ElevenLabs": ("/v1/text-to-speech/mia", lambda: many('"k%d":1', 14 * MIB), {413}),
    "a dialogue of 20 MiB": ("/v1/audio/dialogue", lambda: field("input", 5 * MIB * "a:b "), {413}),
    "a dictionary of 9 MiB": (FILE, lambda: dictionary(words(900_000)), {413}),
    "a dictionary of 2 MiB": (FILE, lambda: dictionary(words(190_000)), {400}),
    "a dictionary of 2 MiB in JSON": (
        FILE, lambda: dictionary(many('"w%d":"ab"', 2 * MIB - 9)), {400},
    ),
    "10,000 rules": (
        RULES,
        lambda: json.dumps({"name": "a", "rules": [
            {"string_to_replace": f"w{n}", "phoneme": 9 * "ab "} for n in range(10_000)
        ]}).encode(),
        {200},
    ),
    "10,000 words of a lexicon": (
        SPEECH,
        lambda: field("lexicon", {f"w{n}": 20 * "ab " for n in range(10_000)}, max_duration_s=0.1),
        {200},
    ),
    "rules": (
        RULES,
        lambda: json.dumps({"name": "a", "rules": 300_000 * [{}]}).encode(),
        {400, 413},
    ),
}  # fmt: skip


class Watch:
    """Asks for `/health` all the time, and reads the memory of the server."""

    def __init__(self, server: Served) -> None:
        self.server, self.slowest_s, self.most_mb = server, 0.0, 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self.server.url, timeout=PATIENCE_S) as client:
            while not self._is_over.is_set():
                started, used_s = time.perf_counter(), cpu_s(self.server)
                assert client.get("/health").status_code == 200
                took_s = time.perf_counter() - started
                # Other tests may take the cores: the server's own time is what it stalls.
                stalled_s = min(took_s, cpu_s(self.server) - used_s)
                self.slowest_s = max(self.slowest_s, stalled_s)
                self.most_mb = max(self.most_mb, memory_mb(self.server))
                time.sleep(0.005)


def cpu_s(server: Served) -> float:
    """The processor time of all threads of the process, in steps of 10 ms."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(server: Served) -> float:
    """The memory of the process, in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    with served(tmp_path_factory.mktemp("server"), "--transcribe", "off") as here:
        httpx.post(here.url + SPEECH, json={"input": "Hello."}, timeout=PATIENCE_S)
        yield here


@pytest.mark.parametrize("name", BODIES)
def test_a_body_neither_stalls_nor_fills_the_server(server: Served, name: str) -> None:
    path, make, statuses = BODIES[name]
    body = make()
    content, kind = body if isinstance(body, tuple) else (body, "application/json")
    before = memory_mb(server)
    for _ in range(3):  # a stall that the machine causes does not come three times
        with Watch(server) as watch:
            answer = httpx.post(
                server.url + path,
                content=content,
                headers={"content-type": kind},
                timeout=PATIENCE_S,
            )
        if watch.slowest_s < MAX_S:
            break
    assert answer.status_code in statuses, answer.text[:300]
    if path != BATCH or answer.status_code != 200:
        assert answer.status_code == 200 or len(answer.content) < 3_000
    assert watch.most_mb - before < MAX_MB
    assert watch.slowest_s < MAX_S
    assert "Traceback" not in server.log


def test_any_method_is_one_label(server: Served) -> None:
    for number in range(30):
        with contextlib.suppress(httpx.HTTPError):
            httpx.request(f"METHOD{number}", f"{server.url}/health")
    metrics = httpx.get(f"{server.url}/metrics").text
    assert "METHOD" not in metrics
    assert 'method="other"' in metrics
