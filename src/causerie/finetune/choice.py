"""Which checkpoint is taken, by what was measured of each. Knows nothing of models or files.

Of those that are understood and that stop about as well as the base, the most similar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: So much worse than the base, of 1, may words be understood, and may utterances end.
TOLERANCE = 0.01
_EXACT = 1e-9  # what rounding may do

#: Figures of a model by name; here "wer", "similarity" and "stopped" count.
Figures = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen.

    Attributes:
        step: of the checkpoint.
        qualified: steps of the checkpoints that may be chosen.
        why: in one sentence.
        warnings: what a user must know, a line each; none where all is well.
    """

    step: int
    qualified: tuple[int, ...]
    why: str
    warnings: tuple[str, ...] = ()


def qualifies(figures: Figures, base: Figures) -> bool:
    """Whether a checkpoint is understood, and stops, about as well as the base."""
    return (
        figures["wer"] <= base["wer"] + TOLERANCE + _EXACT
        and figures["stopped"] >= base["stopped"] - TOLERANCE - _EXACT
    )


def choose(checkpoints: Mapping[int, Figures], base: Figures) -> Choice:
    """The checkpoint to take, one at least being there.

    Where none qualifies, it is that with the fewest words wrong; of equals, the earlier one.
    """
    qualified = tuple(step for step in sorted(checkpoints) if qualifies(checkpoints[step], base))
    if qualified:
        step = max(qualified, key=lambda step: checkpoints[step]["similarity"])
        why = (
            f"step {step} is the most similar of the {len(qualified)} of {len(checkpoints)} "
            f"checkpoints that are understood and stop within a point of the base"
        )
        warnings = []
    else:
        step = min(sorted(checkpoints), key=lambda step: checkpoints[step]["wer"])
        why = f"step {step} has the fewest words wrong, since no checkpoint qualifies"
        found = checkpoints[step]
        warnings = [
            f"no checkpoint is understood and stops within a point of the base: step {step} has "
            f"{found['wer']:.1%} of words wrong (base {base['wer']:.1%}) and stops "
            f"{found['stopped']:.0%} of the time (base {base['stopped']:.0%}); train fewer steps, "
            f"lower recipe.lr, or give more recordings"
        ]
    reached, before = checkpoints[step]["similarity"], base["similarity"]
    if reached <= before:
        warnings.append(
            f"training brought the voice no closer: similarity {reached:.2f}, and {before:.2f} of "
            f"the base by the voice's prompt alone; train more steps, or give more recordings"
        )
    return Choice(step=step, qualified=qualified, why=why, warnings=tuple(warnings))
