"""Trains RVQ codebooks: straight-through gradients, moving averages, restart of dead codes.

As in moshi's ``core_vq``, centroids follow decayed sums of the vectors assigned to them. A code
whose usage is below a tenth of its share is reset to a random vector of the batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from causerie.codec.rvq import Branch, nearest
from codec_training.distributed import all_gather

DECAY = 0.99
DEAD_SHARE = 0.1
RESTART_EVERY = 5


class BranchTrainer:
    """Trains the codebooks of one branch by running averages.

    Attributes:
        sums: (codebooks, V, C) decayed sums of assigned vectors.
        usage: (codebooks, V) decayed counts.

    Args:
        ready: the codebooks are trained; otherwise k-means on the first batch initializes them.
        frozen: trained codebooks stay as they are.
    """

    def __init__(self, branch: Branch, *, ready: bool = False, frozen: bool = False) -> None:
        self.branch, self.frozen = branch, frozen
        self.sums = branch.centroids.clone()
        self.usage = torch.ones(branch.centroids.shape[:2])
        self.num_ready = len(self.sums) if ready else 0  # codebooks that are initialized
        self.updates = 0

    def state_dict(self) -> dict[str, Tensor]:
        counts = torch.tensor([self.num_ready, self.updates])
        return {"sums": self.sums, "usage": self.usage, "counts": counts}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.sums, self.usage = state["sums"].clone(), state["usage"].clone()
        self.num_ready, self.updates = (int(count) for count in state["counts"])

    def __call__(
        self, latent: Tensor, num_codebooks: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Quantized latent (B, D, T), differentiable in `latent`, and the commitment loss.

        All codebooks learn; only the first `num_codebooks` contribute to the latent.
        """
        projected = self.branch.input_proj(latent).transpose(1, 2).float()  # (B, T, C)
        residual = projected.detach()
        summed = torch.zeros_like(residual)
        chosen = torch.zeros_like(residual)
        commitment = projected.new_zeros(())
        for book in range(self.branch.centroids.shape[0]):
            vectors = all_gather(residual).flatten(0, 1)
            if book == self.num_ready:
                self._initialize(book, vectors, generator)
            codes = nearest(residual, self.branch.centroids[book])
            quantized = F.embedding(codes, self.branch.centroids[book])
            if not self.frozen:
                self._update(book, vectors, all_gather(codes).flatten(), generator)
            commitment = commitment + F.mse_loss(projected - summed, quantized)
            residual = residual - quantized
            summed = summed + quantized
            if book < num_codebooks:
                chosen = summed
        self.updates += 1
        straight_through = projected + (chosen - projected).detach()
        if num_codebooks == 0:
            straight_through = straight_through * 0
        return self.branch.output_proj(straight_through.transpose(1, 2)), commitment

    @torch.no_grad()
    def _initialize(self, book: int, vectors: Tensor, generator: torch.Generator) -> None:
        """Initialize a codebook by k-means on one batch."""
        size = self.branch.centroids.shape[1]
        pick = torch.randint(len(vectors), (size,), generator=generator)
        centroids = vectors[pick] + 1e-3 * torch.randn(size, vectors.shape[1], generator=generator)
        for _ in range(10):
            codes = nearest(vectors, centroids)
            counts = torch.bincount(codes, minlength=size)
            sums = torch.zeros_like(centroids).index_add_(0, codes, vectors)
            centroids = torch.where(
                counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centroids
            )
        self.branch.centroids[book] = centroids
        self.usage[book] = 1.0
        self.sums[book] = centroids
        self.num_ready = book + 1

    @torch.no_grad()
    def _update(
        self, book: int, vectors: Tensor, codes: Tensor, generator: torch.Generator
    ) -> None:
        size = self.usage.shape[1]
        counts = torch.bincount(codes, minlength=size).to(self.usage.dtype)
        sums = torch.zeros_like(self.sums[book]).index_add_(0, codes, vectors)
        self.usage[book].lerp_(counts, 1 - DECAY)
        self.sums[book].lerp_(sums, 1 - DECAY)
        if self.updates % RESTART_EVERY == 0:
            share = self.usage[book].sum() / size
            dead = (self.usage[book] < DEAD_SHARE * share).nonzero()[:, 0]
            if len(dead):
                pick = torch.randint(len(vectors), (len(dead),), generator=generator)
                self.usage[book, dead] = share
                self.sums[book, dead] = vectors[pick] * share
        self.branch.centroids[book] = self.sums[book] / self.usage[book].clamp(min=1e-5)[:, None]
