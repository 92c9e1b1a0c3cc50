"""Stores pronunciation dictionaries, as ElevenLabs' clients make them, beside the voices.

A dictionary is one JSON file with its latest versions. Knows no protocol but the error for a
dictionary that is missing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from causerie.errors import ConfigError, TextError
from causerie.server.errors import ApiError
from causerie.server.voices.folder import Folder, UnusableFileError
from causerie.text.lexicon import Entry, UserLexicon
from causerie.text.phonemes import ALPHABETS, to_phonemes

log = logging.getLogger("causerie.server")

#: Dictionaries of a server, versions of one that are kept, and rules of a version.
MAX_DICTIONARIES, MAX_VERSIONS, MAX_RULES = 256, 8, 10_000
#: Bytes of an uploaded file: room for the rules, and a second or two to parse.
MAX_FILE_BYTES = 2**21

_KIND = "dictionaries"
_ID = "dict_"


class Locator(BaseModel):
    """Names a dictionary in a request for speech. Without a version, the latest is used."""

    pronunciation_dictionary_id: str
    version_id: str | None = None


class Rule(BaseModel):
    """A word and its reading."""

    string_to_replace: str = Field(min_length=1, max_length=200)
    type: str = "phoneme"
    alias: str | None = Field(default=None, max_length=1_000)
    phoneme: str | None = Field(default=None, max_length=1_000)
    alphabet: str = "ipa"


@dataclass(frozen=True, kw_only=True)
class Dictionary:
    """A dictionary and its latest version.

    Attributes:
        created: in seconds since 1970.
        versions: id and entries (word → [phonemes, respelling]) of each, oldest first.
    """

    id: str
    name: str
    description: str
    created: int
    versions: list[tuple[str, dict[str, tuple[str, str]]]]

    @property
    def version_id(self) -> str:
        """The id of the latest version."""
        return self.versions[-1][0]

    @property
    def entries(self) -> dict[str, tuple[str, str]]:
        """The entries of the latest version."""
        return self.versions[-1][1]


class Dictionaries:
    """The dictionaries in a folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def add(self, name: str, description: str, lexicon: UserLexicon) -> Dictionary:
        """Store a new dictionary.

        Raises:
            ApiError: there are too many.
        """
        with self._folder.locked():
            if len(self._folder.versions(_KIND)) >= MAX_DICTIONARIES:
                raise ApiError(
                    f"there are {MAX_DICTIONARIES} dictionaries already: change one of them",
                    status=409,
                    code="too_many_dictionaries",
                )
            made = Dictionary(
                id=_ID + secrets.token_hex(12),
                name=name,
                description=description,
                created=int(time.time()),
                versions=[_version(lexicon)],
            )
            self._write(made)
        return made

    def change(self, id: str, change: Callable[[UserLexicon], UserLexicon]) -> Dictionary:
        """Store a new version of a dictionary.

        Raises:
            ApiError: there is no such dictionary.
        """
        with self._folder.locked():
            old = self.get(id)
            version = _version(change(_lexicon(old.entries)))
            versions = [*old.versions, version][-MAX_VERSIONS:]
            new = Dictionary(**{**vars(old), "versions": versions})
            self._write(new)
        return new

    def get(self, id: str) -> Dictionary:
        """The dictionary with this id.

        Raises:
            ApiError: there is no such dictionary.
        """
        name = id.removeprefix(_ID)
        if not (id.startswith(_ID) and name.isascii() and name.isalnum()):
            raise _missing(id)
        file = f"{_KIND}/{id}.json"
        try:
            return _read(self._folder.read(file))
        except FileNotFoundError:
            raise _missing(id) from None
        except (UnusableFileError, ValueError) as error:
            log.warning("skipped the damaged file %s: %s", file, error)
            raise _missing(id) from error

    def all(self) -> list[Dictionary]:
        """All dictionaries, oldest first, without damaged files."""
        names = (name.removeprefix(f"{_KIND}/") for name in self._folder.versions(_KIND))
        found = []
        for name in names:
            with contextlib.suppress(ApiError):
                found.append(self.get(name.removesuffix(".json")))
        return sorted(found, key=lambda one: (one.created, one.id))

    def lexicon(self, locators: Sequence[Locator]) -> UserLexicon | None:
        """The entries of dictionaries; the first that has a word gives its reading.

        Raises:
            ApiError: a dictionary or a version does not exist.
        """
        joined: UserLexicon | None = None
        for locator in reversed(locators):
            found = self.get(locator.pronunciation_dictionary_id)
            version = locator.version_id or found.version_id
            entries = dict(found.versions).get(version)
            if entries is None:
                raise ApiError(
                    f"dictionary {found.id} has no version {version!r}: the latest is "
                    f"{found.version_id}",
                    status=404,
                    code="pronunciation_dictionary_not_found",
                    param="pronunciation_dictionary_locators",
                )
            one = _lexicon(entries)
            joined = one if joined is None else joined | one
        return joined

    def _write(self, dictionary: Dictionary) -> None:
        contents = json.dumps(asdict(dictionary), ensure_ascii=False).encode()
        self._folder.write(f"{_KIND}/{dictionary.id}.json", contents)


def _read(contents: bytes) -> Dictionary:
    """The dictionary in a file.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        read = TypeAdapter(Dictionary).validate_json(contents)
    except ValidationError as error:
        raise ValueError("it does not hold a dictionary of this version") from error
    if not read.versions:
        raise ValueError("it holds no version")
    return read


def lexicon_of(rules: Iterable[Rule]) -> UserLexicon:
    """The entries of rules.

    Raises:
        ApiError: a rule is invalid.
    """
    entries: dict[str, Entry] = {}
    for number, rule in enumerate(rules, 1):
        word = " ".join(rule.string_to_replace.split())
        try:
            if rule.alphabet.lower() not in ALPHABETS:
                raise TextError(f"alphabet {rule.alphabet!r} is unknown: use ipa or cmu-arpabet")
            if rule.type == "alias" and rule.alias and rule.alias.strip():
                entries[word] = Entry(alias=rule.alias.strip())
            elif rule.type == "phoneme" and rule.phoneme:
                phonemes = to_phonemes(rule.phoneme, word, alphabet=rule.alphabet)
                entries[word] = Entry(phonemes=phonemes)
            else:
                raise TextError(
                    f"it has the type {rule.type!r}: give type phoneme with phoneme, or type alias "
                    f"with alias"
                )
        except TextError as error:
            raise ApiError(f"rule {number}: {error}", code="invalid_rule", param="rules") from None
    return UserLexicon(entries)


def parse_file(contents: bytes, name: str) -> UserLexicon:
    """The entries of an uploaded file, PLS or any other lexicon.

    Raises:
        ApiError: it is invalid or too large.
    """
    if len(contents) > MAX_FILE_BYTES:
        raise ApiError(
            f"{name} is larger than {MAX_FILE_BYTES / 2**20:g} MiB: make several dictionaries",
            status=413,
            code="too_large",
            param="file",
        )
    try:
        return UserLexicon.parse(contents.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        raise ApiError(f"{name} is not text in UTF-8: {error}", code="invalid_file") from None
    except ConfigError as error:
        raise ApiError(str(error), code="invalid_file", param="file") from None


def _version(lexicon: UserLexicon) -> tuple[str, dict[str, tuple[str, str]]]:
    if len(lexicon.entries) > MAX_RULES:
        raise ApiError(f"a dictionary has at most {MAX_RULES:,} rules", code="too_many_rules")
    entries = {word: (one.phonemes, one.alias) for word, one in lexicon.entries.items()}
    return "ver_" + secrets.token_hex(12), entries


def _lexicon(entries: dict[str, Any]) -> UserLexicon:
    return UserLexicon(
        {word: Entry(phonemes=one[0], alias=one[1]) for word, one in entries.items()}
    )


def _missing(id: str) -> ApiError:
    return ApiError(
        f"there is no pronunciation dictionary {id[:80]!r}: make one by "
        f"/v1/pronunciation-dictionaries/add-from-rules",
        status=404,
        code="pronunciation_dictionary_not_found",
        param="pronunciation_dictionary_locators",
    )
