"""Reads speech with transcripts and phoneme alignment from disk, by memory map.

A folder holds parts. ``NAME.i16`` holds mono waveforms at the codec's sample rate, 16-bit
little-endian, one after another. ``NAME.jsonl`` has a line for each: text, phonemes, start and
num_samples; and optionally trimmed_s, durations (the index of the symbol spoken in each 25 ms
step), voice, conversation and turn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from causerie.audio.resample import resample
from causerie.errors import ConfigError
from causerie.text.pronounce import CONSONANTS, PUNCTUATION, STRESSES, VOWELS

# A symbol's label is its index + 1. Trained weights depend on this order, so Q and S keep their
# places, although they are never spoken.
_CAPITALS = "AIOWYTQS"
SYMBOLS = f" {PUNCTUATION}{_CAPITALS}" + "".join(sorted({*VOWELS, *CONSONANTS} - {*_CAPITALS}))
ALIGNMENT_RATE = 40  # steps per second in `durations`
# The teachers' steps lag behind the sound by this much. In 150 utterances, sibilance fits the
# labels of s, z, ʃ and ʒ best 50 to 55 ms earlier: 81 % of the energy above 4 kHz, 43 % unshifted.
ALIGNMENT_LAG_S = 0.05
MAX_STRETCH = 1.25  # windows are played at most this much faster or slower


@dataclass(frozen=True)
class Utterance:
    """One transcribed waveform.

    Attributes:
        voice: name of the voice; "" if unknown.
        conversation, turn: its place in a dialogue, whose turns may be in several parts; "" for a
            single utterance.
    """

    part: int
    text: str
    phonemes: str
    start: int
    num_samples: int
    trimmed_s: float
    durations: tuple[int, ...]
    voice: str = ""
    conversation: str = ""
    turn: int = 0


class SpeechFolder:
    """All utterances of a folder.

    Args:
        sample_rate: of the waveforms.

    Raises:
        ConfigError: the folder has no parts.
    """

    def __init__(self, folder: Path, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        indexes = sorted(folder.glob("*.jsonl"))
        if not indexes:
            raise ConfigError(f"{folder} has no *.jsonl index: make it with make_speech.py")
        self.audio = [np.memmap(path.with_suffix(".i16"), "<i2", "r") for path in indexes]
        self.utterances = [
            utterance for part, path in enumerate(indexes) for utterance in _read_index(part, path)
        ]

    def __len__(self) -> int:
        return len(self.utterances)

    def waveform(self, utterance: Utterance, first: int, size: int) -> np.ndarray:
        """Samples [first, first + size) as fp32, padded with zeros past the end."""
        out = np.zeros(size, np.float32)
        available = min(size, utterance.num_samples - first)
        begin = utterance.start + first
        out[:available] = self.audio[utterance.part][begin : begin + available] / 32768.0
        return out

    def labels(self, utterance: Utterance, first: int, count: int, rate: float) -> np.ndarray:
        """Phone labels of `count` steps from sample `first` on, `rate` a second; 0: silence."""
        times = first / self.sample_rate + (np.arange(count) + 0.5) / rate
        steps = ((times + utterance.trimmed_s + ALIGNMENT_LAG_S) * ALIGNMENT_RATE).astype(int)
        phonemes = utterance.phonemes
        labels = np.zeros(count, np.int64)
        for index, step in enumerate(steps):
            past_end = times[index] * self.sample_rate >= utterance.num_samples
            if past_end or step >= len(utterance.durations):
                continue
            position = utterance.durations[step] - 1  # the teacher puts a silence first
            if 0 <= position < len(phonemes) - 1 and phonemes[position] in STRESSES:
                position += 1
            if 0 <= position < len(phonemes):
                labels[index] = SYMBOLS.find(phonemes[position]) + 1
        return labels


class WindowSampler:
    """Draws random windows of a folder. The windows of step n depend on (seed, n) alone.

    The chance of a voice is the fourth root of its amount of speech, so that small voices count.

    Args:
        stretched: share of the windows played faster or slower, by up to `MAX_STRETCH`. This
            gives pitches and formants beyond those of the folder's voices.
    """

    def __init__(
        self,
        folder: SpeechFolder,
        *,
        batch: int,
        num_samples: int,
        label_rate: float,
        seed: int,
        stretched: float = 0.0,
    ) -> None:
        self.folder, self.batch, self.num_samples = folder, batch, num_samples
        self.label_rate, self.seed, self.stretched = label_rate, seed, stretched
        voices: dict[str, list[int]] = {}
        for index, utterance in enumerate(folder.utterances):
            voices.setdefault(utterance.voice, []).append(index)
        self._of_voice = [np.array(indexes) for indexes in voices.values()]
        amounts = [
            sum(folder.utterances[index].num_samples for index in indexes)
            for indexes in voices.values()
        ]
        roots = np.power(amounts, 0.25)
        self._chances = roots / roots.sum()

    def __call__(self, step: int, rank: int = 0, num_ranks: int = 1) -> tuple[Tensor, Tensor]:
        """Waveforms (B, 1, N) and phone labels (B, N · label_rate / sample_rate).

        With several processes, each gets every `num_ranks`-th window.
        """
        places = range(rank, self.batch, num_ranks)
        drawn = [self._window(np.random.default_rng((self.seed, step, i))) for i in places]
        pcm, labels = (np.stack(parts) for parts in zip(*drawn, strict=True))
        return torch.from_numpy(pcm)[:, None], torch.from_numpy(labels)

    def _window(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        folder, rate = self.folder, self.folder.sample_rate
        voice = random.choice(len(self._of_voice), p=self._chances)
        utterance = folder.utterances[random.choice(self._of_voice[voice])]
        speed = 1.0
        if random.random() < self.stretched:
            speed = math.exp(random.uniform(-1, 1) * math.log(MAX_STRETCH))
        size = round(self.num_samples * speed)
        first = int(random.integers(max(0, utterance.num_samples - size) + 1))
        pcm = folder.waveform(utterance, first, size)
        if speed != 1:
            pcm = resample(pcm, round(rate * speed), rate)
            pcm = np.pad(pcm, (0, max(0, self.num_samples - len(pcm))))[: self.num_samples]
        count = round(self.num_samples / rate * self.label_rate)
        return pcm, folder.labels(utterance, first, count, self.label_rate / speed)


def _read_index(part: int, path: Path) -> Iterator[Utterance]:
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        yield Utterance(
            part=part,
            text=row["text"],
            phonemes=row["phonemes"],
            start=row["start"],
            num_samples=row["num_samples"],
            trimmed_s=row.get("trimmed_s", 0.0),
            durations=tuple(row.get("durations", ())),
            voice=row.get("voice", ""),
            conversation=row.get("conversation", ""),
            turn=row.get("turn", 0),
        )
