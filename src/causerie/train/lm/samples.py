"""Which conversations a step learns, and their rows.

A conversation is one sequence of at most the model's length: turns one after another, each ``text
rows, audio rows, stop row``, of which all or the last are learned and the others are context. A
batch is of conversations of like length, one a row. Several in one row would need a mask of
attention between them, whose cost grows with the square of the row; sorted by length, little is
padding, and rows of different conversations cannot meet.

What a step learns depends on (seed, step) alone, and each conversation's chances on (seed, its
place in the run), so neither processes nor parts of a batch change anything. Every conversation
comes once an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causerie.errors import ConfigError
from causerie.text.pronounce import PUNCTUATION, spell
from causerie.text.tokenizer import TextTokenizer
from causerie.train.lm.config import Samples
from causerie.train.lm.corpus import Corpus

#: So many batches are sorted by length together: of petit's data, in batches of 20 conversations,
#: 8 % of the rows are padding then; with 4 it is 27 %, with 64 it is 7 %.
BATCHES_TOGETHER = 32
_ORDER, _BATCHES, _GATHERED, _MADE = range(4)  # what a random number is for


@dataclass(frozen=True)
class Example:
    """A conversation in rows.

    Attributes:
        rows: (n, K+1) int64 of what is said; -1 marks a slot that is masked out.
        read: likewise, what the backbone reads: `rows`, with noise in the history.
        learned: (n,) bool, audio and stop rows whose codebook 0 is learned.
        kept: (n,) bool, the part of them whose acoustic codes are learned.
    """

    rows: np.ndarray
    read: np.ndarray
    learned: np.ndarray
    kept: np.ndarray


@dataclass(frozen=True)
class Script:
    """Turns of a conversation, each of one or more utterances; learned from a turn on."""

    turns: tuple[tuple[int, ...], ...]
    first_learned: int


class ConversationSampler:
    """The conversations of each step.

    Attributes:
        notes: what of the corpus was left out, and why.

    Raises:
        ConfigError: no turn fits in the model, or the default speaker never speaks.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: TextTokenizer,
        samples: Samples,
        *,
        max_frames: int,
        seed: int,
    ) -> None:
        self.corpus, self.tokenizer, self.samples = corpus, tokenizer, samples
        self.max_frames, self.seed = max_frames, seed
        numbers = [number for conversation in corpus.conversations for number in conversation]
        self.num_rows = np.zeros(len(corpus.spoken), np.int64)  # text, audio and stop row
        for number in numbers:
            tokens = len(tokenizer.encode(corpus.spoken[number], 0))
            self.num_rows[number] = tokens + corpus.num_frames[number] + 1
        too_long = [number for number in numbers if self.num_rows[number] > max_frames]
        if len(too_long) == len(numbers):
            raise ConfigError(
                f"no turn fits in the model's max_frames of {max_frames}; the first has "
                f"{self.num_rows[numbers[0]]} rows: train on shorter turns"
            )
        self.notes: tuple[str, ...] = ()
        if samples.default_speaker not in (None, *corpus.speakers):
            raise ConfigError(
                f"default_speaker {samples.default_speaker!r} does not speak in the data: there "
                f"are {', '.join(sorted({*corpus.speakers}))}"
            )
        if too_long:
            left_out = f"left out: {len(too_long)} of {len(numbers)} turns"
            self.notes = (f"{left_out} are longer than the model's {max_frames} rows",)
        parts = [
            part
            for conversation in corpus.conversations
            for part in _without(conversation, {*too_long})
        ]
        self.scripts = [
            Script(tuple((number,) for number in part[first:last]), learned - first)
            for part in parts
            for first, last, learned in windows(
                [int(self.num_rows[number]) for number in part], max_frames, samples.learn
            )
        ]
        alone: dict[str, list[int]] = {}  # turns that stand alone, by speaker
        for part in parts:
            if len(part) == 1:
                alone.setdefault(corpus.speakers[part[0]], []).append(part[0])
        self._alone = {speaker: np.array(numbers) for speaker, numbers in alone.items()}
        self._orders: dict[int, np.ndarray] = {}

    def __call__(self, step: int, rank: int = 0, num_ranks: int = 1) -> list[Example]:
        """What one of several processes learns in a step, the shortest first."""
        size = self.samples.batch
        # at most an epoch: else the same conversation, drawn twice, would lie side by side
        together = max(1, min(BATCHES_TOGETHER, len(self.scripts) // size))
        group, place = divmod(step, together)
        first = group * together * size
        drawn = [(self.script(p), p) for p in range(first, first + together * size)]
        drawn.sort(key=lambda pair: (self._length(pair[0]), pair[1]))
        batch = int(self._random(_BATCHES, group).permutation(together)[place])
        mine = drawn[batch * size : (batch + 1) * size][rank::num_ranks]
        made = [self.example(script, position) for script, position in mine]
        return sorted(made, key=lambda example: len(example.rows))

    def script(self, position: int) -> Script:
        """The conversation at a place in the run, that of all epochs."""
        epoch, place = divmod(position, len(self.scripts))
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = self._random(_ORDER, epoch).permutation(len(self.scripts))
        script = self.scripts[int(self._orders[epoch][place])]
        speaker = self.corpus.speakers[script.turns[0][0]]
        gathers = len(self.samples.turns) + len(self.samples.joined) > 2
        if len(script.turns) > 1 or (self._is_default(speaker) and not gathers):
            return script
        alone = self._alone.get(speaker)
        return script if alone is None else self._gathered(script.turns[0][0], alone, position)

    def _gathered(self, number: int, alone: np.ndarray, position: int) -> Script:
        """A conversation of turns that stand alone, one of them given, all of one speaker."""
        random = self._random(_GATHERED, position)
        count = _count(self.samples.turns, random)
        if not self._is_default(self.corpus.speakers[number]):
            count = max(2, count)
        turns = [
            [int(random.choice(alone)) for _ in range(_count(self.samples.joined, random))]
            for _ in range(count)
        ]
        turns[-1][-1] = number
        first_learned = 0 if self.samples.learn == "all" else count - 1
        return Script(tuple(tuple(turn) for turn in turns), first_learned)

    def example(self, script: Script, position: int) -> Example:
        """Its rows: whole turns as long as they fit, the oldest left out first."""
        samples, random = self.samples, self._random(_MADE, position)
        speakers: dict[str, int] = {}
        numbers = list(range(10))
        if random.random() < samples.any_speaker:
            numbers = [int(number) for number in random.permutation(10)]
        turns: list[np.ndarray] = []
        for turn in script.turns:
            who = self.corpus.speakers[turn[0]]
            place = speakers.setdefault(who, len(speakers))
            turns.append(self._turn(turn, numbers[place] if place < 10 else place, random))
        first = len(turns) - 1
        room = self.max_frames - len(turns[-1])
        while first and len(turns[first - 1]) <= room:
            first -= 1
            room -= len(turns[first])
        learned = np.concatenate(
            [
                (turn[:, 0] >= 0) & self._is_learned(script, first, index)
                for index, turn in enumerate(turns[first:], first)
            ]
        )
        rows = np.concatenate(turns[first:])
        kept = learned & (random.random(len(rows)) < samples.depth_share)
        return Example(rows, noisy(rows, samples.history_noise, random), learned, kept)

    def _is_learned(self, script: Script, first: int, index: int) -> bool:
        """Whether a turn is learned, in rows that begin with the turn `first`."""
        speaker, *before = (
            self.corpus.speakers[turn[0]] for turn in reversed(script.turns[first : index + 1])
        )
        heard = self._is_default(speaker) or speaker in before
        return heard and index >= script.first_learned

    def _is_default(self, speaker: str) -> bool:
        return self.samples.default_speaker in (None, speaker)

    def _turn(self, turn: tuple[int, ...], speaker: int, random: np.random.Generator) -> np.ndarray:
        """Rows (n, K+1) of a turn of as many of its utterances as fit, the last one in any case."""
        while len(turn) > 1 and self.num_rows[list(turn)].sum() > self.max_frames:
            turn = turn[1:]
        spelled = [self._spelled(number, random) for number in turn]
        plain = [self.corpus.spoken[number] for number in turn]
        codes = np.concatenate([self.corpus.codes_of(number) for number in turn])
        for spoken in (spelled, plain):
            tokens = self.tokenizer.encode(" ".join(spoken), speaker)
            if len(tokens) + len(codes) < self.max_frames:
                break
        rows = np.full((len(tokens) + len(codes) + 1, codes.shape[1] + 1), -1, np.int64)
        rows[: len(tokens), -1] = tokens
        rows[len(tokens) : -1, :-1] = codes
        rows[-1, :-1] = 0
        return rows

    def _spelled(self, number: int, random: np.random.Generator) -> str:
        spoken = self.corpus.spoken[number]
        if random.random() >= self.samples.spelled_sentences:
            return spoken
        return spell_some(self.corpus.words[number], spoken, self.samples.spelled_words, random)

    def _length(self, script: Script) -> int:
        return sum(int(self.num_rows[number]) for turn in script.turns for number in turn)

    def _random(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, purpose, number))


def windows(lengths: Sequence[int], max_frames: int, learn: str) -> list[tuple[int, int, int]]:
    """How a conversation of turns of such lengths is cut, so that each turn is learned once.

    Returns:
        The first turn, that after the last, and the first that is learned, of each sequence.
    """
    cut = []
    if learn == "last":
        for last in range(len(lengths)):
            first, room = last, max_frames - lengths[last]
            while first and lengths[first - 1] <= room:
                first -= 1
                room -= lengths[first]
            cut.append((first, last + 1, last))
        return cut
    first, room = 0, max_frames
    for index, length in enumerate(lengths):
        if length > room:
            cut.append((first, index, first))
            first, room = index, max_frames
        room -= length
    return [*cut, (first, len(lengths), first)]


def noisy(rows: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Rows in which a share of the audio codes is exchanged for others of the conversation."""
    if not share:
        return rows
    audio = rows[rows[:, 0] >= 0]
    others = audio[random.permutation(len(audio))]
    out: np.ndarray = rows.copy()
    out[rows[:, 0] >= 0] = np.where(random.random(audio.shape) < share, others, audio)
    return out


def spell_some(text: str, phonemes: str, share: float, random: np.random.Generator) -> str:
    """Replace a share of the words by their spelling, where text and phonemes go word by word."""
    words = text.replace("-", " ").split()
    sounds = phonemes.split(" ")
    if len(words) != len(sounds):
        return phonemes
    out = []
    for word, sound in zip(words, sounds, strict=True):
        letters = spell(word)
        if letters and random.random() < share:
            core = sound.rstrip(PUNCTUATION)
            out.append(letters + sound[len(core) :])
        else:
            out.append(sound)
    return " ".join(out)


def _without(conversation: Sequence[int], left_out: set[int]) -> list[list[int]]:
    """What is between the turns that are left out: they end one conversation, and begin another."""
    parts: list[list[int]] = [[]]
    for number in conversation:
        if number in left_out:
            parts.append([])
        else:
            parts[-1].append(number)
    return [part for part in parts if part]


def _count(chances: tuple[float, ...], random: np.random.Generator) -> int:
    """One of 1, 2, … by their chances."""
    return 1 + int(random.choice(len(chances), p=chances))
