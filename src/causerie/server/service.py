"""What every protocol asks for speech: voices by name, limits, and numbers.

    speech = await service.speak("Hello.", voice="alloy", protocol="http")
    async for pcm in speech: ...

A model of the folder of models is asked for by its name, or is a voice of that name, which every
protocol can name. Knows the library's `TTS`, and no protocol.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream, Outcome
from causerie.server.errors import ApiError, retry_after, shutting_down, to_api_error
from causerie.server.metrics import Metrics
from causerie.server.models import LoadedModel, Models
from causerie.server.settings import Settings
from causerie.server.voices.cloning import Cloning
from causerie.server.voices.openai_names import builtin_voices, openai_voice
from causerie.server.voices.store import VoiceInfo, VoiceStore
from causerie.text.growing import Flush
from causerie.text.ssml import HEAD_CHARS, is_ssml
from causerie.voices import Voice, find_voice

log = logging.getLogger("causerie.server")

#: How long a reply takes, to say when there may be room again.
USUAL_REPLY_S = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelVoice(Voice):
    """A voice of a model in the folder of models, by its name."""

    model: str


class _ReplyMetrics:
    """Counts one reply, and gives back its model when the reply ends.

    Args:
        model: the model of the reply; None: the first one, which is always loaded.
    """

    def __init__(self, metrics: Metrics, protocol: str, model: LoadedModel | None) -> None:
        self._metrics, self._protocol, self._model = metrics, protocol, model
        self._has_begun = False
        metrics.num_active += 1

    def on_piece(self, reply: AsyncStream, num_samples: int) -> None:
        """See `ReplyObserver`."""
        if not self._has_begun:
            self._has_begun = True
            assert reply.first_sound_ms is not None
            seconds = reply.first_sound_ms / 1000
            self._metrics.first_sound_s.labels(self._protocol).observe(seconds)
        self._metrics.speech_s.inc(num_samples / reply.sample_rate)

    def on_end(self, reply: AsyncStream, outcome: Outcome) -> None:
        """See `ReplyObserver`."""
        if self._model is not None:
            self._model.give_back()
        self._metrics.num_active -= 1
        self._metrics.replies.labels(self._protocol, outcome).inc()
        if outcome in ("end", "limit") and reply.rtf is not None:
            self._metrics.rtf.observe(reply.rtf)


class SpeechService:
    """Models, their voices, and the rules by which they speak."""

    def __init__(
        self, models: Models, store: VoiceStore, settings: Settings, metrics: Metrics
    ) -> None:
        self.tts, self.models, self.store = models.first, models, store
        self.settings, self.metrics = settings, metrics
        self.is_closing = False
        self.cloning = Cloning(self.tts, store, settings)
        metrics.watch(models.stats)

    @property
    def sample_rate(self) -> int:
        """Of all speech, in Hz."""
        return self.tts.sample_rate

    @property
    def default_voice(self) -> str | None:
        """Of those who ask for none; None where the model has no named ones."""
        return _default(self.tts.voices)

    def voice(self, name: str | None, model: str | None = None) -> Voice:
        """The voice that is meant: a built-in one, an uploaded one, OpenAI's name, or a number.

        It may read a file, or encode a recording anew: call it in a thread.

        Args:
            model: whose voice, where it is one in the folder; their names are voices too.

        Raises:
            UnknownVoiceError: there is none; says which there are.
        """
        found = self.models.found()
        meant = found.get(model or "")
        if meant is None:
            if name not in found or name in self.tts.checkpoint.voices:
                return self._voice(name, self.tts.checkpoint.voices, self.default_voice)
            meant, name = found[name], None
        voices = self.models.voices_of(meant)
        own = meant.name if meant.name in voices else _default(meant.voices or voices)
        voice = self._voice(name, voices, own)
        return ModelVoice(
            name=voice.name, speaker=voice.speaker, segments=voice.segments, model=meant.name
        )

    def _voice(self, name: str | None, voices: Mapping[str, Path], default: str | None) -> Voice:
        """A voice of the model that has these."""
        if name is None:
            return find_voice(default, voices)
        if name in voices:
            return find_voice(name, voices)
        if name.isascii() and name.isdigit() and len(name) < 5:
            return find_voice(int(name), voices)
        if self.store.find(name) is not None:
            return self.store.get(name)
        meant = openai_voice(name, sorted(voices))
        if meant is not None:
            return find_voice(meant, voices)
        return self.store.get(name)

    def model_names(self) -> list[str]:
        """The first model, those in the folder of models, and OpenAI's names for the first."""
        return self.models.names()

    def builtin_voices(self) -> list[VoiceInfo]:
        """Those of the first model, and one for each in the folder of models."""
        infos = builtin_voices(self.tts.voices)
        taken = {info.id for info in infos}
        return infos + [
            VoiceInfo(id=name, name=name, description=f"The model {name}", origin="builtin")
            for name in self.models.found()
            if name not in taken
        ]

    def voices(self) -> list[VoiceInfo]:
        """All that can be asked for by a name of their own."""
        return [*self.builtin_voices(), *self.store.info()]

    async def speak(
        self,
        text: str | AsyncIterable[str | Flush],
        *,
        voice: str | Voice | None = None,
        model: str | None = None,
        context: Sequence[Segment] = (),
        temperature: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        max_duration_s: float | None = None,
        continues: bool = False,
        protocol: str,
    ) -> AsyncStream:
        """`TTS.astream`, with the limits of this server, and counted.

        Raises:
            ApiError, CauserieError: as `to_api_error` tells them; nothing was made then.
        """
        self.check_open()
        if isinstance(text, str):
            self.check_text(text)
        else:
            text = _without_ssml(text)
        if not isinstance(voice, Voice):
            voice = await asyncio.to_thread(self.voice, voice, model)
        name = voice.model if isinstance(voice, ModelVoice) else model
        kept = await self.models.take(name) if name in self.models.found() else None
        tts = self.tts if kept is None or kept.tts is None else kept.tts
        settings: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "seed": seed}
        try:
            stream = await tts.astream(
                text,
                voice=voice,
                context=context,
                max_duration_s=max_duration_s,
                deadline_s=self.settings.deadline_s,
                continues=continues,
                **settings,
            )
        except BaseException:
            if kept is not None:
                kept.give_back()
            raise
        stream.observer = _ReplyMetrics(self.metrics, protocol, kept)
        return stream

    async def aclose(self) -> None:
        """End all engines: what is being spoken is broken off."""
        await self.models.aclose()
        await self.tts.aclose(drain=False)

    def check_open(self) -> None:
        """Raise ApiError where no new speech is begun any more."""
        if self.is_closing:
            raise shutting_down()

    def check_text(self, text: str) -> None:
        """Raise ApiError where a text is empty or too long."""
        if not text.strip():
            raise ApiError("the text is empty: there is nothing to speak", code="empty_input",
                           param="input")  # fmt: skip
        check_plain(text)
        self.check_length(len(text))

    def check_length(self, num_chars: int) -> None:
        """Raise ApiError where a text, or all texts of a request, are too long."""
        limit = self.settings.max_input_chars
        if num_chars > limit:
            raise ApiError(
                f"the text has {num_chars:,} characters, at most {limit:,} are spoken at once: "
                f"give it in parts",
                code="string_above_max_length",
                param="input",
            )

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
        """Speak a word to nobody, so that the first who asks does not wait for warming up."""
        voice = await asyncio.to_thread(self.voice, None)
        speech = await self.tts.astream("Hello.", voice=voice, seed=0, max_duration_s=1.0)
        async for _ in speech:
            pass

    def wait_s(self) -> float:
        """In how many seconds there may be room again."""
        waiting = self.tts.engine.stats().waiting
        rounds = (waiting + 1) / self.settings.max_streams
        return min(30.0, max(0.5, USUAL_REPLY_S * rounds / 2))


def check_plain(text: str) -> None:
    """Raise ApiError for SSML, whose tags would be read aloud, or left out without a word."""
    if is_ssml(text):
        raise ApiError(
            "SSML is understood by /v1/audio/speech alone: send plain text",
            status=403,
            type="permission_error",
            code="ssml_not_supported",
            param="input",
        )


async def _without_ssml(text: AsyncIterable[str | Flush]) -> AsyncIterator[str | Flush]:
    """The parts of a text that grows, as long as it does not begin as SSML."""
    head = ""
    async for part in text:
        if isinstance(part, str) and len(head) < HEAD_CHARS:
            head = (head + part).lstrip()[:HEAD_CHARS]
            check_plain(head)
        yield part


def _default(voices: Collection[str]) -> str | None:
    """Who speaks where nobody says who."""
    return "heart" if "heart" in voices else min(voices, default=None)
