"""The voices of voices.toml, their casting in dialogues, and their speech.

    python recipes/petit/voices.py       # prints the plan, slowest voice first: name, hours, folder

A teacher is imported when a voice needs it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLAN = Path(__file__).parent / "voices.toml"
SECONDS_PER_SECOND = {"hibari": 0.006, "kokoro": 0.41, "world": 0.06}  # compute, one thread


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One voice; voices.toml documents the fields."""

    name: str
    sex: str
    teacher: str
    hours: float
    kept_aside: bool = False
    speed: float = 1.0
    pitch: float = 1.0
    formant: float = 1.0
    intonation: float = 1.0
    timbre: Mapping[str, float] = field(default_factory=dict)
    prosody: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.sex not in ("f", "m"):
            raise ValueError(f"{self.name}: sex is {self.sex!r}: use 'f' or 'm'")
        if self.teacher not in ("hibari", "kokoro"):
            raise ValueError(f"{self.name}: no teacher {self.teacher!r}: use 'hibari' or 'kokoro'")
        if min(self.hours, self.speed, self.pitch, self.formant, self.intonation) <= 0:
            raise ValueError(f"{self.name}: hours and factors must be above 0")
        for mix in (self.timbre, self.prosody):
            wanted = 1.0 if self.teacher == "kokoro" else 0.0
            if abs(sum(mix.values()) - wanted) > 1e-6:
                raise ValueError(
                    f"{self.name}: timbre and prosody of {self.teacher} must add up to {wanted:g}, "
                    f"not {sum(mix.values()):g}"
                )

    @property
    def shifted(self) -> bool:
        """Whether WORLD changes the teacher's speech."""
        return (self.pitch, self.formant, self.intonation) != (1.0, 1.0, 1.0)

    @property
    def rtf(self) -> float:
        """Approximate compute seconds per second of speech, on one thread."""
        return SECONDS_PER_SECOND[self.teacher] + SECONDS_PER_SECOND["world"] * self.shifted


class Speaker:
    """Speaks in a voice."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        if voice.teacher == "kokoro":
            from kokoro_teacher import Kokoro

            self.kokoro = Kokoro()
            self.vocab = self.kokoro.vocab
        else:
            from hibari_teacher import Teacher

            self.hibari = Teacher()
            self.vocab = self.hibari.vocab
        if voice.shifted:
            from world_shift import shift

            self.shift = shift

    def knows(self, phonemes: str) -> bool:
        """Whether the teacher can speak all these phonemes."""
        return all(symbol in self.vocab for symbol in phonemes)

    def __call__(self, phonemes: str, seed: int) -> tuple[np.ndarray, list[int]]:
        """A waveform (N,), and the index of the symbol spoken in each 25 ms step.

        The symbols are the phonemes with a silence on each side.
        """
        voice = self.voice
        if voice.teacher == "kokoro":
            wave, steps = self.kokoro(phonemes, voice.timbre, voice.prosody, voice.speed)
        else:
            wave, steps = self.hibari(phonemes, seed, voice.speed)
        if voice.shifted:
            wave = self.shift(wave, voice.pitch, voice.formant, voice.intonation)
        return wave, steps


def read_voices(path: Path = PLAN) -> dict[str, Voice]:
    """The voices of a plan by name, in the file's order."""
    tables = tomllib.loads(path.read_text("utf-8"))
    return {name: Voice(name=name, **table) for name, table in tables.items()}


def cast(conversation: str, voices: Mapping[str, Voice]) -> tuple[str, str]:
    """The voices of speakers a and b in a conversation, the same ones every time.

    They differ, and neither is kept aside. Their probability is the square root of their hours, so
    that small voices occur too: dialogues teach a model to distinguish voices.
    """
    chance = random.Random(conversation)
    names = [name for name, voice in voices.items() if not voice.kept_aside]
    weights = [voices[name].hours ** 0.5 for name in names]
    first = chance.choices(names, weights)[0]
    place = names.index(first)
    del names[place], weights[place]
    return first, chance.choices(names, weights)[0]


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    for voice in sorted(read_voices().values(), key=lambda voice: -voice.rtf * voice.hours):
        print(voice.name, voice.hours, "aside" if voice.kept_aside else "speech")


if __name__ == "__main__":
    main()
