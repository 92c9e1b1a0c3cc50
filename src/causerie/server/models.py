"""The models of a server: one that is always there, and those that are loaded when asked for.

The latter are in a folder, see `causerie.server.model_folder`. They speak the codes of the first,
as what is fine-tuned from it does, so that uploaded voices and the turns of others are context to
them too. A few are kept, each with an engine of its own; the least recently used one makes room,
and none that speaks. Knows no protocol.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causerie.checkpoint.load import Checkpoint
from causerie.engine.stats import Stats
from causerie.errors import CheckpointError, ConfigError, QueueFullError
from causerie.server.model_folder import ADAPTER, Found, ModelFolder
from causerie.server.settings import Settings
from causerie.server.voices.store import codec_id
from causerie.train.lm.lora import merge_adapter
from causerie.tts import TTS

log = logging.getLogger("causerie.server")

#: What OpenAI calls its models of speech: here they all mean the first model.
OPENAI_MODELS = (
    "tts-1",
    "tts-1-hd",
    "tts-1-1106",
    "tts-1-hd-1106",
    "gpt-4o-mini-tts",
    "gpt-4o-mini-tts-2025-03-20",
    "gpt-4o-mini-tts-2025-12-15",
)


@dataclass(eq=False)
class LoadedModel:
    """A model that is loaded, or being loaded: `give_back` what was taken."""

    loading: asyncio.Task[None] | None = None
    tts: TTS | None = None
    num_users: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody speaks by it, or waits for it."""
        return self.tts is not None and not self.num_users

    def give_back(self) -> None:
        """One that speaks by it fewer."""
        self.num_users -= 1


class Models:
    """All that a server can speak by.

    Attributes:
        on_use: told the name of each that is asked for, before it is loaded.

    Raises:
        ConfigError: there is no folder of that name, or a model in it has the name of the first.
    """

    def __init__(
        self,
        first: TTS,
        settings: Settings,
        *,
        on_use: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self.first, self.settings, self.on_use = first, settings, on_use
        self._kept: OrderedDict[str, LoadedModel] = OrderedDict()
        self._past = Stats()  # of engines that are gone
        self._folder = ModelFolder(settings.models)
        if self._folder.path is not None and not self._folder.path.is_dir():
            raise ConfigError(f"the folder of models {settings.models} does not exist")
        if taken := {model_id(first.checkpoint.name), *OPENAI_MODELS} & {*self.found()}:
            raise ConfigError(
                f"a model in {settings.models} has a name that means the first model: rename "
                f"{', '.join(sorted(taken))}"
            )

    def names(self) -> list[str]:
        """The first model, those in the folder, and OpenAI's names, which mean the first."""
        first = model_id(self.first.checkpoint.name)
        return [*dict.fromkeys((first, *self.found(), *OPENAI_MODELS))]

    def found(self) -> dict[str, Found]:
        """Those in the folder, by name; up to 2 s old."""
        return self._folder.found()

    def voices_of(self, model: Found) -> dict[str, Path]:
        """Files of the voices that one in the folder has, by name."""
        return (
            {**self.first.checkpoint.voices, **model.voices} if model.is_adapter else model.voices
        )

    @property
    def loaded(self) -> list[str]:
        """Names of those in the folder that are loaded, the least recently used first."""
        return [name for name, kept in self._kept.items() if kept.tts is not None]

    def stats(self) -> Stats:
        """What all engines together did and do."""
        engines = [kept.tts.engine.stats() for kept in self._kept.values() if kept.tts is not None]
        return sum(engines, self.first.engine.stats() + self._past)

    async def take(self, name: str) -> LoadedModel:
        """One in the folder, loaded where it is not; its `tts` stays until it is given back.

        Raises:
            QueueFullError: as many as are kept are speaking.
            CheckpointError: it cannot be loaded, or is no model of these codes.
        """
        kept = self._kept.get(name)
        if kept is not None and kept.tts is not None and kept.tts.failure is not None:
            await self._unload(self._kept.pop(name))  # its engine broke down: another try
            kept = self._kept.get(name)
        if kept is None:
            kept = self._begin(self.found()[name])
        self._kept.move_to_end(name)
        kept.num_users += 1
        try:
            if self.on_use is not None:
                await self.on_use(name)
            if kept.loading is not None:
                await asyncio.shield(kept.loading)
        except BaseException:
            kept.give_back()
            raise
        return kept

    async def aclose(self) -> None:
        """End the engines of those in the folder."""
        for kept in self._kept.values():
            if kept.loading is not None:
                kept.loading.cancel()
            if kept.tts is not None:
                await kept.tts.aclose(drain=False)

    def _begin(self, found: Found) -> LoadedModel:
        """Load one, and before it unload another if that takes its place."""
        going: list[LoadedModel] = []
        if len(self._kept) >= self.settings.max_models:
            idle = next((name for name, kept in self._kept.items() if kept.is_idle), None)
            if idle is None:
                raise QueueFullError(
                    f"model {found.name!r} is not loaded, and there is no room: "
                    f"{', '.join(self._kept)} speak; try again in a moment",
                    num_waiting=0,
                )
            going.append(self._kept.pop(idle))
        kept = self._kept[found.name] = LoadedModel()
        kept.loading = asyncio.create_task(self._load(found, kept, going))
        kept.loading.add_done_callback(lambda task: self._loaded(found.name, kept, task))
        return kept

    async def _load(self, found: Found, kept: LoadedModel, going: list[LoadedModel]) -> None:
        while going:
            await self._unload(going.pop())
        started = time.monotonic()
        kept.tts = await asyncio.to_thread(self._open, found)
        log.info("model %s loaded in %.1f s", found.name, time.monotonic() - started)

    def _loaded(self, name: str, kept: LoadedModel, task: asyncio.Task[None]) -> None:
        kept.loading = None
        has_failed = task.cancelled() or task.exception() is not None
        if has_failed and self._kept.get(name) is kept:
            del self._kept[name]

    async def _unload(self, kept: LoadedModel) -> None:
        """Give its memory back: nobody else holds it, see `causerie.reply.async_stream`."""
        tts, kept.tts = kept.tts, None
        assert tts is not None
        await tts.aclose(drain=False)
        stats = tts.engine.stats()
        self._past += dataclasses.replace(stats, active=0, waiting=0, prefix_bytes=0)

    def _open(self, found: Found) -> TTS:
        if found.is_adapter:
            tts = TTS(self._adapted(found), **_engine_options(self.settings))
        else:
            tts = load_tts(self.settings, found.folder)
        if codec_id(tts) != codec_id(self.first) or tts.sample_rate != self.first.sample_rate:
            raise CheckpointError(
                f"model {found.name} has another codec than {self.first.checkpoint.name}: serve it "
                f"by itself"
            )
        _ = tts.engine  # to make it takes long too
        return tts

    def _adapted(self, found: Found) -> Checkpoint:
        first = self.first.checkpoint
        base = _base_of(found.folder)
        if base and model_id(base) != model_id(first.name):
            raise CheckpointError(f"{found.folder} is an adapter of {base}, not of {first.name}")
        model = copy.deepcopy(first.model)
        merge_adapter(model, found.folder)
        return dataclasses.replace(
            first, name=found.name, model=model, voices=self.voices_of(found)
        )


def load_tts(settings: Settings, source: str | Path | None = None) -> TTS:
    """A model as the settings want it.

    Args:
        source: by default the one that the settings name.

    Raises:
        CauserieError: as `TTS.from_pretrained` does.
    """
    return TTS.from_pretrained(
        source or settings.model,
        device=settings.device,
        dtype=settings.dtype,
        **_engine_options(settings),
    )


def _engine_options(settings: Settings) -> dict[str, Any]:
    return {
        "max_streams": settings.max_streams,
        "max_queue": settings.max_queue,
        "backbone_format": settings.backbone_format,
        "depth_format": settings.depth_format,
    }


def _base_of(adapter: Path) -> str:
    """What an adapter was trained from, where it says so."""
    try:
        base = json.loads((adapter / ADAPTER).read_text("utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{adapter / ADAPTER} cannot be read: {error}") from error
    return str(base or "")


def model_id(name: str) -> str:
    """How a model is called here: a path tells only its last part."""
    is_path = name.startswith((".", "/", "~")) or "\\" in name
    return name.rstrip("/\\").replace("\\", "/").rpartition("/")[2] if is_path else name
