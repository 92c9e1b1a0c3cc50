"""The models of a server: the first, which is always loaded, and those loaded on demand.

The latter are in a folder, see `causerie.server.model_folder`. An adapter of the first model is
merged into a copy of it. They use the codec of the first, as
models fine-tuned from it do, so uploaded voices and earlier turns are valid context for them too. A
few stay loaded, each with an engine of its own; a further one replaces the least recently used,
never one that is speaking. Knows no protocol but the error
for a model that is gone.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causerie.checkpoint.adapter import Adapter
from causerie.checkpoint.load import Checkpoint
from causerie.engine.out_of_memory import in_one_line
from causerie.engine.stats import Stats
from causerie.errors import CheckpointError, ConfigError, QueueFullError
from causerie.model_files import has_weights
from causerie.recognition.choice import chosen_recognizer
from causerie.server.errors import unknown_model
from causerie.server.model_folder import FolderModel, ModelFolder
from causerie.server.settings import Settings
from causerie.server.voices.store import codec_id
from causerie.tts import TTS
from causerie.watermark.key import Watermark

log = logging.getLogger("causerie.server")

#: Names of OpenAI's speech models, which all mean the first model.
OPENAI_MODELS = (
    "tts-1",
    "tts-1-hd",
    "tts-1-1106",
    "tts-1-hd-1106",
    "gpt-4o-mini-tts",
    "gpt-4o-mini-tts-2025-03-20",
    "gpt-4o-mini-tts-2025-12-15",
)
#: Names of ElevenLabs' models, whose clients offer them in menus. Their routes accept any name.
ELEVENLABS_MODELS = (
    "eleven_v3",
    "eleven_multilingual_v2",
    "eleven_flash_v2_5",
    "eleven_turbo_v2_5",
)
# Names of other speech models that clients send by default.
_FOREIGN = re.compile(r"(?:[\w.-]+/)?kokoro(?:[._-][\w.-]+)?|chatterbox", re.IGNORECASE | re.ASCII)


@dataclass(eq=False)
class LoadedModel:
    """A model of the folder that is loaded, or is being loaded.

    Attributes:
        loading: None once it is loaded.
        tts: None while it is loading, and after it was unloaded.
        num_users: replies that use it, or wait for it.
    """

    loading: asyncio.Task[None] | None = None
    tts: TTS | None = None
    num_users: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether it is loaded and no reply uses it."""
        return self.tts is not None and not self.num_users

    def give_back(self) -> None:
        """Undo one `Models.take`."""
        self.num_users -= 1


class Models:
    """All models of a server.

    Args:
        on_use: awaited with the name of each model of the folder before it is used.

    Raises:
        ConfigError: the folder does not exist, or a model in it has a name of the first one.
    """

    def __init__(
        self,
        first: TTS,
        settings: Settings,
        *,
        on_use: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self.first, self.settings, self.on_use = first, settings, on_use
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()  # least recently used first
        self._past = Stats()  # of engines that were closed
        self._folder = ModelFolder(settings.models)
        if self._folder.path is not None and not self._folder.path.is_dir():
            raise ConfigError(f"the folder of models {settings.models} does not exist")
        if taken := {model_id(first.checkpoint.name), *OPENAI_MODELS} & {*self.in_folder()}:
            raise ConfigError(
                f"a model in {settings.models} has a name that means the first model: rename "
                f"{', '.join(sorted(taken))}"
            )

    def names(self) -> list[str]:
        """The first model, those in the folder, and OpenAI's names for the first."""
        first = model_id(self.first.checkpoint.name)
        return [*dict.fromkeys((first, *self.in_folder(), *OPENAI_MODELS))]

    def in_folder(self) -> dict[str, FolderModel]:
        """The models in the folder, by name; up to 2 s old."""
        return self._folder.models()

    def voices_of(self, model: FolderModel) -> dict[str, Path]:
        """The voice files of a model in the folder, by name."""
        return (
            {**self.first.checkpoint.voices, **model.voices} if model.is_adapter else model.voices
        )

    @property
    def loaded(self) -> list[str]:
        """Names of the loaded models of the folder, the least recently used first."""
        return [name for name, model in self._models.items() if model.tts is not None]

    def stats(self) -> Stats:
        """The statistics of all engines together."""
        engines = [
            model.tts.engine.stats() for model in self._models.values() if model.tts is not None
        ]
        return sum(engines, self.first.engine.stats() + self._past)

    async def take(self, name: str) -> LoadedModel:
        """A model of the folder, loaded if necessary; its `tts` is set until it is given back.

        Raises:
            QueueFullError: all models that may be loaded are speaking.
            CheckpointError: it cannot be loaded, or has another codec.
            ApiError: it was removed from the folder.
        """
        while True:
            model = self._models.get(name)
            if model is not None and model.tts is not None and model.tts.failure is not None:
                await self._unload(self._models.pop(name))  # its engine broke down
                model = self._models.get(name)
            if model is None:
                model = self._begin(name)
            self._models.move_to_end(name)
            model.num_users += 1
            try:
                if self.on_use is not None:
                    await self.on_use(name)
                if model.loading is not None:
                    await asyncio.shield(model.loading)
            except BaseException:
                model.give_back()
                raise
            if model.tts is not None:
                return model
            model.give_back()  # its engine broke down meanwhile, and another request unloaded it

    async def aclose(self) -> None:
        """Close the engines of the folder's models."""
        for model in self._models.values():
            if model.loading is not None:
                model.loading.cancel()
            if model.tts is not None:
                await model.tts.aclose(drain=False)

    def _begin(self, name: str) -> LoadedModel:
        """Start to load a model, and unload another one first if there is no room."""
        found = self.in_folder().get(name)
        if found is None:
            raise unknown_model(name)  # it was removed since its voice was chosen
        replaced: list[LoadedModel] = []
        if len(self._models) >= self.settings.max_models:
            idle = next((name for name, model in self._models.items() if model.is_idle), None)
            if idle is None:
                raise QueueFullError(
                    f"model {found.name!r} is not loaded, and there is no room: "
                    f"{', '.join(self._models)} speak; try again in a moment",
                    num_waiting=0,
                )
            replaced.append(self._models.pop(idle))
        model = self._models[found.name] = LoadedModel()
        model.loading = asyncio.create_task(self._load(found, model, replaced))
        model.loading.add_done_callback(lambda task: self._loaded(found.name, model, task))
        return model

    async def _load(
        self, found: FolderModel, model: LoadedModel, replaced: list[LoadedModel]
    ) -> None:
        while replaced:  # emptied, so that no name holds the memory of a model
            await self._unload(replaced.pop())
        started = time.monotonic()
        model.tts = await asyncio.to_thread(self._open, found)
        log.info("model %s loaded in %.1f s", found.name, time.monotonic() - started)

    def _loaded(self, name: str, model: LoadedModel, task: asyncio.Task[None]) -> None:
        model.loading = None
        has_failed = task.cancelled() or task.exception() is not None
        if has_failed and self._models.get(name) is model:
            del self._models[name]

    async def _unload(self, model: LoadedModel) -> None:
        """Free a model's memory: replies do not hold it, see `causerie.reply.async_stream`."""
        tts, model.tts = model.tts, None
        assert tts is not None
        await tts.aclose(drain=False)
        stats = tts.engine.stats()
        self._past += dataclasses.replace(stats, active=0, waiting=0, prefix_bytes=0)

    def _open(self, found: FolderModel) -> TTS:
        adapter = Adapter.open(found.folder) if found.is_adapter else None
        if adapter is not None and self._is_base(adapter):
            tts = TTS(self._adapted(adapter, found), **_tts_options(self.settings))
        else:
            tts = load_tts(self.settings, found.folder)
        if codec_id(tts) != codec_id(self.first) or tts.sample_rate != self.first.sample_rate:
            raise CheckpointError(
                f"model {found.name} has another codec than {self.first.checkpoint.name}: serve it "
                f"by itself"
            )
        tts.prepare()  # now, as it takes a while, not at the first request
        return tts

    def _is_base(self, adapter: Adapter) -> bool:
        """Whether an adapter belongs to the first model, which is in memory already."""
        first = self.first.checkpoint
        if first.base or has_weights(adapter.folder):  # it is merged already, or there is another
            return False
        return not adapter.base or model_id(adapter.base) == model_id(first.name)

    def _adapted(self, adapter: Adapter, found: FolderModel) -> Checkpoint:
        first = self.first.checkpoint
        with in_one_line():
            model = copy.deepcopy(first.model)
        adapter.merge_into(model, first.codec)
        return dataclasses.replace(
            first, name=found.name, model=model, voices=self.voices_of(found), base=first.name
        )


def load_tts(settings: Settings, source: str | Path | None = None) -> TTS:
    """Load a model with the device, the formats and the limits of the settings.

    Args:
        source: by default the model of the settings.

    Raises:
        CauserieError: as `TTS.from_pretrained` does.
    """
    return TTS.from_pretrained(
        source or settings.model,
        device=settings.device,
        dtype=settings.dtype,
        **_tts_options(settings),
    )


def _tts_options(settings: Settings) -> dict[str, Any]:
    return {
        "max_streams": settings.max_streams,
        "max_queue": settings.max_queue,
        "backbone_format": settings.backbone_format,
        "depth_format": settings.depth_format,
        "fast": settings.fast,
        "lexicon": settings.lexicon or None,
        "normalize": settings.normalize,
        "recognizer": chosen_recognizer(
            settings.recognizer, settings.recognizer_model, settings.recognizer_key
        ),
        "watermark": _watermark(settings),
    }


def _watermark(settings: Settings) -> Watermark | bool:
    if settings.watermark and settings.watermark_key:
        return Watermark.load(settings.watermark_key)
    return settings.watermark


def is_foreign(name: str) -> bool:
    """Whether clients send this name of another model by default; it means the first model."""
    return _FOREIGN.fullmatch(name) is not None


def model_id(name: str) -> str:
    """The name of a model in the API: of a path only the last part."""
    is_path = name.startswith((".", "/", "~")) or "\\" in name
    return name.rstrip("/\\").replace("\\", "/").rpartition("/")[2] if is_path else name
