"""Language-model training: what is learned, from which rows, and that killed runs continue."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from causerie.config import CSMConfig, LlamaConfig
from causerie.errors import ConfigError
from causerie.model.csm import CSM, loss
from causerie.text.tokenizer import TextTokenizer
from causerie.train.data import EncodedSpeech
from causerie.train.lm import (
    ConversationSampler,
    LMRecipe,
    collate,
    corrupt_history,
    leading,
    spell_some,
    train_lm,
)
from tests.train.killed import run_and_kill

ASSETS = Path(__file__).parents[2] / "src/causerie/assets/petit"
LLAMA = LlamaConfig(num_layers=1, dim=16, num_heads=2, num_kv_heads=1, head_dim=8, ffn_dim=32)


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.load(ASSETS / "tokenizer.json")


@pytest.fixture(scope="module")
def speech() -> EncodedSpeech:
    random = np.random.default_rng(0)
    lengths = random.integers(3, 9, size=12)
    codes = random.integers(1, 20, size=(lengths.sum(), 3)).astype(np.int16)
    starts = np.cumsum([0, *lengths])
    return EncodedSpeech(
        ["The cat sat."] * 12, ["ðə kˈæt sˈæt."] * 12, codes, starts, np.arange(12)
    )


def config(tokenizer: TextTokenizer) -> CSMConfig:
    return CSMConfig(
        backbone=LLAMA,
        depth=LLAMA,
        num_codebooks=3,
        audio_vocab_size=23,
        text_vocab_size=tokenizer.vocab_size,
    )


MAX_FRAMES = 2048
RECIPE = LMRecipe(steps=6, batch=4, history_noise=0.1, autocast=False)


def test_a_conversation_is_text_then_audio_then_a_stop_row(
    speech: EncodedSpeech, tokenizer: TextTokenizer
) -> None:
    recipe = dataclasses.replace(RECIPE, turns=(1.0,), joined=(1.0,), spelled_sentences=0.0)
    batch = ConversationSampler(speech, tokenizer, recipe, MAX_FRAMES)(0)
    ids = tokenizer.encode("ðə kˈæt sˈæt.", 0)
    for row, mask, predicted in zip(batch.frames, batch.mask, batch.predicted, strict=True):
        assert row[: len(ids), -1].tolist() == ids
        audio = int(predicted.sum())
        assert predicted[len(ids) : len(ids) + audio].all()
        assert not row[len(ids) + audio - 1].any()  # the stop row: zeros …
        assert mask[len(ids) + audio - 1].tolist() == [True, True, True, False]  # … masked in
        assert not mask[len(ids) + audio :].any()


def test_turns_past_the_model_s_length_are_left_out_whole() -> None:
    turns = [np.full((size, 4), size) for size in (5, 3, 4)]
    for room, kept in ((12, [5, 3, 4]), (11, [5, 3]), (8, [5, 3]), (7, [5]), (5, [5])):
        rows = leading(turns, room)
        assert rows[:, 0].tolist() == [size for size in kept for _ in range(size)]


def test_conversations_never_exceed_the_model_s_length(
    speech: EncodedSpeech, tokenizer: TextTokenizer
) -> None:
    recipe = dataclasses.replace(RECIPE, turns=(0.0, 0.0, 1.0), joined=(1.0,))
    whole = ConversationSampler(speech, tokenizer, recipe, MAX_FRAMES)
    cut = ConversationSampler(speech, tokenizer, recipe, 40)
    for step in range(3):
        long, short = whole(step).frames, cut(step).frames
        assert long.shape[1] > 40 >= short.shape[1]
    with pytest.raises(ConfigError, match=r"a turn of \d\d rows .* max_frames of 9:"):
        ConversationSampler(speech, tokenizer, recipe, 9)(0)


def test_speaker_numbers_are_drawn_where_asked(
    speech: EncodedSpeech, tokenizer: TextTokenizer
) -> None:
    recipe = dataclasses.replace(RECIPE, batch=40, turns=(1.0,), spelled_sentences=0.0)
    digits = [tokenizer.encode("", speaker)[2] for speaker in range(10)]

    def drawn(any_speaker: float) -> list[int]:
        sampler = ConversationSampler(
            speech, tokenizer, dataclasses.replace(recipe, any_speaker=any_speaker), MAX_FRAMES
        )
        return [digits.index(int(row[2, -1])) for row in sampler(0).frames]

    assert set(drawn(0.0)) == {0}
    assert len(set(drawn(1.0))) > 5


def test_every_part_learns_and_the_stop_row_is_among_the_labels(
    speech: EncodedSpeech, tokenizer: TextTokenizer
) -> None:
    torch.manual_seed(0)
    model = CSM(config(tokenizer))
    batch = ConversationSampler(speech, tokenizer, RECIPE, MAX_FRAMES)(0)
    first, rest = loss(model, batch.frames, batch.mask, batch.predicted, batch.predicted)
    (first + rest).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    stops = (batch.frames[..., :-1] == 0).all(-1) & batch.predicted
    only_stops, _ = loss(model, batch.frames, batch.mask, stops, batch.predicted)
    model.zero_grad()
    only_stops.backward()
    assert model.codebook0_head.weight.grad[0].abs().sum() > 0


def test_padding_changes_nothing(speech: EncodedSpeech, tokenizer: TextTokenizer) -> None:
    torch.manual_seed(0)
    model = CSM(config(tokenizer))
    batch = ConversationSampler(speech, tokenizer, RECIPE, MAX_FRAMES)(0)
    together = loss(model, batch.frames, batch.mask, batch.predicted, batch.predicted)
    count, total = 0, torch.zeros(2)
    for row, mask, predicted in zip(batch.frames, batch.mask, batch.predicted, strict=True):
        size = int(mask.any(-1).sum())
        alone = (
            row[None, :size],
            mask[None, :size],
            predicted[None, :size],
            predicted[None, :size],
        )
        total += torch.stack(loss(model, *alone)).detach() * predicted.sum()
        count += int(predicted.sum())
    torch.testing.assert_close(torch.stack(together).detach(), total / count)


def test_codebook_weights_scale_the_acoustic_terms(
    speech: EncodedSpeech, tokenizer: TextTokenizer
) -> None:
    model = CSM(config(tokenizer))
    batch = ConversationSampler(speech, tokenizer, RECIPE, MAX_FRAMES)(0)
    inputs = (model, batch.frames, batch.mask, batch.predicted, batch.predicted)
    parts = [loss(*inputs, codebook_weights=torch.eye(2)[i])[1] for i in range(2)]
    torch.testing.assert_close(loss(*inputs)[1], parts[0] + parts[1])


def test_history_noise_touches_audio_rows_only(
    speech: EncodedSpeech, tokenizer: TextTokenizer
) -> None:
    batch = ConversationSampler(speech, tokenizer, RECIPE, MAX_FRAMES)(0)
    noisy = corrupt_history(batch, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(noisy[~batch.predicted], batch.frames[~batch.predicted])
    changed = (noisy != batch.frames)[batch.predicted].float().mean()
    assert 0.2 < changed < 0.7


def test_spelling_keeps_punctuation_and_word_count() -> None:
    random = np.random.default_rng(0)
    assert spell_some("The cat sat.", "ðə kˈæt sˈæt.", 1.0, random) == "ｔｈｅ ｃａｔ ｓａｔ."
    assert spell_some("The cat", "ðə kˈæt sˈæt.", 1.0, random) == "ðə kˈæt sˈæt."


def test_rows_may_have_different_lengths() -> None:
    batch = collate([np.array([[-1, -1, 5], [3, 4, -1]]), np.array([[-1, -1, 7]])])
    assert batch.frames.tolist() == [[[0, 0, 5], [3, 4, 0]], [[0, 0, 7], [0, 0, 0]]]
    assert batch.predicted.tolist() == [[False, True], [False, False]]


def test_a_killed_run_continues_to_the_bit(
    tmp_path: Path, speech: EncodedSpeech, tokenizer: TextTokenizer
) -> None:
    whole = train_lm(config(tokenizer), RECIPE, speech, tokenizer, tmp_path / "whole")
    run_and_kill(
        lambda kill: train_lm(
            config(tokenizer), RECIPE, speech, tokenizer, tmp_path / "part", on_step=kill
        )
    )
    resumed = train_lm(config(tokenizer), RECIPE, speech, tokenizer, tmp_path / "part")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_training_learns_the_codes_by_heart(
    tmp_path: Path, speech: EncodedSpeech, tokenizer: TextTokenizer
) -> None:
    recipe = dataclasses.replace(
        RECIPE, steps=80, lr=1e-2, warmup=5, history_noise=0.0, spelled_sentences=0.0
    )
    batch = ConversationSampler(speech, tokenizer, recipe, MAX_FRAMES)(1000)

    @torch.no_grad()
    def losses(model: CSM) -> tuple[torch.Tensor, torch.Tensor]:
        return loss(model, batch.frames, batch.mask, batch.predicted, batch.predicted)

    torch.manual_seed(0)
    first_before, rest_before = losses(CSM(config(tokenizer)))
    model = train_lm(config(tokenizer), recipe, speech, tokenizer, tmp_path / "out")
    first_after, rest_after = losses(model)
    assert first_after < 0.7 * first_before
    assert rest_after < 0.9 * rest_before


def test_encoded_speech_survives_the_disk(tmp_path: Path, speech: EncodedSpeech) -> None:
    speech.save(tmp_path / "codes.npz")
    again = EncodedSpeech.load(tmp_path / "codes.npz")
    assert again.phonemes == speech.phonemes
    assert np.array_equal(again.codes, speech.codes)
    assert np.array_equal(again.codes_of(3), speech.codes_of(3))
