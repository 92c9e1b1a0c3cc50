"""`causerie finetune`: its options, output and errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner, Result

from causerie.cli import app, options
from causerie.consent import OWN_SPEECH, QUESTION
from causerie.data.shards import Turn
from causerie.finetune import run as module
from causerie.finetune.choice import choose
from causerie.finetune.report import Report
from causerie.finetune.run import FinetuneOptions
from tests.data.speech import write
from tests.standin_mark import marked, stand_in

CONSENT = ["--consent", "Ann Lee,  by e-mail"]


WHERE = ["--from", "petit", "--out", "made"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["finetune", *arguments])


def turn(number: int) -> Turn:
    return Turn(
        text=f"Sentence {number}.", speaker="ann", conversation=str(number), turn=0, shard="00000",
        first_frame=25 * number, num_frames=25, source="a.wav", start_s=0.0, end_s=2.0,
    )  # fmt: skip


def figures(wer: float, similarity: float) -> dict[str, float]:
    return {
        "wer": wer, "cer": wer / 2, "similarity": similarity, "stopped": 1.0,
        "held_out_codebook0": 3.0, "held_out_rest": 4.0,
    }  # fmt: skip


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[FinetuneOptions]:
    """The options of runs, which are recorded instead of done."""
    seen: list[FinetuneOptions] = []

    def finetune(options: FinetuneOptions, **_: object) -> Report:
        seen.append(options)
        checkpoints = {5: figures(0.06, 0.91), 10: figures(0.08, 0.92)}
        return Report(
            base="petit", voice="ann", prompt=[turn(0)], learned=[turn(0), turn(1)],
            held_out=[turn(2)], frame_rate=12.5, ceilings={"recordings": 0.95},
            before=figures(0.03, 0.7), checkpoints=checkpoints,
            choice=choose(checkpoints, figures(0.03, 0.7)), notes=["a [note]"],
        )  # fmt: skip

    monkeypatch.setattr(module, "finetune", finetune)
    return seen


def test_options_are_passed_on_and_the_table_is_printed(recorded: list[FinetuneOptions]) -> None:
    done = run(
        "talks", "--from", "petit", "--out", "made", "--voice", "ann", "--steps", "10",
        "--decoder-steps", "0", "--set", "recipe.lr=1e-4", "--set", "lora.rank=8",
        "--device", "cpu", *CONSENT,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert recorded == [
        FinetuneOptions(
            folder=Path("talks"), base="petit", out=Path("made"), voice="ann", steps=10,
            decoder_steps=0, changes=("recipe.lr=1e-4", "lora.rank=8"), device="cpu",
            consent="Ann Lee, by e-mail",
        )
    ]  # fmt: skip
    for shown in ("step 5 ←", "0.910", "6.0%", "0.950", "a [note]"):
        assert shown in done.stdout
    assert "learned 2 sentences (4 s), 1 sentence (2 s) of them the prompt" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("wrote made/model · hear it: causerie say")
    assert done.stderr.startswith("warning: no checkpoint is within one point of the base")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def talks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two recordings, talks, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("talks").mkdir()
    for name in "ab":
        write(Path("talks", f"{name}.wav"), "alpha bravo")
    return Path("talks")


@pytest.mark.parametrize("empty", [[], ["--consent", " "]])
def test_without_consent_nothing_is_done(
    recorded: list[FinetuneOptions], talks: Path, empty: list[str]
) -> None:
    done = run("talks", "--from", "petit", "--out", "made", *empty)
    assert done.exit_code == 2
    assert done.stderr == (
        f"causerie: nothing was made of talks, as consent is missing. {QUESTION} If so, say who, "
        'and how: --consent "NAME, how"\n'
    )
    assert recorded == []


@pytest.mark.parametrize("answer", ["y\nAnn, at lunch\n", "n\n"])
def test_a_terminal_asks_for_consent(
    recorded: list[FinetuneOptions], talks: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(options, "_is_interactive", lambda: True)
    done = CliRunner().invoke(app, ["finetune", "talks", *WHERE], input=answer)
    assert done.stderr.startswith(f"talks: {QUESTION} [y/N]:")
    said = ["Ann, at lunch"] if answer[0] == "y" else []
    assert ([one.consent for one in recorded], done.exit_code) == (said, 0 if said else 2)


def test_own_speech_needs_no_consent(
    recorded: list[FinetuneOptions], talks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    for name, code in (("a", 2), ("b", 0)):  # both must be marked
        samples, rate = soundfile.read(talks / f"{name}.wav", dtype="float32")
        soundfile.write(talks / f"{name}.wav", marked(samples), rate)
        done = run("talks", *WHERE)
        assert done.exit_code == code
    assert "talks carries causerie's watermark: it needs no consent" in done.stderr
    assert [one.consent for one in recorded] == [OWN_SPEECH]
    (talks / "dataset.json").touch()  # prepared, and the recordings may be gone
    assert run("talks", *WHERE).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["talks", "--out", "made", *CONSENT], "Missing option '--from'"),
        (["talks", "--from", "petit", *CONSENT], "Missing option '--out'"),
        (
            ["talks", "--from", "petit", "--out", "made", *CONSENT, "--set", "recipe.lrr=1"],
            "unknown key recipe.lrr",
        ),
        (["nowhere", "--from", "petit", "--out", "made", *CONSENT], "there is no folder nowhere"),
    ],
)
def test_mistakes_take_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "made").exists()
