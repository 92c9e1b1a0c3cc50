"""Causal convolutions over a whole waveform or over its chunks, with equal results.

A layer holds weights only. Its streaming state is one tensor, created by ``new_state`` and updated
in place; ``forward`` without a state starts from silence and stores nothing. All tensors are
channels first, (B, C, N).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalConv1d(nn.Module):
    """Convolution that sees only the past.

    On the left it needs ``kernel - stride`` columns: the end of the last chunk, or padding at the
    start (zeros, or the first column repeated if `replicate`). An input whose length is not a
    multiple of the stride is padded on the right, by zeros or its last column, to fill the last
    window; that ends a stream.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        bias: bool = True,
        replicate: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.stride, self.replicate = stride, replicate
        self.num_left = kernel - stride
        nn.init.normal_(self.weight, std=(1.6 / (in_channels * kernel)) ** 0.5)

    def new_state(self, batch: int) -> Tensor:
        """The columns to the left of the next chunk, (B, C, kernel - stride); NaN: none yet."""
        start = float("nan") if self.replicate else 0.0
        return self.weight.new_full((batch, self.weight.shape[1], self.num_left), start)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        missing = -x.shape[-1] % self.stride
        if missing:
            x = F.pad(x, (0, missing), mode="replicate" if self.replicate else "constant")
        if state is None and not self.replicate:
            x = F.pad(x, (self.num_left, 0))
        elif self.num_left:
            left = x[..., :1].expand(-1, -1, self.num_left)
            if state is not None:
                left = torch.where(state.isnan(), left, state) if self.replicate else state
            x = torch.cat((left, x), dim=-1)
        if state is not None and self.num_left:
            state.copy_(x[..., -self.num_left :])
        return F.conv1d(x, self.weight, self.bias, self.stride)


class CausalConvTranspose1d(nn.Module):
    """Transposed convolution whose last ``kernel - stride`` columns wait for the next piece."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels // groups, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.stride, self.groups = stride, groups
        self.num_open = kernel - stride
        nn.init.normal_(self.weight, std=(1.6 * stride * groups / (in_channels * kernel)) ** 0.5)

    def new_state(self, batch: int) -> Tensor:
        """The sums begun by the last piece, (B, C, kernel - stride), without the bias."""
        channels = self.weight.shape[1] * self.groups
        return self.weight.new_zeros((batch, channels, self.num_open))

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        y = F.conv_transpose1d(x, self.weight, stride=self.stride, groups=self.groups)
        if state is not None:
            y[..., : self.num_open] += state
            state.copy_(y[..., y.shape[-1] - self.num_open :])
        y = y[..., : y.shape[-1] - self.num_open]
        return y if self.bias is None else y + self.bias[:, None]
