"""Split residual vector quantization: one semantic codebook beside a chain of acoustic ones.

Both branches quantize the same latent; the acoustic chain does not see the residual of the semantic
codebook. Centroids are fp32 buffers in a model of any dtype, and codes are searched in fp32 under
autocast too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from causerie.codec.conv import CausalConv1d
from causerie.config import MimiConfig


def nearest(x: Tensor, centroids: Tensor) -> Tensor:
    """Index (…) of the centroid (V, C) nearest to each x (…, C)."""
    # |x - e|² without |x|², which does not change the order
    return (centroids.square().sum(-1) - 2 * x @ centroids.T).argmin(-1)


class Branch(nn.Module):
    """A residual quantizer in its own projection of the latent.

    Attributes:
        centroids: (number of codebooks, V, C), fp32.
    """

    centroids: Tensor

    def __init__(self, config: MimiConfig, num_codebooks: int) -> None:
        super().__init__()
        self.input_proj = CausalConv1d(config.dim, config.codebook_dim, 1, bias=False)
        self.output_proj = CausalConv1d(config.codebook_dim, config.dim, 1, bias=False)
        shape = (num_codebooks, config.codebook_size, config.codebook_dim)
        self.register_buffer("centroids", torch.zeros(shape))

    def encode(self, latent: Tensor, num_codebooks: int) -> Tensor:
        """Codes (B, n, T) of the first n codebooks for a latent (B, D, T)."""
        with torch.autocast(latent.device.type, enabled=False):
            latent = latent.to(self.input_proj.weight.dtype)
            residual = self.input_proj(latent).transpose(1, 2).float()  # (B, T, C)
            codes = []
            for centroids in self.centroids[:num_codebooks]:
                codes.append(nearest(residual, centroids))
                residual = residual - centroids[codes[-1]]
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Latent (B, D, T) of codes (B, n, T)."""
        book = torch.arange(codes.shape[1], device=codes.device)[None, :, None]
        summed = self.centroids[book, codes].sum(dim=1)  # (B, T, C)
        out: Tensor = self.output_proj(summed.transpose(1, 2).to(self.output_proj.weight.dtype))
        return out

    def _apply(self, fn, recurse=True):  # type: ignore[no-untyped-def]
        exact = self.centroids
        module = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.centroids.dtype != torch.float32:  # move, but never round
            self.centroids = exact.to(self.centroids.device)
        return module


class SplitQuantizer(nn.Module):
    """Latent ↔ codes (B, K, T), row 0 semantic; works with any number of leading codebooks."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.semantic = Branch(config, 1)
        self.acoustic = Branch(config, config.num_codebooks - 1)

    def encode(self, latent: Tensor, num_codebooks: int) -> Tensor:
        """Codes (B, num_codebooks, T) of a latent (B, D, T)."""
        codes = self.semantic.encode(latent, 1)
        if num_codebooks > 1:
            codes = torch.cat((codes, self.acoustic.encode(latent, num_codebooks - 1)), dim=1)
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Latent (B, D, T) of codes (B, K, T)."""
        latent: Tensor = self.semantic.decode(codes[:, :1])
        if codes.shape[1] > 1:
            latent = latent + self.acoustic.decode(codes[:, 1:])
        return latent
