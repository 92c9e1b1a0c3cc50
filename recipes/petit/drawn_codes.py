"""Codes of known speech in which the language model has drawn some, as it will when it speaks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from causerie.checkpoint.load import Checkpoint
from causerie.model import sampling
from causerie.nn.kv_cache import KVCache
from causerie.prompt import Part, build_prompt


@torch.inference_mode()
def drawn_codes(
    checkpoint: Checkpoint,
    voice: Sequence[Part],
    phonemes: str,
    codes: Tensor,
    seed: int,
    semantic: float = 0.0,
) -> Tensor:
    """Codes (T, K), each drawn given the true frames before it.

    Args:
        voice: the context of the voice.
        codes: (T, K), of the speech.
        semantic: share of the frames whose codebook 0 is drawn too; elsewhere it is the true one.
    """
    model, defaults = checkpoint.model, checkpoint.defaults
    last = Part(tokens=checkpoint.tokenizer.encode(phonemes, 0))
    prompt = build_prompt(
        [*voice, last],
        num_codebooks=model.config.num_codebooks,
        max_frames=model.config.max_frames,
        reply_frames=len(codes),
        num_voice=len(voice),
    )
    size = len(prompt.rows)
    spoken = torch.cat((codes, torch.zeros_like(codes[:, :1])), dim=1)[None]
    heard = torch.ones_like(spoken, dtype=torch.bool)
    heard[..., -1] = False
    frames = torch.cat((prompt.frames, spoken), dim=1)
    mask = torch.cat((prompt.mask, heard), dim=1)
    hidden = model.backbone(model.embed_frames(frames, mask))[0, size - 1 : -1]
    seeds = seed * 100_000 + torch.arange(len(codes))
    kept = torch.rand(len(codes), generator=torch.Generator().manual_seed(seed)) >= semantic

    def sample(logits: Tensor, codebook: int) -> Tensor:
        usable = logits[:, : checkpoint.codec.config.codebook_size]
        temperature, top_k = defaults.acoustic_temperature, defaults.acoustic_top_k
        if codebook == 0:
            temperature, top_k = defaults.temperature, defaults.top_k
        noise = sampling.noise(seeds, 0, codebook, usable.shape[-1])
        drawn = sampling.sample(usable, temperature, top_k, noise)
        return torch.where(kept, codes[:, 0], drawn) if codebook == 0 else drawn

    cache = KVCache(model.config.depth, len(codes), model.config.num_codebooks)
    return model.depth_decode(hidden, cache, sample)
