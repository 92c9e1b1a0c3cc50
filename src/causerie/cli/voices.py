"""`causerie voices`: the voices of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from causerie.audio.extensions import is_sound_file
from causerie.cli.options import Model, known_voices
from causerie.config import MimiConfig
from causerie.errors import CheckpointError, ConfigError
from causerie.model_files import ADAPTER
from causerie.published_voices import DESCRIPTIONS
from causerie.voice_file import (
    BUNDLED,
    MAKE_ONE,
    VoiceHeader,
    is_prompt,
    prompt_text,
    read_header,
    recording_is_no_voice,
    unreadable,
)


def voices(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Voice files, or folders of them, in place of a model's voices."),
    ] = None,
    model: Model = "petit",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each voice.")
    ] = False,
) -> None:
    """List the voices of a model: name, speaker number, seconds of audio, text, who it is, terms.

    causerie voices --model ./my-model

    causerie voices ann.safetensors
    """
    found = _given(files) if files else known_voices(model)
    if found is None:  # an adapter, a hub id, or an error
        from causerie.checkpoint.source import voices_of

        found = voices_of(model)
    frame_rate = _frame_rate(model)
    for name, path in found.items():
        header = _prompt_header(path, frame_rate) if is_prompt(path) else read_header(path)
        seconds = header.num_frames / frame_rate
        text = " ".join(segment["text"] for segment in header.segments)
        description = DESCRIPTIONS.get(name, "")
        if as_json:
            facts = {"name": name, "speaker": header.speaker, "seconds": round(seconds, 2)}
            facts |= {"text": text} | ({"description": description} if description else {})
            facts |= header.terms
            typer.echo(json.dumps(facts, ensure_ascii=False))
        else:
            shown = text if len(text) <= 60 else f"{text[:59]}…"
            line = f"{name:<16} speaker {header.speaker}  {seconds:5.1f} s  {shown:<60}"
            typer.echo(f"{line}  {description}".rstrip())
            for key, value in header.terms.items():
                typer.echo(f"{'':<16} {key.replace('_', ' ')}: {value}")
    if not found and not as_json:
        typer.echo(f"{model} has no named voices; use speaker numbers 0, 1, 2, …")


def _given(paths: list[Path]) -> dict[str, Path]:
    """Voice files by their paths; those in a folder are sorted.

    Raises:
        CheckpointError: a folder has none, or cannot be read.
        ConfigError: a path is a recording, or the folder of a model.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += _files_in(path)
        elif is_sound_file(path):
            raise recording_is_no_voice(path)
        else:
            files.append(path)
    return {str(path): path for path in files}


def _files_in(folder: Path) -> list[Path]:
    if any((folder / name).is_file() for name in ("config.json", ADAPTER)):
        raise ConfigError(
            f"{folder} is the folder of a model: causerie voices --model {folder} lists its voices"
        )
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix == ".safetensors")
    except OSError as error:
        raise unreadable(str(folder), error) from error
    if not found:
        raise CheckpointError(f"folder {folder} has no voice files (.safetensors){MAKE_ONE}")
    return found


def _prompt_header(path: Path, frame_rate: float) -> VoiceHeader:
    """The header that a prompt has as a voice."""
    import soundfile

    try:
        seconds = soundfile.info(str(path)).duration
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise CheckpointError(f"voice file {path} cannot be read: {reason}") from error
    segments = ({"speaker": 0, "text": prompt_text(path)},)
    num_frames = round(seconds * frame_rate)
    return VoiceHeader(name=path.stem, speaker=0, segments=segments, num_frames=num_frames)


def _frame_rate(model: str) -> float:
    """Frames per second of the model's codec."""
    path = (BUNDLED if model == "petit" else Path(model).expanduser()) / "config.json"
    config = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if config.get("format") != "causerie":  # then the codec is Kyutai's
        return MimiConfig().frame_rate
    codec = config["codec"]
    return MimiConfig(sample_rate=codec["sample_rate"], ratios=codec["ratios"]).frame_rate
