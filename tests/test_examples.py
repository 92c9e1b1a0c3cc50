"""Every script in examples/ runs, and so does every cell of the notebook."""

from __future__ import annotations

import ast
import json
import runpy
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie import TTS, Audio
from causerie.consent import QUESTION
from causerie.voice_file import read_header
from tests.server.running import running

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MAX_LINES = 50


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch, petit: TTS) -> None:
    """All scripts share one loaded model."""
    monkeypatch.setattr(TTS, "from_pretrained", lambda: petit)


@pytest.fixture(scope="module")
def petit() -> TTS:
    return TTS.from_pretrained()


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_read_aloud(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("story.txt").write_text("It was late.\n\nThe door\nwas open.\n")
    run(monkeypatch, "read_aloud.py", "story.txt", "story", "--voice", "clara")
    durations = [Audio.load(path).duration_s for path in sorted(Path("story").iterdir())]
    assert len(durations) == 2
    assert min(durations) > 0.4
    assert capsys.readouterr().out.startswith("story/001.flac: ")


def test_dialogue(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "dialogue.py")
    assert Audio.load("dialogue.wav").duration_s > 5


def test_speak_llm(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "speak_llm.py")
    assert Audio.load("answer.wav").duration_s > 3


class ChatCompletions(BaseHTTPRequestHandler):
    """The part of OpenAI's chat completions that streams; always says the same."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert asked["stream"]
        assert asked["model"] == "tiny"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for part in ("It is ", "warm. ", "We can swim."):
            event = {"choices": [{"index": 0, "delta": {"content": part}}]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def chat_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), ChatCompletions) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


class Loudspeaker:
    """Stands in for a stream of sounddevice."""

    played: list[NDArray[np.float32]]

    def __init__(self, *, samplerate: int, channels: int) -> None:
        assert (samplerate, channels) == (24_000, 1)
        type(self).played = []

    def __enter__(self) -> Loudspeaker:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, pcm: NDArray[np.float32]) -> None:
        self.played.append(pcm)


def test_speak_llm_plays_what_a_server_writes(
    monkeypatch: pytest.MonkeyPatch, chat_url: str
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(OutputStream=Loudspeaker))
    run(monkeypatch, "speak_llm.py", "--base-url", chat_url, "--model", "tiny", "--play")
    samples = Audio.load("answer.wav").samples
    assert len(samples) > 24_000
    assert np.abs(np.concatenate(Loudspeaker.played) - samples).max() < 1e-4


def test_openai_client(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    petit: TTS,
) -> None:
    with running(tmp_path, petit) as server:
        run(monkeypatch, "openai_client.py", f"{server.http}/v1")
    assert Audio.load("server.mp3").duration_s > 1
    assert "first sound after" in capsys.readouterr().out


def test_many_replies(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "many_replies.py")
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert all(Audio.load(path).duration_s > 0.8 for path in Path().glob("*.wav"))


def test_own_voice(monkeypatch: pytest.MonkeyPatch, petit: TTS) -> None:
    text = "This is how I sound when I talk about nothing in particular."
    petit.generate(text, voice="mia", seed=1).save("me.wav")
    run(monkeypatch, "own_voice.py", "me.wav", text, "--consent", "Mia, a voice of petit")
    assert read_header("me.safetensors").consent == "Mia, a voice of petit"
    assert Audio.load("me-speaks.wav").duration_s > 1
    assert petit.generate("Hello.", voice="me.safetensors", seed=1).duration_s > 0.2


def test_own_voice_asks_for_consent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "own_voice.py", "me.wav", "Hello.")
    assert QUESTION in capsys.readouterr().err


def test_notebook() -> None:
    """Its code runs, a cell that ends in speech shows a player, and no output is stored."""
    cells = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    players = 0
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == []
        *body, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            if isinstance(shown, Audio):
                assert "<audio" in shown._repr_html_()
                players += 1
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)
    assert players == 4
    assert Audio.load("hello.wav").duration_s > 1


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_a_script_is_short_and_has_a_test(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert f'"{path.name}"' in Path(__file__).read_text(encoding="utf-8")
