"""`Report`: what an evaluation found, as flat numbers and tables, for programs and for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from causerie.evaluate.clip import Measured, Row

#: Number → its line for people, {} being the value. Numbers that are not here are shown plainly.
LINES: Mapping[str, str] = {
    "wer": "word error rate {:.1%}",
    "cer": "character error rate {:.1%}",
    "words": "words to be said {:.0f}",
    "substitutions": "of them heard as others {:.0f}",
    "deletions": "of them not heard {:.0f}",
    "insertions": "words heard besides {:.0f}",
    "perfect": "clips without an error {:.0%}",
    "similarity": "similarity to the voice's prompt {:.2f}",
    "similarity_min": "similarity of the worst clip {:.2f}",
    "similarity_within": "similarity between clips of one voice {:.2f}",
    "similarity_across": "similarity between different voices {:.2f}",
    "ovrl": "DNSMOS overall {:.2f}",
    "sig": "DNSMOS speech {:.2f}",
    "bak": "DNSMOS background {:.2f}",
    "p808": "DNSMOS P.808 {:.2f}",
    "stopped": "stopped by itself {:.1%}",
    "empty": "without sound {:.1%}",
    "seconds": "sound in all {:.0f} s",
    "duration_ratio": "duration, of what the text suggests, median {:.2f}",
    "duration_ratio_p5": "duration, 5th percentile {:.2f}",
    "duration_ratio_p95": "duration, 95th percentile {:.2f}",
    "too_short": "shorter than half of it {:.1%}",
    "too_long": "longer than twice of it {:.1%}",
    "silence_share": "silence {:.0%}",
    "longest_pause_s": "longest pause {:.2f} s",
    "long_pauses": "with a pause above 1 s {:.1%}",
    "tail_s": "silence at the end {:.2f} s",
    "repeated_words": "words repeated {:.1%}",
    "looping": "codes going in circles {:.1%}",
    "codec_db": "codec round trip {:.2f} dB",
    "rtf": "real-time factor {:.3f}",
    "first_sound_ms_p50": "first sound, median {:.0f} ms",
    "first_sound_ms_p95": "first sound, 95th percentile {:.0f} ms",
    "homographs": "homographs read by context {:.0%}",
    "homographs_both": "homographs right in both contexts {:.0%}",
    "homographs_judge": "the judge is right where the reading is known {:.0%}",
    "consistency": "pronunciation kept over turns {:.0%}",
    "consistency_both": "words that keep either pronunciation {:.0%}",
    "consistency_judge": "the judge is right where the pronunciation is known {:.0%}",
}
#: Clips that the report for people shows, those with most errors.
WORST = 10


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found.

    Attributes:
        model: what was evaluated.
        settings: how: seed, voices, number of clips.
        numbers: flat figures; shares and rates are of 1.
        tables: what was found in each clip ("clips"), recording, homograph or turn.
    """

    model: str
    settings: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, measured: Measured, table: str) -> None:
        """Add figures, and join their rows to a table's."""
        self.numbers.update(measured.numbers)
        rows = self.tables.setdefault(table, [{} for _ in measured.rows])
        for row, found in zip(rows, measured.rows, strict=True):
            row.update(found)

    def to_json(self) -> str:
        """All of it, as JSON."""
        facts = {
            "model": self.model,
            "settings": self.settings,
            "numbers": self.numbers,
            "tables": self.tables,
        }
        return json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def lines(self) -> list[str]:
        """The figures for people, one a line."""
        return [_line(name, value) for name, value in self.numbers.items()]

    def to_markdown(self) -> str:
        """The figures and the worst clips, as a page."""
        facts = ", ".join(
            f"{name} {' '.join(value) if isinstance(value, list) else value}"
            for name, value in self.settings.items()
        )
        page = [
            f"# Evaluation of {self.model}",
            "",
            f"{facts}.",
            "",
            "| figure | value |",
            "|---|---|",
        ]
        page += [f"| `{name}` | {_line(name, value)} |" for name, value in self.numbers.items()]
        worst = [row for row in self.tables.get("clips", []) if row.get("errors")]
        worst.sort(key=lambda row: -float(row["wer"]))
        if worst:
            page += ["", "## Worst clips", "", "| clip | said | heard |", "|---|---|---|"]
            page += [_cells(row, "clip", "text", "heard") for row in worst[:WORST]]
        wrong = [row for row in self.tables.get("homographs", []) if not row["right"]]
        if wrong:
            page += [
                "",
                "## Homographs misread",
                "",
                "| word | sentence | as in |",
                "|---|---|---|",
            ]
            page += [_cells(row, "word", "text", "meant") for row in wrong]
        return "\n".join(page) + "\n"


def _line(name: str, value: float) -> str:
    if name in LINES:
        return LINES[name].format(value)
    base, _, voice = name.partition("/")
    if voice and base in LINES:
        return f"{LINES[base].format(value)}, voice {voice}"
    return f"{name} {value:g}"


def _cells(row: Row, *names: str) -> str:
    cells: Sequence[str] = [str(row.get(name, "")).replace("|", "\\|") for name in names]
    return f"| {' | '.join(cells)} |"
