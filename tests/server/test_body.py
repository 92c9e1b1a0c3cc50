"""Counting what is not a recording in a body, however it arrives."""

from __future__ import annotations

import random

import pytest

from causerie.server.body import LONG, _Runs


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 0),
        (b'{"input":"Hi."}', 15),
        (b'"' + LONG * b"A" + b'"', 2),
        (b'"' + (LONG - 1) * b"A" + b'"', LONG + 1),
        (b'"data:audio/wav;base64,' + LONG * b"A" + b'"', 24),
        (b'"' + LONG * b"\\/" + b'"', 2),
        (b'"' + LONG * b"\\n" + b'"', 2 + 2 * LONG),
        (LONG * b"1,", 2 * LONG),
        (LONG * b"A" + b"\xc3\xa9", LONG + 2),
    ],
)
def test_runs(body: bytes, expected: int) -> None:
    assert _Runs().num_short(body) == expected
    if b"\\/" not in body:  # a cut between the two makes a run of its own
        chosen, runs, counted, start = random.Random(0), _Runs(), 0, 0
        while start < len(body):
            end = start + chosen.randint(1, 30_000)
            counted, start = runs.num_short(body[start:end]), end
        assert counted == expected
