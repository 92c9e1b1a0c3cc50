"""Puts turns of many recordings into their conversations, and parts these where a turn is missing.

A model that learns from a conversation takes each turn for the answer to the one before it. Where
a turn was dropped, what follows is therefore a conversation of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causerie.data.manifest import Recording, Row
from causerie.data.process_recording import Outcome


@dataclass(frozen=True, kw_only=True)
class Said:
    """One outcome in its place; `number` counts all turns of the conversation, dropped ones too.

    Attributes:
        first_frame: of its codes among those of its recording.
    """

    recording: Recording
    row: Row
    outcome: Outcome
    first_frame: int
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Talk:
    """Kept turns that follow each other without a gap."""

    name: str
    turns: tuple[Said, ...]


@dataclass(frozen=True, kw_only=True)
class Parted:
    """A conversation that a dropped turn parted: into which names."""

    conversation: str
    parts: tuple[str, ...]


def converse(
    worked: Sequence[tuple[Recording, Sequence[Outcome]]],
) -> tuple[list[Talk], list[Parted]]:
    """Conversations in order of their first turns, and which of them fell apart."""
    found: dict[str, list[Said]] = {}
    for recording, outcomes in worked:
        frame = 0
        for outcome in outcomes:
            row = recording.rows[outcome.row]
            said = Said(recording=recording, row=row, outcome=outcome, first_frame=frame)
            found.setdefault(row.conversation, []).append(said)
            frame += outcome.num_frames
    order = sorted(found, key=lambda name: min(said.row.place for said in found[name]))
    talks, parted = list[Talk](), list[Parted]()
    taken = set(found)
    for name in order:
        runs = _runs(_in_order(found[name]))
        names = [name, *_free_names(name, len(runs) - 1, taken)]
        talks += [Talk(name=n, turns=tuple(run)) for n, run in zip(names, runs, strict=False)]
        if len(runs) > 1:
            parted.append(Parted(conversation=name, parts=tuple(names)))
    return talks, parted


def _in_order(turns: list[Said]) -> list[Said]:
    """As they were said: by time within one recording, else as they are listed."""
    one_recording = len({said.recording.name for said in turns}) == 1
    if one_recording:
        return sorted(turns, key=lambda said: (said.outcome.start_s, said.row.place))
    return sorted(turns, key=lambda said: said.row.place)  # stable: pieces stay in order


def _runs(turns: Sequence[Said]) -> list[list[Said]]:
    """Kept turns between dropped ones."""
    runs: list[list[Said]] = [[]]
    for number, said in enumerate(turns):
        if said.outcome.reasons:
            runs.append([])
        else:
            placed = Said(
                recording=said.recording,
                row=said.row,
                outcome=said.outcome,
                first_frame=said.first_frame,
                number=number,
            )
            runs[-1].append(placed)
    return [run for run in runs if run]


def _free_names(name: str, count: int, taken: set[str]) -> list[str]:
    names: list[str] = []
    number = 2
    while len(names) < count:
        option = f"{name} ({number})"
        if option not in taken:
            taken.add(option)
            names.append(option)
        number += 1
    return names
