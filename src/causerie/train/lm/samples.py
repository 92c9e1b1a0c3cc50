"""Chooses the conversations of each step, and turns them into rows.

A conversation is one sequence of at most the model's length. Each turn is ``text rows, audio rows,
stop row``. All turns or the last one have a loss; the others are context. A batch has conversations
of similar length, one per sequence. Packing several into one sequence would need an attention mask
between them, whose cost grows with the square of the length; sorted by length, padding is small.

The examples of a step depend on (seed, step) alone, and the random numbers of a conversation on
(seed, its position in the run). So the number of processes and the size of the parts change
nothing. Each conversation occurs once per epoch.
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

#: Number of batches that are sorted by length together. With petit's data, in batches of 20
#: conversations, 8 % of the rows are padding; with 4 batches 27 %, with 64 batches 7 %.
SORTED_BATCHES = 32
_ORDER, _BATCHES, _COMBINED, _EXAMPLE = range(4)  # purposes of random numbers


@dataclass(frozen=True)
class Example:
    """A conversation as rows.

    Attributes:
        rows: (n, K+1) int64, the targets; -1 marks entries that are masked out.
        inputs: (n, K+1) int64, the input of the backbone: `rows`, with noise in the history.
        predicted: (n,) bool, audio and stop rows whose codebook 0 has a loss.
        depth_kept: (n,) bool, the part of them whose acoustic codes have a loss too.
    """

    rows: np.ndarray
    inputs: np.ndarray
    predicted: np.ndarray
    depth_kept: np.ndarray


@dataclass(frozen=True)
class Script:
    """The turns of a conversation, each of one or more utterances.

    Attributes:
        first_predicted: index of the first turn with a loss.
    """

    turns: tuple[tuple[int, ...], ...]
    first_predicted: int


class ConversationSampler:
    """Chooses the conversations of each step.

    Attributes:
        notes: lines for the user about turns that were left out.

    Raises:
        ConfigError: no turn fits in the model, or the data lack the default speaker.
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
                f"default_speaker {samples.default_speaker!r} is not in the data, whose speakers "
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
        single: dict[str, list[int]] = {}  # single turns by speaker
        for part in parts:
            if len(part) == 1:
                single.setdefault(corpus.speakers[part[0]], []).append(part[0])
        self._single = {speaker: np.array(numbers) for speaker, numbers in single.items()}
        self._orders: dict[int, np.ndarray] = {}

    def __call__(self, step: int, rank: int = 0, num_ranks: int = 1) -> list[Example]:
        """The examples of a step for one of several processes, shortest first."""
        size = self.samples.batch
        # at most an epoch; otherwise two copies of a conversation would be in one batch
        sorted_batches = max(1, min(SORTED_BATCHES, len(self.scripts) // size))
        group, place = divmod(step, sorted_batches)
        first = group * sorted_batches * size
        drawn = [(self.script(p), p) for p in range(first, first + sorted_batches * size)]
        drawn.sort(key=lambda pair: (self._length(pair[0]), pair[1]))
        batch = int(self._random(_BATCHES, group).permutation(sorted_batches)[place])
        own = drawn[batch * size : (batch + 1) * size][rank::num_ranks]
        examples = [self.example(script, position) for script, position in own]
        return sorted(examples, key=lambda example: len(example.rows))

    def script(self, position: int) -> Script:
        """The conversation at a position in the run, counted over all epochs."""
        epoch, place = divmod(position, len(self.scripts))
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = self._random(_ORDER, epoch).permutation(len(self.scripts))
        script = self.scripts[int(self._orders[epoch][place])]
        speaker = self.corpus.speakers[script.turns[0][0]]
        combines = len(self.samples.turns) + len(self.samples.joined) > 2
        if len(script.turns) > 1 or (self._is_default(speaker) and not combines):
            return script
        single = self._single.get(speaker)
        return script if single is None else self._combined(script.turns[0][0], single, position)

    def _combined(self, number: int, single: np.ndarray, position: int) -> Script:
        """A conversation of single turns of one speaker that ends with the turn `number`."""
        random = self._random(_COMBINED, position)
        count = _count(self.samples.turns, random)
        if not self._is_default(self.corpus.speakers[number]):
            count = max(2, count)
        turns = [
            [int(random.choice(single)) for _ in range(_count(self.samples.joined, random))]
            for _ in range(count)
        ]
        turns[-1][-1] = number
        first_predicted = 0 if self.samples.learn == "all" else count - 1
        return Script(tuple(tuple(turn) for turn in turns), first_predicted)

    def example(self, script: Script, position: int) -> Example:
        """The rows of a conversation: the latest turns that fit as a whole."""
        samples, random = self.samples, self._random(_EXAMPLE, position)
        speakers: dict[str, int] = {}
        numbers = list(range(10))
        if random.random() < samples.any_speaker:
            numbers = [int(number) for number in random.permutation(10)]
        turns: list[np.ndarray] = []
        for turn in script.turns:
            name = self.corpus.speakers[turn[0]]
            place = speakers.setdefault(name, len(speakers))
            turns.append(self._turn(turn, numbers[place] if place < 10 else place, random))
        first = len(turns) - 1
        room = self.max_frames - len(turns[-1])
        while first and len(turns[first - 1]) <= room:
            first -= 1
            room -= len(turns[first])
        predicted = np.concatenate(
            [
                (turn[:, 0] >= 0) & self._is_predicted(script, first, index)
                for index, turn in enumerate(turns[first:], first)
            ]
        )
        rows = np.concatenate(turns[first:])
        depth_kept = predicted & (random.random(len(rows)) < samples.depth_share)
        inputs = add_noise(rows, samples.history_noise, random)
        return Example(rows, inputs, predicted, depth_kept)

    def _is_predicted(self, script: Script, first: int, index: int) -> bool:
        """Whether a turn has a loss, if the rows start with the turn `first`."""
        speaker, *before = (
            self.corpus.speakers[turn[0]] for turn in reversed(script.turns[first : index + 1])
        )
        voice_known = self._is_default(speaker) or speaker in before
        return voice_known and index >= script.first_predicted

    def _is_default(self, speaker: str) -> bool:
        return self.samples.default_speaker in (None, speaker)

    def _turn(self, turn: tuple[int, ...], speaker: int, random: np.random.Generator) -> np.ndarray:
        """Rows (n, K+1) of a turn, with as many of its last utterances as fit, at least one."""
        while len(turn) > 1 and self.num_rows[list(turn)].sum() > self.max_frames:
            turn = turn[1:]
        spelled = [self._spelled(number, random) for number in turn]
        plain = [self.corpus.spoken[number] for number in turn]
        codes = np.concatenate([self.corpus.codes_of(number) for number in turn])
        bare = self.samples.unpunctuated and random.random() < self.samples.unpunctuated
        for spoken in (spelled, plain):
            text = " ".join(spoken)
            tokens = self.tokenizer.encode(text.rstrip(PUNCTUATION) if bare else text, speaker)
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
    """Cut a conversation with turns of these lengths, so that each turn has a loss once.

    Returns:
        For each sequence its first turn, its end, and the first turn with a loss.
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


def add_noise(rows: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """The rows with a share of the audio codes replaced by others of the conversation."""
    if not share:
        return rows
    audio = rows[rows[:, 0] >= 0]
    others = audio[random.permutation(len(audio))]
    out: np.ndarray = rows.copy()
    out[rows[:, 0] >= 0] = np.where(random.random(audio.shape) < share, others, audio)
    return out


def spell_some(text: str, phonemes: str, share: float, random: np.random.Generator) -> str:
    """Replace a share of the words by their spelling, if text and phonemes align by word."""
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
    """The parts of a conversation between the turns that are left out."""
    parts: list[list[int]] = [[]]
    for number in conversation:
        if number in left_out:
            parts.append([])
        else:
            parts[-1].append(number)
    return [part for part in parts if part]


def _count(chances: tuple[float, ...], random: np.random.Generator) -> int:
    """A random number of 1, 2, …, with these probabilities."""
    return 1 + int(random.choice(len(chances), p=chances))
