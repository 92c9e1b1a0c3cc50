"""From a folder of recordings to a model with a new voice: one run, that goes on when killed.

    OUT/finetune.json       what was asked for; a run with other wishes is refused
    OUT/data                the recordings, prepared; see `causerie.data.prepare`
    OUT/run                 the training; see `causerie.train.lm.run`
    OUT/run/data            what is learned, each sentence by itself
    OUT/run/base            figures and speech of the base with the voice's prompt
    OUT/run/decoder.pt      the codec's decoder, where it learns the voice; see `decoder`
    OUT/run/checkpoints     figures and speech of each
    OUT/model               the chosen one, merged, with the voice; our layout
    OUT/transformers        the same for transformers
    OUT/samples             held-out recordings, and the first sentences of base and model
    OUT/report.{json,html}  the figures, the choice and its reason

Knows nothing of terminals.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from causerie.audio.audio import Audio
from causerie.checkpoint.load import Checkpoint, load
from causerie.checkpoint.save import save_transformers
from causerie.data import manifest, prepare
from causerie.data.activity import Detector
from causerie.data.shards import INDEX, SpeechData, Turn, write_whole
from causerie.errors import ConfigError
from causerie.evaluate import words
from causerie.evaluate.round_trip import decoded
from causerie.evaluate.run import Tell, silent
from causerie.evaluate.tools import Tools
from causerie.extras import need
from causerie.finetune import decoder, recordings, report
from causerie.finetune.choice import choose
from causerie.finetune.defaults import configuration
from causerie.finetune.judge import EVALUATION, Judge, ceilings
from causerie.finetune.report import Report
from causerie.folder_lock import holds_only_lock, lock_folder
from causerie.train.lm.config import LMConfig
from causerie.train.lm.run import FIGURES, train_lm, whole_folder, write_model
from causerie.train.loop import differences
from causerie.train.processes import find_processes
from causerie.tts import TTS
from causerie.voices import Voice

WISHES = "finetune.json"
#: What of the training's configuration the outcome depends on, beside what is asked for.
_SETTLED = ("recipe", "lora", "watch", "dtype")
#: So many samples of each kind are put together.
SAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is wanted.

    Attributes:
        folder: recordings as `causerie data prepare` takes them, or what it wrote.
        base: the model to start from.
        out: a new folder, or one that was begun.
        voice: its name; by default that of the folder.
        steps: of training; None takes them from the number of sentences.
        decoder_steps: of the codec's decoder; 0 leaves it as it is, and None decides by its size.
        changes: ``a.b=value`` each, of the training; see `causerie.train.lm.config`.
        device: "auto", "cpu" or "cuda".
    """

    folder: Path
    base: str
    out: Path
    voice: str = ""
    steps: int | None = None
    decoder_steps: int | None = None
    changes: tuple[str, ...] = ()
    device: str = "auto"


def finetune(
    wishes: Wishes,
    *,
    tools: Tools | None = None,
    detect: Detector | None = None,
    say: Callable[[str], None] = print,
    tell: Tell | None = None,
) -> Report:
    """Make a voice, or go on where a run was killed.

    Args:
        tools: what judges; Whisper base and Resemblyzer by default.
        detect: finds speech; Silero by default.
        say: told what a user should know on the way, a line each.
        tell: told how far it is.

    Raises:
        ConfigError: wishes that contradict each other or an earlier run, too few sentences, or a
            package that is not installed; all of it told before any work that is long.
        CheckpointError: the base cannot be loaded.
    """
    tools, tell = tools or Tools(), tell or silent
    name = voice_name(wishes)
    _check_out(wishes.out)
    configure = _Configure(wishes)
    configure(num_parameters=1, num_sentences=1)  # mistakes are told before anything is loaded
    if not (wishes.folder / INDEX).is_file():
        manifest.find(wishes.folder, wishes.out)
    _load(tools, wishes.device)
    with lock_folder(wishes.out):
        return _finetune(wishes, name, configure, tools, detect, say, tell)


def _finetune(
    wishes: Wishes,
    name: str,
    configure: _Configure,
    tools: Tools,
    detect: Detector | None,
    say: Callable[[str], None],
    tell: Tell,
) -> Report:
    """Make the voice, in a folder that is locked."""
    tell("loading", 0, 1)
    base = TTS.from_pretrained(wishes.base, device=wishes.device)
    if name in base.checkpoint.voices:
        raise ConfigError(f"{wishes.base} has a voice {name!r} already: choose another --voice")
    asked = {
        "recordings": str(wishes.folder.resolve()), "base": wishes.base, "voice": name,
        "steps": wishes.steps, "changes": list(wishes.changes),
        "decoder_steps": wishes.decoder_steps,
    }  # fmt: skip
    _settle(wishes.out, asked)
    data = _prepared(wishes, base.checkpoint, tools, detect, say, tell)
    data.require_codec(base.checkpoint.codec)
    parts = recordings.part(data, base.checkpoint)
    for line in parts.notes:
        say(line)
    config = configure(
        num_parameters=sum(p.numel() for p in base.checkpoint.model.parameters()),
        num_sentences=len(parts.learned),
    )
    facts = {key: value for key, value in dataclasses.asdict(config).items() if key in _SETTLED}
    _settle(wishes.out, {"data": recordings.fingerprint(parts, data), **facts})
    recordings.write(Path(config.data), parts.learned, data)

    voice = recordings.voice_of(
        name, parts.prompt, data, base.checkpoint.model.config.num_codebooks
    )
    like, notes = _like(parts.held_out, data, base.checkpoint)
    judge = Judge(
        config=config, voice=voice, like=like, prompt=parts.prompt, held_out=parts.held_out,
        data=data, tools=tools, tell=tell,
    )  # fmt: skip
    tell("listening to the recordings", 0, 1)
    limits = ceilings(like, base.checkpoint, tools, recorded=not notes)
    run = Path(config.out)
    before = _measured(base, judge, run / "base")
    del base  # the training loads its own
    start = load(wishes.base)
    start, alone, heard = _taught(wishes, start, parts.learned, data, judge, tell)
    notes += heard
    train_lm(
        config,
        base=start,
        judge=judge,
        on_step=lambda step, numbers: tell(_losses(numbers), step + 1, config.recipe.steps),
        on_message=say,
    )
    checkpoints = {
        int(path.parent.name): json.loads(path.read_text("utf-8"))
        for path in sorted((run / "checkpoints").glob(f"*/{FIGURES}"))
    }
    choice = choose(checkpoints, before)
    chosen = run / "checkpoints" / f"{choice.step:06d}"
    tell("writing", 0, 1)
    voice = alone if choice.step == 0 else voice
    notes += _write_models(chosen, config, voice, wishes.out)
    samples = _write_samples(wishes.out / "samples", like, run / "base", chosen)
    found = Report(
        base=wishes.base,
        voice=name,
        prompt=parts.prompt,
        learned=parts.learned,
        held_out=parts.held_out,
        frame_rate=data.frame_rate,
        ceilings=limits,
        before=before,
        checkpoints=checkpoints,
        choice=choice,
        notes=[*parts.notes, *notes],
    )
    write_whole(wishes.out / "report.html", found.to_html(samples).encode())
    write_whole(wishes.out / "report.json", found.to_json().encode())
    return found


def voice_name(wishes: Wishes) -> str:
    """The voice's name: as it is wished, or the folder's, made safe.

    Raises:
        ConfigError: it is not safe as a file's name, or is a number.
    """
    name = wishes.voice
    if not name:
        name = re.sub(r"[^\w-]+", "-", wishes.folder.resolve().name).strip("-").lower()
    if not re.fullmatch(r"[\w-]+", name) or name.isdigit():
        raise ConfigError(
            f"{name!r} cannot be the name of a voice: give one of letters, with digits, - and _ "
            "if need be (--voice)"
        )
    return name


@dataclass(frozen=True)
class _Configure:
    """The configuration of the training, as soon as it is known how much there is to learn."""

    wishes: Wishes

    def __call__(self, *, num_parameters: int, num_sentences: int) -> LMConfig:
        run = self.wishes.out / "run"
        return configuration(
            base=self.wishes.base,
            data=str(run / "data"),
            out=str(run),
            device=self.wishes.device,
            num_parameters=num_parameters,
            num_sentences=num_sentences,
            steps=self.wishes.steps,
            changes=self.wishes.changes,
        )


def _load(tools: Tools, device: str) -> None:
    """What is not installed is told before anything is done."""
    _ = tools.encoder
    words.normaliser()
    need("peft", "train")
    if find_processes(device).num_processes > 1:  # type: ignore[arg-type]
        raise ConfigError("fine-tuning a voice takes one process: start it without torchrun")
    _ = tools.recognizer


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"cannot write into {out}: it is no folder")
    if out.is_dir() and not holds_only_lock(out) and not (out / WISHES).is_file():
        raise ConfigError(f"{out} holds other files: write into a new or empty folder")


def _settle(out: Path, facts: Mapping[str, Any]) -> None:
    """Note what a run depends on.

    Raises:
        ConfigError: it was something else before.
    """
    path, new = out / WISHES, json.loads(json.dumps(facts))
    try:
        out.mkdir(parents=True, exist_ok=True)
        old = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read or written: {error}") from error
    changed = differences({name: old.get(name, value) for name, value in new.items()}, new)
    if changed:
        raise ConfigError(
            f"{out} is of another run ({'; '.join(changed)}): give the old values, or another --out"
        )
    write_whole(path, (json.dumps({**old, **new}, indent=2) + "\n").encode())


def _prepared(
    wishes: Wishes,
    base: Checkpoint,
    tools: Tools,
    detect: Detector | None,
    say: Callable[[str], None],
    tell: Tell,
) -> SpeechData:
    """The recordings as codes; those of a prepared folder as they are."""
    if (wishes.folder / INDEX).is_file():
        say(f"{wishes.folder} is prepared already: taken as it is")
        return SpeechData.open(wishes.folder)
    out = wishes.out / "data"
    found = prepare.prepare(
        wishes.folder.resolve(),
        out,
        codec=base.codec,
        recognize=tools.recognizer,
        recognizer="Whisper base",
        detect=detect,
        on_progress=lambda done, total, name: tell(f"preparing {name}", done, total),
    )
    for line in found.summary():
        say(line)
    if found.dropped:
        say(f"why each was dropped is in {out / prepare.REPORT}")
    return SpeechData.open(out)


def _like(
    turns: Sequence[Turn], data: SpeechData, base: Checkpoint
) -> tuple[list[Audio], list[str]]:
    """Sound of turns that the voice is to be like, and a note where it is not as recorded."""
    rate = base.codec.config.sample_rate
    folder = prepare.recordings_of(data.folder)
    found = recordings.sounds(turns, folder, rate) if folder is not None else None
    if found is not None:
        return found, []
    codes = [torch.from_numpy(data.codes_of(turn).T.astype("int64")) for turn in turns]
    return [decoded(base.codec, one) for one in codes], [
        f"the recordings that {data.folder} was made of are not where they were: similarity is to "
        "what the codec made of them"
    ]


def _measured(base: TTS, judge: Judge, folder: Path) -> dict[str, float]:
    """Figures of the base, measured once."""
    path = folder / FIGURES
    if not path.is_file():
        figures = judge.measure(base, folder)
        write_whole(path, (json.dumps(figures, indent=2) + "\n").encode())
    found: dict[str, float] = json.loads(path.read_text("utf-8"))
    return found


def _taught(
    wishes: Wishes,
    start: Checkpoint,
    learned: Sequence[Turn],
    data: SpeechData,
    judge: Judge,
    tell: Tell,
) -> tuple[Checkpoint, Voice, list[str]]:
    """Teach the codec's decoder the voice, where that is wanted, and judge what it does alone.

    That is checkpoint 0: the base's own language model without any prompt, which says all clearly,
    in the decoder's voice.

    Args:
        start: the base; its codec is changed.

    Returns:
        The base without its voices, which would all sound like the new one; the voice that
        checkpoint 0 speaks in; and notes.
    """
    alone = Voice(name=judge.voice.name)
    steps = wishes.decoder_steps
    if steps is None:
        steps = decoder.usual_steps(start.codec)
    if not steps:
        return start, alone, []
    folder = prepare.recordings_of(data.folder)
    rate = start.codec.config.sample_rate
    found = recordings.sounds(learned, folder, rate) if folder is not None else None
    if found is None:
        note = "the codec's decoder was not trained: that needs the recordings themselves"
        return start, alone, [note]
    run = Path(judge.config.out)
    decoder.adapt(
        start.codec,
        found,
        decoder.VoiceRecipe(steps=steps),
        start.model.config.num_codebooks,
        run / "decoder.pt",
        on_step=lambda step, numbers: tell(
            f"training the decoder · {numbers['mel']:.3f}", step + 1, steps
        ),
    )
    others = sorted(start.voices)
    start = dataclasses.replace(start, voices={})
    first = run / "checkpoints" / f"{0:06d}"
    if not (first / FIGURES).is_file():
        model = start.model
        write_model(first, start, model.state_dict(), model.config, judge.config.dtype)
        figures = dataclasses.replace(judge, voice=alone, prompt=())(first)
        write_whole(first / FIGURES, (json.dumps({"step": 0, **figures}, indent=2) + "\n").encode())
    note = (
        "the codec's decoder learned the voice: step 0 is the base's language model without a "
        "prompt, heard by that decoder"
    )
    if others:
        note += f"; the base's voices ({', '.join(others)}) are not kept, they would sound alike"
    return start, alone, [note]


def _write_models(chosen: Path, config: LMConfig, voice: Voice, out: Path) -> list[str]:
    """The chosen checkpoint with its voice, in both layouts; what the second one lacks."""
    (chosen / "voices").mkdir(exist_ok=True)
    voice.save(chosen / "voices" / f"{voice.name}.safetensors")
    checkpoint = load(chosen)
    model = checkpoint.model
    write_model(out / "model", checkpoint, model.state_dict(), model.config, config.dtype)
    lacks = [report.TRANSFORMERS]
    if checkpoint.front_end.kind == "phonemes":
        lacks.append(report.TRANSFORMERS_PHONEMES)
    with whole_folder(out / "transformers") as partial:
        save_transformers(partial, checkpoint)
        (partial / "README.md").write_text("\n\n".join(lacks) + "\n", "utf-8")
    return [f"{out / 'transformers'}: {' '.join(lacks)}"]


def _write_samples(
    folder: Path, like: Sequence[Audio], base: Path, chosen: Path
) -> dict[str, list[str]]:
    """Write a few recordings and samples of base and model; return their paths in the output."""
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("recordings", "base", "model"):
        (folder / kind).mkdir(parents=True)
    for number, audio in enumerate(like[:SAMPLES], 1):
        audio.save(folder / "recordings" / f"{number:03d}.flac")
    for kind, source in (("base", base), ("model", chosen)):
        spoken = sorted((source / EVALUATION / "samples" / "clips").glob("*.flac"))
        for path in spoken[:SAMPLES]:
            shutil.copyfile(path, folder / kind / path.name)
    return {
        kind: [f"{folder.name}/{kind}/{path.name}" for path in sorted((folder / kind).iterdir())]
        for kind in ("recordings", "base", "model")
    }


def _losses(numbers: Mapping[str, float]) -> str:
    losses = [f"{name} {numbers[name]:.2f}" for name in ("codebook0", "rest") if name in numbers]
    return f"training · {' · '.join(losses)}"
