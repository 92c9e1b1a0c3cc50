"""Recordings as voices: by what right, and one at a time, since to work one takes a core.

Knows nothing of HTTP but the errors that it is told by.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator

import numpy as np
from numpy.typing import NDArray

from causerie.prompt import Segment
from causerie.server.errors import ApiError, retry_after
from causerie.server.settings import Settings
from causerie.server.voices.consents import UnknownConsentError
from causerie.server.voices.recording import transcribe, voice_sound
from causerie.server.voices.store import VoiceStore
from causerie.tts import TTS
from causerie.voices import Voice

#: In place of a consent's id, where somebody ticked a box.
ATTESTED = "attested"
#: Recordings that may wait to be worked; more get a 429.
MAX_WAITING = 8
#: Voices of single requests that are remembered: their clients send them every time.
MAX_KEPT = 64


class Cloning:
    """The rules of one server, and its workbench."""

    def __init__(self, tts: TTS, store: VoiceStore, settings: Settings) -> None:
        self._tts, self._store, self._settings = tts, store, settings
        self._working, self._num_working = asyncio.Semaphore(1), 0
        self._kept: OrderedDict[bytes, Voice] = OrderedDict()

    def check_allowed(self) -> None:
        """Raise ApiError where no voices are made of recordings."""
        if not self._settings.cloning:
            raise ApiError(
                "this server makes no voices of recordings",
                status=403,
                type="permission_error",
                code="cloning_disabled",
            )

    def basis(self, consent: str, is_attested: bool) -> str:
        """What a new voice rests on, by the policy of the server; reads the disk.

        Raises:
            ApiError: whoever is heard did not agree to be copied, as far as we know.
        """
        if consent:
            try:
                return self._store.consents.get(consent).id
            except UnknownConsentError as error:
                raise no_consent(error) from error
        policy = self._settings.consent
        if policy == "off":
            return ""
        if policy == "attest" and is_attested:
            return ATTESTED
        how = "send the id of a recorded consent as consent (POST /v1/audio/voice_consents)"
        if policy == "attest":
            how += ", or consent_attested=true, by which you say that they do"
        raise ApiError(
            f"whoever is heard in the recording must agree to be copied: {how}",
            code="consent_required",
            param="consent",
        )

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn to work a recording; raises ApiError where too many do."""
        if self._num_working > MAX_WAITING:
            raise ApiError(
                f"{MAX_WAITING} recordings wait to be worked already: try again in a moment",
                status=429,
                type="rate_limit_error",
                code="rate_limit_exceeded",
                headers=retry_after(5),
            )
        self._num_working += 1
        try:
            async with self._working:
                yield
        finally:
            self._num_working -= 1

    def words(self, sound: NDArray[np.float32], ref_text: str, language: str = "en") -> str:
        """What is said in a recording (N,): as somebody wrote, or as a recogniser hears it.

        Raises:
            ApiError: nobody knows.
        """
        text = ref_text.strip()
        if not text and self._settings.transcribe == "auto":
            text = transcribe(sound, self._tts.sample_rate, language) or ""
        if not text:
            raise ApiError(
                "what is said in the recording is missing: send it as ref_text (in OpenAI's SDK "
                "by extra_body), or install causerie[evaluate], which can hear it",
                code="missing_required_parameter",
                param="ref_text",
            )
        return text

    async def voice(self, recording: bytes, ref_text: str) -> Voice:
        """The voice of a recording, which is not stored; whoever speaks with it encodes it.

        Raises:
            ApiError: there is nothing to be copied in it, or too many recordings wait.
        """
        hashed = hashlib.blake2b(recording, digest_size=16)
        hashed.update(ref_text.encode("utf-8", "surrogatepass"))
        key = hashed.digest()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]

        def made() -> Voice:
            rate = self._tts.sample_rate
            sound = voice_sound(recording, rate, "ref_audio")
            text = self.words(sound, ref_text)
            segment = Segment(speaker=0, text=text, audio=sound, sample_rate=rate)
            return Voice(name="ref_audio", segments=(segment,))

        async with self.turn():
            voice = await asyncio.to_thread(made)
        self._kept[key] = voice
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return voice


def no_consent(error: UnknownConsentError) -> ApiError:
    """That of a consent which is not there."""
    return ApiError(f"{error}: record one first", code="consent_not_found", param="consent")
