"""`causerie narrate` from a document to files, with interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from causerie.audio import io
from causerie.cli import app
from causerie.narrate import run
from causerie.reply import turns, verifier
from causerie.reply.attempts import MAX_CHECKED
from tests.narrate.books import write_epub
from tests.patience import PATIENCE_S

BOOK = """# One morning

It was $5 at 10:30.

## A part

It rained.

# The *end*

It ended.

# Code

```python
x = 1
```
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(turns, "MAX_DURATION_S", 0.4)  # the tiny model does not end
    Path("book.md").write_text(BOOK, "utf-8")


@pytest.fixture
def narrate(tiny_folder: Path) -> Any:
    def invoke(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(
            app, ["narrate", "--model", str(tiny_folder), "--device", "cpu", *arguments]
        )
        assert done.exit_code == code, done.stderr
        return done

    return invoke


def chapters_of(path: str) -> list[str]:
    with av.open(path) as book:
        return [chapter["metadata"]["title"] for chapter in book.chapters()]


@pytest.mark.parametrize("name", ["a.m4b", "a.mp3"])
def test_one_file_has_chapters_and_subtitles(narrate: Any, name: str) -> None:
    done = narrate("book.md", "-o", name, "--subtitle", "srt,vtt", "--subtitle", "json", "--json")
    facts = json.loads(done.stdout)
    assert facts["files"] == [name, "a.srt", "a.vtt", "a.json"]
    assert chapters_of(name) == ["One morning", "The end", "Code"]
    assert [chapter["title"] for chapter in facts["chapters"]] == ["One morning", "The end", "Code"]
    starts = [chapter["start"] for chapter in facts["chapters"]]
    assert starts == sorted(set(starts))
    words = json.loads(Path("a.json").read_text("utf-8"))
    said = "One morning It was $5 at 10:30. A part It rained. The end It ended. Code"
    assert " ".join(word["word"] for word in words) == said
    assert sorted(os.listdir()) == sorted([*facts["files"], "book.md"])


def test_a_folder_has_a_file_for_each_chapter(narrate: Any) -> None:
    done = narrate("book.md", "--format", "flac", "--chapters", "1-2", "--subtitle", "srt")
    names = ["01 One morning", "02 The end"]
    wanted = sorted(f"{name}.{end}" for name in names for end in ("flac", "srt"))
    assert sorted(os.listdir("book")) == wanted
    assert "2 chapters" in done.stdout
    samples, rate = io.read("book/02 The end.flac")
    # a lead, the heading, a pause, the text, a pause, the end
    assert len(samples) / rate == pytest.approx(0.5 + 0.4 + 0.8 + 0.4 + 0.4 + 1.5, abs=0.01)


def test_an_epub_gives_tags_and_a_cover(narrate: Any) -> None:
    write_epub(Path("b.epub"))
    done = narrate("b.epub", "-o", "b.m4b", "--author", "Ann B. Lee")
    assert "skipped: numbers of notes\nskipped: notes\n" in done.stderr
    assert chapters_of("b.m4b") == ["The Small Book", "The Start", "The End"]
    with av.open("b.m4b") as book:
        assert book.metadata["title"] == "The Small Book"
        assert book.metadata["artist"] == "Ann B. Lee"
        assert len(book.streams.video) == 1


def test_list_says_what_there_is_without_speaking(narrate: Any) -> None:
    done = narrate("book.md", "--list")
    assert [line.split("  ")[-1] for line in done.stdout.splitlines()[1:4]] == [
        "One morning", "The end", "Code",
    ]  # fmt: skip
    listed = json.loads(narrate("book.md", "--list", "--json", "--chapters", "2").stdout)
    assert listed["chapters"] == [{"number": 2, "title": "The end", "characters": 20, "seconds": 1}]
    assert os.listdir() == ["book.md"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["book.md", "-o", "a.doc"], "cannot write a.doc: .doc extension; use one of .m4b"),
        (["book.md", "-o", "none/a.m4b"], "there is no folder none; make it first"),
        (["book.md", "-o", "a.m4b", "--format", "mp3"], "--format mp3 contradicts -o a.m4b"),
        (["book.md", "--format", "aiff"], "format 'aiff' is unknown"),
        (["book.md", "--subtitle", "ass"], "subtitles 'ass' are unknown: use one of srt, vtt"),
        (["book.md", "--chapters", "9"], "chapters '9' do not exist: there are 3, see --list"),
        (["book.md", "--voice", "nobody"], "nobody"),
        (["book.pdf"], ".pdf extension; use one of .txt, .md, .html, .epub"),
    ],
)
def test_errors_come_before_any_work(narrate: Any, arguments: list[str], message: str) -> None:
    done = narrate(*arguments, code=2)
    assert message in done.stderr
    assert os.listdir() == ["book.md"]


def test_an_interrupted_run_goes_on_and_gives_the_same(
    narrate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrate("book.md", "-o", "whole.flac", "--subtitle", "json")
    speak, spoken, limit = run._speak_part, list[str](), [3]

    def counting(tts: Any, part: Any, *more: Any) -> None:
        if len(spoken) == limit[0]:
            raise KeyboardInterrupt
        spoken.append(part.text)
        speak(tts, part, *more)

    monkeypatch.setattr(run, "NUM_STREAMS", 1)
    monkeypatch.setattr(run, "_speak_part", counting)
    stopped = narrate("book.md", "-o", "again.flac", code=130)
    assert "run the same command again to go on" in stopped.stderr
    assert not Path("again.flac").exists()
    limit[0] = 6
    narrate("book.md", "-o", "again.flac", "--subtitle", "json")
    assert len(spoken) == len(set(spoken)) == 6
    assert np.array_equal(io.read("whole.flac")[0], io.read("again.flac")[0])
    assert Path("whole.json").read_text() == Path("again.json").read_text()
    assert not list(Path().glob(".*"))


def test_other_settings_speak_again(narrate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "write_book", fail)
        narrate("book.md", "-o", "a.flac", code=130)
    narrate("book.md", "-o", "a.flac", "--seed", "5")
    narrate("book.md", "-o", "b.flac", "--seed", "5")
    assert np.array_equal(io.read("a.flac")[0], io.read("b.flac")[0])


@pytest.mark.slow
def test_a_killed_run_goes_on() -> None:
    """petit speaks a book of 12 parts, is killed after the first, and goes on."""
    paragraph = "The waiter brought us two plates of rice and a small salad. " * 21
    Path("long.txt").write_text("\n\n".join(f"{n}. {paragraph}" for n in range(12)), "utf-8")
    command = [sys.executable, "-m", "causerie", "narrate", "long.txt", "-o", "long.m4b"]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    work = Path(".long.m4b.narrate")
    try:
        _wait_for(lambda: len(list(work.glob("*.json"))) >= 1, running)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    kept = {path: path.stat().st_mtime_ns for path in work.glob("*.json")}
    assert 1 <= len(kept) < 12
    done = subprocess.run([*command, "--json"], capture_output=True, check=True)
    assert json.loads(done.stdout)["seconds"] > 600
    assert not work.exists()


def _wait_for(condition: Any, running: subprocess.Popen[bytes]) -> None:
    import time

    until = time.monotonic() + 4 * PATIENCE_S
    while not condition():
        assert running.poll() is None, "it ended before it was killed"
        assert time.monotonic() < until
        time.sleep(0.05)


def test_speed_and_pronunciations_are_those_of_say(narrate: Any) -> None:
    Path("words.txt").write_text("rained\tˈpɔːd\n", "utf-8")
    plain = json.loads(narrate("book.md", "-o", "a.wav", "--json").stdout)
    fast = json.loads(narrate("book.md", "-o", "b.wav", "--speed", "2", "--json").stdout)
    assert plain["seconds"] - fast["seconds"] > 0.5  # pauses keep their length
    result = narrate("book.md", "-o", "c.wav", "--lexicon", "words.txt", "--json")
    assert json.loads(result.stdout)["seconds"] == pytest.approx(plain["seconds"], abs=0.1)
    assert (
        "none.txt cannot be opened"
        in narrate("book.md", "-o", "c.wav", "--lexicon", "none.txt", code=2).stderr
    )


def test_verify_checks_every_part(narrate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "whispers", lambda: [lambda samples: "It rained and it ended."])
    facts = json.loads(narrate("book.md", "-o", "a.wav", "--json", "--verify").stdout)
    notes = [note for note in facts["notes"] if "verify" in note]
    assert any("The end: verify: 0 of 2 words missing, 3 invented, in" in note for note in notes)
    assert [check["attempts"] for check in facts["checks"]] == [MAX_CHECKED] * 5
