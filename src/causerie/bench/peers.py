"""Implementations of others as contestants, on random weights of the same shapes.

Their packages are no part of causerie: whoever is not installed is told as absent, in one line.
Their usual interfaces are timed, with what each does for speed by itself: caches, fused attention.
"""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from causerie.bench.floor import frame_bytes
from causerie.bench.subjects import fill
from causerie.checkpoint import configs
from causerie.config import CSMConfig, MimiConfig
from causerie.errors import ConfigError
from causerie.extras import need

#: Frames that the codec of transformers decodes at once: it has no decoder for a stream.
BULK_FRAMES = 25


class Transformers:
    """`CsmForConditionalGeneration.generate`, greedy, one reply at a time.

    Its codec is not timed frame by frame here, but at its best: many frames at once.
    """

    name, has_codec, max_streams = "transformers", True, 1

    def __init__(self, config: CSMConfig, codec: MimiConfig, dtype: torch.dtype) -> None:
        library = _transformers()
        self._config, self.max_rows = config, config.max_frames
        form = str(dtype).removeprefix("torch.")
        self.formats = form, form
        exported = configs.csm_to_transformers(config, codec)
        self._model = _new(
            library.CsmForConditionalGeneration, library.CsmConfig(**exported), dtype
        )
        self._model.depth_decoder.generation_config.update(
            min_new_tokens=config.num_codebooks - 1, max_new_tokens=config.num_codebooks - 1
        )
        self._processors = library.LogitsProcessorList

    def frames(self, count: int, *, rows: int, streams: int) -> tuple[list[float], list[float]]:
        """Milliseconds of each frame: of its codes, and of its sound, many decoded at once."""
        assert streams == 1
        marks: list[float] = []

        def mark(ids: Tensor, logits: Tensor) -> Tensor:
            marks.append(time.perf_counter())  # called once a frame, behind the backbone
            return logits

        self._model.generate(
            input_ids=torch.ones(1, rows, dtype=torch.long),
            max_new_tokens=count + 1,
            do_sample=False,
            depth_decoder_do_sample=False,
            logits_processor=self._processors([mark]),
        )
        codes_ms = [1000 * (b - a) for a, b in itertools.pairwise(marks)]
        codes = torch.ones(1, self._config.num_codebooks, BULK_FRAMES, dtype=torch.long)
        with torch.inference_mode():
            start = time.perf_counter()
            self._model.codec_model.decode(codes)
            sound_ms = 1000 * (time.perf_counter() - start) / BULK_FRAMES
        return codes_ms, [sound_ms] * len(codes_ms)

    def prefill(self, rows: int) -> float:
        """Milliseconds of reading so many rows."""
        ids = torch.ones(1, rows, dtype=torch.long)
        with torch.inference_mode():
            start = time.perf_counter()
            self._model(input_ids=ids, use_cache=True, logits_to_keep=1)
        return 1000 * (time.perf_counter() - start)

    def floor_bytes(self, *, rows: int, streams: int, codec: bool) -> float:
        """Bytes that a frame reads, in its format."""
        return frame_bytes(self._config, *self.formats, rows=rows, streams=streams)


def sesame(config: CSMConfig, codec: MimiConfig, dtype: torch.dtype) -> Transformers:
    """SesameAILabs/csm, which runs on torchtune: it has no place beside a torch as new as ours.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        "torchtune 0.6.1, its last, needs torchao's nf4tensor, which torchao 0.18 lacks, and "
        "torchao 0.12, which has it, cannot be imported beside torch 2.13"
    )


class TransformersCodec:
    """`MimiModel.decode`, a frame a call, with its cache of the transformer.

    Its convolutions keep no state, so the frames do not join without a seam.
    """

    name = "transformers"

    def __init__(self, model: CSMConfig, config: MimiConfig, dtype: torch.dtype) -> None:
        library = _transformers()
        sizes = library.MimiConfig(**configs.mimi_to_transformers(config))
        self._model = _new(library.MimiModel, sizes, torch.float32)
        self._num_codebooks = config.num_codebooks

    def sound(self, count: int) -> list[float]:
        """Milliseconds of each of so many frames of one stream."""
        codes = torch.ones(1, self._num_codebooks, 1, dtype=torch.long)
        cache, times = None, list[float]()
        with torch.inference_mode():
            for _ in range(count):
                start = time.perf_counter()
                out = self._model.decode(codes, decoder_past_key_values=cache, return_dict=True)
                cache = out.decoder_past_key_values
                times.append(1000 * (time.perf_counter() - start))
        return times


class MoshiCodec:
    """moshi's `MimiModel.decode` while streaming, a frame a call."""

    name = "moshi"

    def __init__(self, model: CSMConfig, config: MimiConfig, dtype: torch.dtype) -> None:
        need("moshi", "reference", also="pip install --no-deps moshi")
        loaders = importlib.import_module("moshi.models.loaders")
        self._model = loaders.get_mimi(
            None,
            num_codebooks=config.num_codebooks,
            mimi_config=_moshi_config(config, loaders),
        )
        fill(self._model)
        self._num_codebooks = config.num_codebooks

    def sound(self, count: int) -> list[float]:
        """Milliseconds of each of so many frames of one stream."""
        codes = torch.ones(1, self._num_codebooks, 1, dtype=torch.long)
        times: list[float] = []
        with torch.inference_mode(), self._model.streaming(1):
            for _ in range(count):
                start = time.perf_counter()
                self._model.decode(codes)
                times.append(1000 * (time.perf_counter() - start))
        return times


#: What makes codes, and what makes sound of codes, by the names that --peers takes.
MODELS: Mapping[str, Callable[[CSMConfig, MimiConfig, torch.dtype], Transformers]] = (
    MappingProxyType({"transformers": Transformers, "sesame": sesame})
)
CODECS: Mapping[str, type[TransformersCodec | MoshiCodec]] = MappingProxyType(
    {"transformers": TransformersCodec, "moshi": MoshiCodec}
)
NAMES = tuple(dict.fromkeys((*MODELS, *CODECS)))


def _moshi_config(config: MimiConfig, loaders: Any) -> dict[str, Any]:
    """Our sizes as moshi has them."""
    dim, num_codebooks = config.dim, config.num_codebooks
    seanet = {
        "dimension": dim, "n_filters": config.num_filters, "ratios": list(config.ratios),
        "kernel_size": config.kernel, "residual_kernel_size": config.residual_kernel,
        "last_kernel_size": config.last_kernel, "compress": config.compress,
    }  # fmt: skip
    transformer = {
        "d_model": dim, "num_heads": config.num_heads, "num_layers": config.num_layers,
        "dim_feedforward": config.ffn_dim, "context": config.context,
        "max_period": config.rope_theta, "input_dimension": dim, "output_dimensions": [dim],
    }  # fmt: skip
    quantizer = {
        "dimension": config.codebook_dim, "n_q": num_codebooks, "bins": config.codebook_size,
        "input_dimension": dim, "output_dimension": dim,
    }  # fmt: skip
    out: dict[str, Any] = loaders._mimi_config | {
        "seanet": loaders._seanet_kwargs | seanet,
        "transformer": loaders._transformer_kwargs | transformer,
        "quantizer": quantizer,
    }
    return out


def _transformers() -> Any:
    """The package, told to keep its warnings about the ids of random models to itself."""
    library = need("transformers", "reference")
    library.utils.logging.set_verbosity_error()
    return library


def _new(kind: Any, config: Any, dtype: torch.dtype) -> Any:
    """A model of transformers, with weights."""
    with need("transformers.initialization", "reference").no_init_weights():
        model = kind._from_config(config, dtype=dtype)
    fill(model)
    return model.eval()
