"""What a response says, and how."""

from __future__ import annotations

from causerie.audio import formats
from causerie.conversation import Playback
from causerie.server.errors import ApiError
from causerie.server.realtime.answer import Answer
from causerie.server.realtime.chat import ask
from causerie.server.realtime.floor import Floor
from causerie.server.realtime.items import Items
from causerie.server.realtime.memory import Memory
from causerie.server.realtime.messages import FORMATS, RATES, NewResponse
from causerie.server.realtime.response import Response, Speech
from causerie.server.realtime.settings import OutputSettings, SessionSettings
from causerie.server.service import SpeechService
from causerie.server.texts import CheckedText
from causerie.voices import Voice


class ResponseMaker:
    """Makes the responses that clients ask for.

    Args:
        items: of the conversation, which a response answers unless it has its own input.
    """

    def __init__(
        self, service: SpeechService, settings: SessionSettings, floor: Floor, items: Items
    ) -> None:
        self._service, self._settings, self._floor = service, settings, floor
        self._items = items

    async def make(self, options: NewResponse) -> Response:
        """A response that begins now; its client knows nothing of it yet.

        Raises:
            ApiError: there is nothing to speak.
            CauserieError: see `SpeechService.speak`.
        """
        service, settings = self._service, self._settings
        output = settings.output.changed(options)
        voice = await service.find_voice(output.voice)
        if options.input is None:
            memory, context = self._items.memory, list(self._items)
            answered = [item for item in context if item.role == "user" and not item.is_spoken]
            if options.is_in_conversation:
                self._floor.is_unanswered = False
        else:
            memory = Memory(service.tts.conversation(), self._items.memory.notes)
            context = await self._items.read(options.input, memory)
            answered = [item for item in context if item.role == "user"]
        text: CheckedText | Answer
        text = words = service.texts.joined(CheckedText(item.text) for item in answered)
        is_spoken = output.modality == "audio"
        if service.mind is not None:
            text = ask(service.mind, settings, options, context, is_spoken=is_spoken)
        if not answered and text is words:
            raise ApiError(
                "there is nothing to speak: create an item of role user with input_text first, or "
                "send response.input; its text is spoken word for word, instructions are not",
                code="no_input",
                param="response.input",
            )
        service.check_open()
        limit = options.max_output_tokens or settings.max_output_tokens
        speech = None
        if is_spoken:
            speech = await self._speech(options, output, voice, memory, text, limit)
        return Response(
            options=options,
            conversation=settings.conversation if options.is_in_conversation else None,
            answered=answered,
            text=text,
            speech=speech,
            output=output,
            max_output_tokens=limit,
        )

    async def _speech(
        self,
        options: NewResponse,
        output: OutputSettings,
        voice: Voice,
        memory: Memory,
        text: CheckedText | Answer,
        limit: int | str,
    ) -> Speech:
        """The sound of a response, which begins to be generated."""
        service = self._service
        frame_rate = service.tts.checkpoint.codec.config.frame_rate
        encoder = formats.encoder(
            FORMATS[output.kind], sample_rate=service.sample_rate, out_rate=RATES[output.kind]
        )
        reply = await service.speak(
            text,
            voice=voice,
            context=await memory.context(voice),
            seed=options.seed,
            speed=output.speed,
            max_duration_s=limit / frame_rate if isinstance(limit, int) else None,
            protocol="realtime",
        )
        return Speech(reply=reply, playback=Playback(reply, voice.name), encoder=encoder)
