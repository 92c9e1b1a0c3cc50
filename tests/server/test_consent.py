"""What a recorded consent proves: its sentence is said, by the speaker who is copied."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import soundfile

from causerie.audio.audio import Audio
from causerie.evaluate.speaker import installed_encoder
from causerie.recognition.whisper import packaged_recognizer
from causerie.server.voices import consent_check
from causerie.server.voices.consent_check import SENTENCE
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, running

pytestmark = pytest.mark.slow  # with Whisper and Resemblyzer where they are installed

OPENAI = (
    "I am the owner of this voice and I consent to OpenAI using this voice to create a synthetic "
    "voice model."
)
OTHER = "I left my keys at the office, so my brother let me in."


#: The text of `said` at last, which the stand-in for Whisper hears, and its voices by durations.
last_text = ""
voices: dict[float, str] = {}


@pytest.fixture(scope="module", params=["stand-ins", "models"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "stand-ins":
            patch.setattr(consent_check, "packaged_recognizer", lambda _: lambda pcm: last_text)
            patch.setattr(consent_check, "_encoder", lambda: known_voice)
        elif packaged_recognizer() is None or installed_encoder() is None:
            pytest.skip("Whisper or Resemblyzer is not installed")
        folder = tmp_path_factory.mktemp("voices")
        with running(folder, transcribe="auto", consent="recording") as here:
            yield here


def known_voice(audio: Audio) -> np.ndarray:
    """A speaker encoder that knows each recording by its duration: voices are at right angles."""
    known = voices[min(voices, key=lambda seconds: abs(seconds - audio.duration_s))]
    return np.eye(len(petit().voices))[petit().voices.index(known)]


def said(text: str, voice: str, seed: int = 1) -> bytes:
    global last_text
    audio = petit().generate(text, voice=voice, seed=seed)
    while voices.get(audio.duration_s, voice) != voice:  # 10 ms more than that of another voice
        longer = np.pad(audio.samples, (0, audio.sample_rate // 100))
        audio = Audio(samples=longer, sample_rate=audio.sample_rate)
    last_text, voices[audio.duration_s] = text, voice
    return audio.to_bytes()


def consent(server: Running, recording: bytes, language: str = "en") -> httpx.Response:
    return httpx.post(
        f"{server.http}/v1/audio/voice_consents",
        data={"name": "me", "language": language},
        files={"recording": ("a.wav", recording, "audio/wav")},
        timeout=PATIENCE_S,
    )


def upload(server: Running, recording: bytes, consent: str) -> httpx.Response:
    answer = httpx.post(
        f"{server.http}/v1/audio/voices",
        data={"name": "me", "consent": consent, "ref_text": OTHER},
        files={"audio_sample": ("a.wav", recording, "audio/wav")},
        timeout=PATIENCE_S,
    )
    httpx.delete(f"{server.http}/v1/audio/voices/me")
    return answer


def speak(server: Running, **fields: object) -> httpx.Response:
    body = {"input": "Hello.", "max_duration_s": 0.3, **fields}
    return httpx.post(f"{server.http}/v1/audio/speech", json=body, timeout=PATIENCE_S)


def code(answer: httpx.Response) -> str | None:
    return None if answer.status_code == 200 else answer.json()["error"]["code"]


@pytest.mark.parametrize("text", [SENTENCE, OPENAI])
def test_a_consent_says_the_sentence(server: Running, text: str) -> None:
    assert code(consent(server, said(text, "theo"))) is None


def test_other_words_are_no_consent(server: Running) -> None:
    answer = consent(server, said(OTHER, "theo"))
    assert code(answer) == "invalid_consent"
    assert SENTENCE in answer.json()["error"]["message"]
    assert code(consent(server, said(OTHER, "theo"), language="de")) is None  # not understood


def test_the_speaker_of_a_consent_is_the_one_who_is_copied(server: Running) -> None:
    recording = said(SENTENCE, "clara")
    id = consent(server, recording).json()["id"]
    same, other = said(OTHER, "clara", 2), said(OTHER, "oscar")
    samples, rate = soundfile.read(io.BytesIO(recording), dtype="int16")
    again = io.BytesIO()
    soundfile.write(again, samples, rate, format="FLAC")
    for file, expected in (
        (same, None),
        (other, "consent_of_another_speaker"),
        (recording, "consent_is_the_recording"),
        (again.getvalue(), "consent_is_the_recording"),
    ):
        assert code(upload(server, file, id)) == expected
        audio = base64.b64encode(file).decode()
        assert code(speak(server, ref_audio=audio, ref_text=OTHER, consent=id)) == expected
        turn = {"text": OTHER, "audio": audio}
        assert code(speak(server, context=[turn], consent=id)) == expected
        assert code(speak(server, context=[{**turn, "consent": id}])) == expected


def test_each_speaker_of_a_context_has_a_consent(server: Running) -> None:
    turns = []
    for voice in "clara", "oscar":
        # a language in which no words are compared: oscar is hard to understand
        id = consent(server, said(SENTENCE, voice), language="de").json()["id"]
        audio = base64.b64encode(said(OTHER, voice, 2)).decode()
        turns.append({"text": OTHER, "audio": audio, "consent": id})
    assert code(speak(server, context=turns)) is None
    turns[0]["consent"] = turns[1]["consent"]
    assert code(speak(server, context=turns)) == "consent_of_another_speaker"
