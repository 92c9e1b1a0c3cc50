"""Utterances as codes in one file, and the corpus for language model training that they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from codec_training.aligned_speech import Utterance

from causerie.train.lm.corpus import Corpus

_STRINGS = ("texts", "phonemes", "voices", "conversations")


@dataclass(frozen=True)
class EncodedSpeech:
    """Utterances as codes, with the metadata that language model training needs.

    Attributes:
        texts, phonemes, voices, conversations, turns: one per utterance, as in `Utterance`.
        codes: (all frames, K) int16.
        starts: (utterances + 1,) index of each utterance's first frame.
    """

    texts: list[str]
    phonemes: list[str]
    voices: list[str]
    conversations: list[str]
    turns: np.ndarray
    codes: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, utterances: Sequence[Utterance], codes: Sequence[np.ndarray]) -> EncodedSpeech:
        """These utterances, with the codes (T, K) of each."""
        return cls(
            texts=[utterance.text for utterance in utterances],
            phonemes=[utterance.phonemes for utterance in utterances],
            voices=[utterance.voice for utterance in utterances],
            conversations=[utterance.conversation for utterance in utterances],
            turns=np.array([utterance.turn for utterance in utterances], np.int16),
            codes=np.concatenate(codes).astype(np.int16),
            starts=np.cumsum([0, *map(len, codes)]),
        )

    @classmethod
    def load(cls, path: Path) -> EncodedSpeech:
        """The speech that `save` wrote."""
        with np.load(path) as file:
            strings = {name: str(file[name]).split("\n") for name in _STRINGS}
            return cls(**strings, turns=file["turns"], codes=file["codes"], starts=file["starts"])

    def save(self, path: Path) -> None:
        """Write one ``.npz`` file atomically."""
        partial = path.with_suffix(".partial.npz")
        arrays: dict[str, Any] = {"turns": self.turns, "codes": self.codes, "starts": self.starts}
        arrays |= {name: np.array("\n".join(getattr(self, name))) for name in _STRINGS}
        np.savez_compressed(partial, **arrays)
        os.replace(partial, path)

    def __len__(self) -> int:
        return len(self.texts)

    def codes_of(self, index: int) -> np.ndarray:
        """Codes (T, K) of an utterance."""
        return self.codes[self.starts[index] : self.starts[index + 1]]

    def corpus(self) -> Corpus:
        """The turns of a dialogue as one conversation, and each other utterance as its own.

        A dialogue ends before a missing turn, and another one begins after it.
        """
        places = sorted(
            (name, int(turn) if name else index, index)
            for index, (name, turn) in enumerate(zip(self.conversations, self.turns, strict=True))
        )
        conversations: list[list[int]] = []
        last = ("", 0)
        for name, turn, index in places:
            if name and (name, turn - 1) == last:
                conversations[-1].append(index)
            else:
                conversations.append([index])
            last = (name, turn)
        return Corpus(
            words=self.texts,
            spoken=self.phonemes,
            speakers=self.voices,
            num_frames=np.diff(self.starts),
            conversations=conversations,
            codes_of=self.codes_of,
        )
