"""What a Realtime client's sound is: its format, and when its turns begin and end."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.audio.formats import from_telephone
from causerie.conversation import Conversation
from causerie.errors import CauserieError
from causerie.recognition.whisper import Recognizer, in_language
from causerie.server.errors import ApiError
from causerie.server.realtime.messages import FORMATS, RATES, Audio, TurnDetection
from causerie.talk.activity import Silero
from causerie.talk.ears import Ears
from causerie.talk.turn_detector import IsComplete, Settings, TurnDetector
from causerie.tts import TTS

#: Silence that ends a turn in any case, by the eagerness of semantic_vad.
_SILENCE_MS = {"low": 1500, "medium": 800, "auto": 800, "high": 400}
#: Probability that the speaker has finished, which ends a turn before that.
_MIN_COMPLETE = {"low": 0.8, "medium": 0.5, "auto": 0.5, "high": 0.3}


class Hearing:
    """The settings of a session's input, and the ears that obey them.

    Attributes:
        kind: format of the sound.
        detection: None: the client says where turns end.
        transcribes: whether the client gets transcripts.
        language: of the user; None: that of the recognizer.
    """

    def __init__(self) -> None:
        self.kind = "audio/pcm"
        self.detection: TurnDetection | None = TurnDetection(type="server_vad")
        self.transcribes = False
        self.language: str | None = None

    def changed(self, audio: Audio | None) -> Hearing:
        """The settings with those that a client gives.

        Raises:
            ApiError: the rate does not fit the format.
        """
        options = None if audio is None else audio.input
        if options is None:
            return self
        new = Hearing()
        new.kind, new.detection, new.transcribes = self.kind, self.detection, self.transcribes
        new.language = self.language
        if options.format is not None:
            options.format.check_rate("audio.input.format.rate")
            new.kind = options.format.type
        if options.turn_detection is not None:
            detection = options.turn_detection
            new.detection = None if detection.type == "none" else detection
        if options.transcription is not None:
            new.transcribes = options.transcription.type != "none"
            new.language = options.transcription.language
        return new

    def hears_as(self, other: Hearing) -> bool:
        """Whether ears of other settings would hear the same."""
        own = (self.kind, self.detection, self.language)
        return own == (other.kind, other.detection, other.language)

    @property
    def is_semantic(self) -> bool:
        """Whether turns end by how the speech sounds."""
        return self.detection is not None and self.detection.type == "semantic_vad"

    @property
    def wants_partial(self) -> bool:
        """Whether the client gets words while they are spoken.

        If it says where turns end, it does not know the item of a turn before that.
        """
        return self.transcribes and self.detection is not None

    def json(self) -> dict[str, Any]:
        """The settings in OpenAI's format."""
        detection = None
        if self.detection is not None:
            own = {"threshold", "prefix_padding_ms", "silence_duration_ms"}
            left_out = {"eagerness"} if self.detection.type == "server_vad" else own
            detection = self.detection.model_dump(exclude=left_out)
        transcription = None
        if self.transcribes:
            transcription = {"model": "whisper-1", "language": self.language}
        return {
            "format": {"type": self.kind, "rate": RATES[self.kind]},
            "turn_detection": detection,
            "transcription": transcription,
            "noise_reduction": None,
        }

    def samples(self, audio: str) -> NDArray[np.float32]:
        """The samples (N,) of a message.

        Raises:
            ApiError: it is not base64, or ends within a sample.
        """
        try:
            data = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ApiError(
                f"audio is not base64: {error}", code="invalid_value", param="audio"
            ) from None
        if self.kind != "audio/pcm":
            return from_telephone(data, FORMATS[self.kind])
        if len(data) % 2:
            raise ApiError(
                f"audio has {len(data):,} bytes, which are not samples of 16 bits",
                code="invalid_value",
                param="audio",
            )
        samples: NDArray[np.float32] = np.frombuffer(data, "<i2") * np.float32(2**-15)
        return samples

    def recognizer(self, tts: TTS) -> Recognizer:
        """The recognizer of a `TTS`, which this loads, for the user's language.

        Raises:
            ConfigError: it cannot be loaded, or does not know the language.
        """
        return in_language(tts.recognizer, self.language)

    def check_language(self, tts: TTS) -> None:
        """Raise ConfigError if the recognizer, which this loads, does not know the language.

        A recognizer that cannot be loaded is reported when there is sound.
        """
        try:
            recognizer = tts.recognizer
        except CauserieError:
            return
        in_language(recognizer, self.language)

    def ears(
        self, conversation: Conversation, recognizer: Recognizer, is_complete: IsComplete | None
    ) -> Ears:
        """Ears for a session; they hear no silence if the client says where turns end.

        Args:
            is_complete: for semantic_vad, which is by silence alone without it.
        """
        detection = self.detection
        if detection is None:
            detector = TurnDetector.of_button()
        elif detection.type == "server_vad":
            settings = Settings(
                threshold=detection.threshold,
                padding_ms=detection.prefix_padding_ms,
                silence_ms=detection.silence_duration_ms,
            )
            detector = TurnDetector(Silero(), settings)
        else:
            settings = Settings(
                silence_ms=_SILENCE_MS[detection.eagerness],
                is_complete=is_complete,
                min_complete=_MIN_COMPLETE[detection.eagerness],
            )
            detector = TurnDetector(Silero(), settings)
        return Ears(
            detector,
            recognizer,
            conversation.listen,
            RATES[self.kind],
            wants_partial=self.wants_partial,
        )
