"""causerie as a text-to-speech plugin of LiveKit's agents.

    session = AgentSession(tts=TTS(), ...)  # the bundled model, in this process
    session = AgentSession(tts=TTS(base_url="http://127.0.0.1:8000"), ...)  # a server

In this process, text is spoken while the language model writes it, sentence by sentence, as one
reply. A server is asked sentence by sentence, by LiveKit's own `StreamAdapter`. Needs the extra
`livekit`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, utils
from livekit.agents import tts as tts_
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from causerie import tts as ours
from causerie.integrations.speech import SAMPLE_RATE, Options, Source, SpeechError, source
from causerie.text.growing import FLUSH, Flush


class TTS(tts_.TTS):
    """Speaks by a `causerie.TTS` in this process, or by a server.

    Args:
        tts: that makes the speech; without it and a base_url one is loaded from the model, when it
            is first needed, or by `prewarm`.
        base_url: of a server.
        api_key: of that server, where it wants one.
        model: a checkpoint, or what the server is asked for.
        voice: a name; None is the model's own.
        temperature, top_k, seed: see `causerie.TTS.generate`.

    Raises:
        ConfigError: contradictory settings.
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
    ) -> None:
        super().__init__(
            capabilities=tts_.TTSCapabilities(streaming=base_url is None, aligned_transcript=False),
            sample_rate=SAMPLE_RATE,
            num_channels=1,
        )
        self._model, self._how = (
            model,
            Options(voice=voice, temperature=temperature, top_k=top_k, seed=seed),
        )
        self._make: Callable[[], Source] = functools.partial(
            source, tts, base_url, model=model, api_key=api_key
        )
        self._source: Source | None = None if tts is None and base_url is None else self._make()
        self._making = asyncio.Lock()

    @property
    def model(self) -> str:
        """What speaks."""
        return self._model

    @property
    def provider(self) -> str:
        """Whose it is."""
        return "causerie"

    def update_options(
        self,
        *,
        voice: NotGivenOr[str | None] = NOT_GIVEN,
        temperature: NotGivenOr[float | None] = NOT_GIVEN,
        top_k: NotGivenOr[int | None] = NOT_GIVEN,
        seed: NotGivenOr[int | None] = NOT_GIVEN,
    ) -> None:
        """Change how the next replies are spoken."""
        given = {"voice": voice, "temperature": temperature, "top_k": top_k, "seed": seed}
        changes: Any = {name: value for name, value in given.items() if utils.is_given(value)}
        self._how = dataclasses.replace(self._how, **changes)

    def prewarm(self) -> None:
        """Load the model now, where it is not yet loaded."""
        if self._source is None:
            self._source = self._make()

    async def ready(self) -> Source:
        """Where the speech comes from; loads the model where it is not yet loaded."""
        async with self._making:
            if self._source is None:
                self._source = await asyncio.to_thread(self._make)
            return self._source

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> ChunkedStream:
        """Speak a text."""
        return ChunkedStream(ours=self, text=text, conn_options=conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> SynthesizeStream:
        """Speak text as it is written: `push_text`, `flush`, `end_input`.

        Raises:
            NotImplementedError: by a server; sessions then take a `StreamAdapter` themselves.
        """
        if not self.capabilities.streaming:
            raise NotImplementedError("a server is asked sentence by sentence: use a StreamAdapter")
        return SynthesizeStream(ours=self, conn_options=conn_options)

    async def aclose(self) -> None:
        """Free what it took."""
        if self._source is not None:
            await self._source.aclose()
            self._source = None


class ChunkedStream(tts_.ChunkedStream):
    """The speech of a whole text."""

    def __init__(self, *, ours: TTS, text: str, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=ours, input_text=text, conn_options=conn_options)
        self._ours, self._how = ours, ours._how

    async def _run(self, output_emitter: tts_.AudioEmitter) -> None:
        _begin(output_emitter, is_stream=False)
        await _speak(await self._ours.ready(), self.input_text, self._how, output_emitter)
        output_emitter.flush()


class SynthesizeStream(tts_.SynthesizeStream):
    """The speech of a text that grows."""

    def __init__(self, *, ours: TTS, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=ours, conn_options=conn_options)
        self._ours, self._how = ours, ours._how

    async def _run(self, output_emitter: tts_.AudioEmitter) -> None:
        _begin(output_emitter, is_stream=True)
        output_emitter.start_segment(segment_id=utils.shortuuid())
        first, text = await self._first(), None
        if first is not None:
            self._mark_started()
            text = self._text(first)
            await _speak(await self._ours.ready(), text, self._how, output_emitter)
        output_emitter.end_segment()

    async def _first(self) -> str | None:
        """The first text that is not empty; None where none comes: that is no error."""
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


async def _speak(
    where: Source,
    text: str | AsyncIterator[str | Flush],
    how: Options,
    emitter: tts_.AudioEmitter,
) -> None:
    """Push the sound of a text as it is made.

    Raises:
        APIError: LiveKit's, of the kind that tells it whether to try again.
    """
    try:
        sound = await where.speak(text, how)
        try:
            async for data in sound:
                emitter.push(data)
        finally:
            await sound.aclose()  # also where it is interrupted
    except SpeechError as error:
        if error.status is None:
            raise APIConnectionError(str(error)) from error
        raise APIStatusError(
            str(error), status_code=error.status, request_id=error.request_id, body=None
        ) from error
