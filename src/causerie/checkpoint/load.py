"""Loads checkpoints. The files show which of three layouts a checkpoint has.

    our own          config.json with "format": "causerie"; weights, codec, all in one folder
    transformers     config.json of model type csm; the codec is among the weights
    original         config.json with flavors (or none: csm-1b); the codec is a file beside the
                     weights, or is downloaded from Kyutai

No tensor may be missing, surplus or misshapen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from causerie.checkpoint import configs
from causerie.checkpoint.fill import Filling, fill, prefixed, same_names
from causerie.checkpoint.keymap import (
    CSM_ALIASES,
    MIMI_ALIASES,
    MimiLayout,
    csm_entries,
    mimi_entries,
)
from causerie.checkpoint.locate import (
    CODECS,
    kyutai_file,
    locate,
    locate_codec,
    read_json,
    weight_files,
)
from causerie.checkpoint.tensors import Tensors, fold_weight_norm, open_files, rename, under
from causerie.codec.mimi import Mimi
from causerie.config import CSMConfig, MimiConfig, csm_1b
from causerie.dataclass_dict import from_dict
from causerie.errors import CheckpointError, ConfigError
from causerie.model import sampling
from causerie.model.csm import CSM
from causerie.text.front_end import FrontEnd
from causerie.text.tokenizer import TextTokenizer

FORMAT, VERSION = "causerie", 1
#: Prefixes of tensor names in our own layout.
MODEL_PREFIX, CODEC_PREFIX = "model.", "codec."
#: Prefix of the codec's tensor names in the layout of transformers.
FOREIGN_CODEC_PREFIX = "codec_model."
#: How names end that only MLX writes: mlx-audio nests the model, quantized layers have scales.
MLX_NAMES = ("model.text_embeddings.weight", ".scales")

M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class GenerationDefaults:
    """Default settings of sampling. The depth decoder's follow the others where they are None.

    Raises:
        ConfigError: a value is out of range.
    """

    temperature: float = 0.9
    top_k: int = 50
    depth_temperature: float | None = None
    depth_top_k: int | None = None

    def __post_init__(self) -> None:
        sampling.check(self.temperature, self.top_k)
        sampling.check(self.acoustic_temperature, self.acoustic_top_k)

    @property
    def acoustic_temperature(self) -> float:
        """The temperature of the acoustic codes."""
        return self.temperature if self.depth_temperature is None else self.depth_temperature

    @property
    def acoustic_top_k(self) -> int:
        """The top_k of the acoustic codes."""
        return self.top_k if self.depth_top_k is None else self.depth_top_k


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        name: the source as the user wrote it.
        model: in the requested dtype.
        codec: always in fp32.
        voices: files of the checkpoint's voices, by name.
        folder: the folder of its other files.
    """

    name: str
    model: CSM
    codec: Mimi
    tokenizer: TextTokenizer
    front_end: FrontEnd
    folder: Path
    defaults: GenerationDefaults = field(default_factory=GenerationDefaults)
    voices: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class _Source:
    """The open files of a checkpoint."""

    path: Path
    folder: Path
    config: Mapping[str, Any]
    tensors: Tensors


def load(
    source: str | Path = "petit",
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Checkpoint:
    """Load a checkpoint.

    Args:
        source: ``petit``, a local folder or weight file, or a hub id with optional ``@revision``.
        dtype: of the language model; the codec is always fp32.

    Raises:
        CheckpointError: it cannot be found or read, or its tensors do not fit its sizes.
    """
    opened, device = _open(source), torch.device(device)
    if _is_own(opened):
        model, codec = _load_own(opened, device, dtype)
        kind = opened.config.get("front_end", "plain")
        front_end = _checked(opened, lambda: FrontEnd.load(kind, opened.folder))
        generation = opened.config.get("generation", {})
        defaults = _checked(
            opened, lambda: from_dict(GenerationDefaults, generation, "generation.")
        )
    else:
        if "embed_text_tokens.weight" in opened.tensors:
            model, codec = _load_transformers(opened, device, dtype)
        elif "text_embeddings.weight" in opened.tensors:
            model, codec = _load_original(opened, device, dtype)
        else:
            raise _unknown_layout(opened)
        front_end, defaults = FrontEnd("plain"), _foreign_defaults(opened.folder)
    voices = sorted((opened.folder / "voices").glob("*.safetensors"))
    return Checkpoint(
        name=str(source),
        model=model,
        codec=codec,
        tokenizer=_load_tokenizer(opened.folder, model.config),
        front_end=front_end,
        folder=opened.folder,
        defaults=defaults,
        voices={path.stem: path for path in voices},
    )


def load_codec(
    source: str | Path = "petit",
    *,
    device: torch.device | str = "cpu",
    config: MimiConfig | None = None,
) -> Mimi:
    """Load a Mimi in fp32: Kyutai's file, one of transformers, or the codec of a checkpoint.

    Args:
        source: as for `load`; also a file or folder with nothing but a codec.
        config: sizes of a codec without a configuration; Kyutai's by default.

    Raises:
        CheckpointError: it cannot be found or read, or its tensors do not fit its sizes.
    """
    opened, device = _open(source, codec_alone=True), torch.device(device)
    tensors, values = opened.tensors, opened.config
    if _is_own(opened):
        sizes = _checked(opened, lambda: from_dict(MimiConfig, values.get("codec", {}), "codec."))
        codec = _empty(Mimi, sizes)
        filling = Filling(codec, same_names(codec), torch.float32)
        fill([filling], under(tensors, CODEC_PREFIX), device, str(opened.path))
        return codec
    if any(name.startswith(FOREIGN_CODEC_PREFIX) for name in tensors):
        tensors, values = under(tensors, FOREIGN_CODEC_PREFIX), values.get("codec_config") or {}
    elif "text_embeddings.weight" in tensors:
        return load_codec(_codec_beside(opened.folder), device=device, config=config)
    tensors = fold_weight_norm(tensors)
    is_kyutai = any(name.startswith("encoder.model.") for name in tensors)
    layout: MimiLayout = "kyutai" if is_kyutai else "transformers"
    if config is None:
        is_described = layout == "transformers" and values
        config = (
            _checked(opened, lambda: configs.mimi_from_transformers(values))
            if is_described
            else configs.KYUTAI_MIMI
        )
    codec = _empty(Mimi, config)
    filling = Filling(codec, mimi_entries(config, layout), torch.float32)
    fill([filling], rename(tensors, MIMI_ALIASES[layout]), device, str(opened.path))
    return codec


# -- layouts -----------------------------------------------------------------------------------


def _unknown_layout(opened: _Source) -> CheckpointError:
    """The error for a checkpoint that has none of the layouts."""
    if any(name.endswith(MLX_NAMES) for name in opened.tensors):
        return CheckpointError(
            f"{opened.path} holds weights for MLX, which causerie does not read: use the model's "
            "repository for transformers, often the same name with -transformers behind it"
        )
    return CheckpointError(
        f"{opened.path} holds no CSM of a known layout: no config.json of causerie, no "
        "embed_text_tokens.weight (transformers), no text_embeddings.weight (original)"
    )


def _is_own(opened: _Source) -> bool:
    """Whether it has our own layout; raises CheckpointError for another version of it."""
    if opened.config.get("format") != FORMAT:
        return False
    version = opened.config.get("version")
    if version != VERSION:
        raise CheckpointError(
            f"{opened.path} has version {version!r} of the layout, and this causerie reads "
            f"{VERSION}: install a matching causerie"
        )
    return True


def _load_own(opened: _Source, device: torch.device, dtype: torch.dtype) -> tuple[CSM, Mimi]:
    values = opened.config
    sizes = _checked(opened, lambda: from_dict(CSMConfig, values.get("model", {}), "model."))
    codec_sizes = _checked(opened, lambda: from_dict(MimiConfig, values.get("codec", {}), "codec."))
    model, codec = _empty(CSM, sizes), _empty(Mimi, codec_sizes)
    fillings = [
        Filling(model, prefixed(same_names(model), MODEL_PREFIX), dtype),
        Filling(codec, prefixed(same_names(codec), CODEC_PREFIX), torch.float32),
    ]
    fill(fillings, opened.tensors, device, str(opened.path))
    return model, codec


def _load_transformers(
    opened: _Source, device: torch.device, dtype: torch.dtype
) -> tuple[CSM, Mimi]:
    values = opened.config
    codec_values = values.get("codec_config") or {}
    sizes = _checked(opened, lambda: configs.csm_from_transformers(values))
    codec_sizes = _checked(opened, lambda: configs.mimi_from_transformers(codec_values))
    model, codec = _empty(CSM, sizes), _empty(Mimi, codec_sizes)
    codec_entries = mimi_entries(codec_sizes, "transformers")
    fillings = [
        Filling(model, csm_entries(sizes, "transformers"), dtype),
        Filling(codec, prefixed(codec_entries, FOREIGN_CODEC_PREFIX), torch.float32),
    ]
    inside = under(opened.tensors, FOREIGN_CODEC_PREFIX)
    codec_tensors = rename(fold_weight_norm(inside), MIMI_ALIASES["transformers"])
    tensors = {
        name: tensor
        for name, tensor in opened.tensors.items()
        if not name.startswith(FOREIGN_CODEC_PREFIX)
    }
    tensors = rename(tensors, CSM_ALIASES["transformers"])
    tensors |= {FOREIGN_CODEC_PREFIX + name: tensor for name, tensor in codec_tensors.items()}
    fill(fillings, tensors, device, str(opened.path))
    return model, codec


def _load_original(opened: _Source, device: torch.device, dtype: torch.dtype) -> tuple[CSM, Mimi]:
    if "backbone_flavor" in opened.config:
        sizes = _checked(opened, lambda: configs.csm_from_original(opened.config))
    elif opened.config:  # sesame/csm-1b: transformers' config.json beside the original weights
        sizes = _checked(opened, lambda: configs.csm_from_transformers(opened.config))
    else:
        sizes = csm_1b()
    model = _empty(CSM, sizes)
    filling = Filling(model, csm_entries(sizes, "original"), dtype)
    fill([filling], rename(opened.tensors, CSM_ALIASES["original"]), device, str(opened.path))
    return model, load_codec(_codec_beside(opened.folder), device=device)


def _codec_beside(folder: Path) -> Path:
    """Kyutai's codec file: from a folder, or from the hub.

    Raises:
        CheckpointError: it is in neither; names the file to put into the folder.
    """
    if found := kyutai_file(folder):
        return found
    try:
        return locate_codec()
    except CheckpointError as error:
        repo, filename = CODECS[0]
        raise CheckpointError(
            f"{folder} has no codec beside its weights: put {filename} of "
            f"https://huggingface.co/{repo} into it, as it cannot be downloaded now: {error}"
        ) from error


# -- side files --------------------------------------------------------------------------------


def _open(source: str | Path, *, codec_alone: bool = False) -> _Source:
    path = locate(source, codec_alone=codec_alone)
    folder, files = (path, weight_files(path)) if path.is_dir() else (path.parent, [path])
    config = folder / "config.json"
    values = read_json(config) if config.is_file() else {}
    return _Source(path, folder, values, open_files(files))


def _load_tokenizer(folder: Path, sizes: CSMConfig) -> TextTokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing: copy it from the source of the checkpoint; csm-1b's is on "
            "https://huggingface.co/sesame/csm-1b"
        )
    tokenizer = TextTokenizer.load(path)
    if tokenizer.vocab_size > sizes.text_vocab_size:
        raise CheckpointError(
            f"{path} has {tokenizer.vocab_size} tokens, but the model only "
            f"{sizes.text_vocab_size}: it belongs to another model"
        )
    return tokenizer


def _foreign_defaults(folder: Path) -> GenerationDefaults:
    """The defaults in transformers' generation_config.json; the original's where it has none.

    Without sampling, the temperature is 0.
    """
    path = folder / "generation_config.json"
    values = read_json(path) if path.is_file() else {}
    names = {
        "temperature": "temperature",
        "top_k": "top_k",
        "depth_temperature": "depth_decoder_temperature",
        "depth_top_k": "depth_decoder_top_k",
    }
    given = {o: values[theirs] for o, theirs in names.items() if values.get(theirs) is not None}
    if values.get("do_sample") is False:
        given["temperature"] = 0.0
    if values.get("depth_decoder_do_sample") is False:
        given["depth_temperature"] = 0.0
    try:
        return GenerationDefaults(**given)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


class _NoRandomInit(TorchFunctionMode):
    """Skips random initialisation: `normal_` on the meta device imports all of torch._dynamo."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (nn.init.normal_, nn.init.kaiming_uniform_):
            return kwargs["tensor"]
        return func(*args, **kwargs)


def _empty(kind: Callable[[Any], M], sizes: CSMConfig | MimiConfig) -> M:
    """A module on the meta device: shapes without memory, to be filled by `fill`."""
    with torch.device("meta"), _NoRandomInit():
        return kind(sizes)


def _checked(opened: _Source, read: Callable[[], T]) -> T:
    """The result of `read`, whose errors get the name of the configuration file."""
    try:
        return read()
    except ConfigError as error:
        raise CheckpointError(f"{opened.folder / 'config.json'}: {error}") from error
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{opened.folder / 'config.json'} is malformed ({type(error).__name__}: {error})"
        ) from error
