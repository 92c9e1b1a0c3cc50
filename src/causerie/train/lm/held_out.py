"""The loss of held-out conversations."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from causerie.train.lm.batches import collate, parts_of
from causerie.train.lm.objective import Objective
from causerie.train.lm.samples import Example


@torch.no_grad()
def held_out_losses(
    objective: Objective, examples: Iterable[Example], micro_rows: int
) -> dict[str, float]:
    """Mean losses of codebook 0 and of the other codebooks over all predicted rows.

    Args:
        examples: conversations in which all acoustic codes have a loss.
        micro_rows: most rows, padding included, to compute at once.
    """
    ordered = sorted(examples, key=lambda example: len(example.rows))
    num_rows = float(sum(example.predicted.sum() for example in ordered))
    device = next(objective.parameters()).device
    terms = torch.zeros(2, dtype=torch.float64)
    for part in parts_of(ordered, micro_rows):
        _, *found = objective(*collate(part).to(device).arguments(), num_rows, num_rows)
        terms += torch.stack(found).cpu().double()
    return {"held_out_codebook0": terms[0].item(), "held_out_rest": terms[1].item()}
