"""Options that several commands have, and their checks before any work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.audio.extensions import format_of, is_sound_file
from causerie.cli.console import note
from causerie.consent import OWN_SPEECH, QUESTION, missing
from causerie.errors import AudioError, ConfigError
from causerie.extras import need
from causerie.model_files import ADAPTER
from causerie.voice_file import (
    BUNDLED,
    is_speaker_number,
    read_header,
    recording_is_no_voice,
    unknown_voice,
    voice_files,
)

if TYPE_CHECKING:
    from causerie.text.lexicon import UserLexicon
    from causerie.watermark.key import Watermark

Model = Annotated[
    str,
    typer.Option(
        help="petit (part of causerie), the folder or file of a model or an adapter, or a hub id "
        "such as sesame/csm-1b.",
        metavar="NAME",
    ),
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps; auto takes the fastest for the model.")
]
WeightFormat = Annotated[
    str,
    typer.Option(
        help="auto, int8, int5 or int4: smaller and faster weights at lower quality, on a CPU.",
        metavar="FORMAT",
    ),
]


def _note_if_not_fast(fast: bool) -> bool:
    """Print a line if --fast changes nothing on any device."""
    if fast:
        from causerie.native import library

        why = library.problem()
        if why:
            note(f"--fast changes nothing without native kernels: {why}")
    return fast


Fast = Annotated[
    bool,
    typer.Option(
        "--fast",
        callback=_note_if_not_fast,
        help="On a CPU, take int5 weights for the backbone and int4 for the depth decoder: csm-1b "
        "is about twice as fast, at slightly lower quality.",
    ),
]
LexiconFile = Annotated[
    Path | None,
    typer.Option(
        help="Pronunciations: lines of word<TAB>IPA, JSON as of misaki, or PLS.",
        metavar="FILE",
        show_default=False,
    ),
]
Normalize = Annotated[
    str,
    typer.Option(
        help="off gives a model that reads letters, such as csm-1b, the text exactly as it is "
        "written.",
        metavar="on|off",
    ),
]
Speed = Annotated[
    float,
    typer.Option(
        help="2 is twice as fast, at the same pitch; 0.25 to 4. Needs PyAV (extra server)."
    ),
]
Guard = Annotated[
    str,
    typer.Option(
        help="End speech that goes on after its text, repeats itself or is silent: auto, on or "
        "off. auto: on for csm-1b, off for petit."
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Check the speech by a recognizer, and speak a piece again where words are missing or "
        "invented. Needs the extra verify.",
    ),
]
NoWatermark = Annotated[
    bool,
    typer.Option("--no-watermark", help="Do not mark the speech as generated, which is the rule."),
]
WatermarkKey = Annotated[
    Path | None,
    typer.Option(
        help="Key of the watermark; `causerie watermark new-key` makes one. Default: the file in "
        "CAUSERIE_WATERMARK_KEY, or else the public key.",
        metavar="FILE",
        show_default=False,
    ),
]
SilentCipherFolder = Annotated[
    Path | None,
    typer.Option(
        "--silentcipher",
        help="Folder of silentcipher's weights for 44.1 kHz: also the watermark of Sesame's tool.",
        metavar="FOLDER",
        show_default=False,
    ),
]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Temperature = Annotated[
    float | None,
    typer.Option(help="Sampling temperature; 0 always takes the most likely code."),
]
TopK = Annotated[
    int | None, typer.Option(help="Sample among the k most likely codes; 0: among all.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value, such as recipe.lr=1e-4."),
]

Consent = Annotated[
    str | None,
    typer.Option(
        help=f'{QUESTION} If so, who, and how: "Ann Lee, by e-mail". It is kept in the voice, with '
        "the date.",
        metavar="LINE",
        show_default=False,
    ),
]


def ask_consent(recordings: Path, line: str | None, is_own: Callable[[Path], bool]) -> str:
    """Who consents to the imitation, and how: the given line, or the answer at a terminal.

    Args:
        is_own: tells own speech, which needs no consent, from recordings of people.

    Raises:
        ConfigError: nobody does.
        AudioError: there is no line, and a recording cannot be read.
    """
    if line is None or not line.strip():
        if is_own(recordings):
            note(f"{recordings} carries causerie's watermark: it needs no consent")
            return OWN_SPEECH
        question = f"{recordings}: {QUESTION}"
        if not (_is_interactive() and typer.confirm(question, default=False, err=True)):
            raise ConfigError(missing(recordings, 'say who, and how: --consent "NAME, how"'))
        line = typer.prompt("Who, and how", err=True)
    return " ".join(line.split())


def _is_interactive() -> bool:
    return sys.stdin.isatty()


def complete_voice(context: typer.Context, incomplete: str) -> list[str]:
    """Names of voices for the shell's completion of --voice."""
    model = context.params.get("model") or "petit"
    return [name for name in known_voices(model) or () if name.startswith(incomplete)]


VoiceName = Annotated[
    str | None,
    typer.Option(
        help="A name that `causerie voices` lists, a voice file, or a speaker number.",
        autocompletion=complete_voice,
    ),
]


def load_lexicon(path: Path | None) -> UserLexicon | None:
    """The lexicon in a file; the import of lexicons is left to commands that get one."""
    if path is None:
        return None
    from causerie.text.lexicon import UserLexicon

    return UserLexicon.load(path)


def known_voices(model: str) -> dict[str, Path] | None:
    """Name and file of each voice of a model; None for a model that must be fetched or merged."""
    folder = BUNDLED if model == "petit" else Path(model).expanduser()
    if folder.is_file():
        folder = folder.parent
    if not folder.is_dir() or (folder / ADAPTER).is_file():
        return None
    return voice_files(folder)


def check_voice(voice: str | None, model: str) -> None:
    """Check --voice without loading the model.

    Raises:
        UnknownVoiceError: the model has no voice of this name.
        CheckpointError: the voice file is missing or damaged.
        ConfigError: it is a recording.
    """
    if voice is None or is_speaker_number(voice):
        return
    if is_sound_file(voice):
        raise recording_is_no_voice(voice)
    if voice.endswith(".safetensors"):
        read_header(voice)
        return
    voices = known_voices(model)
    if voices is not None and voice not in voices:
        raise unknown_voice(voice, voices)


def chosen_watermark(is_off: bool, key: Path | None) -> Watermark | bool:
    """The watermark of --no-watermark and --watermark-key, for `TTS.from_pretrained`.

    Raises:
        ConfigError: both are given.
        WatermarkError: the file of the key cannot be read.
    """
    if key is None:
        return not is_off
    if is_off:
        raise ConfigError("--no-watermark and --watermark-key exclude each other: give one of them")
    from causerie.watermark.key import Watermark

    return Watermark.load(key)


def check_normalize(normalize: str) -> None:
    """Raise ConfigError if --normalize is neither on nor off."""
    if normalize not in ("on", "off"):
        raise ConfigError(f"--normalize must be on or off, not {normalize!r}")


def check_verify(verify: bool) -> None:
    """Raise ConfigError if --verify needs a package that is not installed."""
    for module in ("jiwer", "whisper_normalizer", "faster_whisper") if verify else ():
        need(module, "verify")


def check_sound_file(output: str | os.PathLike[str]) -> None:
    """Check that a sound file can be written, before any work.

    Raises:
        AudioError: the extension is unknown, or the folder is missing or not writable.
        ConfigError: the format needs a package that is not installed.
    """
    name = format_of(output)
    check_folder(output)
    if name == "m4a":
        need("av", "server")


def check_folder(output: str | os.PathLike[str]) -> None:
    """Raise AudioError if a file cannot be written because of its folder."""
    path = Path(output)
    if not path.parent.is_dir():
        raise AudioError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise AudioError(f"cannot write {path}: it is a folder")
    # A regular file is written beside and renamed; a device or pipe is written itself.
    is_special = path.exists() and not path.is_file()
    if not os.access(path if is_special else path.parent, os.W_OK):
        raise AudioError(f"cannot write {path}: permission denied")
