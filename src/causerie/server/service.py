"""Speech for every protocol: voices by name, models, limits and metrics.

    reply = await service.speak(text, voice="alloy", protocol="http")
    async for pcm in reply: ...

A model of the folder of models is requested by its name, or by a voice of that name, which every
protocol supports. Knows the library's `TTS`, and no protocol.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import time
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causerie.audio.c2pa import Signer
from causerie.audio.formats import Encoder
from causerie.errors import UnknownVoiceError
from causerie.reply.async_stream import AsyncStream, Outcome
from causerie.server.clients import current_client
from causerie.server.dictionaries import Dictionaries
from causerie.server.errors import (
    ApiError,
    retry_after,
    shutting_down,
    to_api_error,
    unknown_model,
)
from causerie.server.metrics import Metrics
from causerie.server.models import LoadedModel, Models, is_foreign
from causerie.server.own_speech import OwnSpeech
from causerie.server.settings import Settings
from causerie.server.texts import CheckedText, TextChecker
from causerie.server.threads import in_store
from causerie.server.voices.cloning import Cloning
from causerie.server.voices.foreign_names import foreign_voice, is_mix
from causerie.server.voices.openai_names import builtin_voices
from causerie.server.voices.store import VoiceInfo, VoiceStore
from causerie.talk.mind import Chat, Mind
from causerie.talk.smart_turn import SmartTurn, find_smart_turn
from causerie.text.growing import Flush
from causerie.tts import Verify
from causerie.voice_file import is_prompt
from causerie.voices import Voice, find_voice, usual_voice

if TYPE_CHECKING:
    from causerie.server.spans import ReplySpan, Tracing

log = logging.getLogger("causerie.server")

#: Typical duration of a reply, to estimate when a slot becomes free.
USUAL_REPLY_S = 2.0
#: Longest name of a voice or a model in a request; Kokoro's clients join several.
MAX_NAME_CHARS = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelVoice(Voice):
    """A voice of a model in the folder of models."""

    model: str


class _ReplyMetrics:
    """Counts one reply, and gives back its model when the reply ends.

    Args:
        model: the model of the reply; None: the first one, which is always loaded.
        span: None if traces are off.
    """

    def __init__(
        self,
        metrics: Metrics,
        protocol: str,
        model: LoadedModel | None,
        span: ReplySpan | None,
    ) -> None:
        self._metrics, self._protocol, self._model = metrics, protocol, model
        self._span = span
        self._has_begun = False
        metrics.num_active += 1

    def on_chunk(self, reply: AsyncStream, num_samples: int) -> None:
        """See `ReplyObserver`."""
        if not self._has_begun:
            self._has_begun = True
            assert reply.first_sound_ms is not None
            seconds = reply.first_sound_ms / 1000
            self._metrics.first_sound_s.labels(self._protocol).observe(seconds)
            if self._span is not None:
                self._span.record_first_audio(reply)
        self._metrics.speech_s.inc(num_samples / reply.sample_rate)

    def on_end(self, reply: AsyncStream, outcome: Outcome) -> None:
        """See `ReplyObserver`."""
        if self._model is not None:
            self._model.give_back()
        self._metrics.num_active -= 1
        self._metrics.replies.labels(self._protocol, outcome).inc()
        self._metrics.count_checks(reply.checks)
        if outcome in ("end", "guard", "limit") and reply.rtf is not None:
            self._metrics.rtf.observe(reply.rtf)
        if self._span is not None:
            self._span.end(reply, outcome)


class SpeechService:
    """The models and voices of a server, with its limits and metrics."""

    def __init__(
        self,
        models: Models,
        store: VoiceStore,
        settings: Settings,
        metrics: Metrics,
        tracing: Tracing | None = None,
    ) -> None:
        self.tts, self.models, self.store = models.first, models, store
        self.settings, self.metrics, self._tracing = settings, metrics, tracing
        self.is_closing = False
        self.mind: Mind | None = None
        if settings.llm:
            self.mind = Chat(settings.llm, settings.llm_model, settings.llm_key or None)
        self.cloning = Cloning(self.tts, store, settings)
        self.own_speech = OwnSpeech()
        cert, key = Path(settings.c2pa_cert), Path(settings.c2pa_key)
        self._signer = Signer(cert, key) if settings.c2pa_cert else None
        self.dictionaries = Dictionaries(store.folder)
        self._aliases = settings.aliases
        self.texts = TextChecker(settings.max_input_chars, is_strict=settings.strict)
        metrics.watch(models.stats)

    def signed(self, encoder: Encoder) -> Encoder:
        """The encoder of a whole file, with the file signed by C2PA if the settings say so."""
        return encoder if self._signer is None else self._signer.around(encoder)

    @functools.cached_property
    def smart_turn(self) -> SmartTurn | None:
        """The model of the ends of turns, which is loaded at first use; None if there is none.

        Raises:
            ConfigError: it cannot be loaded.
        """
        return find_smart_turn(self.settings.turn_model)

    @property
    def sample_rate(self) -> int:
        """The sample rate of all audio, in Hz."""
        return self.tts.sample_rate

    @property
    def default_voice(self) -> str | None:
        """The voice of requests that name none; None if the model has no named voices."""
        checkpoint = self.tts.checkpoint
        return usual_voice(_usual(checkpoint.voices) if checkpoint.base else checkpoint.voices)

    def voice(self, name: str | None, model: str | None = None) -> Voice:
        """A voice: built in, uploaded, a name of another service, or a speaker number.

        May read a file or encode a recording, so call it in a thread.

        Args:
            model: the model that speaks; the name of a model in the folder is a voice as well.
                Without `name`, it may be a voice, as some clients send it.

        Raises:
            UnknownVoiceError: there is no such voice; lists those there are.
            ApiError: there is no such model.
        """
        if name is not None and len(name) > MAX_NAME_CHARS:  # to search similar ones takes seconds
            raise UnknownVoiceError(
                f"no voice has a name of {len(name):,} characters: {MAX_NAME_CHARS} are allowed"
            )
        if model is not None and len(model) > MAX_NAME_CHARS:
            raise unknown_model(model)
        name, model = self._without_alias(name), self._without_alias(model)
        found = self.models.in_folder()
        if model is not None and not self.is_model(model):
            if name is not None or model.isdigit():
                raise unknown_model(model)
            try:
                return self.voice(model)
            except UnknownVoiceError as error:
                raise unknown_model(model) from error
        chosen = found.get(model or "")
        if chosen is None:
            if name not in found or name in self.tts.checkpoint.voices:
                return self._voice(name, self.tts.checkpoint.voices, self.default_voice)
            chosen, name = found[name], None
        voices = self.models.voices_of(chosen)
        default = (
            chosen.name if chosen.name in voices else usual_voice(chosen.voices or _usual(voices))
        )
        voice = self._voice(name, voices, default)
        return ModelVoice(
            name=voice.name,
            speaker=voice.speaker,
            segments=voice.segments,
            notes=voice.notes,
            model=chosen.name,
        )

    def _voice(self, name: str | None, voices: Mapping[str, Path], default: str | None) -> Voice:
        """A voice of the model whose built-in voices these are."""
        if name is None and default == self.tts.checkpoint.default_voice:
            return find_voice(None, voices, default)
        if name is None:
            return find_voice(default, voices)
        same = [one for one in voices if one == name] or [
            one for one in voices if one.casefold() == name.casefold()
        ]
        if same:
            return find_voice(same[0], voices)
        if name.isascii() and name.isdigit() and len(name) < 5:
            return find_voice(int(name), voices)
        if self.store.find(name) is not None:
            return self.store.get(name)
        alias = foreign_voice(name, sorted(voices))
        if alias is not None:
            found = find_voice(alias, voices)
            if is_mix(name):
                note = f"voice: {name} is a mix, which is not supported: {found.name} speaks"
                found = dataclasses.replace(found, notes=(*(found.notes or ()), note))
            return found
        if name.casefold() == "default":
            return self._voice(None, voices, default)
        return self.store.get(name)

    async def find_voice(self, name: str | None, model: str | None = None) -> Voice:
        """A voice, as `voice` finds it; built-in voices do not wait for the store.

        Raises:
            UnknownVoiceError: there is no such voice.
            ApiError: there is no such model.
        """
        is_builtin = not name or name.isdigit() or name in self.tts.checkpoint.voices
        run = asyncio.to_thread if is_builtin else in_store
        return await run(self.voice, name, model)

    def _without_alias(self, name: str | None) -> str | None:
        """The name of a model or voice without the space around it, or what it is an alias of."""
        name = (name or "").strip()
        return self._aliases.get(name.casefold(), name) or None

    def is_model(self, name: str) -> bool:
        """Whether a name means a model: one of `model_names`, an alias, or a foreign one."""
        name = self._without_alias(name) or self.model_names()[0]
        return name in self.model_names() or is_foreign(name)

    def folder_model(self, name: str | None) -> str | None:
        """The model in the folder that a name means; None: the first model."""
        name = self._without_alias(name)
        return name if name in self.models.in_folder() else None

    def model_names(self) -> list[str]:
        """The first model, those in the folder of models, and OpenAI's names for the first."""
        return self.models.names()

    def builtin_voices(self) -> list[VoiceInfo]:
        """The voices of the first model, and one for each model in the folder."""
        infos = builtin_voices(self.tts.voices)
        taken = {info.id for info in infos}
        return infos + [
            VoiceInfo(id=name, name=name, description=f"The model {name}", origin="builtin")
            for name in self.models.in_folder()
            if name not in taken
        ]

    def voices(self) -> list[VoiceInfo]:
        """All voices with a name of their own."""
        return [*self.builtin_voices(), *self.store.info()]

    async def speak(
        self,
        text: CheckedText | AsyncIterable[str | Flush],
        *,
        voice: str | Voice | None = None,
        model: str | None = None,
        verify: bool | None = None,
        is_whole: bool = False,
        allow_silence: bool = True,
        protocol: str,
        **options: Any,
    ) -> AsyncStream:
        """Begin a reply, by `TTS.astream` with the limits and metrics of this server.

        The engine shares its slots and its queue between the clients of `current_client`.

        Args:
            text: a string that `texts` has checked, or a text that is still being written.
            verify: None: as the settings say.
            is_whole: nobody hears the audio before it is complete.
            allow_silence: a text without a word is silence, except in strict mode.
            protocol: a label of the metrics.
            options: other arguments of `TTS.astream`.

        Raises:
            ApiError, CauserieError: see `to_api_error`.
        """
        self.check_open()
        started_ns = time.time_ns()
        if not isinstance(voice, Voice):
            voice = await self.find_voice(voice, model)
        tts, loaded = self.tts, None
        name = voice.model if isinstance(voice, ModelVoice) else self.folder_model(model)
        if name is not None:
            loaded = await self.models.take(name)
            assert loaded.tts is not None
            tts = loaded.tts
        checked = self.settings.verify if verify is None else verify
        try:
            stream = await tts.astream(
                text,
                voice=voice,
                verify="all" if checked and is_whole else checked,
                deadline_s=self.settings.deadline_s,
                client=current_client.get(),
                allow_silence=allow_silence and not self.settings.strict,
                **options,
            )
        except BaseException:
            if loaded is not None:
                loaded.give_back()
            raise
        span = None if self._tracing is None else self._tracing.reply(protocol, started_ns)
        stream.observer = _ReplyMetrics(self.metrics, protocol, loaded, span)
        return stream

    async def aclose(self) -> None:
        """Close all engines; replies in progress are cut off."""
        await self.models.aclose()
        await self.tts.aclose(drain=False)

    def check_open(self) -> None:
        """Raise ApiError if the server is shutting down."""
        if self.is_closing:
            raise shutting_down()

    def report(self, error: BaseException) -> ApiError:
        """Count an error, log it if it is internal, and return it as a client sees it."""
        api_error = to_api_error(error)
        if api_error.status == 500:
            log.error("a request failed", exc_info=error)
        if api_error.code in ("queue_full", "overloaded"):
            api_error.headers.update(retry_after(self.wait_s()))
        self.metrics.errors.labels(api_error.code or "none").inc()
        return api_error

    async def warm_up(self) -> None:
        """Prepare the engine and generate a word, so that no request pays for warming up."""
        await asyncio.to_thread(self.tts.prepare)
        voice = await self.find_voice(None)
        verify: Verify = "all" if self.settings.verify else False  # loads the recognizer
        reply = await self.tts.astream(
            "Hello.", voice=voice, seed=0, max_duration_s=1.0, verify=verify
        )
        async for _ in reply:
            pass

    def wait_s(self) -> float:
        """Estimated seconds until a slot becomes free."""
        waiting = self.tts.engine.stats().waiting
        rounds = (waiting + 1) / self.settings.max_streams
        return min(30.0, max(0.5, USUAL_REPLY_S * rounds / 2))


def _usual(voices: Mapping[str, Path]) -> dict[str, Path]:
    """The voices that an adapter may have by default: not the prompts of its base."""
    return {name: path for name, path in voices.items() if not is_prompt(path)}
