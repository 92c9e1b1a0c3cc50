"""Speaks for an evaluation: voices take turns, seeds count up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from causerie.audio.audio import Audio
from causerie.errors import ConfigError
from causerie.evaluate.clip import Clip
from causerie.evaluate.round_trip import decoded
from causerie.prompt import Segment
from causerie.tts import TTS
from causerie.voices import Voice, find_voice

#: Longest utterance; a sentence that takes longer never ends.
MAX_DURATION_S = 30.0
#: A voice or its name; see `TTS.generate`.
VoiceName: TypeAlias = "str | int | os.PathLike[str] | Voice"


class Speaking:
    """Speaks one utterance after another; utterance n has the seed `seed` + n and the n-th voice.

    Args:
        voices: voices, which take turns; by default all named voices, or speaker 0.
        like: recordings to compare a voice with, by its name, instead of its own prompt.

    Raises:
        ConfigError, UnknownVoiceError: a voice does not exist.
        AudioError: the recordings of a voice cannot be read.
    """

    def __init__(
        self,
        tts: TTS,
        *,
        voices: Sequence[VoiceName] | None = None,
        seed: int = 0,
        like: Mapping[str, Sequence[Audio]] | None = None,
    ) -> None:
        self.tts = tts
        names = voices or tts.voices or [0]
        self.voices = [find_voice(name, tts.checkpoint.voices) for name in names]
        self._seed, self._num_spoken, self._num_chosen = seed, 0, 0
        like = like or {}
        unknown = sorted(like.keys() - {voice.name for voice in self.voices})
        if unknown:
            raise ConfigError(
                f"recordings are given for {', '.join(unknown)}, but these voices do not speak"
            )
        self._like = {
            voice.name: tuple(like.get(voice.name, ())) or _sound_of(tts, voice)
            for voice in self.voices
        }

    def next_voice(self) -> Voice:
        """The next voice."""
        voice = self.voices[self._num_chosen % len(self.voices)]
        self._num_chosen += 1
        return voice

    def speak(
        self,
        text: str,
        voice: Voice,
        *,
        context: Sequence[Segment] = (),
        tts: TTS | None = None,
    ) -> Clip:
        """Speak one utterance.

        Args:
            tts: a model to use instead, such as one that reads a word differently.

        Raises:
            CauserieError: see `TTS.generate`.
        """
        audio = (tts or self.tts).generate(
            text,
            voice=voice,
            context=context,
            seed=self._seed + self._num_spoken,
            max_duration_s=MAX_DURATION_S,
        )
        self._num_spoken += 1
        return Clip(text=text, audio=audio, voice=voice.name, like=self._like.get(voice.name, ()))


def _sound_of(tts: TTS, voice: Voice) -> tuple[Audio, ...]:
    """The audio of a voice's prompt; codes are decoded."""
    sounds = []
    for segment in voice.segments:
        if segment.speaker != voice.speaker:
            continue
        if segment.codes is not None:
            sounds.append(decoded(tts.checkpoint.codec, segment.codes))
        elif isinstance(segment.audio, Audio):
            sounds.append(segment.audio)
        elif isinstance(segment.audio, (str, os.PathLike)):
            sounds.append(Audio.load(segment.audio))
        elif segment.audio is not None:
            assert segment.sample_rate is not None
            sounds.append(Audio(samples=segment.audio, sample_rate=segment.sample_rate))
    return tuple(sounds)
