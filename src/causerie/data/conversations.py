"""Groups the turns of all recordings into conversations, and splits these at dropped turns.

Training takes each turn of a conversation as the answer to the one before. The turns after a
dropped one therefore form a conversation of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causerie.data.manifest import Recording, Row
from causerie.data.process_recording import Outcome


@dataclass(frozen=True, kw_only=True)
class PlacedTurn:
    """An outcome and its place.

    Attributes:
        first_frame: index of its first frame in the codes of its recording.
        number: index of the turn in the conversation, in which dropped turns count too.
    """

    recording: Recording
    row: Row
    outcome: Outcome
    first_frame: int
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Kept turns without a dropped one between them."""

    name: str
    turns: tuple[PlacedTurn, ...]


@dataclass(frozen=True, kw_only=True)
class SplitConversation:
    """A conversation that dropped turns split, and the names of its parts."""

    conversation: str
    parts: tuple[str, ...]


def build_conversations(
    processed: Sequence[tuple[Recording, Sequence[Outcome]]],
) -> tuple[list[Conversation], list[SplitConversation]]:
    """The conversations in order of their first turns, and those that were split."""
    found: dict[str, list[PlacedTurn]] = {}
    for recording, outcomes in processed:
        frame = 0
        for outcome in outcomes:
            row = recording.rows[outcome.row]
            turn = PlacedTurn(recording=recording, row=row, outcome=outcome, first_frame=frame)
            found.setdefault(row.conversation, []).append(turn)
            frame += outcome.num_frames
    order = sorted(found, key=lambda name: min(turn.row.place for turn in found[name]))
    conversations, split = list[Conversation](), list[SplitConversation]()
    taken = set(found)
    for name in order:
        runs = _runs(_in_order(found[name]))
        names = [name, *_free_names(name, len(runs) - 1, taken)]
        conversations += [
            Conversation(name=n, turns=tuple(run)) for n, run in zip(names, runs, strict=False)
        ]
        if len(runs) > 1:
            split.append(SplitConversation(conversation=name, parts=tuple(names)))
    return conversations, split


def _in_order(turns: list[PlacedTurn]) -> list[PlacedTurn]:
    """Sort by time if all turns are in one recording, else by their order in the manifest."""
    one_recording = len({turn.recording.name for turn in turns}) == 1
    if one_recording:
        return sorted(turns, key=lambda turn: (turn.outcome.start_s, turn.row.place))
    return sorted(turns, key=lambda turn: turn.row.place)  # stable, so that pieces stay in order


def _runs(turns: Sequence[PlacedTurn]) -> list[list[PlacedTurn]]:
    """The runs of kept turns between dropped ones."""
    runs: list[list[PlacedTurn]] = [[]]
    for number, turn in enumerate(turns):
        if turn.outcome.reasons:
            runs.append([])
        else:
            placed = PlacedTurn(
                recording=turn.recording,
                row=turn.row,
                outcome=turn.outcome,
                first_frame=turn.first_frame,
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
