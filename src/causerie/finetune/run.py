"""Makes a model with a new voice from a folder of recordings. Killed runs resume.

    OUT/finetune.json       the options; a run with other options is refused
    OUT/data                the prepared recordings; see `causerie.data.prepare`
    OUT/run                 the training; see `causerie.train.lm.run`
    OUT/run/data            the training sentences, each as a conversation of its own
    OUT/run/base            figures and speech of the base with the voice's prompt
    OUT/run/decoder.pt      the state of decoder training; see `causerie.finetune.decoder`
    OUT/run/checkpoints     checkpoints with figures and speech
    OUT/model               the chosen checkpoint, merged, with the voice; our layout
    OUT/transformers        the same for transformers, if it knows the codec's decoder
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
from causerie.evaluate.round_trip import decoded
from causerie.evaluate.run import OnProgress, silent
from causerie.evaluate.tools import Tools
from causerie.extras import need
from causerie.finetune import decoder, recordings, report
from causerie.finetune.choice import choose
from causerie.finetune.defaults import configuration
from causerie.finetune.judge import EVALUATION, Judge, recording_similarities
from causerie.finetune.recordings import Split
from causerie.finetune.report import Report
from causerie.folder_lock import holds_only_lock, lock_folder
from causerie.recognition.words import normaliser
from causerie.train.lm.config import LMConfig
from causerie.train.lm.run import FIGURES, train_lm, whole_folder, write_model
from causerie.train.log import losses_text
from causerie.train.loop import differences
from causerie.train.processes import find_processes
from causerie.tts import TTS
from causerie.voices import Voice

OPTIONS_FILE = "finetune.json"
#: Tables of the training configuration that the result depends on, besides the options.
_FIXED_TABLES = ("recipe", "lora", "watch", "dtype")
#: Number of audio samples of each kind.
SAMPLES = 5
PHASES = 5


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """The options of a fine-tuning.

    Attributes:
        folder: recordings as for `causerie data prepare`, or its output folder.
        base: the model to start from.
        out: output folder, new or of the same run.
        voice: name of the voice; by default that of the folder.
        steps: training steps; None derives them from the number of sentences.
        decoder_steps: training steps of the codec's decoder; 0 for none, None to decide by the
            codec's size.
        changes: ``a.b=value`` each, changes to the `causerie.train.lm.config.LMConfig`.
        device: "auto", "cpu" or "cuda".
        consent: who consents to the imitation, and how; kept in the voice. Not asked for here.
    """

    folder: Path
    base: str
    out: Path
    voice: str = ""
    steps: int | None = None
    decoder_steps: int | None = None
    changes: tuple[str, ...] = ()
    device: str = "auto"
    consent: str = ""


def finetune(
    options: FinetuneOptions,
    *,
    tools: Tools | None = None,
    detect: Detector | None = None,
    on_message: Callable[[str], None] = print,
    on_progress: OnProgress = silent,
) -> Report:
    """Make a voice, or resume a killed run.

    Args:
        tools: models for evaluation; by default Whisper base and Resemblyzer.
        detect: finds speech; by default Silero.
        on_message: called with each line for the user, such as the beginning of a phase.
        on_progress: called with the current work, the number of its units done, and their total.

    Raises:
        ConfigError: options that contradict each other or an earlier run, too few sentences, a
            missing package, or a folder in use. Raised before any long work where possible.
        CheckpointError: the base cannot be loaded.
    """
    tools = tools or Tools()
    name = voice_name(options)
    _check_out(options.out)
    _configure(options, num_parameters=1, num_sentences=1)  # find mistakes before loading anything
    if not (options.folder / INDEX).is_file():
        manifest.find(options.folder, options.out)
    _check_packages(tools, options.device)
    with lock_folder(options.out):
        return _Finetuning(options, name, tools, detect, on_message, on_progress).run()


@dataclass(frozen=True)
class _Finetuning:
    """A run in a locked folder."""

    options: FinetuneOptions
    name: str
    tools: Tools
    detect: Detector | None
    on_message: Callable[[str], None]
    on_progress: OnProgress

    def run(self) -> Report:
        """Do all phases that are not done yet."""
        options, name = self.options, self.name
        self._begin(1, "prepare the recordings")
        self.on_progress("loading the base model", 0, 1)
        base = TTS.from_pretrained(options.base, device=options.device)
        if name in base.checkpoint.voices:
            raise ConfigError(
                f"{options.base} has a voice {name!r} already: choose another --voice"
            )
        facts = {
            "recordings": str(options.folder.resolve()), "base": options.base, "voice": name,
            "steps": options.steps, "changes": list(options.changes),
            "decoder_steps": options.decoder_steps,
        }  # fmt: skip
        _check_facts(options.out, facts)
        data = self._prepared(base.checkpoint)
        data.require_codec(base.checkpoint.codec)
        split = recordings.split(data, base.checkpoint)
        for line in split.notes:
            self.on_message(line)
        config = _configure(
            options,
            num_parameters=sum(p.numel() for p in base.checkpoint.model.parameters()),
            num_sentences=len(split.learned),
        )
        tables = {k: value for k, value in dataclasses.asdict(config).items() if k in _FIXED_TABLES}
        _check_facts(options.out, {"data": recordings.fingerprint(split, data), **tables})
        recordings.write(Path(config.data), split.learned, data)

        self._begin(2, "measure the base model")
        voice = recordings.voice_of(
            name, split.prompt, data, base.checkpoint.model.config.num_codebooks
        )
        targets, notes = _target_audio(split.held_out, data, base.checkpoint)
        judge = Judge(
            config=config, voice=voice, targets=targets, prompt=split.prompt,
            held_out=split.held_out, data=data, tools=self.tools, on_progress=self.on_progress,
        )  # fmt: skip
        self.on_progress("measuring the recordings", 0, 1)
        ceilings = recording_similarities(targets, base.checkpoint, self.tools, recorded=not notes)
        run = Path(config.out)
        before = _base_figures(base, judge, run / "base")
        del base  # training loads its own

        start = load(options.base)
        start, decoder_voice, more = self._train_decoder(start, split, data, judge)
        notes += more

        steps = config.recipe.steps
        every = config.watch.every
        self._begin(4, f"train the adapters for {steps:,} steps, with checkpoints every {every}")
        train_lm(
            config,
            base=start,
            judge=judge,
            on_step=lambda step, numbers: self.on_progress(
                f"training the adapters, {losses_text(numbers)}", step + 1, steps
            ),
            on_message=self.on_message,
        )
        checkpoints = {
            int(path.parent.name): json.loads(path.read_text("utf-8"))
            for path in sorted((run / "checkpoints").glob(f"*/{FIGURES}"))
        }

        self._begin(5, "choose a checkpoint and write the model")
        self.on_progress("writing", 0, 1)
        choice = choose(checkpoints, before)
        chosen = run / "checkpoints" / f"{choice.step:06d}"
        voice = decoder_voice if choice.step == 0 else voice
        voice = voice.with_consent(options.consent)
        notes += _write_models(chosen, config, voice, options.out)
        samples = _write_samples(options.out / "samples", targets, run / "base", chosen)
        found = Report(
            base=options.base,
            voice=name,
            prompt=split.prompt,
            learned=split.learned,
            held_out=split.held_out,
            frame_rate=data.frame_rate,
            ceilings=ceilings,
            before=before,
            checkpoints=checkpoints,
            choice=choice,
            notes=[*split.notes, *notes],
        )
        write_whole(options.out / "report.html", found.to_html(samples).encode())
        write_whole(options.out / "report.json", found.to_json().encode())
        return found

    def _begin(self, number: int, phase: str) -> None:
        self.on_message(f"{number} of {PHASES}: {phase}")

    def _prepared(self, base: Checkpoint) -> SpeechData:
        """The recordings as codes. A prepared folder is used as it is."""
        folder = self.options.folder
        if (folder / INDEX).is_file():
            self.on_message(f"{folder} is already prepared and is used as it is")
            return SpeechData.open(folder)
        out = self.options.out / "data"
        found = prepare.prepare(
            folder.resolve(),
            out,
            codec=base.codec,
            recognize=self.tools.recognizer,
            recognizer="Whisper base",
            detect=self.detect,
            on_progress=lambda done, total, name: self.on_progress(
                f"preparing {name}", done, total
            ),
        )
        for line in found.summary():
            self.on_message(line)
        if found.dropped:
            self.on_message(f"{out / prepare.REPORT} has the reason for each that was dropped")
        return SpeechData.open(out)

    def _train_decoder(
        self, start: Checkpoint, split: Split, data: SpeechData, judge: Judge
    ) -> tuple[Checkpoint, Voice, list[str]]:
        """Train the codec's decoder on the voice, if wanted, and judge it as checkpoint 0.

        Checkpoint 0 is the base's language model without a prompt, which speaks clearly, in the
        voice of the decoder.

        Args:
            start: the base; its codec is trained in place.

        Returns:
            The base without its voices, which would all sound like the new one; the voice of
            checkpoint 0; and notes.
        """
        voice = Voice(name=self.name)
        steps = self.options.decoder_steps
        if steps is None:
            steps = decoder.default_steps(start.codec)
        if not steps:
            self._begin(3, "train the codec's decoder (skipped: 0 steps)")
            return start, voice, []
        folder = prepare.recordings_of(data.folder)
        rate = start.codec.config.sample_rate
        audio = recordings.audio_of(split.learned, folder, rate) if folder is not None else None
        if audio is None:
            self._begin(3, "train the codec's decoder (skipped: the recordings are gone)")
            note = "the codec's decoder was not trained: that needs the recordings themselves"
            return start, voice, [note]
        self._begin(3, f"train the codec's decoder for {steps:,} steps")
        run = Path(judge.config.out)
        decoder.adapt(
            start.codec,
            audio,
            decoder.VoiceRecipe(steps=steps),
            start.model.config.num_codebooks,
            run / "decoder.pt",
            on_step=lambda step, numbers: self.on_progress(
                f"training the decoder, {losses_text(numbers)}", step + 1, steps
            ),
        )
        others = sorted(start.voices)
        start = dataclasses.replace(start, voices={})
        first = run / "checkpoints" / f"{0:06d}"
        if not (first / FIGURES).is_file():
            model = start.model
            write_model(first, start, model.state_dict(), model.config, judge.config.dtype)
            figures = {"step": 0, **dataclasses.replace(judge, voice=voice, prompt=())(first)}
            write_whole(first / FIGURES, (json.dumps(figures, indent=2) + "\n").encode())
        note = (
            "the codec's decoder was trained on the voice: step 0 is the base's language model "
            "without a prompt, decoded by it"
        )
        if others:
            note += (
                f"; the base's voices ({', '.join(others)}) are dropped, since they would sound "
                "like the new one"
            )
        return start, voice, [note]


def voice_name(options: FinetuneOptions) -> str:
    """The name of the voice: as given, or the folder's without special characters.

    Raises:
        ConfigError: the name is a number, or not safe as a file name.
    """
    name = options.voice
    if not name:
        name = re.sub(r"[^\w-]+", "-", options.folder.resolve().name).strip("-").lower()
    if not re.fullmatch(r"[\w-]+", name) or name.isdigit():
        raise ConfigError(
            f"{name!r} cannot be the name of a voice: choose one of letters, digits, - and _, with "
            "at least one letter (--voice)"
        )
    return name


def _configure(options: FinetuneOptions, *, num_parameters: int, num_sentences: int) -> LMConfig:
    """The configuration of the training."""
    run = options.out / "run"
    return configuration(
        base=options.base,
        data=str(run / "data"),
        out=str(run),
        device=options.device,
        num_parameters=num_parameters,
        num_sentences=num_sentences,
        steps=options.steps,
        changes=options.changes,
    )


def _check_packages(tools: Tools, device: str) -> None:
    """Raise ConfigError for missing packages, before any work."""
    _ = tools.encoder
    normaliser()
    need("peft", "train")
    if find_processes(device).num_processes > 1:  # type: ignore[arg-type]
        raise ConfigError("fine-tuning uses one process: start it without torchrun")
    _ = tools.recognizer


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"cannot write into {out}: it is not a folder")
    if out.is_dir() and not holds_only_lock(out) and not (out / OPTIONS_FILE).is_file():
        raise ConfigError(f"{out} holds other files: choose a new or empty folder")


def _check_facts(out: Path, facts: Mapping[str, Any]) -> None:
    """Write down what a run depends on.

    Raises:
        ConfigError: an earlier run in the folder had other facts.
    """
    path, new = out / OPTIONS_FILE, json.loads(json.dumps(facts))
    try:
        old = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    changed = differences({name: old.get(name, value) for name, value in new.items()}, new)
    if changed:
        raise ConfigError(
            f"{out} is of another run ({'; '.join(changed)}): restore the old values, or choose "
            "another --out"
        )
    write_whole(path, (json.dumps({**old, **new}, indent=2) + "\n").encode())


def _target_audio(
    turns: Sequence[Turn], data: SpeechData, base: Checkpoint
) -> tuple[list[Audio], list[str]]:
    """Audio of the held-out turns, and a note if it is decoded rather than recorded."""
    rate = base.codec.config.sample_rate
    folder = prepare.recordings_of(data.folder)
    found = recordings.audio_of(turns, folder, rate) if folder is not None else None
    if found is not None:
        return found, []
    codes = [torch.from_numpy(data.codes_of(turn).T.astype("int64")) for turn in turns]
    return [decoded(base.codec, one) for one in codes], [
        f"the recordings of {data.folder} are gone: similarity is to their codes, decoded"
    ]


def _base_figures(base: TTS, judge: Judge, folder: Path) -> dict[str, float]:
    """Figures of the base, measured once."""
    path = folder / FIGURES
    if not path.is_file():
        figures = judge.measure(base, folder)
        write_whole(path, (json.dumps(figures, indent=2) + "\n").encode())
    found: dict[str, float] = json.loads(path.read_text("utf-8"))
    return found


def _write_models(chosen: Path, config: LMConfig, voice: Voice, out: Path) -> list[str]:
    """Write the chosen checkpoint with its voice in both layouts; returns notes on the second.

    transformers has no layout for a codec with a source-filter decoder.
    """
    (chosen / "voices").mkdir(exist_ok=True)
    voice.save(chosen / "voices" / f"{voice.name}.safetensors")
    checkpoint = load(chosen)
    model = checkpoint.model
    write_model(out / "model", checkpoint, model.state_dict(), model.config, config.dtype)
    if checkpoint.codec.config.decoder is not None:
        return [report.NO_TRANSFORMERS]
    lacks = [report.TRANSFORMERS]
    if checkpoint.front_end.kind == "phonemes":
        lacks.append(report.TRANSFORMERS_PHONEMES)
    with whole_folder(out / "transformers") as partial:
        save_transformers(partial, checkpoint)
        consent = f"Consent: {voice.consent}, stated {voice.consent_date}."
        lines = [*lacks, consent] if voice.consent else lacks
        (partial / "README.md").write_text("\n\n".join(lines) + "\n", "utf-8")
    return [f"{out / 'transformers'}: {' '.join(lacks)}"]


def _write_samples(
    folder: Path, targets: Sequence[Audio], base: Path, chosen: Path
) -> dict[str, list[str]]:
    """Write a few recordings and samples of base and model; return their paths in the output."""
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("recordings", "base", "model"):
        (folder / kind).mkdir(parents=True)
    for number, audio in enumerate(targets[:SAMPLES], 1):
        audio.save(folder / "recordings" / f"{number:03d}.flac")
    for kind, source in (("base", base), ("model", chosen)):
        spoken = sorted((source / EVALUATION / "samples" / "clips").glob("*.flac"))
        for path in spoken[:SAMPLES]:
            shutil.copyfile(path, folder / kind / path.name)
    return {
        kind: [f"{folder.name}/{kind}/{path.name}" for path in sorted((folder / kind).iterdir())]
        for kind in ("recordings", "base", "model")
    }
