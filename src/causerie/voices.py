"""Named voices: a voice is a saved context, since CSM copies whoever spoke before.

One safetensors file a voice: the codes of its segments, their speakers and texts in the metadata.
"""

from __future__ import annotations

import difflib
import json
import numbers
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from causerie.errors import CauserieError, CheckpointError, ConfigError, UnknownVoiceError
from causerie.prompt import Segment, check_speaker

_FORMAT = {"format": "causerie voice", "version": "1"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Voice:
    """A speaker, and what was heard of them before.

    Attributes:
        name: how to ask for it.
        speaker: number that the new text is spoken as.
        segments: context that comes before every text; each with codes once it is saved.
    """

    name: str
    speaker: int = 0
    segments: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "speaker", check_speaker(self.speaker))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as a safetensors file.

        Raises:
            CheckpointError: a segment has no codes, or the path cannot be written.
        """
        contents = self.to_bytes()
        try:
            Path(path).write_bytes(contents)
        except OSError as error:
            raise CheckpointError(f"cannot write voice {os.fspath(path)}: {error}") from error
        return Path(path)

    def to_bytes(
        self,
        *,
        tensors: Mapping[str, Tensor] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """The contents of its file.

        Args:
            tensors, metadata: kept beside, which `load` passes over.

        Raises:
            CheckpointError: a segment has no codes.
        """
        kept = dict(tensors or {})
        for index, segment in enumerate(self.segments):
            if segment.codes is None:
                raise CheckpointError(
                    f"segment {index + 1} of voice {self.name!r} has no codes: encode it first "
                    f"(TTS.make_voice)"
                )
            kept[f"codes.{index}"] = segment.codes.to(torch.int32).contiguous()
        turns = [{"speaker": segment.speaker, "text": segment.text} for segment in self.segments]
        facts = json.dumps({"name": self.name, "speaker": self.speaker, "segments": turns})
        return save(kept, {**(metadata or {}), **_FORMAT, "voice": facts})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Voice:
        """Read a file that `save` wrote.

        Raises:
            CheckpointError: it is missing, damaged, or something else.
        """
        if not Path(path).is_file():
            raise CheckpointError(f"voice file {os.fspath(path)} does not exist")
        try:
            contents = Path(path).read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"voice file {os.fspath(path)} cannot be read: {error}"
            ) from error
        return cls.from_bytes(contents, os.fspath(path))

    @classmethod
    def from_bytes(cls, contents: bytes, name: str = "") -> Voice:
        """Read the contents of such a file.

        Args:
            name: what to call it in errors.

        Raises:
            CheckpointError: as `load`.
        """
        try:
            tensors = load(contents)
            header = json.loads(contents[8 : 8 + int.from_bytes(contents[:8], "little")])
            metadata = header.get("__metadata__", {})
            if {key: metadata.get(key) for key in _FORMAT} != _FORMAT:
                raise CheckpointError(f"{name} is not a voice file of this version")
            facts = json.loads(metadata["voice"])
            segments = tuple(
                Segment(**turn, codes=tensors[f"codes.{index}"].long())
                for index, turn in enumerate(facts.pop("segments"))
            )
            return cls(**facts, segments=segments)
        except CheckpointError:
            raise
        except (SafetensorError, CauserieError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"voice file {name} cannot be read, it is damaged: {error}"
            ) from error


def find_voice(
    voice: str | int | os.PathLike[str] | Voice | None, voices: Mapping[str, Path]
) -> Voice:
    """The voice that is meant.

    Args:
        voice: a `Voice`, a name, a voice file, a plain speaker number (as text too), or None for
            speaker 0.
        voices: names and files of the voices at hand.

    Raises:
        ConfigError: it is nothing of the above.
        UnknownVoiceError: no voice of that name; lists near names.
    """
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
    if isinstance(voice, os.PathLike) or voice.endswith(".safetensors"):
        return Voice.load(voice)
    if voice in voices:
        return Voice.load(voices[voice])
    if voice.isascii() and voice.isdigit():
        return Voice(name=voice, speaker=int(voice))
    near = difflib.get_close_matches(voice, voices, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif voices:
        hint = f"there are {', '.join(sorted(voices))}."
    else:
        hint = "this model has no named voices."
    raise UnknownVoiceError(f"no voice {voice!r}: {hint} A speaker number, such as 0, works too")
