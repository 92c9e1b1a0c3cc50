"""The loss of conversations that are not learned. Knows nothing of how a model is trained."""

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
    """Mean losses of codebook 0 and of the others, over all rows that would be learned.

    Args:
        examples: with every acoustic code kept.
        micro_rows: rows, padding included, that are taken at once.
    """
    ordered = sorted(examples, key=lambda example: len(example.rows))
    num_rows = float(sum(example.learned.sum() for example in ordered))
    device = next(objective.parameters()).device
    terms = torch.zeros(2, dtype=torch.float64)
    for part in parts_of(ordered, micro_rows):
        _, *found = objective(*collate(part).to(device).inputs, num_rows, num_rows)
        terms += torch.stack(found).cpu().double()
    return {"held_out_codebook0": terms[0].item(), "held_out_rest": terms[1].item()}
