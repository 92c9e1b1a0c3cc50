"""A text-to-speech plugin for LiveKit Agents.

Use `TTS` as the `tts` of an `AgentSession`. Install with ``pip install "causerie[livekit]"``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from livekit import rtc
from livekit.agents import (
    AgentSession,
    APIConnectionError,
    APIConnectOptions,
    APIStatusError,
    utils,
)
from livekit.agents import tts as tts_
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr
from livekit.agents.voice import CloseEvent, UserInputTranscribedEvent, UserStateChangedEvent, io

from causerie import tts as ours
from causerie.errors import ConfigError
from causerie.integrations.agent_conversation import AgentConversation, Spoken
from causerie.integrations.speech import (
    SAMPLE_RATE,
    Local,
    Options,
    Source,
    SpeechError,
    source,
)
from causerie.text.growing import FLUSH, Flush


class TTS(tts_.TTS):
    """Text to speech for LiveKit Agents, by a model in this process or by a causerie server.

    Pass it to the session::

        from causerie.integrations.livekit import TTS

        session = AgentSession(tts=TTS(voice="heart"), stt=..., llm=...)

    Without `base_url`, it loads the bundled model in this process, at first use or by `prewarm`. It
    then speaks text while the language model writes it, and the sentences of a reply share their
    prosody. After `hears`, a reply has heard the user, too. With `base_url`, each sentence is a
    request of its own to ``/v1/audio/speech``, without context, and LiveKit's `StreamAdapter`
    splits the text::

        session = AgentSession(tts=TTS(base_url="http://127.0.0.1:8000", api_key="..."), ...)

    Audio is 16-bit mono at 24 kHz. Errors are LiveKit's `APIConnectionError` and `APIStatusError`.

    Args:
        tts: a loaded `causerie.TTS` to use; it stays open when the plugin closes.
        base_url: address of a causerie server, or of any server with OpenAI's speech endpoint.
            Cannot be combined with `tts`.
        api_key: API key of the server.
        model: the checkpoint to load, or the model to request from the server.
        voice: name of a voice, or in this process also the path of a voice file; None: the model's
            default.
        temperature, top_k, seed, speed: see `causerie.TTS.generate`.

    Raises:
        ConfigError: the arguments contradict each other, or `base_url` is not a URL.
    """

    def __init__(
        self,
        *,
        tts: ours.TTS | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        model: str = "petit",
        voice: str | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        speed: float | None = None,
    ) -> None:
        super().__init__(
            capabilities=tts_.TTSCapabilities(streaming=base_url is None, aligned_transcript=False),
            sample_rate=SAMPLE_RATE,
            num_channels=1,
        )
        self._model = model
        self._options = Options(
            voice=voice, temperature=temperature, top_k=top_k, seed=seed, speed=speed
        )
        self._make_source: Callable[[], Source] = functools.partial(
            source, tts, base_url, model=model, api_key=api_key
        )
        self._source: Source | None = (
            None if tts is None and base_url is None else self._make_source()
        )
        self._loading = asyncio.Lock()
        self._hearing: _Hearing | None = None

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._model

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return "causerie"

    def update_options(
        self,
        *,
        voice: NotGivenOr[str | None] = NOT_GIVEN,
        temperature: NotGivenOr[float | None] = NOT_GIVEN,
        top_k: NotGivenOr[int | None] = NOT_GIVEN,
        seed: NotGivenOr[int | None] = NOT_GIVEN,
        speed: NotGivenOr[float | None] = NOT_GIVEN,
    ) -> None:
        """Change options from the next reply on."""
        given = {
            "voice": voice, "temperature": temperature, "top_k": top_k, "seed": seed,
            "speed": speed,
        }  # fmt: skip
        changes: Any = {name: value for name, value in given.items() if utils.is_given(value)}
        self._options = dataclasses.replace(self._options, **changes)

    def prewarm(self) -> None:
        """Load the model now if it is not loaded."""
        if self._source is None:
            self._source = self._make_source()

    async def ready(self) -> Source:
        """The source of speech; loads the model if it is not loaded."""
        async with self._loading:
            if self._source is None:
                self._source = await asyncio.to_thread(self._make_source)
            return self._source

    async def hears(self, session: AgentSession[Any]) -> None:
        """Let replies hear the user of a session.

        Call it once the session has started::

            await session.start(agent, room=room)
            await tts.hears(session)

        The latest seconds of both speakers are context of each reply: the user's turns with their
        sound, if the model hears others, and earlier replies as far as they were played.

        One TTS hears one session: the next one only once that has ended.

        Raises:
            ConfigError: with `base_url`; or the session has no sound, or has not started; or this
                TTS hears a session already.
        """
        source = await self.ready()
        if not isinstance(source, Local):
            raise ConfigError(
                "with base_url, replies cannot hear the user: run the model in this process, or "
                "use the server's Realtime API"
            )
        if session.input.audio is None or session.output.audio is None:
            raise ConfigError("the session has no sound yet: call hears after session.start")
        if self._hearing is not None and not self._hearing.is_closed:
            raise ConfigError("this TTS hears a session already: make a TTS for each session")
        self._hearing = _Hearing(AgentConversation(source.tts, reports_begin=True), session)

    async def speaker(self) -> Source | AgentConversation:
        """What speaks the replies; loads the model if it is not loaded."""
        if self._hearing is None or self._hearing.is_closed:
            return await self.ready()
        return self._hearing.conversation

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> ChunkedStream:
        """Synthesise a complete text."""
        return ChunkedStream(ours=self, text=text, conn_options=conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> SynthesizeStream:
        """Synthesise text that arrives in parts: `push_text`, `flush`, `end_input`.

        Raises:
            NotImplementedError: with `base_url`; sessions then use a `StreamAdapter` on their own.
        """
        if not self.capabilities.streaming:
            raise NotImplementedError(
                "with base_url, each sentence is one request: wrap this TTS in a StreamAdapter"
            )
        return SynthesizeStream(ours=self, conn_options=conn_options)

    async def aclose(self) -> None:
        """Close the connection to the server, or the model that the plugin loaded."""
        if self._hearing is not None:
            self._hearing.close()
            self._hearing = None
        if self._source is not None:
            await self._source.aclose()
            self._source = None


class ChunkedStream(tts_.ChunkedStream):
    """The speech of a complete text."""

    def __init__(self, *, ours: TTS, text: str, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=ours, input_text=text, conn_options=conn_options)
        self._ours, self._options = ours, ours._options

    async def _run(self, output_emitter: tts_.AudioEmitter) -> None:
        _begin(output_emitter, is_stream=False)
        await _speak(self._ours, self.input_text, self._options, output_emitter)
        output_emitter.flush()


class SynthesizeStream(tts_.SynthesizeStream):
    """The speech of a text that arrives in parts."""

    def __init__(self, *, ours: TTS, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=ours, conn_options=conn_options)
        self._ours, self._options = ours, ours._options

    async def _run(self, output_emitter: tts_.AudioEmitter) -> None:
        _begin(output_emitter, is_stream=True)
        output_emitter.start_segment(segment_id=utils.shortuuid())
        first, text = await self._first(), None
        if first is not None:
            self._mark_started()
            text = self._text(first)
            await _speak(self._ours, text, self._options, output_emitter)
        output_emitter.end_segment()

    async def _first(self) -> str | None:
        """The first part that is not blank; None if there is none, which is not an error."""
        async for part in self._input_ch:
            if isinstance(part, str) and part.strip():
                return part
        return None

    async def _text(self, first: str) -> AsyncIterator[str | Flush]:
        yield first
        async for part in self._input_ch:
            yield part if isinstance(part, str) else FLUSH


def _begin(emitter: tts_.AudioEmitter, *, is_stream: bool) -> None:
    emitter.initialize(
        request_id=utils.shortuuid(),
        sample_rate=SAMPLE_RATE,
        num_channels=1,
        mime_type="audio/pcm",
        stream=is_stream,
    )


class _Hearing:
    """Tells a conversation what a session hears and plays, until the session or the TTS ends.

    Attributes:
        is_closed: whether it is over.
    """

    def __init__(self, conversation: AgentConversation, session: AgentSession[Any]) -> None:
        assert session.input.audio is not None
        assert session.output.audio is not None
        self.conversation, self.is_closed = conversation, False
        self._playing: Spoken | None = None
        self._session = session
        self._input = session.input.audio = _Input(conversation, session.input.audio)
        output = session.output.audio
        self._handlers: list[tuple[Any, Any, Callable[[Any], None]]] = [
            (session, "user_state_changed", self._on_user_state),
            (session, "user_input_transcribed", self._on_words),
            (session, "close", self._on_close),
            (output, "playback_started", self._on_begin),
            (output, "playback_finished", self._on_end),
        ]
        for emitter, event, handler in self._handlers:
            emitter.on(event, handler)

    def close(self) -> None:
        """Leave the session as it was."""
        if self.is_closed:
            return
        self.is_closed = True
        for emitter, event, handler in self._handlers:
            emitter.off(event, handler)
        if self._session.input.audio is self._input:
            self._session.input.audio = self._input.source
        self.conversation.close()

    def _on_close(self, _: CloseEvent) -> None:
        self.close()

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self.conversation.start()
        else:
            # The event says when the speech ended, which a detector notices later.
            self.conversation.stop(max(0.0, time.time() - event.created_at))

    def _on_words(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final:
            self.conversation.understand(event.transcript)

    def _on_begin(self, _: io.PlaybackStartedEvent) -> None:
        self._playing = self._playing or self.conversation.begin()

    def _on_end(self, event: io.PlaybackFinishedEvent) -> None:
        reply, self._playing = self._playing, None
        if reply is not None:
            played_s = event.playback_position if event.interrupted else None
            self.conversation.finish(reply, played_s)


class _Input(io.AudioInput):
    """The user's sound, which a conversation hears on its way."""

    def __init__(self, conversation: AgentConversation, source: io.AudioInput) -> None:
        super().__init__(label="causerie", source=source)
        self._conversation = conversation

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await super().__anext__()
        self._conversation.add_pcm16(frame.data, frame.sample_rate, num_channels=frame.num_channels)
        return frame


async def _speak(
    plugin: TTS,
    text: str | AsyncIterator[str | Flush],
    options: Options,
    emitter: tts_.AudioEmitter,
) -> None:
    """Push the audio of a text to LiveKit as it is made.

    Raises:
        APIError: the subclass from which LiveKit decides whether to retry.
    """
    try:
        audio = await (await plugin.speaker()).speak(text, options)
        try:
            async for data in audio:
                emitter.push(data)
        finally:
            await audio.aclose()  # frees the slot at once if the reply is interrupted
    except SpeechError as error:
        if error.status is None:
            raise APIConnectionError(str(error)) from error
        raise APIStatusError(
            str(error), status_code=error.status, request_id=error.request_id, body=None
        ) from error
