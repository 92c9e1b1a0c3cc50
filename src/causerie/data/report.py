"""The report on a preparation: what was kept and dropped, and why, for every turn and file."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from causerie.data.conversations import SplitConversation
from causerie.data.manifest import Recording
from causerie.data.process_recording import TRANSCRIBED, Outcome


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A recording and its outcomes."""

    recording: Recording
    outcomes: tuple[Outcome, ...]
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """The results of a preparation.

    Attributes:
        folder: folder of the recordings.
        settings: limits, codec, recognizer and language.
        entries: all recordings.
        left_out: files that are not part of the data, and why.
        split: conversations that were split at a dropped turn.
        notes: notes on the whole folder.
        num_conversations: number of conversations written.
    """

    folder: str
    settings: dict[str, Any]
    entries: tuple[Entry, ...]
    left_out: tuple[tuple[str, str], ...]
    split: tuple[SplitConversation, ...]
    notes: tuple[str, ...]
    num_conversations: int

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes of all recordings, in order."""
        return [outcome for entry in self.entries for outcome in entry.outcomes]

    @property
    def kept(self) -> list[Outcome]:
        """The outcomes of kept turns."""
        return [outcome for outcome in self.outcomes if not outcome.reasons]

    @property
    def dropped(self) -> list[Outcome]:
        """The outcomes of dropped turns."""
        return [outcome for outcome in self.outcomes if outcome.reasons]

    def dropped_by_reason(self) -> dict[str, int]:
        """Dropped turns by the kind of their first reason, most frequent first."""
        return dict(Counter(outcome.reasons[0].kind for outcome in self.dropped).most_common())

    def notes_count(self) -> dict[str, int]:
        """Kept turns by note, most frequent first."""
        return dict(Counter(note for outcome in self.kept for note in outcome.notes).most_common())

    def speakers(self) -> dict[str, float]:
        """Kept seconds by speaker, most first."""
        found: dict[str, float] = {}
        for entry in self.entries:
            for outcome in entry.outcomes:
                if not outcome.reasons:
                    speaker = entry.recording.rows[outcome.row].speaker
                    found[speaker] = found.get(speaker, 0.0) + seconds(outcome)
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def totals(self) -> dict[str, float | int]:
        """Numbers of turns, and seconds: recorded = kept + dropped + silence between turns."""
        recorded_s = sum(entry.duration_s for entry in self.entries)
        kept_s = sum(map(seconds, self.kept))
        dropped_s = sum(
            seconds(outcome)
            for entry in self.entries
            for outcome in entry.outcomes
            if outcome.reasons and entry.duration_s
        )
        return {
            "recordings": len(self.entries),
            "turns": len(self.outcomes),
            "kept": len(self.kept),
            "dropped": len(self.dropped),
            "conversations": self.num_conversations,
            "recorded_s": round(recorded_s, 2),
            "kept_s": round(kept_s, 2),
            "dropped_s": round(dropped_s, 2),
            "silence_s": round(max(0.0, recorded_s - kept_s - dropped_s), 2),
        }

    def summary(self) -> list[str]:
        """A few lines for the terminal."""
        totals = self.totals()
        speakers = len(self.speakers())
        lines = [
            f"kept {totals['kept']} of {totals['turns']} turns · {clock(totals['kept_s'])} of "
            f"{clock(totals['recorded_s'])} · {_count(speakers, 'speaker')} · "
            f"{_count(self.num_conversations, 'conversation')}"
        ]
        if self.dropped:
            reasons = [f"{count} {kind}" for kind, count in self.dropped_by_reason().items()]
            lines.append(f"dropped {len(self.dropped)}: {', '.join(reasons)}")
        if self.split:
            lines.append(f"{_count(len(self.split), 'conversation')} split at a dropped turn")
        written = sum(TRANSCRIBED in o.notes for o in self.kept)
        if written:
            lines.append(f"{_count(written, 'transcript')} written by the recognizer")
        if self.left_out:
            names = ", ".join(name for name, _ in self.left_out[:3])
            more = f" and {len(self.left_out) - 3} more" if len(self.left_out) > 3 else ""
            lines.append(f"{_count(len(self.left_out), 'file')} left out: {names}{more}")
        return [*lines, *self.notes]

    def to_json(self) -> str:
        """The report as JSON; each turn has its source, outcome and measurements."""
        turns = [
            {
                "source": entry.recording.name,
                "speaker": entry.recording.rows[outcome.row].speaker,
                "conversation": entry.recording.rows[outcome.row].conversation,
                "kept": not outcome.reasons,
                **{key: value for key, value in asdict(outcome).items() if key != "row"},
            }
            for entry in self.entries
            for outcome in entry.outcomes
        ]
        values = {
            "folder": self.folder,
            "totals": self.totals(),
            "dropped_by_reason": self.dropped_by_reason(),
            "notes": list(self.notes),
            "speakers_s": {name: round(value, 2) for name, value in self.speakers().items()},
            "left_out": [{"file": name, "why": why} for name, why in self.left_out],
            "parted": [asdict(split) for split in self.split],
            "settings": self.settings,
            "turns": turns,
        }
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def seconds(outcome: Outcome) -> float:
    """The length of a turn."""
    return outcome.end_s - outcome.start_s


def clock(duration_s: float) -> str:
    """Seconds as text, such as 3 min 05 s."""
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    minutes, rest = divmod(round(duration_s), 60)
    return (
        f"{minutes // 60} h {minutes % 60:02d} min"
        if minutes >= 60
        else f"{minutes} min {rest:02d} s"
    )


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
