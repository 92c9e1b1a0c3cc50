"""A text-to-speech service for pipecat.

Use `CauserieTTSService` as the TTS stage of a pipeline. Install with ``pip install
"causerie[pipecat]"``.
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

from causerie.integrations.speech import SAMPLE_RATE, AudioStream, Options, SpeechError, source
from causerie.prompt import Segment
from causerie.tts import TTS


@dataclass
class CauserieTTSSettings(TTSSettings):
    """Settings of `CauserieTTSService`, besides pipecat's own `model`, `voice` and `language`.

    A `TTSUpdateSettingsFrame` changes them while the pipeline runs, except for `model` and
    `language`.

    Attributes:
        temperature: sampling temperature; 0 always takes the most likely code; None: the model's
            default.
        top_k: number of most likely codes to sample from; None: the model's default.
        seed: the same seed gives the same audio; None: a random seed for each sentence.
        speed: 0.25 to 4.0; None: as the model speaks.
    """

    temperature: Any = field(default_factory=lambda: NOT_GIVEN)
    top_k: Any = field(default_factory=lambda: NOT_GIVEN)
    seed: Any = field(default_factory=lambda: NOT_GIVEN)
    speed: Any = field(default_factory=lambda: NOT_GIVEN)


class CauserieTTSService(TTSService):
    """Text to speech for pipecat, by a model in this process or by a causerie server.

    Put it after the language model of a pipeline::

        from causerie.integrations.pipecat import CauserieTTSService

        tts = CauserieTTSService(settings=CauserieTTSService.Settings(voice="heart"))
        pipeline = Pipeline([transport.input(), stt, llm, tts, transport.output()])

    Without further arguments, it loads the bundled model in this process. In this process, the
    sentences of a reply share their prosody: each gets the first sentence and the previous one as
    context. With `base_url`, each sentence is a request of its own to ``/v1/audio/speech``::

        tts = CauserieTTSService(base_url="http://127.0.0.1:8000", api_key="...")

    Audio is 16-bit mono at 24 kHz; pipecat resamples it to the output's rate. An interruption stops
    the synthesis at once. Errors arrive as `ErrorFrame`; text that cannot be spoken, such as a lone
    emoji, does not end the pipeline.

    Args:
        tts: a loaded `causerie.TTS` to use; it stays open when the service ends.
        base_url: address of a causerie server, or of any server with OpenAI's speech endpoint.
            Cannot be combined with `tts`.
        api_key: API key of the server.
        settings: `model` (default "petit"), `voice`, `temperature`, `top_k`, `seed` and
            `speed`. In this process, `voice` may also be the path of a voice file.
        kwargs: passed on to pipecat's `TTSService`.

    Raises:
        ConfigError: the arguments contradict each other, or `base_url` is not a URL.
        CheckpointError: the model cannot be loaded.
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
        merged = self.Settings(
            model="petit", voice=None, language=None, temperature=None, top_k=None, seed=None,
            speed=None,
        )  # fmt: skip
        if settings is not None:
            merged.apply_update(settings)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=merged, **kwargs)
        self._source = source(tts, base_url, model=merged.model, api_key=api_key)
        self._reply_id = ""  # pipecat's context_id of the latest sentence
        self._context: list[Segment] = []  # sentences of that reply for the next one to continue

    def can_generate_metrics(self) -> bool:
        """Whether the service reports metrics: time to first byte and characters."""
        return True

    async def cleanup(self) -> None:
        """Close the connection to the server, or the model that the service loaded."""
        await super().cleanup()
        await self._source.aclose()

    @traced_tts
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Yield the audio of one sentence of the reply `context_id`."""
        audio: AudioStream | None = None
        try:
            await self.start_tts_usage_metrics(text)
            context = self._context if context_id == self._reply_id else []
            audio = await self._source.speak(text, self._options(), context=context)
            async for frame in self._stream_audio_frames_from_iterator(
                audio, in_sample_rate=SAMPLE_RATE, context_id=context_id
            ):
                await self.stop_ttfb_metrics()
                yield frame
            # The first sentence keeps the voice stable, the previous one the prosody.
            self._reply_id, self._context = context_id, [*context[:1], *audio.said()[-1:]]
        except SpeechError as error:
            yield ErrorFrame(error=str(error), exception=error, category=_category(error))
        finally:
            if audio is not None:
                await audio.aclose()  # frees the slot at once if the user interrupts
            await self.stop_ttfb_metrics()

    async def _update_settings(self, delta: TTSSettings) -> dict[str, Any]:
        """Apply changed settings from the next sentence on."""
        changed: dict[str, Any] = await super()._update_settings(delta)
        if "voice" in changed:
            self._context = []
        self._warn_unhandled_updated_settings(changed.keys() & {"model", "language"})
        return changed

    def _options(self) -> Options:
        now = self._settings
        return Options(
            voice=now.voice, temperature=now.temperature, top_k=now.top_k, seed=now.seed,
            speed=now.speed,
        )  # fmt: skip


def _category(error: SpeechError) -> ErrorCategory:
    """Pipecat's category of an error: text that cannot be spoken must not end the service."""
    if error.is_text_error:
        return ErrorCategory.APPLICATION
    if error.status is None:
        return ErrorCategory.CONNECTIVITY
    return classify_http_status_code(error.status)
