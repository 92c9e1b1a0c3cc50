"""A text-to-speech service for pipecat.

Use `CauserieTTSService` as the TTS stage of a pipeline. Install with ``pip install
"causerie[pipecat]"``.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import NOT_GIVEN, TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.errors import ErrorCategory, classify_http_status_code
from pipecat.utils.tracing.service_decorators import traced_tts

from causerie.errors import ConfigError
from causerie.integrations.agent_conversation import AgentConversation
from causerie.integrations.speech import (
    SAMPLE_RATE,
    AudioStream,
    Local,
    Options,
    SpeechError,
    source,
)
from causerie.tts import TTS

#: Silence after which pipecat gives a reply up, in seconds. A large model on a busy CPU may need
#: more than the 3 s of pipecat for its first sound. pipecat also learns when a reply ends.
SILENCE_S = 20.0


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

    Without further arguments, it loads the bundled model in this process. Each sentence then has
    the latest seconds of the conversation as context: the sentences before it, as far as they were
    played, and the user's own sound, if `ears` are in the pipeline and the model hears others::

        pipeline = Pipeline([transport.input(), stt, tts.ears, user_aggregator, llm, tts, ...])

    With `base_url`, each sentence is a request of its own to ``/v1/audio/speech``, without
    context::

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
        kwargs.setdefault("stop_frame_timeout_s", SILENCE_S)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=merged, **kwargs)
        self._source = source(tts, base_url, model=merged.model, api_key=api_key)
        self._conversation: AgentConversation | None = None
        self._ears: CauserieEars | None = None
        self._bot_started: float | None = None  # by time.monotonic
        if isinstance(self._source, Local):
            self._conversation = AgentConversation(self._source.tts)
            self._ears = CauserieEars(self._conversation)

    @property
    def ears(self) -> CauserieEars:
        """Hears the user for this service: put it between the recognizer and the language model.

        Raises:
            ConfigError: with `base_url`, replies cannot hear the user.
        """
        if self._ears is None:
            raise ConfigError(
                "with base_url, replies cannot hear the user: run the model in this process, or "
                "use the server's Realtime API"
            )
        return self._ears

    def can_generate_metrics(self) -> bool:
        """Whether the service reports metrics: time to first byte and characters."""
        return True

    async def cleanup(self) -> None:
        """Close the connection to the server, or the model that the service loaded."""
        await super().cleanup()
        if self._conversation is not None:
            self._conversation.close()
        await self._source.aclose()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note how much of the replies is played."""
        if self._conversation is not None:
            self._note_playback(self._conversation, frame)
        await super().process_frame(frame, direction)

    def _note_playback(self, conversation: AgentConversation, frame: Frame) -> None:
        started = self._bot_started
        if isinstance(frame, BotStartedSpeakingFrame):
            self._bot_started = started or time.monotonic()
        elif isinstance(frame, BotStoppedSpeakingFrame) and started is not None:
            self._bot_started = None
            conversation.pause()
        elif isinstance(frame, InterruptionFrame):
            self._bot_started = None
            conversation.interrupt(0.0 if started is None else time.monotonic() - started)

    @traced_tts
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Yield the audio of one sentence of the reply `context_id`."""
        audio: AudioStream | None = None
        try:
            await self.start_tts_usage_metrics(text)
            speaker = self._conversation or self._source
            audio = await speaker.speak(text, self._options())
            async for frame in self._stream_audio_frames_from_iterator(
                audio, in_sample_rate=SAMPLE_RATE, context_id=context_id
            ):
                await self.stop_ttfb_metrics()
                yield frame
        except SpeechError as error:
            yield ErrorFrame(error=str(error), exception=error, category=_category(error))
        finally:
            if audio is not None:
                await audio.aclose()  # frees the slot at once if the user interrupts
            await self.stop_ttfb_metrics()

    async def _update_settings(self, delta: TTSSettings) -> dict[str, Any]:
        """Apply changed settings from the next sentence on."""
        changed: dict[str, Any] = await super()._update_settings(delta)
        self._warn_unhandled_updated_settings(changed.keys() & {"model", "language"})
        return changed

    def _options(self) -> Options:
        now = self._settings
        return Options(
            voice=now.voice, temperature=now.temperature, top_k=now.top_k, seed=now.seed,
            speed=now.speed,
        )  # fmt: skip


class CauserieEars(FrameProcessor):
    """Hears the user for a `CauserieTTSService`, whose `ears` it is.

    It passes all frames on. Sound is kept from a little before pipecat notices speech, as the
    speech began there, to when the user stops.
    """

    def __init__(self, conversation: AgentConversation) -> None:
        super().__init__()
        self._conversation = conversation
        self._has_vad = False  # then its frames are what counts, which come earlier

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hear the frame, and pass it on."""
        await super().process_frame(frame, direction)
        self._hear(frame)
        await self.push_frame(frame, direction)

    def _hear(self, frame: Frame) -> None:
        if isinstance(frame, InputAudioRawFrame):
            self._conversation.add_pcm16(
                frame.audio, frame.sample_rate, num_channels=frame.num_channels
            )
        elif isinstance(frame, TranscriptionFrame):
            self._conversation.understand(frame.text)
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._has_vad = True
            self._conversation.start()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._conversation.stop(frame.stop_secs)
        elif isinstance(frame, UserStartedSpeakingFrame) and not self._has_vad:
            self._conversation.start()
        elif isinstance(frame, UserStoppedSpeakingFrame) and not self._has_vad:
            self._conversation.stop()


def _category(error: SpeechError) -> ErrorCategory:
    """Pipecat's category of an error: text that cannot be spoken must not end the service."""
    if error.is_text_error:
        return ErrorCategory.APPLICATION
    if error.status is None:
        return ErrorCategory.CONNECTIVITY
    return classify_http_status_code(error.status)
