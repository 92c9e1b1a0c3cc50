"""A voice from one recording: what is examined, and `causerie voice make`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from typer.testing import CliRunner

from causerie.audio.audio import Audio
from causerie.cli import app, options
from causerie.cli import voice as command
from causerie.consent import OWN_SPEECH, QUESTION, today
from causerie.errors import AudioError, CheckpointError, ConfigError, TextError
from causerie.evaluate.sentences import read_sentences
from causerie.evaluate.speaker import Resemblyzer
from causerie.new_voice import check_recording
from causerie.tts import TTS
from causerie.voice_file import read_header
from causerie.voices import Voice
from tests.standin_mark import marked, stand_in

HELLO = Path(__file__).parents[1] / "docs/audio/hello.flac"
RATE = 24_000
WORDS = "Hello, it is nice to meet you. " * 3
#: What most voices are made with here.
TERMS = ["--consent", "Ann, by e-mail"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "ann.wav"
    samples = np.resize(Audio.load(HELLO).samples, round(5.76 * RATE))
    soundfile.write(path, np.concatenate([np.zeros(RATE), samples, np.zeros(2 * RATE)]), RATE)
    return path


def changed(recording: Path, change: float, name: str) -> Path:
    """The recording at another level, beside it."""
    samples, rate = soundfile.read(recording)
    path = recording.with_name(name)
    soundfile.write(path, np.clip(change * samples, -1, 1), rate)
    return path


def test_a_clear_recording_is_cut_to_its_speech(recording: Path) -> None:
    checked = check_recording(recording, WORDS, RATE)
    assert checked.faults == ()
    assert checked.text == WORDS.strip()
    assert checked.heard is None
    assert 5 < checked.audio.duration_s < soundfile.info(recording).duration - 2.5


def test_the_recognizer_writes_and_compares_the_transcript(recording: Path) -> None:
    def heard(samples: NDArray[np.float32]) -> str:
        assert len(samples) > 5 * 16_000
        return f" {WORDS}"

    assert check_recording(recording, None, RATE, recognizer=heard).text == WORDS.strip()
    assert check_recording(recording, WORDS.upper(), RATE, recognizer=heard).faults == ()
    other = "An umbrella is of no use to fish, as everybody ought to know by now, I think."
    faults = check_recording(recording, other, RATE, recognizer=heard).faults
    assert [fault.kind for fault in faults] == ["transcript"]
    assert "heard 'Hello, it is nice" in faults[0].message


def test_words_are_needed(recording: Path) -> None:
    with pytest.raises(TextError, match="no recognizer is installed: give the words by --text"):
        check_recording(recording, None, RATE)
    with pytest.raises(TextError, match="no words were recognized"):
        check_recording(recording, "  ", RATE, recognizer=lambda _: " ")


@pytest.mark.parametrize(
    ("turns", "second", "kinds"),
    [
        ("aaabbb", [0.6, 0.8], ["speakers"]),
        ("abbaab", [0.6, 0.8], ["speakers"]),
        ("abaaab", [0.6, 0.8], ["speakers"]),
        ("abaaaa", [0.6, 0.8], []),  # one window may be a noise
        ("aabbaa", [0.8, 0.6], []),
        ("aaaaaa", [0.8, 0.6], []),
        ("------", [0.6, 0.8], []),
    ],
)
def test_a_second_speaker_is_found(
    recording: Path, turns: str, second: list[float], kinds: list[str]
) -> None:
    vectors = {"a": np.float32([1, 0]), "b": np.float32(second), "-": None}
    found = iter(turns)
    checked = check_recording(recording, WORDS, RATE, encoder=lambda _: vectors[next(found)])
    assert next(found, None) is None
    assert [fault.kind for fault in checked.faults] == kinds


@pytest.mark.slow
def test_two_voices_that_alternate_are_found(tmp_path: Path) -> None:
    pytest.importorskip("resemblyzer", reason="Resemblyzer is not installed")
    tts = TTS.from_pretrained(device="cpu")
    texts = read_sentences()[:4]
    for voices, kinds in ((["heart", "oscar"] * 2, ["speakers"]), (["heart"] * 4, [])):
        replies = [
            tts.generate(text, voice=voice, seed=1)
            for text, voice in zip(texts, voices, strict=True)
        ]
        path = tmp_path / "recording.wav"
        soundfile.write(path, np.concatenate([reply.samples for reply in replies]), RATE)
        checked = check_recording(path, " ".join(texts), RATE, encoder=Resemblyzer())
        assert [fault.kind for fault in checked.faults] == kinds


def test_a_recording_without_speech_is_refused(recording: Path) -> None:
    with pytest.raises(AudioError, match=r"still\.wav is silent"):
        check_recording(changed(recording, 1e-4, "still.wav"), WORDS, RATE)
    click = recording.with_name("click.wav")
    soundfile.write(click, np.ones(96), RATE)
    with pytest.raises(AudioError, match=r"click\.wav is shorter than 50 ms"):
        check_recording(click, WORDS, RATE)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Runs `causerie voice make` without recognizer and encoder."""
    monkeypatch.setattr("causerie.recognition.whisper.packaged_recognizer", lambda: None)
    monkeypatch.setattr("causerie.evaluate.speaker.installed_encoder", lambda: None)
    out = str(tmp_path / "ann.safetensors")

    def run(*arguments: str, input: str | None = None) -> tuple[int, str, Path]:
        done = CliRunner().invoke(app, ["voice", "make", *arguments, "-o", out], input=input)
        return done.exit_code, done.output, Path(out)

    return run


def test_the_command_writes_a_voice(recording: Path, make) -> None:  # type: ignore[no-untyped-def]
    before = today()
    code, output, path = make(str(recording), "--text", WORDS, *TERMS, "--licence", "CC0-1.0")
    assert code == 0, output
    assert f"wrote {path} · 6.0 s" in output
    voice = Voice.load(path)
    assert (voice.name, voice.licence, voice.consent) == ("ann", "CC0-1.0", "Ann, by e-mail")
    assert voice.consent_date in (before, today())
    assert voice.segments[0].text == WORDS.strip()
    assert read_header(path).terms == {
        "licence": "CC0-1.0", "consent": "Ann, by e-mail", "consent_date": voice.consent_date,
    }  # fmt: skip
    spoken = TTS.from_pretrained("petit").generate("Hi.", voice=path, max_duration_s=2.0)
    assert 0.2 < spoken.duration_s < 2.0


def test_terms_are_listed(recording: Path, make, tiny_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, _, path = make(str(recording), "--text", WORDS, *TERMS, "--licence", "CC0-1.0")
    folder = tmp_path / "model"
    (folder / "voices").mkdir(parents=True)
    (folder / "config.json").write_bytes((tiny_folder / "config.json").read_bytes())
    (folder / "voices" / "ann.safetensors").write_bytes(path.read_bytes())
    shown = CliRunner().invoke(app, ["voices", "--model", str(folder)]).output
    assert "licence: CC0-1.0\n" in shown
    assert f"consent: Ann, by e-mail\n{'':<16} consent date: 20" in shown
    shown = CliRunner().invoke(app, ["voices", "--model", str(folder), "--json"]).output
    assert '"licence": "CC0-1.0", "consent": "Ann, by e-mail", "consent_date": "20' in shown


def test_consent_is_needed(recording: Path, make, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    code, output, path = make(str(recording), "--text", WORDS)
    assert code == 2
    assert f"nothing was made of {recording}, as consent is missing. {QUESTION}" in output
    assert not path.exists()
    monkeypatch.setattr(options, "_is_interactive", lambda: True)
    for answer, code in (("n\n", 2), ("y\n\nAnn, at lunch\n", 0)):  # asked until somebody is named
        found, output, path = make(str(recording), "--text", WORDS, input=answer)
        assert found == code
        assert output.startswith(f"{recording}: {QUESTION} [y/N]:")
        assert path.exists() == (code == 0)
    assert Voice.load(path).consent == "Ann, at lunch"


def test_own_speech_needs_no_consent(  # type: ignore[no-untyped-def]
    recording: Path, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    assert make(str(recording), "--text", WORDS)[0] == 2
    samples, rate = soundfile.read(recording, dtype="float32")
    own = recording.with_name("own.wav")
    soundfile.write(own, marked(samples), rate)
    code, output, path = make(str(own), "--text", WORDS, "--force")  # the stand-in is no sound
    assert code == 0, output
    assert f"{own} carries causerie's watermark: it needs no consent" in output
    assert read_header(path).consent == OWN_SPEECH


def test_a_faulty_recording_needs_force(recording: Path, make) -> None:  # type: ignore[no-untyped-def]
    loud = changed(recording, 200.0, "loud.wav")
    code, output, path = make(str(loud), "--text", WORDS * 9, *TERMS)
    assert code == 2
    assert "is distorted" in output
    assert "; it has a transcript that is too long" in output
    assert not path.exists()
    code, output, path = make(str(loud), "--text", WORDS * 9, *TERMS, "--force")
    assert code == 0
    assert "warning: " in output
    assert path.is_file()


def test_other_names_and_folders_are_refused(recording: Path, tmp_path: Path) -> None:
    for out, wanted in (("ann.wav", "a voice is a .safetensors file"), ("no/a.safetensors", "no/")):
        arguments = ["voice", "make", str(recording), *TERMS, "-o", str(tmp_path / out)]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 2
        assert wanted in done.output
    assert command.app.info.help == "Make a voice from a recording."


def test_a_recording_as_voice_says_how_to_make_one(recording: Path, tiny_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a recording, not a voice: .* causerie voice make"):
        TTS.from_pretrained(tiny_folder).generate("Hi.", voice=str(recording))
    done = CliRunner().invoke(app, ["say", "Hi.", "--voice", str(recording)])
    assert done.exit_code == 2
    made = f"causerie voice make {recording} -o {recording.stem}.safetensors"
    assert made in " ".join(done.output.split())


@pytest.mark.parametrize("arguments", [["say", "Hi.", "--voice", "no.wav"], ["voices", "no.wav"]])
def test_a_recording_that_is_not_there_is_not_called_one(
    arguments: list[str], tiny_folder: Path
) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert done.stderr == "causerie: voice file no.wav does not exist\n"
    with pytest.raises(CheckpointError, match=r"^voice file no\.wav does not exist$"):
        TTS.from_pretrained(tiny_folder).generate("Hi.", voice="no.wav")
