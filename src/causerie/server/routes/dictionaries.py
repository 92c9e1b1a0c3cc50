"""ElevenLabs' routes for pronunciation dictionaries: make, list and change them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel, Field

from causerie.server.dictionaries import (
    MAX_FILE_BYTES,
    MAX_RULES,
    Dictionary,
    Rule,
    lexicon_of,
    parse_file,
)
from causerie.server.json_body import JsonBody
from causerie.server.state import service_of
from causerie.server.threads import in_changes, in_store
from causerie.text.lexicon import UserLexicon

router = APIRouter(prefix="/v1/pronunciation-dictionaries", tags=["elevenlabs"])

Rules = Annotated[list[Rule], Field(min_length=1, max_length=MAX_RULES)]


class NewDictionary(JsonBody):
    """A dictionary from rules."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    description: Annotated[str | None, Field(max_length=1024)] = None
    rules: Rules


class AddedRules(JsonBody):
    """Rules to add or replace."""

    rules: Rules


class RemovedRules(JsonBody):
    """Words whose rules are removed."""

    rule_strings: Annotated[list[str], Field(min_length=1, max_length=MAX_RULES)]


class Version(BaseModel):
    """The new version of a dictionary."""

    id: str
    version_id: str
    version_rules_num: int


class Made(Version):
    """A new dictionary."""

    name: str
    description: str
    creation_time_unix: int


class Listed(BaseModel):
    """A dictionary and its latest version."""

    id: str
    name: str
    description: str
    creation_time_unix: int
    latest_version_id: str
    latest_version_rules_num: int


class AllListed(BaseModel):
    """All dictionaries."""

    pronunciation_dictionaries: list[Listed]
    has_more: bool = False
    next_cursor: str | None = None


@router.post("/add-from-rules")
async def add_from_rules(request: Request, body: NewDictionary) -> Made:
    """Make a dictionary from rules."""
    store = service_of(request).dictionaries

    def add() -> Dictionary:
        return store.add(body.name, body.description or "", lexicon_of(body.rules))

    return _made(await in_changes(add))


@router.post("/add-from-file")
async def add_from_file(
    request: Request,
    name: Annotated[str, Form(min_length=1, max_length=256)],
    file: Annotated[UploadFile, File(description="PLS, JSON, or lines of word<TAB>IPA.")],
    description: Annotated[str, Form(max_length=1024)] = "",
) -> Made:
    """Make a dictionary from a file."""
    store, contents = service_of(request).dictionaries, await file.read(MAX_FILE_BYTES + 1)

    def add() -> Dictionary:
        return store.add(name, description, parse_file(contents, file.filename or "file"))

    return _made(await in_changes(add))


@router.get("")
async def dictionaries(request: Request) -> AllListed:
    """List all dictionaries."""
    found = await in_store(service_of(request).dictionaries.all)
    return AllListed(pronunciation_dictionaries=[_listed(one) for one in found])


@router.get("/{id}")
async def dictionary(request: Request, id: str) -> Listed:
    """Describe a dictionary."""
    return _listed(await in_store(service_of(request).dictionaries.get, id))


@router.post("/{id}/add-rules")
async def add_rules(request: Request, id: str, body: AddedRules) -> Version:
    """Add rules to a dictionary, or replace those of the same words."""
    store = service_of(request).dictionaries

    def change() -> Dictionary:
        more = lexicon_of(body.rules)
        return store.change(id, lambda lexicon: lexicon | more)

    return _version(await in_changes(change))


@router.post("/{id}/remove-rules")
async def remove_rules(request: Request, id: str, body: RemovedRules) -> Version:
    """Remove the rules of words from a dictionary."""
    removed = {" ".join(word.split()) for word in body.rule_strings}

    def without(lexicon: UserLexicon) -> UserLexicon:
        kept = {word: one for word, one in lexicon.entries.items() if word not in removed}
        return UserLexicon(kept)

    store = service_of(request).dictionaries
    return _version(await in_changes(store.change, id, without))


def _version(found: Dictionary) -> Version:
    return Version(id=found.id, version_id=found.version_id, version_rules_num=len(found.entries))


def _made(found: Dictionary) -> Made:
    return Made(
        **_version(found).model_dump(),
        name=found.name,
        description=found.description,
        creation_time_unix=found.created,
    )


def _listed(found: Dictionary) -> Listed:
    return Listed(
        id=found.id,
        name=found.name,
        description=found.description,
        creation_time_unix=found.created,
        latest_version_id=found.version_id,
        latest_version_rules_num=len(found.entries),
    )
