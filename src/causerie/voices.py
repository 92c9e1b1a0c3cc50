"""Named voices: a voice is a saved context, since CSM continues the voice of its context.

A voice is one safetensors file: the codes of its segments, with speakers and texts in the metadata.
"""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from causerie.audio.extensions import is_sound_file
from causerie.consent import today
from causerie.errors import CauserieError, CheckpointError, ConfigError
from causerie.files import write_bytes
from causerie.prompt import Segment, check_speaker
from causerie.voice_file import (
    FORMAT,
    TERMS,
    is_prompt,
    is_speaker_number,
    parse_header,
    prompt_text,
    recording_is_no_voice,
    unknown_voice,
    unreadable,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Voice:
    """A speaker number and the context that gives it its voice.

    Attributes:
        name: the name to call it by.
        speaker: the speaker number of the new text.
        segments: context before every text. A saved voice has the codes of each segment.
        licence: of the voice, such as "CC0-1.0"; empty if unknown.
        consent: who consents to the imitation, and how; empty if unknown.
        consent_date: on which this was stated, such as "2026-01-31"; empty if unknown.
        notes: what is wrong with its recordings, for the notes of each reply; None if they were not
            examined. Not saved.
    """

    name: str
    speaker: int = 0
    segments: tuple[Segment, ...] = ()
    licence: str = ""
    consent: str = ""
    consent_date: str = ""
    notes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "speaker", check_speaker(self.speaker))

    def with_consent(self, consent: str) -> Voice:
        """The voice with who consents to its imitation, and how, stated today."""
        return replace(self, consent=consent, consent_date=today() if consent else "")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a safetensors file, and return its path.

        Raises:
            CheckpointError: a segment has no codes, or the path cannot be written.
        """
        contents = self.to_bytes()
        try:
            return write_bytes(path, contents)
        except OSError as error:
            raise CheckpointError(f"cannot write voice {os.fspath(path)}: {error}") from error

    def to_bytes(
        self,
        *,
        tensors: Mapping[str, Tensor] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """The contents of a voice file.

        Args:
            tensors, metadata: also stored in the file; `load` ignores them.

        Raises:
            CheckpointError: a segment has no codes.
        """
        stored = dict(tensors or {})
        for index, segment in enumerate(self.segments):
            if segment.codes is None:
                raise CheckpointError(
                    f"segment {index + 1} of voice {self.name!r} has no codes: encode it first "
                    f"(TTS.make_voice)"
                )
            stored[f"codes.{index}"] = segment.codes.to(torch.int32).contiguous()
        turns = [{"speaker": segment.speaker, "text": segment.text} for segment in self.segments]
        facts = {"name": self.name, "speaker": self.speaker, "segments": turns}
        facts |= {key: getattr(self, key) for key in TERMS if getattr(self, key)}
        return save(stored, {**(metadata or {}), **FORMAT, "voice": json.dumps(facts)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Voice:
        """The voice in a file that `save` wrote.

        Raises:
            CheckpointError: the file is missing, damaged, or not a voice file.
        """
        try:
            contents = Path(path).read_bytes()
        except OSError as error:
            raise unreadable(os.fspath(path), error) from error
        return cls.from_bytes(contents, os.fspath(path))

    @classmethod
    def from_bytes(cls, contents: bytes, name: str = "") -> Voice:
        """The voice in the contents of a voice file.

        Args:
            name: the file's name in errors.

        Raises:
            CheckpointError: as `load`.
        """
        try:
            tensors = load(contents)
            header = parse_header(contents[8 : 8 + int.from_bytes(contents[:8], "little")], name)
            segments = tuple(
                Segment(**segment, codes=tensors[f"codes.{index}"].long())
                for index, segment in enumerate(header.segments)
            )
            return cls(
                name=header.name,
                speaker=header.speaker,
                segments=segments,
                licence=header.licence,
                consent=header.consent,
                consent_date=header.consent_date,
            )
        except CheckpointError:
            raise
        except (SafetensorError, CauserieError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"voice file {name} cannot be read, it is damaged: {error}"
            ) from error


def load_voice(name: str, path: Path) -> Voice:
    """A voice of a model: a voice file, or a prompt, which is encoded when it is first used.

    Raises:
        CheckpointError: as `Voice.load`.
    """
    if not is_prompt(path):
        return Voice.load(path)
    segment = Segment(speaker=0, text=prompt_text(path), audio=path)
    return Voice(name=name, segments=(segment,), notes=())


def usual_voice(voices: Collection[str]) -> str | None:
    """The name of the voice of requests that name none; None if there are no voices."""
    return "heart" if "heart" in voices else min(voices, default=None)


def find_voice(
    voice: str | int | os.PathLike[str] | Voice | None,
    voices: Mapping[str, Path],
    default: str = "",
) -> Voice:
    """The voice for a name, file or speaker number.

    Args:
        voice: a `Voice`, a name, a voice file, a speaker number (also as text), or None for the
            default.
        voices: name and file of each voice of the model.
        default: a name in `voices`, which is noted; "" for speaker 0.

    Raises:
        ConfigError: it is none of these.
        UnknownVoiceError: no voice has this name; lists near names.
    """
    if voice is None and default:
        found = load_voice(default, voices[default])
        note = f"voice: {default}, the model's first, as none was given"
        return replace(found, notes=(*(found.notes or ()), note))
    if voice is None:
        voice = 0
    if isinstance(voice, Voice):
        return voice
    if isinstance(voice, numbers.Integral):
        return Voice(name=str(voice), speaker=voice)  # type: ignore[arg-type]
    if not isinstance(voice, (str, os.PathLike)):
        raise ConfigError(
            f"voice must be a name, a voice file, a Voice or a speaker number, not {voice!r}"
        )
    if is_sound_file(voice):
        raise recording_is_no_voice(voice)
    if isinstance(voice, os.PathLike) or voice.endswith(".safetensors"):
        return Voice.load(voice)
    if voice in voices:
        return load_voice(voice, voices[voice])
    if is_speaker_number(voice):
        return Voice(name=voice, speaker=int(voice))
    raise unknown_voice(voice, voices)
