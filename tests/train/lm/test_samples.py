"""The conversations of a step: rows, context, random choices, and what they depend on."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from causerie.errors import ConfigError
from causerie.train.lm.batches import collate
from causerie.train.lm.config import Samples
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.samples import (
    ConversationSampler,
    Example,
    Script,
    add_noise,
    spell_some,
    windows,
)
from tests import tiny

TOKENIZER = tiny.tokenizer()
TURNS = [("A", 5), ("B", 3), ("A", 4), ("C", 6), ("C", 2), ("A", 7)]  # speaker, frames
CONVERSATIONS = [[0, 1, 2], [3], [4], [5]]
ROWS = [len(f"[0]turn {i}") + 2 + frames + 1 for i, (_, frames) in enumerate(TURNS)]


def corpus(conversations: list[list[int]] | None = None) -> Corpus:
    codes = [np.full((frames, 3), i + 1, np.int16) for i, (_, frames) in enumerate(TURNS)]
    return Corpus(
        words=[f"turn {i}" for i in range(len(TURNS))],
        spoken=[f"turn {i}" for i in range(len(TURNS))],
        speakers=[speaker for speaker, _ in TURNS],
        num_frames=np.array([frames for _, frames in TURNS]),
        conversations=conversations or CONVERSATIONS,
        codes_of=lambda index: codes[index],
    )


def sampler(
    samples: Samples | None = None,
    max_frames: int = 200,
    seed: int = 0,
    conversations: list[list[int]] | None = None,
) -> ConversationSampler:
    samples = samples or Samples(batch=4, depth_share=1.0)
    return ConversationSampler(
        corpus(conversations), TOKENIZER, samples, max_frames=max_frames, seed=seed
    )


def turn_rows(index: int, speaker: int) -> np.ndarray:
    tokens = TOKENIZER.encode(f"turn {index}", speaker)
    frames = TURNS[index][1]
    rows = np.full((len(tokens) + frames + 1, 4), -1)
    rows[: len(tokens), 3] = tokens
    rows[len(tokens) : -1, :3] = index + 1
    rows[-1, :3] = 0
    return rows


def test_speakers_are_numbered_in_order_of_appearance() -> None:
    example = sampler().example(Script(((0,), (1,), (2,)), 0), 0)
    expected = np.concatenate([turn_rows(0, 0), turn_rows(1, 1), turn_rows(2, 0)])
    assert np.array_equal(example.rows, expected)
    assert np.array_equal(example.inputs, expected)
    assert np.array_equal(example.predicted, expected[:, 0] >= 0)
    assert np.array_equal(example.depth_kept, example.predicted)


def test_only_the_default_speaker_has_a_loss_without_context() -> None:
    found = sampler(Samples(batch=4, depth_share=1.0, default_speaker="B"))
    example = found.example(Script(((0,), (1,), (2,)), 0), 0)  # A, B, A
    first = len(turn_rows(0, 0))
    assert not example.predicted[:first].any()
    assert example.predicted[first:].sum() == TURNS[1][1] + 1 + TURNS[2][1] + 1
    drawn = [found.script(position) for position in range(len(found.scripts))]
    alone = [script for script in drawn if len({TURNS[t[0]][0] for t in script.turns}) == 1]
    assert alone  # of C, C and A
    assert all(len(script.turns) == 2 for script in alone)


def test_a_default_speaker_without_turns_is_refused() -> None:
    with pytest.raises(ConfigError, match="'D' is not in the data, whose speakers are A, B, C"):
        sampler(Samples(default_speaker="D"))


def test_context_turns_have_no_loss() -> None:
    example = sampler().example(Script(((0,), (1,), (2,)), 2), 0)
    context = len(turn_rows(0, 0)) + len(turn_rows(1, 1))
    assert not example.predicted[:context].any()
    assert example.predicted[context:].sum() == TURNS[2][1] + 1  # its audio, and the stop row
    assert (example.rows[:context, 0] >= 0).any()


def test_each_turn_has_a_loss_once() -> None:
    for learn in ("all", "last"):
        for max_frames in (9, 14, 20, 30):
            lengths = [5, 9, 4, 4, 8, 1, 9]
            cut = windows(lengths, max_frames, learn)
            learned = [turn for _, last, first in cut for turn in range(first, last)]
            assert sorted(learned) == list(range(7))
            assert all(sum(lengths[first:last]) <= max_frames for first, last, _ in cut)
    assert windows([5, 9, 4], 14, "last") == [(0, 1, 0), (0, 2, 1), (1, 3, 2)]
    assert windows([5, 9, 4], 14, "all") == [(0, 2, 0), (2, 3, 2)]


def test_each_conversation_occurs_once_per_epoch() -> None:
    drawn = sampler(Samples(batch=2))
    seen = [drawn.script(position) for position in range(8)]
    assert Counter(seen[:4]) == Counter(seen[4:]) == Counter(drawn.scripts)
    learned = Counter[tuple[int, ...]]()
    for step in range(4):  # 8 conversations: two epochs
        for example in drawn(step):
            learned[tuple(example.rows[example.predicted, 0].tolist())] += 1
    assert set(learned.values()) == {2}


def test_batches_have_different_conversations_of_similar_length() -> None:
    drawn = sampler(Samples(batch=2), conversations=[[4], [3], [0], [5], [1], [2]])
    steps = [[len(example.rows) for example in drawn(step)] for step in range(3)]
    lengths = sorted(ROWS)
    assert sorted(steps) == [lengths[:2], lengths[2:4], lengths[4:]]
    assert steps != sorted(steps)  # but the long ones do not always come last


def same(ours: Example, theirs: Example) -> bool:
    return all(np.array_equal(a, vars(theirs)[name]) for name, a in vars(ours).items())


def test_processes_divide_the_batch_of_one() -> None:
    samples = Samples(batch=5, depth_share=0.5, any_speaker=0.5, history_noise=0.3)
    for step in range(3):
        alone = sampler(samples)(step)
        shared = [example for rank in range(2) for example in sampler(samples)(step, rank, 2)]
        assert len(alone) == len(shared) == 5
        for example in alone:
            assert any(same(example, other) for other in shared)


def test_a_step_depends_on_seed_and_step_alone() -> None:
    samples = Samples(batch=4, depth_share=0.5, turns=(0.5, 0.5))
    used = sampler(samples)
    for step in (7, 0, 3):
        used(step)
    fresh = sampler(samples)
    for ours, theirs in zip(used(5), fresh(5), strict=True):
        assert same(ours, theirs)
    others = sampler(samples, seed=1)(5)
    assert not all(same(a, b) for a, b in zip(fresh(5), others, strict=True))


def test_single_turns_of_a_speaker_are_combined() -> None:
    samples = Samples(batch=4, turns=(0.0, 1.0), joined=(0.0, 1.0))
    drawn = sampler(samples)
    for position in range(40):
        script = drawn.script(position)
        if script.turns == ((0,), (1,), (2,)):
            continue  # a real conversation stays as it is
        assert [len(turn) for turn in script.turns] == [2, 2]
        assert len({TURNS[number][0] for turn in script.turns for number in turn}) == 1
        assert {number for turn in script.turns for number in turn} <= {3, 4, 5}
    last = sampler(dataclasses.replace(samples, learn="last"))
    assert {last.script(p).first_predicted for p in range(8) if len(last.script(p).turns) == 2} == {
        1
    }


def test_the_oldest_turns_and_utterances_are_left_out() -> None:
    short = sampler(max_frames=ROWS[1] + ROWS[2])
    example = short.example(Script(((0,), (1,), (2,)), 0), 0)
    assert len(example.rows) == ROWS[1] + ROWS[2]
    joined = sampler(max_frames=30).example(Script(((0, 1, 2),), 0), 0)
    assert set(joined.rows[:, 0].tolist()) == {-1, 0, 2 + 1}


def test_turns_that_never_fit_are_noted_and_split_a_conversation() -> None:
    drawn = sampler(max_frames=max(ROWS) - 1, conversations=[[4, 5, 1], [0]])
    assert drawn.notes == (
        f"left out: 1 of 4 turns are longer than the model's {max(ROWS) - 1} rows",
    )
    assert [script.turns for script in drawn.scripts] == [((4,),), ((1,),), ((0,),)]
    with pytest.raises(ConfigError, match="no turn fits in the model's max_frames of 9"):
        sampler(max_frames=9)


def test_random_speaker_numbers() -> None:
    digits = [TOKENIZER.encode("", speaker)[2] for speaker in range(10)]

    def drawn(any_speaker: float) -> list[list[int]]:
        made = sampler(Samples(any_speaker=any_speaker))
        script = Script(((0,), (1,), (2,)), 0)
        texts = [made.example(script, place).rows[:, 3].tolist() for place in range(30)]
        starts = [[i for i, token in enumerate(row) if token == TOKENIZER.bos_id] for row in texts]
        return [
            [digits.index(row[i + 2]) for i in first]
            for row, first in zip(texts, starts, strict=True)
        ]

    assert {tuple(numbers) for numbers in drawn(0.0)} == {(0, 1, 0)}
    random = drawn(1.0)
    assert len({tuple(numbers) for numbers in random}) > 10
    assert all(first == third != second for first, second, third in random)


def test_the_depth_share_is_of_the_predicted_rows() -> None:
    made = sampler(Samples(depth_share=0.25))
    examples = [made.example(Script(((0,), (1,), (2,)), 1), place) for place in range(200)]
    assert not any((example.depth_kept & ~example.predicted).any() for example in examples)
    share = sum(e.depth_kept.sum() for e in examples) / sum(e.predicted.sum() for e in examples)
    assert 0.2 < share < 0.3
    stops = [(e.rows == 0)[:, :3].all(1) & e.depth_kept for e in examples]
    assert any(stop.any() for stop in stops)


def test_history_noise_is_in_the_inputs_only() -> None:
    made = sampler(Samples(history_noise=0.5))
    example = made.example(Script(((0,), (1,), (2,)), 0), 0)
    audio = example.rows[:, 0] >= 0
    changed = (example.inputs != example.rows)[:, :3]
    assert 0.1 < changed[audio].mean() < 0.6
    assert not changed[~audio].any()
    assert np.array_equal(example.inputs[:, 3], example.rows[:, 3])
    assert add_noise(example.rows, 0.0, np.random.default_rng(0)) is example.rows


def test_spelling_keeps_punctuation_and_word_count() -> None:
    random = np.random.default_rng(0)
    assert spell_some("The cat sat.", "ðə kˈæt sˈæt.", 1.0, random) == "ｔｈｅ ｃａｔ ｓａｔ."
    assert spell_some("The cat", "ðə kˈæt sˈæt.", 1.0, random) == "ðə kˈæt sˈæt."


def test_a_share_of_the_texts_lacks_its_final_punctuation() -> None:
    turns = [f"Is it {i}?!" for i in range(len(TURNS))]
    spoken = dataclasses.replace(corpus([[0], [2], [5]]), words=turns, spoken=turns)

    readings = {}
    for ending in ("?!", ""):
        for last in range(len(TURNS)):
            for first in ("", *(f"{turn} " for turn in turns)):
                text = f"{first}Is it {last}{ending}"
                readings[text] = TOKENIZER.encode(text, 0)

    def texts(share: float) -> list[str]:
        samples = Samples(batch=4, joined=(0.5, 0.5), learn="last", unpunctuated=share)
        drawn = ConversationSampler(spoken, TOKENIZER, samples, max_frames=200, seed=0)
        found = []
        for position in range(40):
            rows = drawn.example(drawn.script(position), position).rows
            tokens = rows[rows[:, -1] >= 0, -1].tolist()
            found.append(next(text for text in readings if readings[text] == tokens))
        return found

    assert all(text.endswith("?!") for text in texts(0.0))
    bare = texts(0.4)
    assert 6 < sum(not text.endswith("?!") for text in bare) < 30
    assert all(text.endswith(("?!", *"012345")) for text in bare)
    joined = [text for text in bare if text.count("Is") > 1]
    assert joined
    assert all("?!" in text for text in joined), "only the end is bare"


def test_rows_may_have_different_lengths() -> None:
    no, yes = np.array([False, False]), np.array([False, True])
    long = np.array([[-1, -1, 5], [3, 4, -1]])
    short = np.array([[-1, -1, 7]])
    batch = collate([Example(long, long + 0, yes, no), Example(short, short, no[:1], no[:1])])
    assert batch.frames.tolist() == [[[0, 0, 5], [3, 4, 0]], [[0, 0, 7], [0, 0, 0]]]
    assert batch.mask[1].tolist() == [[False, False, True], [False, False, False]]
    assert batch.predicted.tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"turns": (0.5, 0.4)}, "turns must be probabilities that sum to 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"depth_share": 0.0}, "depth_share must be above 0"),
        ({"history_noise": 1.5}, "history_noise must be from 0 to 1, not 1.5"),
    ],
)
def test_invalid_values_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Samples(**values)  # type: ignore[arg-type]
