"""causerie as a text-to-speech service of pipecat.

    tts = CauserieTTSService()  # the bundled model, in this process
    tts = CauserieTTSService(base_url="http://127.0.0.1:8000")  # a server
    pipeline = Pipeline([transport.input(), stt, llm, tts, transport.output()])

Sentences of one reply continue each other where the speech is made in this process: each hears the
first and the latest one before it. Needs the extra `pipecat`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.services.settings import NOT_GIVEN, TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.errors import ErrorCategory, classify_http_status_code
from pipecat.utils.tracing.service_decorators import traced_tts

from causerie.integrations.speech import SAMPLE_RATE, Options, Sound, SpeechError, source
from causerie.prompt import Segment
from causerie.tts import TTS


@dataclass
class CauserieTTSSettings(TTSSettings):
    """What can be changed while it runs, by a `TTSUpdateSettingsFrame`.

    Attributes:
        temperature: 0 takes the likeliest always; None: the model's.
        top_k: draw among so many codes; None: the model's.
        seed: the same gives the same sound; None: another each time.
    """

    temperature: Any = field(default_factory=lambda: NOT_GIVEN)
    top_k: Any = field(default_factory=lambda: NOT_GIVEN)
    seed: Any = field(default_factory=lambda: NOT_GIVEN)


class CauserieTTSService(TTSService):
    """Speaks by a `TTS` in this process, or by a server.

    Args:
        tts: that makes the speech; without it and a base_url one is loaded from the model.
        base_url: of a server.
        api_key: of that server, where it wants one.
        settings: model (default petit), voice, temperature, top_k and seed.
        kwargs: for pipecat's `TTSService`.

    Raises:
        ConfigError, CheckpointError: contradictory settings, or no such model.
    """

    Settings = CauserieTTSSettings
    _settings: CauserieTTSSettings

    def __init__(
        self,
        *,
        tts: TTS | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        settings: CauserieTTSSettings | None = None,
        **kwargs: Any,
    ) -> None:
        wanted = self.Settings(
            model="petit", voice=None, language=None, temperature=None, top_k=None, seed=None
        )
        if settings is not None:
            wanted.apply_update(settings)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=wanted, **kwargs)
        self._source = source(tts, base_url, model=wanted.model, api_key=api_key)
        self._reply = ""  # whose sentence was the latest,
        self._said: list[Segment] = []  # and what the next one should continue

    def can_generate_metrics(self) -> bool:
        """Time to first sound, and characters."""
        return True

    async def cleanup(self) -> None:
        """Free what it took."""
        await super().cleanup()
        await self._source.aclose()

    @traced_tts
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak a sentence of the reply `context_id`."""
        sound: Sound | None = None
        try:
            await self.start_tts_usage_metrics(text)
            before = self._said if context_id == self._reply else []
            sound = await self._source.speak(text, self._how(), context=before)
            async for frame in self._stream_audio_frames_from_iterator(
                sound, in_sample_rate=SAMPLE_RATE, context_id=context_id
            ):
                await self.stop_ttfb_metrics()
                yield frame
            # The first sentence holds the voice, the latest one the flow.
            self._reply, self._said = context_id, [*before[:1], *sound.said()[-1:]]
        except SpeechError as error:
            yield ErrorFrame(error=str(error), exception=error, category=_category(error))
        finally:
            if sound is not None:
                await sound.aclose()  # where the user interrupts, its slot is free at once
            await self.stop_ttfb_metrics()

    async def _update_settings(self, delta: TTSSettings) -> dict[str, Any]:
        """Change what can be changed; the voice is the next sentence's."""
        changed: dict[str, Any] = await super()._update_settings(delta)
        if "voice" in changed:
            self._said = []
        self._warn_unhandled_updated_settings(changed.keys() & {"model", "language"})
        return changed

    def _how(self) -> Options:
        now = self._settings
        return Options(voice=now.voice, temperature=now.temperature, top_k=now.top_k, seed=now.seed)


def _category(error: SpeechError) -> ErrorCategory:
    """What pipecat makes of it: a text that cannot be spoken must not end the service."""
    if error.is_of_the_text:
        return ErrorCategory.APPLICATION
    if error.status is None:
        return ErrorCategory.CONNECTIVITY
    return classify_http_status_code(error.status)
