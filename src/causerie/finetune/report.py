"""The report on a fine-tuning, as JSON and as an HTML page."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from causerie.data.shards import Turn
from causerie.finetune.choice import TOLERANCE, Choice, Figures
from causerie.report.charts import lines
from causerie.report.page import Html, audio, page, paragraph, section, table, text
from causerie.report.page import figures as grid

#: Columns of the table: figure → heading and format.
COLUMNS: Mapping[str, tuple[str, str]] = {
    "similarity": ("similarity", "{:.3f}"),
    "wer": ("WER", "{:.1%}"),
    "cer": ("CER", "{:.1%}"),
    "stopped": ("stopped", "{:.0%}"),
    "held_out_codebook0": ("loss, codebook 0", "{:.3f}"),
    "held_out_rest": ("loss, others", "{:.3f}"),
}
#: What `CsmForConditionalGeneration` cannot know.
TRANSFORMERS = (
    "transformers has no place for voices: give it the voice's turns, with their codes or sound, "
    "as the conversation before the text."
)
TRANSFORMERS_PHONEMES = (
    "This model reads phonemes, and transformers has no place for what writes them: give it text "
    "that `causerie.checkpoint.load(MODEL).front_end(text)` has read."
)
#: Why a model is not written for transformers.
NO_TRANSFORMERS = (
    "the model was not written for transformers, which does not know the codec's source-filter "
    "decoder"
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The results of a fine-tuning.

    Attributes:
        base: name of the model that was fine-tuned.
        voice: name of the new voice.
        prompt, learned, held_out: the sentences of each set.
        frame_rate: frames per second of the codec.
        ceilings: similarities of held-out recordings to each other, by what was done to them.
        before: figures of the base.
        checkpoints: figures by step.
        notes: other lines for the user.
    """

    base: str
    voice: str
    prompt: Sequence[Turn]
    learned: Sequence[Turn]
    held_out: Sequence[Turn]
    frame_rate: float
    ceilings: Mapping[str, float]
    before: Figures
    checkpoints: Mapping[int, Figures]
    choice: Choice
    notes: Sequence[str]

    def rows(self) -> list[tuple[str, list[str], bool]]:
        """Rows of the table: name, cells in the order of `COLUMNS`, and whether it was chosen."""
        return [
            *(
                (name, _cells({"similarity": value}), False)
                for name, value in self.ceilings.items()
            ),
            ("base, with prompt", _cells(self.before), False),
            *(
                (f"step {step}", _cells(figures), step == self.choice.step)
                for step, figures in sorted(self.checkpoints.items())
            ),
        ]

    def lines(self) -> list[str]:
        """The amounts of data, the notes and the choice."""
        return [
            f"learned {self._amount(self.learned)}, {self._amount(self.prompt)} of them the "
            f"prompt of voice {self.voice}; held out {self._amount(self.held_out)}",
            *self.notes,
            self.choice.why,
        ]

    def to_json(self) -> str:
        """The report as JSON."""
        values: dict[str, Any] = {
            "base": self.base,
            "voice": self.voice,
            "sentences": {
                kind: [
                    {"text": turn.text, "source": turn.source, "start_s": turn.start_s,
                     "end_s": turn.end_s}
                    for turn in turns
                ]
                for kind, turns in (
                    ("learned", self.learned), ("prompt", self.prompt), ("held_out", self.held_out)
                )
            },
            "similarity_of_recordings": dict(self.ceilings),
            "base_figures": dict(self.before),
            "checkpoints": {str(step): dict(figures) for step, figures in self.checkpoints.items()},
            "choice": asdict(self.choice),
            "notes": list(self.notes),
        }  # fmt: skip
        return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self, samples: Mapping[str, Sequence[str]]) -> str:
        """The report as a page.

        Args:
            samples: paths of sound files, relative to the page, by what they hold.
        """
        rows = [
            [Html(f"<strong>{text(name)}</strong>") if chosen else name, *cells]
            for name, cells, chosen in self.rows()
        ]
        headings = [heading for heading, _ in COLUMNS.values()]
        why = (
            "The choice is the most similar of the checkpoints whose word error rate is at most "
            f"{TOLERANCE:.0%} (absolute) above the base's and which stop at most {TOLERANCE:.0%} "
            "less often. Similarity is the cosine to the speaker vectors of the held-out "
            "recordings. Losses are those of the held-out sentences after the voice's prompt."
        )
        sounds = list(itertools.zip_longest(*(map(audio, some) for some in samples.values())))
        return page(
            f"Voice {self.voice}, from {self.base}",
            [
                *(paragraph(f"Warning: {line}.", "warning") for line in self.choice.warnings),
                *map(paragraph, self.lines()),
                section("Checkpoints", table(["", *headings], rows, numbers=len(headings))),
                self._charts(),
                paragraph(why),
                section(
                    "Samples",
                    table(list(samples), [[cell or "" for cell in row] for row in sounds]),
                ),
            ],
        )

    def _charts(self) -> str:
        """Similarity and word error rate by step, beside those of base and recordings."""
        charts = []
        for name in ("similarity", "wer"):
            levels = {"base": self.before[name]}
            levels |= self.ceilings if name == "similarity" else {}
            points = {step: figures[name] for step, figures in self.checkpoints.items()}
            title, form = COLUMNS[name]
            svg = lines(title, points, levels=levels, chosen=self.choice.step, form=form)
            charts.append((f"{title} by step; the large point is the choice", svg))
        return grid(charts)

    def _amount(self, turns: Sequence[Turn]) -> str:
        seconds = sum(turn.num_frames for turn in turns) / self.frame_rate
        count = "1 sentence" if len(turns) == 1 else f"{len(turns)} sentences"
        return f"{count} ({seconds:.0f} s)"


def _cells(figures: Figures) -> list[str]:
    return [
        form.format(figures[name]) if name in figures else "" for name, (_, form) in COLUMNS.items()
    ]
