"""What a fine-tuning came to: JSON for programs, a page for people, and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from causerie.data.shards import Turn
from causerie.extras import need
from causerie.finetune.choice import TOLERANCE, Choice, Figures

#: Columns of the table: figure → heading and form.
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


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that was found.

    Attributes:
        base: the model that was fine-tuned.
        voice: name of the new voice.
        prompt, learned, held_out: sentences of each kind.
        frame_rate: of their frames.
        ceilings: similarities of held-out recordings to each other, by what was done to them.
        before: figures of the base.
        checkpoints: figures by step.
        notes: what else a user should know.
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
        """Lines of the table: name, cells as `COLUMNS` has them, and whether it was chosen."""
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
        """How much there was of what, and what was chosen."""
        return [
            f"learned {self._amount(self.learned)}, {self._amount(self.prompt)} of them the "
            f"prompt of voice {self.voice}; held out {self._amount(self.held_out)}",
            *self.notes,
            self.choice.why,
        ]

    def to_json(self) -> str:
        """All of it."""
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

    def to_markdown(self) -> str:
        """A page, with the picture in plots.png."""
        headings = ["", *(heading for heading, _ in COLUMNS.values())]
        page = [
            f"# Voice {self.voice}, from {self.base}",
            "",
            *(f"**Warning: {line}.**\n" for line in self.choice.warnings),
            *(f"- {line}" for line in self.lines()),
            "",
            f"| {' | '.join(headings)} |",
            "|" + "---|" * len(headings),
            *(
                f"| {' | '.join([f'**{name}**' if chosen else name, *cells])} |"
                for name, cells, chosen in self.rows()
            ),
            "",
            f"Taken is the most similar of the checkpoints that have at most {TOLERANCE:.0%} "
            "(absolute) more words wrong than the base, and stop at most that much less often. "
            "Similarity is the cosine of speakers' vectors, to the held-out recordings; losses are "
            "those of the held-out sentences after the voice's prompt.",
            "",
            "![similarity and word error rate by step](plots.png)",
        ]
        return "\n".join(page) + "\n"

    def draw(self, path: Path) -> None:
        """Similarity and word error rate by step, with what there was before.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        figures = need("matplotlib.figure", "evaluate")
        figure = figures.Figure(figsize=(9, 3.2), layout="constrained")
        steps = sorted(self.checkpoints)
        for axis, name in zip(figure.subplots(1, 2), ("similarity", "wer"), strict=True):
            values = [self.checkpoints[step][name] for step in steps]
            axis.plot(steps, values, "o-", label="checkpoints")
            axis.axhline(self.before[name], color="gray", label="base, with prompt")
            axis.axvline(self.choice.step, color="black", linestyle=":", label="chosen")
            axis.set(title=COLUMNS[name][0], xlabel="step")
            axis.grid(alpha=0.3)
            if name == "similarity":
                for (limit, value), style in zip(self.ceilings.items(), ("--", "-."), strict=False):
                    axis.axhline(value, color="green", linestyle=style, label=limit)
            axis.legend(fontsize="small")
        figure.savefig(path, dpi=100, metadata={"Software": None})

    def _amount(self, turns: Sequence[Turn]) -> str:
        seconds = sum(turn.num_frames for turn in turns) / self.frame_rate
        count = "1 sentence" if len(turns) == 1 else f"{len(turns)} sentences"
        return f"{count} ({seconds:.0f} s)"


def _cells(figures: Figures) -> list[str]:
    return [
        form.format(figures[name]) if name in figures else "" for name, (_, form) in COLUMNS.items()
    ]
