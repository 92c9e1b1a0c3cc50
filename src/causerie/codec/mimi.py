"""Mimi: the complete codec, offline and streaming.

Encode: SEANet → transformer → downsample → quantize. Decode: dequantize → upsample →
transformer → SEANet, or dequantize → source-filter decoder. A frame is 1,920 samples, 80 ms.
Streaming has no look-ahead, and its results equal the offline ones however the frames are chunked.
Both compute in fp32, on NVIDIA GPUs too, whose convolutions torch would run in TF32.
Source: kyutai-labs/moshi; the source-filter decoder is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causerie.codec.conv import CausalConv1d, CausalConvTranspose1d
from causerie.codec.rvq import SplitQuantizer
from causerie.codec.seanet import Decoder, Encoder
from causerie.codec.source_filter import SourceFilter, SourceFilterState
from causerie.codec.transformer import LayerState, Transformer
from causerie.config import MimiConfig
from causerie.nn.backends import exact_fp32

#: How a partial last frame is filled. "layers": every convolution pads its own activations, as in
#: transformers and in the version that CSM was trained with. "waveform": silence is appended to the
#: waveform, as in newer moshi. Only the codes of the last frame differ.
Padding = Literal["layers", "waveform"]

#: Frames per chunk of an offline run, which bounds memory: 10 s.
CHUNK_FRAMES = 125


@dataclass
class EncoderState:
    """Streaming state of the encoder."""

    seanet: list[Tensor]
    transformer: list[LayerState]
    downsample: Tensor


@dataclass
class DecoderState:
    """Streaming state of SEANet's decoder."""

    upsample: Tensor
    transformer: list[LayerState]
    seanet: list[Tensor]


class Mimi(nn.Module):
    """The weights of the codec, and its functions; streaming state is an argument."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.encoder = Encoder(config)
        self.encoder_transformer = Transformer(config)
        self.downsample = CausalConv1d(dim, dim, 4, stride=2, bias=False, replicate=True)
        self.quantizer = SplitQuantizer(config)
        self.decoder: Decoder | SourceFilter
        if config.decoder is not None:
            self.decoder = SourceFilter(config.decoder, dim)
            return
        self.upsample = CausalConvTranspose1d(dim, dim, 4, stride=2, groups=dim, bias=False)
        self.decoder_transformer = Transformer(config)
        self.decoder = Decoder(config)

    # -- streaming ---------------------------------------------------------------------------

    def new_encoder_state(self, batch: int = 1) -> EncoderState:
        """State of `batch` streams about to start."""
        return EncoderState(
            self.encoder.new_state(batch),
            self.encoder_transformer.new_state(batch),
            self.downsample.new_state(batch),
        )

    def new_decoder_state(self, batch: int = 1) -> DecoderState | SourceFilterState:
        """State of `batch` streams about to start."""
        if isinstance(self.decoder, SourceFilter):
            return self.decoder.new_state(batch)
        return DecoderState(
            self.upsample.new_state(batch),
            self.decoder_transformer.new_state(batch),
            self.decoder.new_state(batch),
        )

    @torch.no_grad()
    def encode_step(
        self, pcm: Tensor, state: EncoderState, num_codebooks: int | None = None
    ) -> Tensor:
        """Codes (B, K, T) of the next piece of waveform.

        Args:
            pcm: (B, 1, T · frame_size); a last piece may be shorter, and ends the stream.
            state: updated in place.
            num_codebooks: leading codebooks to give, all by default.
        """
        with exact_fp32():
            latent = self.latent(pcm, state)
            return self.quantizer.encode(latent, self._num_codebooks(num_codebooks))

    @torch.no_grad()
    def decode_step(self, codes: Tensor, state: DecoderState | SourceFilterState) -> Tensor:
        """Waveform (B, 1, T · frame_size) of the next frames of codes (B, any K, T)."""
        with exact_fp32():
            if isinstance(state, SourceFilterState):
                # Frame by frame: the waveform does not depend, to the bit, on how a stream is cut.
                frames = [
                    self.waveform(self.quantizer.decode(f), state) for f in codes.split(1, dim=-1)
                ]
                return torch.cat(frames, dim=-1)
            return self.waveform(self.quantizer.decode(codes), state)

    # -- offline -----------------------------------------------------------------------------

    def encode(
        self, pcm: Tensor, num_codebooks: int | None = None, padding: Padding = "layers"
    ) -> Tensor:
        """Codes (B, K, ceil(N / frame_size)) of a waveform (B, 1, N)."""
        if padding == "waveform":
            pcm = F.pad(pcm, (0, -pcm.shape[-1] % self.config.frame_size))
        elif padding != "layers":
            raise ValueError(f"padding must be 'layers' or 'waveform', not {padding!r}")
        state = self.new_encoder_state(pcm.shape[0])
        size = CHUNK_FRAMES * self.config.frame_size
        pieces = [self.encode_step(piece, state, num_codebooks) for piece in _split(pcm, size)]
        if not pieces:
            shape = (pcm.shape[0], self._num_codebooks(num_codebooks), 0)
            return torch.zeros(shape, dtype=torch.long, device=pcm.device)
        return torch.cat(pieces, dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Waveform (B, 1, T · frame_size) of codes (B, any K ≥ 1, T)."""
        state = self.new_decoder_state(codes.shape[0])
        pieces = [self.decode_step(piece, state) for piece in _split(codes, CHUNK_FRAMES)]
        if not pieces:
            return torch.zeros((codes.shape[0], 1, 0), device=codes.device)
        return torch.cat(pieces, dim=-1)

    # -- the two halves, differentiable --------------------------------------------------------

    def latent(self, pcm: Tensor, state: EncoderState | None = None) -> Tensor:
        """Unquantized latent (B, D, T) of a waveform (B, 1, N)."""
        x = self.encoder(pcm, state and state.seanet)
        x = self.encoder_transformer(x, state and state.transformer)
        out: Tensor = self.downsample(x, state and state.downsample)
        return out

    def waveform(
        self, latent: Tensor, state: DecoderState | SourceFilterState | None = None
    ) -> Tensor:
        """Waveform (B, 1, T · frame_size) of a latent (B, D, T)."""
        out: Tensor
        if isinstance(self.decoder, SourceFilter):
            assert not isinstance(state, DecoderState)
            out = self.decoder(latent, state)
            return out
        assert not isinstance(state, SourceFilterState)
        x = self.upsample(latent, state and state.upsample)
        x = self.decoder_transformer(x, state and state.transformer)
        out = self.decoder(x, state and state.seanet)
        return out

    def _num_codebooks(self, asked: int | None) -> int:
        available = self.config.num_codebooks
        if asked is not None and not 1 <= asked <= available:
            raise ValueError(f"num_codebooks must be 1 … {available}, not {asked}")
        return asked or available


def _split(x: Tensor, size: int) -> Iterator[Tensor]:
    for start in range(0, x.shape[-1], size):
        yield x[..., start : start + size]
