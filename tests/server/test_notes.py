"""The header `x-notes` is short enough for clients and proxies."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from causerie.server.audio_response import MAX_NOTES_CHARS, headers_of


@pytest.mark.parametrize("num_notes", [0, 1, 10, 1000])
def test_the_first_notes_are_in_the_header_and_the_others_are_counted(num_notes: int) -> None:
    notes = [f"verify: 1 of 4 words missing: 'Ж{number:04}'" for number in range(num_notes)]
    headers = headers_of(SimpleNamespace(seed=5, notes=notes))
    assert headers["x-seed"] == "5"
    assert ("x-notes" in headers) == (num_notes > 0)
    header = headers.get("x-notes", "[]")
    assert len(header) < MAX_NOTES_CHARS + 100
    kept = json.loads(header)
    if num_notes == 1000:
        assert len(kept) > 20
        more = f"{num_notes - len(kept) + 1} more: all notes are in the last event"
        assert kept.pop().startswith(more)
    assert kept == notes[: len(kept)]
    assert len(kept) == num_notes or num_notes == 1000
