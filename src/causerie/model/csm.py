"""CSM: a backbone over frames, and a depth decoder over the codes of one frame.

A row has K + 1 columns ``[c0 … c(K-1), text]`` and a mask of the same shape; a text row has only
its last column masked in, an audio row all but its last. The backbone's input is the masked *sum*
of the columns' embeddings. Its hidden state at row t predicts codebook 0 of row t + 1; the depth
decoder then predicts codebooks 1 … K-1 of that row, one by one. A frame of zeros ends a segment.

Weights only: caches are arguments, sampling is a function that the caller passes in. The module
knows nothing of tokenizers, files or the codec. Source: SesameAILabs/csm, models.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causerie.config import CSMConfig
from causerie.model.llama import Llama
from causerie.nn.kv_cache import KVCache

#: Chooses codes (B,) from logits (B, V) and the number of their codebook.
Sampler = Callable[[Tensor, int], Tensor]


class CSM(nn.Module):
    """The weights, the training forward and the generation steps of a CSM."""

    def __init__(self, config: CSMConfig) -> None:
        super().__init__()
        self.config = config
        dim, depth_dim = config.backbone.dim, config.depth.dim
        num_codebooks, vocab = config.num_codebooks, config.audio_vocab_size
        self.text_embedding = nn.Embedding(config.text_vocab_size, dim)
        # One table for both transformers: row codebook · V + code.
        self.audio_embedding = nn.Embedding(num_codebooks * vocab, dim)
        self.backbone = Llama(config.backbone)
        self.codebook0_head = nn.Linear(dim, vocab, bias=False)
        self.projection = nn.Linear(dim, depth_dim, bias=False)
        self.depth = Llama(config.depth)
        self.audio_heads = nn.Parameter(torch.empty(num_codebooks - 1, depth_dim, vocab))
        nn.init.normal_(self.audio_heads, std=depth_dim**-0.5)

    # -- embedding ---------------------------------------------------------------------------

    def embed_codes(self, codes: Tensor, first_codebook: int = 0) -> Tensor:
        """Embeddings (…, n, D) of codes (…, n) of the n codebooks from `first_codebook` on."""
        last = first_codebook + codes.shape[-1]
        offsets = torch.arange(first_codebook, last, device=codes.device)
        out: Tensor = self.audio_embedding(codes + offsets * self.config.audio_vocab_size)
        return out

    def embed_frames(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Backbone inputs (B, S, D): the masked sum over the columns of frames (B, S, K+1)."""
        columns = torch.cat(
            (self.embed_codes(frames[..., :-1]), self.text_embedding(frames[..., -1:])), dim=-2
        )
        return (columns * mask.unsqueeze(-1).to(columns.dtype)).sum(dim=-2)

    # -- generation --------------------------------------------------------------------------

    def prefill(self, frames: Tensor, mask: Tensor, cache: KVCache) -> Tensor:
        """Read rows (B, S, K+1) into the cache; returns the hidden state (B, D) of the last row."""
        hidden: Tensor = self.backbone(self.embed_frames(frames, mask), cache)
        return hidden[:, -1]

    def backbone_step(self, codes: Tensor, cache: KVCache) -> Tensor:
        """Read a frame of codes (B, K) into the cache; returns its hidden state (B, D)."""
        row = self.embed_codes(codes).sum(dim=-2, keepdim=True)
        hidden: Tensor = self.backbone(row, cache)
        return hidden[:, -1]

    def depth_decode(self, hidden: Tensor, cache: KVCache, sample: Sampler) -> Tensor:
        """The codes (B, K) of the frame after a hidden state (B, D).

        Args:
            cache: of the depth decoder, with at least K positions; overwritten.
            sample: chooses a code from the logits of each codebook in turn.
        """
        cache.reset()
        codes = [sample(self.codebook0_head(hidden), 0)]
        # Position 0 is the hidden state, position i + 1 is code i; both pass the projection.
        inputs = torch.stack((hidden, self.embed_codes(codes[0][:, None])[:, 0]), dim=1)
        for codebook in range(1, self.config.num_codebooks):
            out = self.depth(self.projection(inputs), cache)[:, -1]
            codes.append(sample(out @ self.audio_heads[codebook - 1], codebook))
            inputs = self.embed_codes(codes[-1][:, None], codebook)
        return torch.stack(codes, dim=1)

    # -- training ----------------------------------------------------------------------------

    def forward(self, frames: Tensor, mask: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher-forced logits of every codebook at selected rows.

        Args:
            frames: (B, S, K+1), mask likewise. Rows on the right may be padding: attention is
                causal, so they change nothing before them.
            predicted: (B, S) bool, the rows whose codes are predicted; row 0 has no row before it
                and must be False.

        Returns:
            Logits (M, V) of codebook 0 and (M, K-1, V) of the others, for the M rows in
            row-major order.
        """
        hidden = self.backbone(self.embed_frames(frames, mask))
        before = hidden[:, :-1][predicted[:, 1:]]  # (M, D): the row before each selected row
        codes = frames[..., :-1][predicted]  # (M, K)
        return self.codebook0_head(before), self.depth_logits(before, codes)

    def depth_logits(self, hidden: Tensor, codes: Tensor) -> Tensor:
        """Teacher-forced logits (M, K-1, V) of codes (M, K) after hidden states (M, D)."""
        inputs = torch.cat((hidden[:, None], self.embed_codes(codes[:, :-1])), dim=1)
        out = self.depth(self.projection(inputs))[:, 1:]  # (M, K-1, D)
        return torch.einsum("mkd,kdv->mkv", out, self.audio_heads)


def loss(
    model: CSM,
    frames: Tensor,
    mask: Tensor,
    predicted: Tensor,
    depth_kept: Tensor,
    *,
    inputs: Tensor | None = None,
    codebook_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Cross-entropies of codebook 0 and of the acoustic codebooks, each a mean, fp32.

    Args:
        frames, mask: (B, S, K+1), see `CSM.forward`.
        predicted: (B, S) bool, rows whose codebook 0 is learned: every audio frame and stop frame
            of the turns to learn.
        depth_kept: (B, S) bool, the subset of them whose acoustic codes are learned too; if it is
            empty, the acoustic cross-entropy is 0.
        inputs: input of the backbone in place of `frames`, such as a corrupted history.
        codebook_weights: (K-1,) weights of the acoustic codebooks, all 1 by default.
    """
    hidden = model.backbone(model.embed_frames(frames if inputs is None else inputs, mask))[:, :-1]
    codes = frames[..., :-1]
    logits = model.codebook0_head(hidden[predicted[:, 1:]])
    first = F.cross_entropy(logits.float(), codes[predicted][:, 0])
    kept = codes[depth_kept]
    depth_logits = model.depth_logits(hidden[depth_kept[:, 1:]], kept).float()
    each = F.cross_entropy(depth_logits.transpose(1, 2), kept[:, 1:], reduction="none")  # (M, K-1)
    if codebook_weights is not None:
        each = each * codebook_weights
    return first, each.mean() if each.numel() else each.sum()  # the mean of nothing is NaN
