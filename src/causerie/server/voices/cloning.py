"""Turns uploaded recordings into voices: checks consent and limits concurrent work.

Knows nothing of HTTP except the errors it raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator

from causerie.audio.recording import MAX_RAW_S
from causerie.audio.resample import resample
from causerie.consent import OWN_SPEECH, missing
from causerie.data.activity import RATE
from causerie.data.letters import transcript_fault
from causerie.errors import AudioError
from causerie.own_mark import has_own_mark
from causerie.prompt import Segment
from causerie.recognition.whisper import packaged_recognizer
from causerie.server.errors import ApiError, retry_after
from causerie.server.settings import Settings
from causerie.server.threads import in_decoding, in_store
from causerie.server.voices.consent_check import ConsentChecker
from causerie.server.voices.consents import UnknownConsentError, is_consent_id
from causerie.server.voices.recording import Recording, refused, voice_sound
from causerie.server.voices.store import ATTESTED, VoiceStore
from causerie.tts import TTS
from causerie.voices import Voice

#: Maximum recordings waiting to be processed; more get a 429.
MAX_WAITING = 8
#: Voices of `ref_audio` to cache: clients send the same recording with every request. Each has at
#: most `MAX_VOICE_S` of samples, 2.9 MB, so that all have at most 93 MB.
MAX_CACHED = 32


class Cloning:
    """Makes voices from recordings by the rules of one server.

    Recordings are processed one at a time, because each occupies a core.
    """

    def __init__(self, tts: TTS, store: VoiceStore, settings: Settings) -> None:
        self._tts, self._store, self._settings = tts, store, settings
        self.consents = ConsentChecker(store.consents, settings)
        self._processing, self._num_pending = asyncio.Semaphore(1), 0
        self._cache: OrderedDict[bytes, Voice] = OrderedDict()

    def check_allowed(self) -> None:
        """Raise ApiError if this server does not make voices from recordings."""
        if not self._settings.cloning:
            raise ApiError(
                "this server does not make voices from recordings",
                status=403,
                type="permission_error",
                code="cloning_disabled",
            )

    async def ask_consent(self, consent: str, is_attested: bool, file: bytes, param: str) -> str:
        """The consent to a use of a recording, under the server's policy.

        All recordings from outside pass here: those of voices and of contexts, from which a model
        copies the voice as well.

        Args:
            file: the recording. Where a statement is enough, its watermark is one as well: anybody
                can put the mark of a public key on a recording.
            param: the request field that held it.

        Returns:
            A consent id, `ATTESTED`, `OWN_SPEECH`, or "" if the policy requires no consent.

        Raises:
            ApiError: recordings are not allowed, or the required consent is missing or unknown.
        """
        self.check_allowed()
        if consent:
            try:
                return (await in_store(self._store.consents.get, consent)).id
            except UnknownConsentError as error:
                raise no_consent(error) from error
        policy = self._settings.consent
        if policy == "off":
            return ""
        if policy == "attest" and is_attested:
            return ATTESTED
        if policy == "attest" and await in_decoding(self._has_own_mark, file):
            return OWN_SPEECH
        remedy = "send the id of a recorded consent as consent (POST /v1/audio/voice_consents)"
        if policy == "attest":
            remedy = f"send consent_attested=true, or {remedy}"
        raise ApiError(
            missing(param, remedy),
            code="consent_required",
            param="consent",
        )

    async def check_speaker(self, basis: str, file: bytes, param: str) -> None:
        """Check that a recording has the speaker of its recorded consent, if it has one.

        Args:
            basis: what `ask_consent` returned.
            param: the request field that held the recording.

        Raises:
            ApiError: the consent is that recording, or another speaker's.
        """
        if is_consent_id(basis):
            await in_decoding(self.consents.check_speaker, basis, file, param)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until no other recording is processed; raise ApiError if too many wait."""
        if self._num_pending > MAX_WAITING:
            raise ApiError(
                f"{MAX_WAITING} recordings are already waiting to be processed: try again in a "
                f"moment",
                status=429,
                type="rate_limit_error",
                code="rate_limit_exceeded",
                headers=retry_after(5),
            )
        self._num_pending += 1
        try:
            async with self._processing:
                yield
        finally:
            self._num_pending -= 1

    def words(
        self, recording: Recording, ref_text: str, language: str = "en"
    ) -> tuple[str, list[str]]:
        """The transcript of a recording, and notes on both.

        The transcript is `ref_text`, which a recognizer that knows the language compares with the
        speech, or else what the recognizer hears.

        Raises:
            ApiError: nobody can say `ref_text` in that time; or there is none, and speech
                recognition is off, not installed, without this language, or recognizes no words.
        """
        text, language = ref_text.strip(), language.partition("-")[0].lower() or "en"
        recording.notes(text)  # before the slow part
        recognizer = None
        if self._settings.transcribe == "auto":
            recognizer = packaged_recognizer(language)
        if recognizer is not None:
            heard = recognizer(resample(recording.speech, self._tts.sample_rate, RATE)).strip()
            if text:
                fault = transcript_fault(text, heard, language)
                return text, recording.notes(text, [fault] if fault else [])
            if not heard:
                raise refused(
                    "no words were recognized in the recording: send its transcript as ref_text",
                    param="ref_text",
                )
            text = heard
        if not text:
            raise ApiError(
                "the transcript of the recording is missing: send it as ref_text (extra_body in "
                "OpenAI's SDK), or install causerie[evaluate] to transcribe recordings",
                code="missing_required_parameter",
                param="ref_text",
            )
        return text, recording.notes(text)

    async def voice(self, recording: bytes, ref_text: str) -> Voice:
        """A voice made from a recording for one request; cached, but not stored or encoded.

        Raises:
            ApiError: the recording is unusable, or too many are waiting.
        """
        hashed = hashlib.blake2b(recording, digest_size=16)
        hashed.update(ref_text.encode("utf-8", "surrogatepass"))
        key = hashed.digest()
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]

        def make_voice() -> Voice:
            rate = self._tts.sample_rate
            sound = voice_sound(recording, rate, "ref_audio")
            text, notes = self.words(sound, ref_text)
            segment = Segment(speaker=0, text=text, audio=sound.speech, sample_rate=rate)
            return Voice(name="ref_audio", segments=(segment,), notes=tuple(notes))

        async with self.turn():
            voice = await in_decoding(make_voice)
        self._cache[key] = voice
        while len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return voice

    def _has_own_mark(self, file: bytes) -> bool:
        watermark = self._tts.watermark
        try:
            return has_own_mark(file, key=watermark.key if watermark else None, max_s=MAX_RAW_S)
        except AudioError:  # said where the recording is read, once there is consent
            return False


def no_consent(error: UnknownConsentError) -> ApiError:
    """The error for an unknown consent id."""
    return ApiError(f"{error}: record a consent first", code="consent_not_found", param="consent")
