"""Chooses a checkpoint by its figures. Knows nothing of models or files.

The choice is the most similar of those that are about as intelligible as the base, and that stop
about as often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: How far word error rate and share of stops may be worse than the base's, absolute.
TOLERANCE = 0.01
_ROUNDING = 1e-9

#: Figures of a model by name; the choice uses "wer", "similarity" and "stopped".
Figures = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen checkpoint.

    Attributes:
        step: step of the checkpoint.
        qualified: steps of the checkpoints that qualified.
        why: the reason, as one sentence.
        warnings: lines for the user about a poor result.
    """

    step: int
    qualified: tuple[int, ...]
    why: str
    warnings: tuple[str, ...] = ()


def qualifies(figures: Figures, base: Figures) -> bool:
    """Whether a checkpoint is about as intelligible as the base, and stops about as often."""
    return (
        figures["wer"] <= base["wer"] + TOLERANCE + _ROUNDING
        and figures["stopped"] >= base["stopped"] - TOLERANCE - _ROUNDING
    )


def choose(checkpoints: Mapping[int, Figures], base: Figures) -> Choice:
    """The most similar qualified checkpoint, else the one with the lowest word error rate.

    Among equals the earliest wins. There must be at least one checkpoint.
    """
    qualified = tuple(step for step in sorted(checkpoints) if qualifies(checkpoints[step], base))
    if qualified:
        step = max(qualified, key=lambda step: checkpoints[step]["similarity"])
        why = (
            f"step {step} is the most similar of the {len(qualified)} of {len(checkpoints)} "
            f"checkpoints within one point of the base in word error rate and stops"
        )
        warnings = []
    else:
        step = min(sorted(checkpoints), key=lambda step: checkpoints[step]["wer"])
        why = f"step {step} has the lowest word error rate; no checkpoint qualifies"
        found = checkpoints[step]
        warnings = [
            "no checkpoint is within one point of the base in word error rate and stops: step "
            f"{step} has a word error rate of {found['wer']:.1%} (base {base['wer']:.1%}) and "
            f"stops {found['stopped']:.0%} of the time (base {base['stopped']:.0%}); train fewer "
            "steps, lower recipe.lr, or add recordings"
        ]
    reached, before = checkpoints[step]["similarity"], base["similarity"]
    if reached <= before:
        warnings.append(
            f"training did not make the voice more similar: {reached:.2f}, and {before:.2f} for "
            "the base with the voice's prompt alone; train more steps, or add recordings"
        )
    return Choice(step=step, qualified=qualified, why=why, warnings=tuple(warnings))
