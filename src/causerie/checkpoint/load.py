"""Loads checkpoints. The files show which of three layouts a checkpoint has.

    our own          config.json with "format": "causerie"; weights, codec, all in one folder
    transformers     config.json of model type csm; the codec is among the weights
    original         config.json with flavors, or none; the codec is a file beside the weights, or
                     is downloaded from Kyutai

A low-rank adapter is merged into its base, see `causerie.checkpoint.adapter`. No tensor may be
missing, surplus or misshapen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from causerie.checkpoint import configs
from causerie.checkpoint.adapter import Adapter, apply_changes
from causerie.checkpoint.fill import Filling, fill, prefixed, same_names
from causerie.checkpoint.foreign import tensors_problem
from causerie.checkpoint.keymap import (
    CODEC_PREFIX,
    CSM_ALIASES,
    FOREIGN_CODEC_PREFIX,
    MIMI_ALIASES,
    CSMLayout,
    Entry,
    MimiLayout,
    csm_entries,
    mimi_entries,
)
from causerie.checkpoint.locate import (
    CODECS,
    TOKENIZERS,
    kyutai_file,
    locate,
    locate_codec,
    locate_tokenizer,
)
from causerie.checkpoint.shapes import csm_from_shapes, is_published
from causerie.checkpoint.source import Source, adapter_at, open_base, open_source
from causerie.checkpoint.tensors import Tensors, fold_weight_norm, rename, stored_dtype, under
from causerie.codec.mimi import Mimi
from causerie.config import CSMConfig, MimiConfig
from causerie.dataclass_dict import from_dict
from causerie.errors import CheckpointError, ConfigError
from causerie.model import sampling
from causerie.model.csm import CSM
from causerie.model_files import ADAPTER, read_json
from causerie.text.front_end import FrontEnd
from causerie.text.tokenizer import TextTokenizer
from causerie.voice_file import is_prompt, is_voice_file, voice_files

FORMAT, VERSION = "causerie", 1
#: Prefix of the language model's tensor names in our own layout.
MODEL_PREFIX = "model."
#: A dtype, or a function that chooses one by the dtype of the weights on disk.
DtypeChoice = torch.dtype | Callable[[torch.dtype], torch.dtype]
#: Chooses the device of both, and the dtype of the model, before their weights are read: by their
#: sizes and the dtype of the model's weights on disk. The codec may be filled already.
Place = Callable[[CSM, Mimi, torch.dtype], tuple[torch.device, torch.dtype]]

#: Text tokens of Llama 3.2, csm-1b and MisoTTS.
LLAMA_VOCAB = CSMConfig.text_vocab_size

M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class GenerationDefaults:
    """Default settings of generation. The depth decoder's follow the others where they are None.

    Attributes:
        guard: whether a guard ends speech that goes on after its text, because the model does not
            always stop by itself.
        hears_others: whether turns of other speakers are context. They are not for a model that
            takes over the voice of any other speaker in its context.
        context_s: seconds of a conversation's latest turns that are context. In a longer context
            than it was trained on, a model loses its voice.

    Raises:
        ConfigError: a value is out of range.
    """

    temperature: float = 0.9
    top_k: int = 50
    depth_temperature: float | None = None
    depth_top_k: int | None = None
    guard: bool = False
    hears_others: bool = True
    context_s: float = 40.0

    def __post_init__(self) -> None:
        if not 0 < self.context_s < math.inf:
            raise ConfigError(f"context_s must be seconds above 0, not {self.context_s!r}")
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
        base: the model that an adapter was merged into; "" if the source was no adapter.
    """

    name: str
    model: CSM
    codec: Mimi
    tokenizer: TextTokenizer
    front_end: FrontEnd
    folder: Path
    defaults: GenerationDefaults = field(default_factory=GenerationDefaults)
    voices: dict[str, Path] = field(default_factory=dict)
    base: str = ""

    @property
    def default_voice(self) -> str:
        """The first prompt of a model that has prompts; "" for others.

        The weights of an adapter have a voice of their own, so it has none.
        """
        return "" if self.base else next(filter(self._is_prompt, self.voices), "")

    def _is_prompt(self, voice: str) -> bool:
        return is_prompt(self.voices[voice])


@dataclass(frozen=True)
class _Wanted:
    """What the models that are loaded should be."""

    place: Place
    adapter: Adapter | None


def load(
    source: str | Path = "petit",
    *,
    device: torch.device | str = "cpu",
    dtype: DtypeChoice = torch.float32,
    base: str | Path | None = None,
    place: Place | None = None,
) -> Checkpoint:
    """Load a checkpoint.

    Args:
        source: ``petit``, a local folder or weight file, or a hub id with optional ``@revision``;
            also an adapter, which is merged into its base in fp32.
        dtype: of the language model; the codec is always fp32.
        base: the base of an adapter, in place of the one that it names.
        place: chooses device and dtype, in place of these arguments.

    Raises:
        CheckpointError: it cannot be found or read, or its tensors do not fit its sizes.
    """
    path = locate(source)
    adapter = adapter_at(path)
    if adapter is not None:
        opened = open_base(adapter, base)
    elif base is not None:
        raise CheckpointError(f"{path} is not an adapter: it has no {ADAPTER}, and needs no base")
    else:
        opened = open_source(path)
    wanted = _Wanted(place or _fixed(torch.device(device), dtype), adapter)
    if problem := tensors_problem(opened.path, opened.tensors):
        raise CheckpointError(problem)
    is_own = _is_own(opened)
    kind = opened.config.get("front_end", "plain") if is_own else "plain"
    tags = opened.config.get("tags", ())
    front_end = _checked(opened, lambda: FrontEnd.load(kind, opened.folder, tags=tags))
    if is_own:
        model, codec = _load_own(opened, wanted)
        generation = opened.config.get("generation", {})
        defaults = _checked(
            opened, lambda: from_dict(GenerationDefaults, generation, "generation.")
        )
    else:
        if "embed_text_tokens.weight" in opened.tensors:
            model, codec = _load_transformers(opened, wanted)
        elif "text_embeddings.weight" in opened.tensors:
            model, codec = _load_original(opened, wanted)
        else:
            raise _unknown_layout(opened)
        defaults = _foreign_defaults(opened.folder)
    voices = voice_files(opened.folder) | (voice_files(adapter.folder) if adapter else {})
    return Checkpoint(
        name=str(source),
        model=model,
        codec=codec,
        tokenizer=_load_tokenizer(opened.folder, model.config),
        front_end=front_end,
        folder=opened.folder,
        defaults=defaults,
        voices=voices,
        base=str(base or adapter.base or opened.folder) if adapter else "",
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
    opened, device = open_source(locate(source, codec_alone=True)), torch.device(device)
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


def _fixed(device: torch.device, dtype: DtypeChoice) -> Place:
    """The same place for each model."""

    def place(model: CSM, codec: Mimi, stored: torch.dtype) -> tuple[torch.device, torch.dtype]:
        return device, dtype if isinstance(dtype, torch.dtype) else dtype(stored)

    return place


# -- layouts -----------------------------------------------------------------------------------


def _unknown_layout(opened: Source) -> CheckpointError:
    """The error for a checkpoint that has none of the layouts."""
    if opened.path.is_file() and is_voice_file(opened.path):
        return CheckpointError(f"{opened.path} is a voice file, not a model: give it as the voice")
    return CheckpointError(
        f"{opened.path} holds no CSM of a known layout: no config.json of causerie, no "
        "embed_text_tokens.weight (transformers), no text_embeddings.weight (original)"
    )


def _is_own(opened: Source) -> bool:
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


def _load_own(opened: Source, wanted: _Wanted) -> tuple[CSM, Mimi]:
    values = opened.config
    sizes = _checked(opened, lambda: from_dict(CSMConfig, values.get("model", {}), "model."))
    codec_sizes = _checked(opened, lambda: from_dict(MimiConfig, values.get("codec", {}), "codec."))
    model, codec = _empty(CSM, sizes), _empty(Mimi, codec_sizes)
    entries = prefixed(same_names(model), MODEL_PREFIX)
    codec_entries = prefixed(same_names(codec), CODEC_PREFIX)
    _fill(wanted, opened, opened.tensors, (model, entries), (codec, codec_entries))
    return model, codec


def _load_transformers(opened: Source, wanted: _Wanted) -> tuple[CSM, Mimi]:
    values = opened.config
    codec_values = values.get("codec_config") or {}
    inside = under(opened.tensors, FOREIGN_CODEC_PREFIX)
    codec_tensors = rename(fold_weight_norm(inside), MIMI_ALIASES["transformers"])
    tensors = {
        name: tensor
        for name, tensor in opened.tensors.items()
        if not name.startswith(FOREIGN_CODEC_PREFIX)
    }
    tensors = rename(tensors, CSM_ALIASES["transformers"])
    tensors |= {FOREIGN_CODEC_PREFIX + name: tensor for name, tensor in codec_tensors.items()}
    sizes = None if values else _measured(opened, tensors, "transformers")
    if sizes is None or not is_published(sizes):  # shapes do not show the rotary embedding
        sizes = _checked(opened, lambda: configs.csm_from_transformers(values))
    codec_sizes = (
        _checked(opened, lambda: configs.mimi_from_transformers(codec_values))
        if values
        else configs.KYUTAI_MIMI
    )
    model, codec = _empty(CSM, sizes), _empty(Mimi, codec_sizes)
    entries = csm_entries(sizes, "transformers")
    codec_entries = prefixed(mimi_entries(codec_sizes, "transformers"), FOREIGN_CODEC_PREFIX)
    _fill(wanted, opened, tensors, (model, entries), (codec, codec_entries))
    return model, codec


def _load_original(opened: Source, wanted: _Wanted) -> tuple[CSM, Mimi]:
    values = opened.config
    tensors = rename(opened.tensors, CSM_ALIASES["original"])
    if "model_type" in values and ("depth_decoder_config" in values or "hidden_size" in values):
        # sesame/csm-1b: transformers' config.json beside the original weights
        sizes = _checked(opened, lambda: configs.csm_from_transformers(values))
    else:
        sizes = _checked(
            opened,
            lambda: configs.csm_from_original(
                values, lambda: _measured(opened, tensors, "original")
            ),
        )
    model, codec = (
        _empty(CSM, sizes),
        load_codec(_codec_beside(opened.folder)),
    )
    _fill(wanted, opened, tensors, (model, csm_entries(sizes, "original")), codec)
    return model, codec


def _measured(opened: Source, tensors: Tensors, layout: CSMLayout) -> CSMConfig:
    """The sizes by the shapes of the tensors."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    try:
        return csm_from_shapes(shapes, layout)
    except (CheckpointError, ConfigError) as error:
        raise CheckpointError(f"{opened.path} holds no complete CSM: {error}") from error


def _fill(
    wanted: _Wanted,
    opened: Source,
    tensors: Tensors,
    model: tuple[CSM, Sequence[Entry]],
    codec: tuple[Mimi, Sequence[Entry]] | Mimi,
) -> None:
    """Fill the model, and the codec if it is among the tensors, with the adapter merged."""
    (csm, entries), mimi = model, codec if isinstance(codec, Mimi) else codec[0]
    changes = wanted.adapter.changes(csm, mimi) if wanted.adapter else ({}, {})
    names = (name for entry in entries for name in entry.theirs if name in tensors)
    device, dtype = wanted.place(csm, mimi, stored_dtype(tensors[name] for name in names))
    fillings = [Filling(csm, entries, dtype, changes[0])]
    if not isinstance(codec, Mimi):
        fillings.append(Filling(mimi, codec[1], torch.float32, changes[1]))
    else:
        apply_changes(codec, changes[1])
        codec.to(device)
    fill(fillings, tensors, device, str(opened.path))


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


def _load_tokenizer(folder: Path, sizes: CSMConfig) -> TextTokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file() and sizes.text_vocab_size == LLAMA_VOCAB:  # MisoTTS has none of its own
        path = _llama_tokenizer(path)
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


def _llama_tokenizer(missing: Path) -> Path:
    """Llama 3.2's tokenizer.json from the hub.

    Raises:
        CheckpointError: it cannot be downloaded; names the file to put in its place.
    """
    try:
        return locate_tokenizer()
    except CheckpointError as error:
        repo, filename = TOKENIZERS[0]
        raise CheckpointError(
            f"{missing} is missing: put {filename} of https://huggingface.co/{repo} there, as it "
            f"cannot be downloaded now: {error}"
        ) from error


def _foreign_defaults(folder: Path) -> GenerationDefaults:
    """The defaults in transformers' generation_config.json; the original's where it has none.

    Without sampling, the temperature is 0. The guard is on: csm-1b and its fine-tunes often go on
    after their text.
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
        return GenerationDefaults(guard=True, **given)
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


def _checked(opened: Source, read: Callable[[], T]) -> T:
    """The result of `read`, whose errors get the name of the configuration file."""
    try:
        return read()
    except ConfigError as error:
        raise CheckpointError(f"{opened.folder / 'config.json'}: {error}") from error
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{opened.folder / 'config.json'} is malformed ({type(error).__name__}: {error})"
        ) from error
