"""Other implementations for `causerie bench --peers`, on random weights of the same shapes.

Their usual interfaces are timed, with each one's default caches and attention. causerie does not
depend on their packages; building one that is not installed raises ConfigError.
"""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from causerie.bench.run import Build, CodecImplementation, Comparison, Implementation
from causerie.bench.subjects import fill
from causerie.checkpoint import configs
from causerie.config import CSMConfig, LlamaConfig, MimiConfig
from causerie.errors import ConfigError
from causerie.extras import need
from floor import bandwidth_gb_s, floor_bytes

#: What the reference needs: torchtune imports nf4tensor, which torchao 0.17 and later lack.
TORCHTUNE = "pip install torchtune==0.6.1 torchao==0.16.0 datasets"
#: Frames that the codec of transformers decodes at once: it has no streaming decoder.
BULK_FRAMES = 25


class Transformers:
    """`CsmForConditionalGeneration.generate`, greedy, one reply at a time.

    Its codec decodes many frames at once here, its fastest way.
    """

    name, has_codec, max_streams = "transformers", True, 1

    def __init__(self, config: CSMConfig, codec: MimiConfig, dtype: torch.dtype) -> None:
        library = _transformers()
        self.config, self.max_rows = config, config.max_frames
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
        """Milliseconds for the codes, and for the audio, of each frame."""
        assert streams == 1
        marks: list[float] = []

        def mark(ids: Tensor, logits: Tensor) -> Tensor:
            marks.append(time.perf_counter())  # called once per frame, after the backbone
            return logits

        self._model.generate(
            input_ids=torch.ones(1, rows, dtype=torch.long),
            max_new_tokens=count + 1,
            do_sample=False,
            depth_decoder_do_sample=False,
            logits_processor=self._processors([mark]),
        )
        codes_ms = [1000 * (b - a) for a, b in itertools.pairwise(marks)]
        codes = torch.ones(1, self.config.num_codebooks, BULK_FRAMES, dtype=torch.long)
        with torch.inference_mode():
            start = time.perf_counter()
            self._model.codec_model.decode(codes)
            sound_ms = 1000 * (time.perf_counter() - start) / BULK_FRAMES
        return codes_ms, [sound_ms] * len(codes_ms)

    def prefill(self, rows: int) -> float:
        """Milliseconds to prefill this number of rows."""
        ids = torch.ones(1, rows, dtype=torch.long)
        with torch.inference_mode():
            start = time.perf_counter()
            self._model(input_ids=ids, use_cache=True, logits_to_keep=1)
        return 1000 * (time.perf_counter() - start)


class Sesame:
    """The design of SesameAILabs/csm: two of torchtune's Llamas, one frame per call, top-k.

    The reference itself is on no package index. This class makes the same calls in the same order
    by torchtune's builders. moshi decodes its codes, many frames at once.
    """

    name, max_streams = "sesame on torchtune", 1

    def __init__(self, config: CSMConfig, codec: MimiConfig, dtype: torch.dtype) -> None:
        builder = need("torchtune.models.llama3_2", "reference", also=TORCHTUNE)
        self.config, self._dtype, self.max_rows = config, dtype, config.max_frames
        form = str(dtype).removeprefix("torch.")
        self.formats = form, form
        with torch.device("meta"):
            self._model = _SesameModel(config, builder.llama3_2).to(dtype)
        self._model.to_empty(device="cpu")
        fill(self._model)
        for llama, rows in ((self._model.backbone, self.max_rows), (self._model.decoder, None)):
            for module in llama.modules():
                if hasattr(module, "rope_init"):
                    module.rope_init()  # a buffer that `fill` must not draw
            llama.setup_caches(1, dtype, decoder_max_seq_len=rows or config.num_codebooks)
        self._masks = [
            torch.ones(size, size, dtype=torch.bool).tril()
            for size in (self.max_rows, config.num_codebooks)
        ]
        self._codec = _moshi(config, codec)

    def frames(self, count: int, *, rows: int, streams: int) -> tuple[list[float], list[float]]:
        """Milliseconds for the codes, and for the audio, of each frame."""
        assert streams == 1
        codes_ms: list[float] = []
        with torch.inference_mode():
            self._read(rows)
            read = torch.zeros(1, 1, self.config.num_codebooks + 1, dtype=torch.long)
            for position in range(rows, rows + count):
                start = time.perf_counter()
                read[0, 0, :-1] = self._frame(read, torch.tensor([[position]]))
                codes_ms.append(1000 * (time.perf_counter() - start))
            codes = torch.ones(1, self.config.num_codebooks, BULK_FRAMES, dtype=torch.long)
            start = time.perf_counter()
            self._codec.decode(codes)
            sound_ms = 1000 * (time.perf_counter() - start) / BULK_FRAMES
        return codes_ms, [sound_ms] * count

    def prefill(self, rows: int) -> float:
        """Milliseconds to prefill this number of rows."""
        with torch.inference_mode():
            start = time.perf_counter()
            self._read(rows)
        return 1000 * (time.perf_counter() - start)

    def _read(self, count: int) -> None:
        self._model.backbone.reset_caches()
        rows = torch.ones(1, count, self.config.num_codebooks + 1, dtype=torch.long)
        self._backbone(rows, torch.arange(count)[None])

    def _backbone(self, rows: Tensor, positions: Tensor) -> Tensor:
        x = self._model.embed(rows).sum(2)
        mask = self._masks[0][positions]
        hidden: Tensor = self._model.backbone(x, input_pos=positions, mask=mask)
        return hidden.to(self._dtype)[:, -1]

    def _frame(self, rows: Tensor, positions: Tensor) -> Tensor:
        """Codes (K,) of the frame after the rows."""
        model = self._model
        hidden = self._backbone(rows, positions)
        codes = [_draw(model.codebook0_head(hidden))]
        model.decoder.reset_caches()
        inputs = torch.stack((hidden, model.embed_code(0, codes[0])), dim=1)
        where = torch.arange(2)[None]
        for codebook in range(1, self.config.num_codebooks):
            out = model.decoder(
                model.projection(inputs), input_pos=where, mask=self._masks[1][where]
            )
            codes.append(_draw(out.to(self._dtype)[:, -1] @ model.audio_head[codebook - 1]))
            inputs = model.embed_code(codebook, codes[-1])[:, None]
            where = where[:, -1:] + 1
        return torch.cat(codes)


class _SesameModel(nn.Module):
    """The weights of `Sesame`."""

    def __init__(self, config: CSMConfig, llama3_2: Callable[..., nn.Module]) -> None:
        super().__init__()
        vocab, dim = config.audio_vocab_size, config.backbone.dim
        self.backbone, self.decoder = (
            self._llama(part, rows, llama3_2)
            for part, rows in (
                (config.backbone, config.max_frames),
                (config.depth, config.num_codebooks),
            )
        )
        self.text_embeddings = nn.Embedding(config.text_vocab_size, dim)
        self.audio_embeddings = nn.Embedding(vocab * config.num_codebooks, dim)
        self.projection = nn.Linear(dim, config.depth.dim, bias=False)
        self.codebook0_head = nn.Linear(dim, vocab, bias=False)
        self.audio_head = nn.Parameter(
            torch.empty(config.num_codebooks - 1, config.depth.dim, vocab)
        )
        offsets = vocab * torch.arange(config.num_codebooks, device="cpu")
        self._offsets: list[int] = offsets.tolist()

    @staticmethod
    def _llama(config: LlamaConfig, rows: int, llama3_2: Callable[..., nn.Module]) -> Any:
        if config.head_dim * config.num_heads != config.dim:
            raise ConfigError("torchtune's Llama needs a width of head_dim × num_heads")
        llama: Any = llama3_2(
            vocab_size=1,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            num_kv_heads=config.num_kv_heads,
            embed_dim=config.dim,
            max_seq_len=rows,
            intermediate_dim=config.ffn_dim,
            norm_eps=config.norm_eps,
        )
        llama.tok_embeddings, llama.output = nn.Identity(), nn.Identity()
        return llama.eval()

    def embed(self, rows: Tensor) -> Tensor:
        """Embeddings (B, S, K+1, D) of rows (B, S, K+1)."""
        codes = rows[..., :-1] + torch.tensor(self._offsets)
        audio = self.audio_embeddings(codes)
        return torch.cat((audio, self.text_embeddings(rows[..., -1:])), dim=2)

    def embed_code(self, codebook: int, code: Tensor) -> Tensor:
        """Embeddings (B, D) of codes (B,)."""
        out: Tensor = self.audio_embeddings(code + self._offsets[codebook])
        return out


def _draw(logits: Tensor, top_k: int = 50, temperature: float = 0.9) -> Tensor:
    """Sample codes (B,) from the top k by exponential noise, without a synchronization."""
    logits = logits / temperature
    least = logits.topk(min(top_k, logits.shape[-1])).values[..., -1:]
    kept = logits.masked_fill(logits < least, -torch.inf).softmax(-1)
    return (kept / torch.empty_like(kept).exponential_()).argmax(-1)


class TransformersCodec:
    """`MimiModel.decode`, one frame per call, with the KV cache of its transformer.

    Its convolutions have no state, so the frames have audible seams.
    """

    name = "transformers"

    def __init__(self, model: CSMConfig, config: MimiConfig, dtype: torch.dtype) -> None:
        library = _transformers()
        sizes = library.MimiConfig(**configs.mimi_to_transformers(config))
        self._model = _new(library.MimiModel, sizes, torch.float32)
        self._num_codebooks = config.num_codebooks
        self._cache: Any = None

    def sound(self, count: int) -> list[float]:
        """Milliseconds to decode each of the next `count` frames of one endless stream."""
        codes = torch.ones(1, self._num_codebooks, 1, dtype=torch.long)
        times: list[float] = []
        with torch.inference_mode():
            for _ in range(count):
                start = time.perf_counter()
                out = self._model.decode(
                    codes, decoder_past_key_values=self._cache, return_dict=True
                )
                self._cache = out.decoder_past_key_values
                times.append(1000 * (time.perf_counter() - start))
        return times


class MoshiCodec:
    """moshi's streaming `MimiModel.decode`, one frame per call."""

    name = "moshi"

    def __init__(self, model: CSMConfig, config: MimiConfig, dtype: torch.dtype) -> None:
        self._model = _moshi(model, config)
        self._model.streaming_forever(1)
        self._num_codebooks = config.num_codebooks

    def sound(self, count: int) -> list[float]:
        """Milliseconds to decode each of the next `count` frames of one endless stream."""
        codes = torch.ones(1, self._num_codebooks, 1, dtype=torch.long)
        times: list[float] = []
        with torch.inference_mode():
            for _ in range(count):
                start = time.perf_counter()
                self._model.decode(codes)
                times.append(1000 * (time.perf_counter() - start))
        return times


MODELS: dict[str, Build[Implementation]] = {"transformers": Transformers, "sesame": Sesame}
CODECS: dict[str, Build[CodecImplementation]] = {
    "transformers": TransformersCodec, "moshi": MoshiCodec,
}  # fmt: skip
COMPARISON = Comparison(
    models=MODELS, codecs=CODECS, bandwidth_gb_s=bandwidth_gb_s, floor_bytes=floor_bytes
)


def _moshi(model: CSMConfig, config: MimiConfig) -> Any:
    """The Mimi of moshi with random weights."""
    need("moshi", "reference", also="pip install --no-deps moshi")
    loaders = importlib.import_module("moshi.models.loaders")
    codec = loaders.get_mimi(
        None, num_codebooks=config.num_codebooks, mimi_config=_moshi_config(config, loaders)
    )
    fill(codec)
    return codec


def _moshi_config(config: MimiConfig, loaders: Any) -> dict[str, Any]:
    """Our sizes in the form of moshi's configuration."""
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
    """The package, without its warnings about the token ids of random models."""
    library = need("transformers", "reference")
    library.utils.logging.set_verbosity_error()
    return library


def _new(kind: Any, config: Any, dtype: torch.dtype) -> Any:
    """A model of transformers with random weights."""
    with need("transformers.initialization", "reference").no_init_weights():
        model = kind._from_config(config, dtype=dtype)
    fill(model)
    return model.eval()
