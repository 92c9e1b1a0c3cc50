"""Reads the names and headers of voice files, without torch and without a model.

    FOLDER/voices/NAME.safetensors     a voice file
    FOLDER/prompts/NAME.wav, NAME.txt  a prompt: a recording and its words, as csm-1b has them

A voice file has the codes of its segments, with speakers and texts in the metadata.
`causerie.voices` reads all of it.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causerie.errors import CauserieError, CheckpointError, ConfigError, UnknownVoiceError
from causerie.published_voices import PROMPT_TEXTS

#: What a voice may say of itself.
TERMS = ("licence", "consent", "consent_date")
FORMAT = {"format": "causerie voice", "version": "1"}
#: Its `voices` folder holds the voices of petit.
BUNDLED = Path(__file__).parent / "assets" / "petit"
#: The advice in errors of what is no voice file.
MAKE_ONE = ": causerie voice make makes one of a recording"


@dataclass(frozen=True, kw_only=True)
class VoiceHeader:
    """The facts of a voice file.

    Attributes:
        name: the name of the voice.
        speaker: the speaker number in the prompt.
        segments: speaker and text of each segment.
        num_frames: frames of audio in all segments.
        licence, consent, consent_date: see `Voice`.
    """

    name: str
    speaker: int
    segments: tuple[dict[str, Any], ...]
    num_frames: int
    licence: str = ""
    consent: str = ""
    consent_date: str = ""

    @property
    def terms(self) -> dict[str, str]:
        """The terms that it has, by name."""
        return {name: value for name in TERMS if (value := getattr(self, name))}


def voice_files(folder: Path) -> dict[str, Path]:
    """Name and file of each voice of a model's folder, sorted by name.

    A prompt is a voice if its words are known.
    """
    prompts = [path for path in (folder / "prompts").glob("*.wav") if _has_words(path)]
    found = [*prompts, *(folder / "voices").glob("*.safetensors")]
    return dict(sorted((path.stem, path) for path in found))


def is_prompt(path: Path) -> bool:
    """Whether the file of a voice is a recording."""
    return path.suffix == ".wav"


def prompt_text(path: Path) -> str:
    """The words of a prompt: those of the file beside it, else the published ones.

    Raises:
        CheckpointError: the file beside it cannot be read.
    """
    beside = path.with_suffix(".txt")
    try:
        text = beside.read_text("utf-8") if beside.is_file() else PROMPT_TEXTS[path.stem]
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the words of a voice, {beside}, cannot be read: {error}") from error
    return " ".join(text.split())


def _has_words(path: Path) -> bool:
    return path.stem in PROMPT_TEXTS or path.with_suffix(".txt").is_file()


def read_header(path: str | os.PathLike[str]) -> VoiceHeader:
    """The header of a voice file.

    Raises:
        CheckpointError: the file is missing, damaged, or not a voice file.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            file_size = os.fstat(file.fileno()).st_size
            if not 0 < size < file_size:
                state = "damaged, or no voice file" if file_size else "empty"
                raise CheckpointError(f"voice file {name} cannot be read, it is {state}{MAKE_ONE}")
            return parse_header(file.read(size), name)
    except OSError as error:
        raise unreadable(name, error) from error


def is_voice_file(path: Path) -> bool:
    """Whether a file is a voice file that can be read."""
    try:
        read_header(path)
    except CheckpointError:
        return False
    return True


def parse_header(header: bytes, name: str) -> VoiceHeader:
    """The facts in the header of a safetensors file.

    Args:
        name: the file's name in errors.

    Raises:
        CheckpointError: as `read_header`.
    """
    try:
        tensors = json.loads(header)
        metadata = tensors.get("__metadata__", {})
        if {key: metadata.get(key) for key in FORMAT} != FORMAT:
            raise CheckpointError(f"{name} is not a voice file of this version{MAKE_ONE}")
        facts = json.loads(metadata["voice"])
        segments = tuple(dict(segment) for segment in facts.pop("segments"))
        shapes = [tensors[f"codes.{index}"]["shape"] for index in range(len(segments))]
        return VoiceHeader(**facts, segments=segments, num_frames=sum(s[1] for s in shapes))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"voice file {name} cannot be read, it is damaged: {error}"
        ) from error


def unreadable(name: str, error: OSError) -> CheckpointError:
    """The error for a voice file that the system does not open or read."""
    if isinstance(error, IsADirectoryError):
        return CheckpointError(f"{name} is a folder, not a voice file: give a file in it")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return _missing(name)
    return CheckpointError(f"voice file {name} cannot be read: {error.strerror or error}")


def _missing(name: str) -> CheckpointError:
    return CheckpointError(f"voice file {name} does not exist")


def is_speaker_number(voice: str) -> bool:
    """Whether a voice is given as a plain speaker number."""
    return voice.isascii() and voice.isdigit()


def recording_is_no_voice(voice: str | os.PathLike[str]) -> CauserieError:
    """The error for a recording in place of a voice, which may not be there either."""
    name = os.fspath(voice)
    if not os.path.exists(voice):
        return _missing(name)
    return ConfigError(
        f"{name} is a recording, not a voice: make a voice of it by causerie voice make {name} "
        f"-o {Path(voice).stem}.safetensors, or pass it as context"
    )


def unknown_voice(voice: str, names: Collection[str]) -> UnknownVoiceError:
    """The error for a voice that is not among these names; lists near ones."""
    near = difflib.get_close_matches(voice, names, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif names:
        hint = f"there are {', '.join(sorted(names))}."
    else:
        hint = "this model has no named voices."
    return UnknownVoiceError(f"no voice {voice!r}: {hint} A speaker number, such as 0, works too")
