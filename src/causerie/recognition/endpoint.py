"""Transcribes speech by any OpenAI-compatible endpoint, such as of vLLM, speaches or OpenAI."""

from __future__ import annotations

import copy
import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from causerie import endpoints
from causerie.errors import RecognitionError
from causerie.extras import need
from causerie.recognition.whisper import RATE


class TranscriptionEndpoint:
    """A recognizer in another program; any number of threads may call it.

    Args:
        url: with or without /v1 and /audio/transcriptions.
        model: name of the recognizer's model.
        key: for the header Authorization.
        language: language of the speech, such as "en"; "auto": the endpoint detects it.

    Raises:
        ConfigError: a package of the extra `talk` is missing, or the URL is not one.
    """

    def __init__(
        self, url: str, model: str, key: str | None = None, *, language: str = "en"
    ) -> None:
        httpx = self._httpx = need("httpx", "talk")
        self.url = endpoints.address(url, "audio/transcriptions")
        self._fields = {"model": model, "response_format": "json"}
        if language != "auto":
            self._fields["language"] = language
        self._client = httpx.Client(
            headers=endpoints.headers(key),
            timeout=httpx.Timeout(endpoints.READ_S, connect=endpoints.CONNECT_S),
        )

    def in_language(self, language: str) -> TranscriptionEndpoint:
        """The same recognizer for another language."""
        other = copy.copy(self)
        other._fields = {**self._fields, "language": language}
        return other

    def __call__(self, samples: NDArray[np.float32]) -> str:
        """The text of samples (N,) at 16 kHz.

        Raises:
            RecognitionError: the endpoint cannot be reached, or answers with an error.
        """
        if not len(samples):
            return ""
        wav = io.BytesIO()
        soundfile.write(wav, samples, RATE, format="WAV", subtype="PCM_16")
        file = ("speech.wav", wav.getvalue(), "audio/wav")
        try:
            response = self._client.post(self.url, data=self._fields, files={"file": file})
        except self._httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise RecognitionError(f"no answer from {self.url}: {reason}") from error
        if response.status_code != 200:
            raise RecognitionError(f"{self.url} answered {endpoints.error_of(response)}")
        try:
            text = response.json()["text"]
        except (ValueError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            raise RecognitionError(f"{self.url} sent no text: {response.text[:100]!r}")
        return text.strip()
