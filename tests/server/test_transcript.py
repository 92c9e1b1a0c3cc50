"""A client gets the words of a turn that do not change any more, and appends them."""

from __future__ import annotations

import pytest

from causerie.server.realtime.transcript import Transcript


@pytest.mark.parametrize(
    ("partial", "whole", "deltas"),
    [
        ([], "Is it far?", ["Is it far?"]),
        (["Is it"], "Is it far?", ["", "Is it far?"]),
        (
            ["Is it far.", "Is it far to the", "Is it far to the sta"],
            "Is it far to the station?",
            ["", "Is it", " far to the", " station?"],
        ),
        (["Is", "Is", "It"], "It is far.", ["", "Is", "", " is far."]),  # one word was wrong
        (["a b", "a b c", "a b"], "a b c", ["", "a b", "", " c"]),
        (["Yes.", "Yes."], "", ["", "Yes.", ""]),
        ([""], "", ["", ""]),
    ],
)
def test_deltas(partial: list[str], whole: str, deltas: list[str]) -> None:
    transcript = Transcript()
    assert [*map(transcript.partial, partial), transcript.whole(whole)] == deltas
