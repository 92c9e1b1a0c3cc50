"""Reads and writes prepared speech: turns as codes with transcripts, in shards with an index.

    dataset.json        the index: format, codec and names of the shards; written last
    00000.safetensors   "codes" (frames, K) int16: all turns of a shard, one after another
    00000.jsonl         one line per turn: text, speaker, conversation, frames, source

A conversation is never split between shards. A shard counts once its .jsonl exists. Every file is
written in full or not at all, so a killed run leaves no partial file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from causerie.codec.mimi import Mimi
from causerie.errors import ConfigError

FORMAT, VERSION = "causerie-data", 1
INDEX = "dataset.json"
#: An hour of speech: 2.9 MB at 32 codebooks.
FRAMES_PER_SHARD = 45_000


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A turn of one speaker, and where its codes are.

    Attributes:
        turn: index in the conversation; numbers may be missing.
        shard: name of the shard.
        first_frame, num_frames: position in the shard's codes.
        source: the file it was cut from, from `start_s` to `end_s`.
    """

    text: str
    speaker: str
    conversation: str
    turn: int
    shard: str
    first_frame: int
    num_frames: int
    source: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class NewTurn:
    """A turn to write; codes are (T, K)."""

    text: str
    speaker: str
    turn: int
    codes: NDArray[np.integer[Any]]
    source: str
    start_s: float
    end_s: float


class SpeechData:
    """All turns of a prepared folder; reads codes from disk on demand.

    Attributes:
        folder: the folder.
        turns: all turns in the order of the shards.
        num_codebooks: K.
        frame_rate: frames per second.
        codec: fingerprint of the codec that encoded the speech.
    """

    def __init__(
        self, folder: Path, turns: list[Turn], num_codebooks: int, frame_rate: float, codec: str
    ) -> None:
        self.folder, self.turns = folder, turns
        self.num_codebooks, self.frame_rate, self.codec = num_codebooks, frame_rate, codec
        self._slices: dict[str, Any] = {}

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> SpeechData:
        """Read the index of a folder, and check that its shards are complete.

        Raises:
            ConfigError: the folder has no prepared speech, or a file is missing or damaged.
        """
        folder = Path(folder)
        index = _read_index(folder)
        if index is None:
            raise ConfigError(
                f"{folder} has no prepared speech (no {INDEX}): run `causerie data prepare`, "
                f"or run it again if it was stopped"
            )
        turns = []
        for name in index["shards"]:
            turns += _read_shard(folder, name, index["codec"], index["num_codebooks"])
        return cls(folder, turns, index["num_codebooks"], index["frame_rate"], index["codec"])

    def codes_of(self, turn: Turn) -> NDArray[np.int16]:
        """The codes (T, K) of a turn."""
        if turn.shard not in self._slices:
            self._slices[turn.shard] = _open_codes(self.folder, turn.shard).get_slice("codes")
        last = turn.first_frame + turn.num_frames
        codes: NDArray[np.int16] = self._slices[turn.shard][turn.first_frame : last]
        return codes

    def conversations(self) -> list[list[Turn]]:
        """The turns of each conversation; conversations are in order of their first turns."""
        found: dict[str, list[Turn]] = {}
        for turn in self.turns:
            found.setdefault(turn.conversation, []).append(turn)
        return [sorted(turns, key=lambda turn: turn.turn) for turns in found.values()]

    def require_codec(self, codec: Mimi) -> None:
        """Raise ConfigError if another codec encoded the speech."""
        if codec_fingerprint(codec) != self.codec:
            raise ConfigError(
                f"{self.folder} was encoded by another codec than this model's: run "
                f"`causerie data prepare` with this --model into another folder"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_slices": {}}  # another process opens the files again


class ShardWriter:
    """Writes a prepared folder, or resumes one.

    Conversations stay in memory until they fill a shard. Adding the same conversations in the same
    order, without those in `done`, writes the same files, however often the writer was stopped.

    Args:
        codec: fingerprint of the codec that encodes the speech.

    Attributes:
        done: names of the conversations in finished shards.

    Raises:
        ConfigError: the folder has damaged shards, or shards of another codec.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        codec: str,
        num_codebooks: int,
        frame_rate: float,
        frames_per_shard: int = FRAMES_PER_SHARD,
    ) -> None:
        self.folder = Path(folder)
        self.codec, self.num_codebooks, self.frame_rate = codec, num_codebooks, frame_rate
        self.frames_per_shard = frames_per_shard
        self.folder.mkdir(parents=True, exist_ok=True)
        self.done: set[str] = set()
        self._shards: list[str] = []
        while (self.folder / f"{_name(len(self._shards))}.jsonl").is_file():
            name = _name(len(self._shards))
            turns = _read_shard(self.folder, name, codec, num_codebooks)
            self.done.update(turn.conversation for turn in turns)
            self._shards.append(name)
        self._added = set(self.done)
        self._lines: list[str] = []
        self._codes: list[NDArray[np.int16]] = []

    def add(self, conversation: str, turns: Sequence[NewTurn]) -> None:
        """Add all turns of a conversation, in order.

        Raises:
            ConfigError: a conversation of this name was added before.
        """
        if conversation in self._added:
            raise ConfigError(f"two conversations have the name {conversation!r}")
        self._added.add(conversation)
        for turn in turns:
            assert turn.codes.ndim == 2, turn.codes.shape
            assert turn.codes.size
            assert turn.codes.shape[1] == self.num_codebooks
            assert turn.codes.min() >= 0
            assert turn.codes.max() <= np.iinfo(np.int16).max
            values = {
                "text": turn.text,
                "speaker": turn.speaker,
                "conversation": conversation,
                "turn": turn.turn,
                "first_frame": self._num_frames,
                "num_frames": len(turn.codes),
                "source": turn.source,
                "start_s": turn.start_s,
                "end_s": turn.end_s,
            }
            self._lines.append(json.dumps(values, ensure_ascii=False))
            self._codes.append(turn.codes.astype(np.int16))
        if self._num_frames >= self.frames_per_shard:
            self._flush()

    def close(self) -> None:
        """Write the last shard and the folder's index."""
        self._flush()
        values = {
            "format": FORMAT,
            "version": VERSION,
            "codec": self.codec,
            "num_codebooks": self.num_codebooks,
            "frame_rate": self.frame_rate,
            "shards": self._shards,
        }
        write_whole(self.folder / INDEX, (json.dumps(values, indent=2) + "\n").encode())

    @property
    def _num_frames(self) -> int:
        return sum(map(len, self._codes))

    def _flush(self) -> None:
        if not self._codes:
            return
        name = _name(len(self._shards))
        tensors = {"codes": np.concatenate(self._codes)}
        # one key: the order of several would change from run to run
        write_whole(_codes_path(self.folder, name), save(tensors, {"codec": self.codec}))
        lines = "".join(f"{line}\n" for line in self._lines)
        write_whole(self.folder / f"{name}.jsonl", lines.encode())
        self._shards.append(name)
        self._lines, self._codes = [], []


def codec_fingerprint(codec: Mimi) -> str:
    """A hash that is equal for codecs with the same encoder, whatever their decoders."""
    sizes = asdict(codec.config)
    del sizes["decoder"]
    found = hashlib.blake2b(json.dumps(sizes).encode(), digest_size=16)
    for name, tensor in sorted(codec.state_dict().items()):
        if name.startswith(("decoder", "upsample")) or "output_proj" in name:
            continue
        found.update(name.encode())
        found.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def write_whole(path: Path, contents: bytes) -> None:
    """Write a file in full or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(contents)
    partial.replace(path)


def _name(number: int) -> str:
    return f"{number:05d}"


def _codes_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _read_index(folder: Path) -> dict[str, Any] | None:
    path = folder / INDEX
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}; prepare the data again") from error
    wanted = {"format", "version", "codec", "num_codebooks", "frame_rate", "shards"}
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ConfigError(f"{path} is not an index of prepared speech: it needs format {FORMAT!r}")
    if values.get("version") != VERSION or set(values) != wanted:
        raise ConfigError(
            f"{path} has format version {values.get('version')!r}; this causerie reads version "
            f"{VERSION}: prepare the data again"
        )
    return values


def _read_shard(folder: Path, name: str, codec: str, num_codebooks: int) -> list[Turn]:
    """The turns of a shard, checked against its codes."""
    path = folder / f"{name}.jsonl"
    codes = _open_codes(folder, name)
    num_frames, width = codes.get_slice("codes").get_shape()
    if (codes.metadata() or {}).get("codec") != codec or width != num_codebooks:
        raise ConfigError(
            f"{_codes_path(folder, name)} was encoded by another codec or with other codebooks: "
            f"choose another folder, or delete this one"
        )
    known = {field.name for field in fields(Turn)} - {"shard"}
    turns = []
    try:
        for line in path.read_text("utf-8").splitlines():
            values = json.loads(line)
            if set(values) != known:
                raise ValueError(f"keys {sorted(values)}, not {sorted(known)}")
            turns.append(Turn(**values, shard=name))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"cannot read {path}: {error}; prepare the data again") from error
    ends = [turn.first_frame + turn.num_frames for turn in turns]
    starts = [turn.first_frame for turn in turns]
    if starts != [0, *ends][: len(turns)] or (ends[-1:] or [0]) != [num_frames]:
        raise ConfigError(f"{path} does not match its codes: prepare the data again")
    return turns


def _open_codes(folder: Path, name: str) -> Any:
    path = _codes_path(folder, name)
    try:
        file: Any = safe_open(path, framework="numpy")
        shape = file.get_slice("codes").get_shape()
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot read {path}: {error}; prepare the data again") from error
    if len(shape) != 2 or file.get_slice("codes").get_dtype() != "I16":
        raise ConfigError(f"{path} has no 16-bit codes (frames, codebooks)")
    return file
