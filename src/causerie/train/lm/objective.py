"""The training loss of a language model, computed part by part of a batch."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from causerie.model.csm import CSM, loss


class Objective(nn.Module):
    """A CSM and its loss as one module, which data parallelism can wrap.

    Codebook 0 has a loss on every audio and stop row of the trained turns, the acoustic codebooks
    on a random part of them. Each loss is the mean over its rows in a step.

    Args:
        autocast: compute matrix products in bf16.
        codebook_weights: loss weights of the acoustic codebooks.
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
        inputs: Tensor,
        predicted: Tensor,
        depth_kept: Tensor,
        num_predicted: float,
        num_kept: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, and its terms of codebook 0 and of the acoustic codebooks.

        Args:
            frames, mask, inputs, predicted, depth_kept: see `causerie.train.lm.batches.Batch`.
            num_predicted, num_kept: numbers of such rows in the whole batch. The losses of its
                parts add up to the loss of the batch.
        """
        device = frames.device
        weights = None if self.weights is None else self.weights.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.autocast):
            first, rest = loss(
                self.model, frames, mask, predicted, depth_kept,
                inputs=inputs, codebook_weights=weights,
            )  # fmt: skip
        first = first * (predicted.sum() / num_predicted)
        rest = rest * (depth_kept.sum() / max(1.0, num_kept))
        return first + self.depth_weight * rest, first, rest


def recompute_layers(model: CSM) -> None:
    """Keep only each layer's input for the backward pass, and recompute the layer there."""
    for llama in (model.backbone, model.depth):
        for layer in llama.layers:
            setattr(layer, "forward", partial(checkpoint, layer.forward, use_reentrant=False))  # noqa: B010
