"""What a language model is trained for: the loss of a part of a batch, as its share of it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from causerie.model.csm import CSM, loss


class Objective(nn.Module):
    """A CSM and its loss in one module, so that what wraps the one wraps the other.

    Codebook 0 is learned on every audio and stop row of the turns to be learned, the acoustic
    codebooks on a random part of them; each loss is the mean over all rows that it has in a step.

    Args:
        autocast: matrix products in bf16.
        codebook_weights: of the acoustic codebooks.
    """

    def __init__(
        self,
        model: CSM,
        *,
        autocast: bool,
        depth_weight: float = 1.0,
        codebook_weights: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.autocast, self.depth_weight = autocast, depth_weight
        self.weights = None if codebook_weights is None else torch.tensor(codebook_weights)

    def forward(
        self,
        frames: Tensor,
        mask: Tensor,
        read: Tensor,
        predicted: Tensor,
        depth_kept: Tensor,
        num_predicted: float,
        num_kept: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, and its terms of codebook 0 and of the acoustic codebooks.

        Args:
            frames, mask, read, predicted, depth_kept: see `causerie.train.lm.batches.Batch`.
            num_predicted, num_kept: rows of the whole batch whose part this is; the losses of
                all parts add up to that of the whole.
        """
        device = frames.device
        weights = None if self.weights is None else self.weights.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.autocast):
            first, rest = loss(
                self.model, frames, mask, predicted, depth_kept,
                inputs=read, codebook_weights=weights,
            )  # fmt: skip
        first = first * (predicted.sum() / num_predicted)
        rest = rest * (depth_kept.sum() / max(1.0, num_kept))
        return first + self.depth_weight * rest, first, rest


def recompute_layers(model: CSM) -> None:
    """Keep only the inputs of each layer for the way back, and compute the layer again there."""
    for llama in (model.backbone, model.depth):
        for layer in llama.layers:
            setattr(layer, "forward", partial(checkpoint, layer.forward, use_reentrant=False))  # noqa: B010
