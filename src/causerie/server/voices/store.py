"""Stores uploaded voices; see `records` for the file format.

A voice is one file. It holds the codes, as `Voice.load` reads them, the facts, and the recording,
from which the voice is encoded again for a model with another codec. Knows neither HTTP nor audio
formats.

    voices/voice_….safetensors      consents/cons_….safetensors      previews/….wav
"""

from __future__ import annotations

import difflib
import hashlib
import os
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load

from causerie.audio.io import pcm16
from causerie.errors import CauserieError, ConfigError, UnknownVoiceError
from causerie.prompt import Segment
from causerie.server.voices.consents import Consents, is_consent_id
from causerie.server.voices.folder import UnusableFileError, open_folder
from causerie.server.voices.info import VoiceInfo as VoiceInfo
from causerie.server.voices.openai_names import OPENAI_VOICES
from causerie.server.voices.records import DamagedError, Record, Records
from causerie.voices import Voice

if TYPE_CHECKING:
    from causerie.tts import TTS

#: Stored in place of a consent id when the client sent consent_attested.
ATTESTED = "attested"
#: Encodes a recording as a voice of a given name, as `TTS.make_voice` does.
MakeVoice = Callable[[str, Segment], Voice]

MAX_NAME_CHARS = 64
#: Voices to hold in memory: 30 s of 32 codebooks, the longest, take 96 kB, so that all have at most
#: 25 MB.
MAX_LOADED = 256

_VOICE_FACTS: Mapping[str, type] = {
    "name": str,
    "created": int,
    "language": str,
    "description": str,
    "ref_text": str,
    "consent": str,
    "sample_rate": int,
    "codec": str,
}


class NameTakenError(CauserieError):
    """Another voice has this name."""


class ConsentInUseError(CauserieError):
    """A consent cannot be deleted because voices depend on it."""


@dataclass(frozen=True, kw_only=True)
class StoredVoice:
    """The facts of an uploaded voice.

    Attributes:
        consent: id of a recorded consent; `ATTESTED` if the client sent consent_attested;
            `OWN_SPEECH` if there is nobody to ask; "" if the server required none.
        ref_text: transcript of the recording.
    """

    info: VoiceInfo
    consent: str
    ref_text: str


class VoiceStore:
    """The uploaded voices and consents in a folder.

    Args:
        folder: a path, or an fsspec URL.
        make_voice: encodes a recording.
        codec: id of the codec; voices of another codec are encoded again.
        taken: names that uploaded voices cannot have.

    Attributes:
        folder: its storage.
        consents: the recorded consents in the same folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        make_voice: MakeVoice,
        codec: str = "",
        taken: Iterable[str] = (),
    ) -> None:
        self.folder = open_folder(folder)
        self._make_voice, self._codec = make_voice, codec
        self._taken = {_folded(name): name for name in taken}
        self._records = Records(self.folder, "voices", "voice_", _VOICE_FACTS)
        self.consents = Consents(self.folder)
        self._loaded: OrderedDict[str, Voice] = OrderedDict()
        self._loading = threading.Lock()

    @property
    def problems(self) -> list[str]:
        """One line for each damaged file, which is not served."""
        return self._records.problems + self.consents.problems

    def info(self) -> list[VoiceInfo]:
        """All voices, newest first."""
        return [_voice(record).info for record in self._records.all()]

    def find(self, id_or_name: str) -> StoredVoice | None:
        """The voice with this id or name, ignoring case; None if there is none."""
        record = self._find(id_or_name)
        return None if record is None else _voice(record)

    def get(self, id_or_name: str) -> Voice:
        """The voice to speak with; slow on first use after a change of codec.

        Raises:
            UnknownVoiceError: there is none; the message suggests similar names.
            StoreError: the disk fails.
        """
        record = self._find(id_or_name)
        if record is None:
            raise self._unknown(id_or_name)
        with self._loading:
            if record.id not in self._loaded:
                try:
                    contents = self._records.read(record)
                except (DamagedError, FileNotFoundError) as error:
                    raise self._unknown(id_or_name) from error
                self._cache(record.id, self._encoded(record, contents))
            self._loaded.move_to_end(record.id)
            return self._loaded[record.id]

    def add(
        self,
        name: str,
        sound: NDArray[np.float32],
        sample_rate: int,
        text: str,
        *,
        language: str = "en",
        description: str = "",
        consent: str = "",
    ) -> VoiceInfo:
        """Make a voice from a recording and store it.

        Args:
            sound: (N,), full scale 1.
            text: verbatim transcript of the sound.
            consent: see `StoredVoice`.

        Raises:
            ConfigError: the name is invalid.
            NameTakenError: another voice has the name.
            UnknownConsentError: the consent has been deleted.
            AudioError, TextError, PromptTooLongError: as `TTS.make_voice`.
            StoreError: the disk fails.
        """
        name = self.check_name(name)
        samples = pcm16(sound)
        segment = Segment(speaker=0, text=text, audio=_floats(samples), sample_rate=sample_rate)
        voice = self._make_voice(name, segment)
        facts = {
            "name": name,
            "created": int(time.time()),
            "language": language,
            "description": description,
            "ref_text": text,
            "consent": consent,
            "sample_rate": sample_rate,
            "codec": self._codec,
        }
        recording = {"sound": torch.from_numpy(samples.copy())}
        with self.folder.locked():
            self.check_name(name)  # it may have been taken meanwhile
            voice = voice.with_consent(self._stated(consent))
            record = self._records.write(
                self._records.new_id(),
                facts,
                lambda metadata: voice.to_bytes(tensors=recording, metadata=metadata),
            )
        others = [r.id for r in self._records.all() if _is_named(r, name) and r.id != record.id]
        if others:  # object stores have no lock: on a collision, each writer withdraws
            self._records.remove(record.id)
            raise self._name_taken(name, others[0])
        with self._loading:
            self._cache(record.id, voice)
        return _voice(record).info

    def check_name(self, name: str) -> str:
        """Normalise the name of a new voice and check that it is valid and free.

        Raises:
            ConfigError: the name is invalid.
            NameTakenError: another voice has the name.
        """
        name = unicodedata.normalize("NFC", name).strip()
        if not name:
            raise ConfigError("the name of a voice must not be empty")
        if len(name) > MAX_NAME_CHARS:
            raise ConfigError(
                f"the name of a voice has {len(name)} characters: the limit is {MAX_NAME_CHARS}"
            )
        if not name.isprintable() or set(name) & set("/\\"):
            raise ConfigError(
                f"the name of a voice must not contain slashes or control characters: {name!r}"
            )
        if not any(letter.isalnum() for letter in name):
            raise ConfigError(f"the name of a voice must have a letter or a digit: {name!r}")
        if name.isdigit() or name.casefold().startswith(("voice_", "cons_", "speaker ")):
            raise ConfigError(
                f"the name of a voice must not look like an id or a speaker number: choose another "
                f"than {name!r}"
            )
        taken = self._taken.get(_folded(name))
        if taken is not None:
            raise NameTakenError(f"the name {name!r} belongs to a built-in voice: choose another")
        record = self._records.find(lambda record: _is_named(record, name))
        if record is not None:
            raise self._name_taken(name, record.id)
        return name

    def delete(self, id_or_name: str) -> VoiceInfo:
        """Delete a voice and its previews.

        Raises:
            UnknownVoiceError: there is none.
            StoreError: the disk fails.
        """
        record = self._find(id_or_name)
        if record is None or not self._records.remove(record.id):
            raise self._unknown(id_or_name)
        with self._loading:
            self._loaded.pop(record.id, None)
        for name in self.folder.versions("previews"):
            if name.startswith(f"previews/{record.id}-"):
                self.folder.remove(name)
        return _voice(record).info

    def delete_consent(self, id: str) -> None:
        """Delete a consent that no voice depends on.

        Raises:
            UnknownConsentError: there is none.
            ConsentInUseError: voices depend on it; the message names them.
        """
        with self.folder.locked():
            users = [
                _voice(record).info.name
                for record in self._records.all()
                if record.facts["consent"] == id
            ]
            if users:
                raise ConsentInUseError(
                    f"{_listed(users)} depend{'s' * (len(users) == 1)} on consent {id!r}: "
                    f"delete {'it' if len(users) == 1 else 'them'} first"
                )
            self.consents.remove(id)

    # -- previews ----------------------------------------------------------------------------

    def preview(self, name: str) -> bytes | None:
        """The preview stored under this name; None if there is none."""
        try:
            return self.folder.read(f"previews/{name}")
        except (FileNotFoundError, UnusableFileError):
            return None

    def keep_preview(self, name: str, contents: bytes) -> None:
        """Store a preview; if the voice is uploaded, the name must begin with its id and a dash."""
        self.folder.write(f"previews/{name}", contents)

    # -- private -----------------------------------------------------------------------------

    def _stated(self, consent: str) -> str:
        """Who consents, and how, as a voice keeps it."""
        if is_consent_id(consent):
            return f"{self.consents.get(consent).name}, by the recording {consent}"
        return f"{consent} by a client of the server" if consent == ATTESTED else consent

    def _find(self, id_or_name: str) -> Record | None:
        if self._records.is_id(id_or_name):
            return self._records.find(lambda record: record.id == id_or_name)
        return self._records.find(lambda record: _is_named(record, id_or_name))

    def _encoded(self, record: Record, contents: bytes) -> Voice:
        if record.facts["codec"] == self._codec:
            return Voice.from_bytes(contents, record.id)
        sound = _floats(load(contents)["sound"].numpy())
        rate = record.facts["sample_rate"]
        segment = Segment(speaker=0, text=record.facts["ref_text"], audio=sound, sample_rate=rate)
        return self._make_voice(record.facts["name"], segment)

    def _cache(self, id: str, voice: Voice) -> None:
        self._loaded[id] = voice
        while len(self._loaded) > MAX_LOADED:
            self._loaded.popitem(last=False)

    def _unknown(self, name: str) -> UnknownVoiceError:
        known = [*self._taken.values(), *(info.name for info in self.info())]
        known = [one for one in known if _folded(one) != _folded(name)]
        similar = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        if similar:
            return UnknownVoiceError(f"no voice {name!r}: did you mean {' or '.join(similar)}?")
        return UnknownVoiceError(f"no voice {name!r}: GET /v1/audio/voices lists all")

    @staticmethod
    def _name_taken(name: str, id: str) -> NameTakenError:
        return NameTakenError(
            f"there is already a voice {name!r}, {id}: delete it first, or choose another name"
        )


def open_store(where: str | os.PathLike[str], tts: TTS, taken: Iterable[str] = ()) -> VoiceStore:
    """Open the voice store of a server.

    Args:
        where: a folder, created if needed, or an fsspec URL. If empty, ``voices`` in
            ``$CAUSERIE_CACHE``, which defaults to ``~/.cache/causerie``.
        taken: names of further voices, in addition to the model's.

    Raises:
        ConfigError: the folder cannot be used.
        StoreError: the disk fails.
    """
    if not os.fspath(where):
        cache = os.environ.get("CAUSERIE_CACHE") or Path.home() / ".cache" / "causerie"
        where = Path(cache) / "voices"
    return VoiceStore(
        where,
        make_voice=lambda name, segment: tts.make_voice(name, [segment], examine=False),
        codec=codec_id(tts),
        taken=[*tts.voices, *OPENAI_VOICES, "default", *taken],
    )


def codec_id(tts: TTS) -> str:
    """An id of the codec, from its first codebook and the number of codebooks."""
    centroids = tts.checkpoint.codec.quantizer.semantic.centroids
    hashed = hashlib.blake2b(centroids.cpu().numpy().tobytes(), digest_size=8)
    return f"{hashed.hexdigest()}-{tts.checkpoint.model.config.num_codebooks}"


def _folded(name: str) -> str:
    """The form of a name that decides whether two names are equal."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _is_named(record: Record, name: str) -> bool:
    return _folded(record.facts["name"]) == _folded(name)


def _voice(record: Record) -> StoredVoice:
    facts = record.facts
    info = VoiceInfo(
        id=record.id,
        name=facts["name"],
        language=facts["language"],
        description=facts["description"],
        origin="uploaded",
        created_at=facts["created"],
    )
    return StoredVoice(info=info, consent=facts["consent"], ref_text=facts["ref_text"])


def _floats(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = samples.astype(np.float32) / np.float32(32768)
    return scaled


def _listed(names: list[str]) -> str:
    shown = [f"voice {name!r}" for name in names[:3]]
    if len(names) > 3:
        shown.append(f"{len(names) - 3} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
