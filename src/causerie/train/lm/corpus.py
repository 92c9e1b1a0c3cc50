"""The training corpus: turns with texts, speakers and codes, grouped into conversations.

Knows nothing of tokens or batches.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from causerie.data.shards import SpeechData
from causerie.errors import ConfigError, TextError
from causerie.text.front_end import FrontEnd, in_words


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """Turns, identified by their index.

    Attributes:
        words: text of each turn, as words.
        spoken: text of each turn, as the front end returns it for the tokenizer.
        speakers: name of each turn's speaker.
        num_frames: (turns,).
        conversations: indexes of turns, in order.
        codes_of: returns the codes (T, K) of a turn.
        notes: lines for the user about turns that were left out.
    """

    words: Sequence[str]
    spoken: Sequence[str]
    speakers: Sequence[str]
    num_frames: np.ndarray
    conversations: Sequence[Sequence[int]]
    codes_of: Callable[[int], np.ndarray]
    notes: tuple[str, ...] = ()

    @classmethod
    def from_shards(cls, data: SpeechData, front_end: FrontEnd, num_codebooks: int) -> Corpus:
        """The corpus of a prepared folder, with the first `num_codebooks` codebooks.

        Raises:
            ConfigError: the data have too few codebooks, or no turn has anything to speak.
        """
        if data.num_codebooks < num_codebooks:
            raise ConfigError(
                f"{data.folder} has {data.num_codebooks} codebooks and the model {num_codebooks}: "
                "prepare the data with this model's codec"
            )
        turns, words, spoken, unreadable, skipped = [], [], [], 0, 0
        for turn in data.turns:
            try:
                read = front_end(turn.text)
            except TextError:
                unreadable += 1
                continue
            skipped += bool(read.skipped)
            turns.append(turn)
            words.append(in_words(turn.text) if front_end.lexicon else turn.text)
            spoken.append(read.text)
        if not turns:
            raise ConfigError(f"{data.folder} has no turn that the model's front end can read")
        numbers = {(turn.conversation, turn.turn): index for index, turn in enumerate(turns)}
        conversations = []
        for conversation in data.conversations():
            keys = [(turn.conversation, turn.turn) for turn in conversation]
            conversations.append([numbers[key] for key in keys if key in numbers])
        notes = []
        if unreadable:
            notes.append(f"left out: {unreadable} of {len(data.turns)} turns have nothing to speak")
        if skipped:
            notes.append(f"{skipped} turns have characters that cannot be read and are skipped")
        return cls(
            words=words,
            spoken=spoken,
            speakers=[turn.speaker for turn in turns],
            num_frames=np.array([turn.num_frames for turn in turns]),
            conversations=[numbers for numbers in conversations if numbers],
            codes_of=lambda index: data.codes_of(turns[index])[:, :num_codebooks],
            notes=tuple(notes),
        )

    def fingerprint(self) -> str:
        """A hash of the texts, speakers, lengths and order of all turns."""
        found = hashlib.blake2b(digest_size=16)
        for numbers in self.conversations:
            turns = [(self.spoken[i], self.speakers[i], int(self.num_frames[i])) for i in numbers]
            found.update(json.dumps(turns).encode())
        return found.hexdigest()

    def split(self, held_out: int, seed: int) -> tuple[Corpus, Corpus]:
        """The conversations to train on, and `held_out` random others.

        Raises:
            ConfigError: no conversation would be left to train on.
        """
        if held_out >= len(self.conversations):
            raise ConfigError(
                f"watch.held_out is {held_out}, of {len(self.conversations)} conversations: "
                "hold out fewer"
            )
        order = np.random.default_rng(seed).permutation(len(self.conversations))
        kept, rest = sorted(order[held_out:]), sorted(order[:held_out])
        return (
            dataclasses.replace(self, conversations=[self.conversations[i] for i in kept]),
            dataclasses.replace(self, conversations=[self.conversations[i] for i in rest]),
        )
