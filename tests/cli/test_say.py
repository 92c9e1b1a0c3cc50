"""`causerie say` from its arguments to files, streams and lines of JSON."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from causerie.audio import io as files
from causerie.audio import play
from causerie.audio.audio import Audio
from causerie.cli import app, console
from causerie.cli import say as say_module
from causerie.cli.text import read_text
from causerie.engine.cached_runner import CachedRunner
from causerie.errors import AudioError, TextError
from causerie.reply import verifier
from causerie.text.front_end import FrontEnd, Spoken
from causerie.tts import TTS
from tests.audio.test_play import failing_at

FRAME = 1_920


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, with nothing to play sound on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(play, "sound_device", lambda: None)
    monkeypatch.setattr(play, "find_programs", list)


@pytest.fixture
def say(tiny_folder: Path) -> Any:
    def run(*arguments: str, stdin: str | bytes = "") -> Result:
        done = CliRunner().invoke(
            app,
            ["say", "--model", str(tiny_folder), "--max-duration", "0.4", *arguments],
            input=stdin,
        )
        assert done.exit_code == 0, done.stderr
        return done

    return run


@pytest.fixture
def expected(tiny_folder: Path) -> Any:
    tts = TTS.from_pretrained(tiny_folder, device="cpu")
    return lambda text, **more: tts.generate(text, **{"seed": 1, "max_duration_s": 0.4, **more})


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.opus"])
def test_writes_a_file(say: Any, expected: Any, name: str) -> None:
    done = say("Hello", "-o", name, "--seed", "1", "--device", "cpu")
    samples, rate = files.read(name)
    assert rate == 24_000
    assert len(samples) == 5 * FRAME
    if name in ("a.wav", "a.flac"):
        wanted = files.pcm16(expected("Hello").samples)
        assert np.array_equal(files.pcm16(samples), wanted)
    assert done.stdout.startswith(f"wrote {name} · 0.4 s of speech · first sound ")
    assert done.stdout.rstrip().endswith("× real time")
    assert "stopped: limit of 0.4 s" in done.stderr


def test_streams_wav_to_standard_output(tiny_folder: Path, expected: Any) -> None:
    command = [sys.executable, "-m", "causerie", "say", "Hello", "-o", "-", "--seed", "1"]
    command += ["--model", str(tiny_folder), "--max-duration", "0.4", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, check=True)
    samples, rate = soundfile.read(io.BytesIO(done.stdout), dtype="int16")
    assert rate == 24_000
    assert np.array_equal(samples, files.pcm16(expected("Hello").samples))
    lines = done.stderr.decode("utf-8").splitlines()
    assert lines[-1].startswith("0.4 s of speech · first sound ")
    assert not any("\x1b" in line or "speaking" in line for line in lines)  # no progress


def test_reads_a_file_and_standard_input(say: Any, expected: Any) -> None:
    Path("a.txt").write_text("Grüße\n", "utf-8")
    say("-f", "a.txt", "-o", "a.wav", "--seed", "1")
    say("-", "-o", "b.wav", "--seed", "1", stdin="Grüße\n".encode())
    wanted = files.pcm16(expected("Grüße").samples)
    for name in ("a.wav", "b.wav"):
        assert np.array_equal(files.pcm16(files.read(name)[0]), wanted)


def test_json_is_one_line_of_facts(say: Any, tiny_folder: Path) -> None:
    done = say("Hello", "-o", "a.wav", "--json", "--seed", "7")
    assert done.stdout.count("\n") == 1
    facts = json.loads(done.stdout)
    assert facts.pop("first_sound_ms") > 0
    assert facts.pop("rtf") > 0
    assert facts.pop("notes")[0].startswith("stopped: limit of 0.4 s")
    assert facts == {
        "text": "Hello",
        "seconds": 0.4,
        "frames": 5,
        "stopped": "limit",
        "seed": 7,
        "model": str(tiny_folder),
        "file": "a.wav",
    }


def test_settings_reach_the_model(say: Any, expected: Any) -> None:
    settings = ["--voice", "3", "--temperature", "0.5", "--top-k", "5", "--seed", "9"]
    say("Hello", "-o", "a.wav", *settings, "--max-duration", "0.3", "--dtype", "float32")
    wanted = expected("Hello", voice=3, temperature=0.5, top_k=5, seed=9, max_duration_s=0.3)
    assert np.array_equal(files.pcm16(files.read("a.wav")[0]), files.pcm16(wanted.samples))


def test_verify_speaks_again_and_says_so(
    say: Any, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = ["Goodbye", "Hello"]
    monkeypatch.setattr(verifier, "whispers", lambda: [lambda samples: heard.pop(0)])
    done = say("Hello", "-o", "a.wav", "--json", "--seed", "1", "--device", "cpu", "--verify")
    facts = json.loads(done.stdout)
    assert facts["checks"] == [
        {"text": "Hello", "attempts": 2, "words": 1, "missing": 0, "invented": 0, "is_right": True}
    ]
    assert facts["notes"][0] == "verify: words were wrong until attempt 2: 'Hello'"
    assert heard == []
    heard = ["Hello", "Goodbye", "Goodbye"]
    lines = say("Hello\nGoodbye", "--out-dir", "lines", "--json", "--verify").stdout.splitlines()
    assert [json.loads(line)["checks"][0]["attempts"] for line in lines] == [1, 1]


def test_verify_needs_its_extra(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    done = CliRunner().invoke(app, ["say", "Hi", "--model", str(tiny_folder), "--verify"])
    assert done.exit_code == 2
    assert 'pip install "causerie[verify]"' in done.stderr


@pytest.mark.parametrize("words", [{"text": "Before."}, {"text": ""}, {}])
def test_context_file_is_relative_to_itself(say: Any, expected: Any, words: dict[str, str]) -> None:
    from causerie.prompt import Segment

    Path("talk").mkdir()
    sound = np.random.default_rng(0).normal(0, 0.1, 8_820)
    soundfile.write("talk/one.wav", sound, 44_100)
    turns = [{"speaker": 1, **words, "audio": "one.wav"}]
    Path("talk/context.json").write_text(json.dumps(turns))
    say("Hello", "-o", "a.wav", "--context", "talk/context.json", "--seed", "1")
    said = Segment(speaker=1, **words, audio="talk/one.wav")
    wanted = expected("Hello", context=[said])
    assert np.array_equal(files.pcm16(files.read("a.wav")[0]), files.pcm16(wanted.samples))


def test_a_bad_context_is_a_note_or_an_error(say: Any, tiny_folder: Path) -> None:
    turns = [{"speaker": 1, "text": "Before.", "audio": "one.wav"}]
    Path("context.json").write_text(json.dumps(turns))
    sound = np.clip(np.random.default_rng(0).normal(0, 0.8, 12_000), -1, 1)
    soundfile.write("one.wav", sound, 24_000)
    done = say("Hello", "-o", "a.wav", "--context", "context.json", "--json")
    notes = json.loads(done.stdout)["notes"]
    assert any("context segment 1 (one.wav) is distorted: " in note for note in notes)
    soundfile.write("one.wav", 0 * sound, 24_000)
    where = ["--model", str(tiny_folder), "--context", "context.json", "-o", "b.wav"]
    done = CliRunner().invoke(app, ["say", "Hello", *where])
    assert done.exit_code == 2
    assert "context segment 1 (one.wav) is silent: check the microphone" in done.stderr
    assert not Path("b.wav").exists()


def test_one_prompt(say: Any, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FrontEnd, "max_piece_chars", 8)
    text = "One. 1. Two. 2."
    wanted = expected(text, one_prompt=True)
    assert not np.array_equal(wanted.samples, expected(text).samples)
    say(text, "-o", "a.wav", "--seed", "1", "--one-prompt")
    assert np.array_equal(files.pcm16(files.read("a.wav")[0]), files.pcm16(wanted.samples))


def test_a_file_for_each_line(say: Any, expected: Any) -> None:
    lines = [f"Line {n}" for n in range(1, 11)]
    Path("a.txt").write_text("\n\n".join(lines))
    done = say(
        "-f", "a.txt", "--out-dir", "out/deep", "--seed", "1", "--json", "--max-duration", "0.1"
    )
    facts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [fact["text"] for fact in facts] == lines
    assert sorted(path.name for path in Path("out/deep").iterdir()) == [
        f"{n:02}.wav" for n in range(1, 11)
    ]
    wanted = expected("Line 10", max_duration_s=0.1)
    samples, _ = files.read(facts[-1]["file"])
    assert np.array_equal(files.pcm16(samples), files.pcm16(wanted.samples))


def test_a_line_that_cannot_be_spoken_is_reported_and_the_rest_is_spoken(
    tiny_folder: Path,
) -> None:
    Path("a.txt").write_text("Hello\n\n" + "x" * 300 + "\nBye")
    arguments = ["say", "-f", "a.txt", "--out-dir", "out", "--model", str(tiny_folder)]
    done = CliRunner().invoke(app, [*arguments, "--max-duration", "0.1"])
    assert done.exit_code == 1
    *_, failure, summary = done.stderr.splitlines()
    assert failure.startswith("line 3: the text needs")
    assert summary == "causerie: 1 of 3 lines could not be spoken, see above"
    assert sorted(path.name for path in Path("out").iterdir()) == ["1.wav", "3.wav"]


@pytest.mark.parametrize("arguments", [["-o", "a.wav"], ["--out-dir", "out"]])
def test_an_empty_reply_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, arguments: list[str]
) -> None:
    step = CachedRunner.step
    monkeypatch.setattr(CachedRunner, "step", lambda *args: np.zeros_like(step(*args)))
    done = CliRunner().invoke(
        app, ["say", "Hello", "--model", str(tiny_folder), "--seed", "1", *arguments]
    )
    assert done.exit_code == (2 if "-o" in arguments else 1)
    assert "the model said nothing, with seed 1 and with another one; give" in done.stderr
    assert not [*Path().rglob("*.wav")]


def test_an_empty_reply_says_what_is_wrong_with_the_context(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 3 * 24_000).astype(np.float32)
    Audio(samples=samples, sample_rate=24_000).save("hiss.wav")
    Path("c.json").write_text('[{"speaker": 0, "text": "A", "audio": "hiss.wav"}]')
    step = CachedRunner.step
    monkeypatch.setattr(CachedRunner, "step", lambda *args: np.zeros_like(step(*args)))
    arguments = ["say", "Hello", "--model", str(tiny_folder), "--context", "c.json", "-o", "a.wav"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "another one; context segment 1 (hiss.wav) has a transcript that is too short" in (
        done.stderr
    )


def test_a_wrong_setting_stops_at_the_first_line(tiny_folder: Path) -> None:
    arguments = ["say", "-", "--out-dir", "out", "--model", str(tiny_folder), "--top-k", "-1"]
    done = CliRunner().invoke(app, arguments, input="Hello\nBye")
    assert done.exit_code == 2
    assert done.stderr.startswith("causerie: top_k must be")


def test_existing_files_are_skipped(say: Any, tiny_folder: Path) -> None:
    Path("out").mkdir()
    Path("out/1.wav").write_bytes(b"an older file")
    done = say("-", "--out-dir", "out", "--skip-existing", stdin="One\nTwo")
    assert Path("out/1.wav").read_bytes() == b"an older file"
    assert done.stdout.startswith("wrote out/2.wav")
    assert "skipped 1 of 2 lines, whose files exist" in done.stderr
    done = CliRunner().invoke(app, ["say", "Hello", "-o", "a.wav", "--skip-existing"])
    assert done.exit_code == 2
    assert "give --out-dir FOLDER too" in done.stderr


def test_piped_text_needs_no_argument(say: Any, expected: Any) -> None:
    say("-o", "a.wav", "--seed", "1", stdin="Hello")
    wanted = files.pcm16(expected("Hello").samples)
    assert np.array_equal(files.pcm16(files.read("a.wav")[0]), wanted)


def test_without_a_text_at_a_terminal_nothing_is_read(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(TextError, match="give one text: causerie say TEXT"):
        read_text(None, None, "say")


def test_an_unknown_voice_is_an_error_before_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(say_module, "_load", None)
    for voice, message in {
        "hart": "no voice 'hart': did you mean heart",
        "no.safetensors": "voice file no.safetensors does not exist",
    }.items():
        done = CliRunner().invoke(app, ["say", "Hello", "-o", "a.wav", "--voice", voice])
        assert done.exit_code == 2
        assert message in done.stderr


@pytest.mark.parametrize(
    ("rtf", "speed"), [(0.2, "5.0"), (1.0, "1.0"), (40.0, "0.025"), (900.0, "0.0011")]
)
def test_speed_is_never_shown_as_zero(rtf: float, speed: str) -> None:
    assert say_module._speed(rtf) == f"{speed} × real time"


def test_long_work_prints_lines_without_a_terminal(
    say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_S", 0.0)
    monkeypatch.setattr(FrontEnd, "max_piece_chars", 20)
    done = say("Hello there. How are you today?", "-o", "a.wav", "--max-duration", "2")
    shown = [line for line in done.stderr.splitlines() if line.startswith("speaking piece")]
    assert shown[0] == "speaking piece 1 of 2 · 0.1 s of speech so far"


def test_without_a_sound_device_a_file_is_written(say: Any) -> None:
    done = say("Hello")
    assert len(files.read("speech.wav")[0]) == 5 * FRAME
    assert "could not play it, so it is in speech.wav: no sound device" in done.stderr
    assert done.stdout.startswith("wrote speech.wav")


def test_a_player_that_fails_leaves_a_file(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(samples: np.ndarray, rate: int) -> None:
        raise AudioError("aplay could not play: no card; save it")

    monkeypatch.setattr(play, "play", fail)
    done = say("Hello", "--json")
    assert json.loads(done.stdout)["file"] == "speech.wav"
    assert "aplay could not play: no card\n" in done.stderr


def test_formats_of_weights(say: Any) -> None:
    say("Hello", "-o", "a.wav", "--backbone-format", "int8", "--depth-format", "int4")
    done = CliRunner().invoke(app, ["say", "Hello", "-o", "a.wav", "--depth-format", "int3"])
    assert done.exit_code == 2
    assert "must be one of auto, float32, bfloat16, int8, int5, int4, not 'int3'" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["-o", "a.wav", "--play"]])
def test_a_sound_device_gets_each_piece_as_it_comes(
    say: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    calls: list[Any] = []

    class Stream:
        def __init__(self, **settings: Any) -> None:
            calls.append(settings["samplerate"])

        def write(self, data: np.ndarray) -> None:
            calls.append(len(data) // FRAME)

        def __getattr__(self, name: str) -> Any:
            return lambda: calls.append(name)

    class Device:
        OutputStream = Stream

    monkeypatch.setattr(play, "sound_device", lambda: Device)
    done = say("Hello", "--seed", "1", *arguments)
    assert calls[:4] == [24_000, "start", 1, 1]
    assert sum(calls[2:-2]) == 5
    assert calls[-2:] == ["stop", "close"]
    assert Path("a.wav").exists() == bool(arguments)
    assert not Path("speech.wav").exists()
    assert "first sound" in done.stdout


@pytest.mark.parametrize("method", ["open", "start", "write", "stop"])
@pytest.mark.parametrize("arguments", [[], ["-o", "a.wav", "--play"]])
def test_a_sound_device_that_fails_costs_no_sound(
    say: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], method: str
) -> None:
    monkeypatch.setattr(play, "sound_device", lambda: failing_at(method))
    done = say("Hello", "--seed", "1", *arguments)
    name = "a.wav" if arguments else "speech.wav"
    assert len(files.read(name)[0]) == 5 * FRAME
    assert done.stdout.startswith(f"wrote {name}")
    prefix = "not played" if arguments else "could not play it, so it is in speech.wav"
    assert f"{prefix}: the sound device could not play: device unplugged\n" in done.stderr


def test_the_folder_is_checked_before_any_work() -> None:
    for command in (["say", "Hello", "-o"], ["codec", "decode", "no.safetensors", "-o"]):
        done = CliRunner().invoke(app, [*command, "no/a.wav", "--model", "./nowhere"])
        assert done.exit_code == 2
        assert done.stderr == (
            "causerie: cannot write no/a.wav: there is no folder no; make it first\n"
        )


def test_a_missing_package_is_reported_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    done = CliRunner().invoke(app, ["say", "Hello", "-o", "a.m4a", "--model", "./nowhere"])
    assert done.exit_code == 2
    assert 'pip install "causerie[server]"' in done.stderr


def test_a_folder_is_no_file_to_write() -> None:
    Path("a.wav").mkdir()
    done = CliRunner().invoke(app, ["say", "Hello", "-o", "a.wav", "--model", "./nowhere"])
    assert done.stderr == "causerie: cannot write a.wav: it is a folder\n"


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_notes_are_lines_on_stderr(
    say: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(
        FrontEnd, "__call__", lambda self, text, options: Spoken(text=text, skipped="\N{ROCKET}\n")
    )
    sound = np.random.default_rng(0).normal(0, 0.1, 24_000 * 7)  # 88 rows of 128 each
    soundfile.write("one.wav", sound, 24_000)
    turns = [{"speaker": 1, "text": "Before.", "audio": "one.wav"}] * 2
    Path("context.json").write_text(json.dumps(turns))
    done = say("Hello", "-o", "a.wav", "--context", "context.json", *arguments)
    lines = done.stderr.splitlines()
    assert lines.count("skipped: cannot read '\N{ROCKET}\\n'") == 3  # the context's too
    assert "dropped: the oldest 1 of 2 segments" in lines
    assert "stopped: limit of 0.4 s, the model did not end" in lines


def test_play_with_a_file_where_there_is_no_device(say: Any) -> None:
    done = say("Hello", "-o", "a.wav", "--play")
    assert "not played: no sound device and no player was found\n" in done.stderr
    assert not Path("speech.wav").exists()
    assert Path("a.wav").exists()


def test_text_that_looks_like_an_option(say: Any) -> None:
    say("-o", "a.wav", "--", "--hello")
    assert Path("a.wav").exists()


def test_pronunciations_pauses_and_speed(tmp_path: Path) -> None:
    lexicon = tmp_path / "words.txt"
    lexicon.write_text("GIF\tʤˈɪf\n", encoding="utf-8")
    text = "A GIF. [pause 0.5s] Done."
    options = ["--seed", "1", "--speed", "1.25", "--lexicon", str(lexicon)]
    done = CliRunner().invoke(app, ["say", text, "-o", str(tmp_path / "a.wav"), *options])
    assert done.exit_code == 0, done.output
    tts = TTS.from_pretrained("petit", max_streams=1)
    same = tts.generate(text, seed=1, speed=1.25, lexicon={"GIF": "ʤˈɪf"})
    assert np.array_equal(files.read(tmp_path / "a.wav")[0], files.pcm16(same.samples) / 32_768)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--speed", "9"], "speed must be between 0.25 and 4.0, not 9.0"),
        (["--normalize", "maybe"], "--normalize must be on or off, not 'maybe'"),
        (["--lexicon", "none.txt"], "lexicon none.txt cannot be opened"),
    ],
)
def test_wrong_control_is_one_line(options: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["say", "Hi.", *options])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


def test_files_are_signed_with_c2pa(say: Any) -> None:
    pytest.importorskip("c2pa", reason="c2pa-python is not installed")
    from tests.audio.certificate import make_certificate, manifest_of

    cert, key = map(str, make_certificate(Path()))
    signing = ["--c2pa-cert", cert, "--c2pa-key", key]
    say("Hello.", "-o", "a.mp3", *signing)
    say("Hello.\nYes.", "--out-dir", "lines", *signing)
    say("Hello.", *signing)  # cannot be played, so it is in a file
    manifest_of(Path("a.mp3").read_bytes(), "audio/mpeg")
    for path in ("lines/1.wav", "lines/2.wav", "speech.wav"):
        manifest_of(Path(path).read_bytes(), "audio/wav")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--c2pa-key", "key.pem"], "--c2pa-cert and --c2pa-key belong together"),
        (["-o", "a.opus", "--c2pa-cert", "c", "--c2pa-key", "k"], "a.opus cannot be signed"),
        (["-o", "-", "--c2pa-cert", "c", "--c2pa-key", "k"], "- cannot be signed with C2PA: write"),
    ],
)
def test_what_cannot_be_signed_is_said_before_any_work(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["say", "Hello.", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
