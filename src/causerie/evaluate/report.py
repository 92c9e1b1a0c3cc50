"""`Report`: the results of an evaluation as flat numbers and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from causerie.evaluate.clip import Measured, Row

#: Number → its description; {} is the value. Other numbers are shown by name.
LINES: Mapping[str, str] = {
    "wer": "word error rate {:.1%}",
    "cer": "character error rate {:.1%}",
    "words": "words in the texts {:.0f}",
    "substitutions": "substitutions {:.0f}",
    "deletions": "deletions {:.0f}",
    "insertions": "insertions {:.0f}",
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
    "empty": "without audio {:.1%}",
    "seconds": "audio in total {:.0f} s",
    "duration_ratio": "duration / expected duration, median {:.2f}",
    "duration_ratio_p5": "duration / expected, 5th percentile {:.2f}",
    "duration_ratio_p95": "duration / expected, 95th percentile {:.2f}",
    "too_short": "shorter than half of the expected duration {:.1%}",
    "too_long": "longer than twice the expected duration {:.1%}",
    "silence_share": "silence {:.0%}",
    "longest_pause_s": "longest pause {:.2f} s",
    "long_pauses": "with a pause above 1 s {:.1%}",
    "tail_s": "silence at the end {:.2f} s",
    "repeated_words": "words repeated {:.1%}",
    "looping": "clips with looping codes {:.1%}",
    "codec_db": "codec round trip {:.2f} dB",
    "rtf": "real-time factor {:.3f}",
    "first_sound_ms_p50": "first sound, median {:.0f} ms",
    "first_sound_ms_p95": "first sound, 95th percentile {:.0f} ms",
    "homographs": "homographs read by context {:.0%}",
    "homographs_both": "homographs right in both contexts {:.0%}",
    "homographs_judge": "accuracy of the classifier on known readings {:.0%}",
    "consistency": "pronunciation kept over turns {:.0%}",
    "consistency_both": "words that keep both pronunciations {:.0%}",
    "consistency_judge": "accuracy of the classifier on known pronunciations {:.0%}",
    "adapts_pitch": "of the user's change of pitch, the answer follows {:.0%}",
    "adapts_pitch_error": "its standard error {:.0%}",
    "adapts_pace": "of the user's change of pace, the answer follows {:.0%}",
    "adapts_pace_error": "its standard error {:.0%}",
    "adapts_loudness": "of the user's change of loudness, the answer follows {:.0%}",
    "adapts_loudness_error": "its standard error {:.0%}",
    "heard_pitch": "change of the answer's pitch by the user's sound {:+.1f} semitones",
    "heard_pitch_error": "its standard error {:.1f} semitones",
    "heard_range": "change of the answer's pitch range by the user's sound {:+.1f} semitones",
    "heard_range_error": "its standard error {:.1f} semitones",
    "heard_pace": "change of the answer's pace by the user's sound {:+.1%}",
    "heard_pace_error": "its standard error {:.1%}",
    "heard_loudness": "change of the answer's loudness by the user's sound {:+.1f} dB",
    "heard_loudness_error": "its standard error {:.1f} dB",
    "drift_pitch": "of the distance to the user's pitch, the answer moves {:.0%}",
    "drift_pitch_error": "its standard error {:.0%}",
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """The results of an evaluation.

    Attributes:
        model: name of the model.
        settings: seed, voices, number of clips.
        numbers: flat figures; shares and rates are fractions of 1.
        tables: one row per clip ("clips"), recording ("codec"), homograph, turn, or pair.
    """

    model: str
    settings: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, measured: Measured, table: str) -> None:
        """Add figures, and merge their rows into a table."""
        self.numbers.update(measured.numbers)
        rows = self.tables.setdefault(table, [{} for _ in measured.rows])
        for row, found in zip(rows, measured.rows, strict=True):
            row.update(found)

    def to_json(self) -> str:
        """The report as JSON."""
        facts = {
            "model": self.model,
            "settings": self.settings,
            "numbers": self.numbers,
            "tables": self.tables,
        }
        return json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def lines(self) -> list[str]:
        """The figures in words, one per line."""
        return [line_of(name, value) for name, value in self.numbers.items()]


def line_of(name: str, value: float) -> str:
    """A figure in words."""
    if name in LINES:
        return LINES[name].format(value)
    base, _, voice = name.partition("/")
    if voice and base in LINES:
        return f"{LINES[base].format(value)}, voice {voice}"
    return f"{name} {value:g}"
