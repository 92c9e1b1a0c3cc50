"""The native runner: equal to the plain path in fp32, and to itself to the bit in every format."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from causerie.config import CSMConfig, LlamaConfig
from causerie.engine.runner import BrokenSlotsError, Draw, Rows, Sampling
from causerie.engine.runners.native import NativeRunner
from causerie.errors import ConfigError
from causerie.model.csm import CSM
from causerie.model.sampling import noise, sample
from causerie.native.products import Format
from causerie.nn.kv_cache import KVCache
from tests import tiny
from tests.kernels import KERNELS

#: (backbone, depth decoder) → the largest error of logits, root mean square, as a part of their
#: spread. The tiny model is hard on few bits: its sums are short.
FORMATS: dict[tuple[Format, Format], float] = {
    ("bfloat16", "bfloat16"): 0.01,
    ("int8", "int8"): 0.03,
    ("int5", "int5"): 0.15,
    ("bfloat16", "int4"): 0.25,
    ("int5", "int4"): 0.3,
    ("int4", "int4"): 0.35,
}
GREEDY = Sampling(temperature=0, top_k=None, depth_temperature=0, depth_top_k=None, seed=0)
DRAWN = [
    Sampling(temperature=0.9, top_k=10, depth_temperature=0.7, depth_top_k=5, seed=1),
    Sampling(temperature=1.0, top_k=None, depth_temperature=1.1, depth_top_k=0, seed=2**62 + 5),
    Sampling(temperature=0.5, top_k=1, depth_temperature=0.8, depth_top_k=31, seed=0),
]


def odd_config() -> CSMConfig:
    """No width is a multiple of sixteen."""
    return CSMConfig(
        backbone=LlamaConfig(
            num_layers=2, dim=36, num_heads=6, num_kv_heads=2, head_dim=22, ffn_dim=50
        ),
        depth=LlamaConfig(
            num_layers=1, dim=20, num_heads=3, num_kv_heads=3, head_dim=6, ffn_dim=34
        ),
        num_codebooks=tiny.NUM_CODEBOOKS,
        audio_vocab_size=tiny.CODEBOOK_SIZE + 3,
        text_vocab_size=260,
        max_frames=128,
    )


def rows_of(config: CSMConfig, letters: str, seed: int = 0) -> Rows:
    torch.manual_seed(seed)
    frames, mask = tiny.frames(config, letters, batch=1)
    return torch.where(mask, frames, -1)[0].numpy().astype(np.int32)


def runner(model: CSM, num_slots: int = 1, **settings: object) -> NativeRunner:
    return NativeRunner(model, tiny.mimi(), num_slots, **settings)  # type: ignore[arg-type]


def speak(
    subject: NativeRunner, slots: list[int], samplings: list[Sampling], count: int
) -> NDArray[np.int32]:
    """Codes (count, B, K) of the next frames of several slots."""
    return np.stack(
        [
            subject.step(
                [
                    Draw(slot=slot, sampling=sampling, frame=frame)
                    for slot, sampling in zip(slots, samplings, strict=True)
                ]
            )
            for frame in range(count)
        ]
    )


@torch.inference_mode()
def plain(model: CSM, rows: Rows, sampling: Sampling, count: int) -> NDArray[np.int32]:
    """The same with the model's own functions: codes (count, K)."""
    cache = KVCache(model.config.backbone, 1, model.config.max_frames)
    depth_cache = KVCache(model.config.depth, 1, model.config.num_codebooks)
    read = torch.from_numpy(rows.astype(np.int64))[None]
    hidden = model.prefill(read.clamp(min=0), read >= 0, cache)
    frames = []
    for frame in range(count):

        def choose(logits: torch.Tensor, codebook: int, frame: int = frame) -> torch.Tensor:
            temperature, top_k = sampling.temperature, sampling.top_k
            if codebook:
                temperature, top_k = sampling.depth_temperature, sampling.depth_top_k
            seeds, size = torch.tensor([sampling.seed]), tiny.CODEBOOK_SIZE
            return sample(logits[:, :size], temperature, top_k, noise(seeds, frame, codebook, size))

        codes = model.depth_decode(hidden, depth_cache, choose)
        frames.append(codes[0].numpy().astype(np.int32))
        hidden = model.backbone_step(codes, cache)
    return np.stack(frames)


@pytest.mark.parametrize(
    "kernels", [*KERNELS[:1], *(pytest.param(k, marks=pytest.mark.slow) for k in KERNELS[1:])]
)
@pytest.mark.parametrize(
    "config",
    [tiny.csm_config(), pytest.param(odd_config(), marks=pytest.mark.slow)],
    ids=["tiny", "odd"],
)
def test_codes_are_those_of_the_plain_path(kernels: str, config: CSMConfig):
    model, samplings = tiny.csm(config=config), [GREEDY, *DRAWN]
    subject = runner(model, 4, kernels=kernels)
    prompts = [rows_of(config, "tttaaastta"[: 10 - i], seed=i) for i in range(4)]
    for slot, rows in enumerate(prompts):
        subject.prefill(slot, rows)
    codes = speak(subject, [0, 1, 2, 3], samplings, 60)
    for slot, (rows, sampling) in enumerate(zip(prompts, samplings, strict=True)):
        assert np.array_equal(codes[:, slot], plain(model, rows, sampling, 60))


@pytest.mark.parametrize("kernels", KERNELS)
def test_hidden_states_and_logits_are_the_models(kernels: str):
    model = tiny.csm()
    rows = rows_of(model.config, "ttaaattaaaasta")
    subject, num_codes = runner(model, kernels=kernels), tiny.CODEBOOK_SIZE
    subject.prefill(0, rows[:3])
    read = torch.from_numpy(rows.astype(np.int64))[None]
    frames, mask = read.clamp(min=0), read >= 0
    predicted = torch.zeros(1, len(rows), dtype=torch.bool)
    predicted[0, 3:5] = True  # the two audio rows that follow the three read
    with torch.inference_mode():
        first, others = model(frames, mask, predicted)
        expected = torch.cat((first[:, None], others), dim=1)[..., :num_codes].numpy()
        hidden = model.backbone(model.embed_frames(frames, mask))[0].numpy()
    np.testing.assert_allclose(subject.hidden(0), hidden[2], atol=1e-4)
    for row in (3, 4):
        draw = Draw(slot=0, sampling=GREEDY, frame=0)
        logits = subject.logits([draw], rows[row : row + 1, :-1])
        np.testing.assert_allclose(logits[0], expected[row - 3], atol=1e-4)
    np.testing.assert_allclose(subject.hidden(0), hidden[3], atol=1e-4)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("formats", FORMATS, ids="+".join)
def test_formats_stay_within_their_tolerance(kernels: str, formats: tuple[Format, Format]):
    model = tiny.csm()
    rows = rows_of(model.config, "ttaaattaaaata")
    exact = runner(model, kernels=kernels)
    rounded = runner(model, kernels=kernels, backbone_format=formats[0], depth_format=formats[1])
    codes = rows[7:11, :-1]
    results = []
    for subject in (exact, rounded):
        subject.prefill(0, rows[:7])
        draw = Draw(slot=0, sampling=GREEDY, frame=0)
        results.append(np.stack([subject.logits([draw], frame[None]) for frame in codes]))
    error = np.sqrt(np.square(results[0] - results[1]).mean())
    assert error < FORMATS[formats] * results[0].std()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("formats", [("float32", "float32"), *FORMATS], ids="+".join)
def test_slots_are_alone(kernels: str, formats: tuple[Format, Format]):
    model = tiny.csm()
    settings = {"backbone_format": formats[0], "depth_format": formats[1], "kernels": kernels}
    prompts = [rows_of(model.config, "ttaaasttaaaaata"[: 3 + 4 * i], seed=i) for i in range(4)]
    samplings = [GREEDY, *DRAWN]
    alone = []
    for rows, sampling in zip(prompts, samplings, strict=True):
        subject = runner(model, num_threads=1, **settings)
        subject.prefill(0, rows)
        codes = speak(subject, [0], [sampling], 8)[:, 0]
        alone.append((codes, subject.hidden(0)))
    subject = runner(model, 5, num_threads=2, **settings)
    for slot, rows in enumerate(prompts):
        subject.prefill(slot, rows)
    # Slots 1 and 3 speak before the others join, and in another order.
    early = speak(subject, [3, 1], [samplings[3], samplings[1]], 3)
    late = np.stack(
        [
            subject.step(
                [
                    Draw(slot=slot, sampling=samplings[slot], frame=frame + 3 * (slot % 2))
                    for slot in ((0, 1, 2, 3) if frame < 5 else (2, 0))
                ]
            )[:2]
            for frame in range(5)
        ]
    )
    assert np.array_equal(early[:, 1], alone[1][0][:3])
    assert np.array_equal(early[:, 0], alone[3][0][:3])
    assert np.array_equal(late[:, 0], alone[0][0][:5])
    assert np.array_equal(late[:, 1], alone[1][0][3:])
    for slot in (1, 3):
        assert np.array_equal(subject.hidden(slot), alone[slot][1])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("formats", [("float32", "float32"), *FORMATS], ids="+".join)
def test_rows_may_be_cut_and_saved_anywhere(kernels: str, formats: tuple[Format, Format]):
    config = tiny.csm_config(max_frames=300)
    model = tiny.csm(config=config)
    subject = runner(model, 2, backbone_format=formats[0], depth_format=formats[1], kernels=kernels)
    rows = np.concatenate([rows_of(config, "taataaat" * 16, seed=i) for i in range(2)])[:250]
    subject.prefill(0, rows)
    hidden = subject.hidden(0)
    codes = speak(subject, [0], [DRAWN[0]], 6)
    saved = subject.save(0, 250)
    assert saved.num_rows == 250
    for num_rows in (1, 16, 33, 130, 249):
        subject.reset(1)
        subject.load(1, saved, num_rows)
        subject.prefill(1, rows[num_rows : num_rows + 1])  # and the rest in another block
        if num_rows < 249:
            subject.prefill(1, rows[num_rows + 1 :])
        assert np.array_equal(subject.hidden(1), hidden)
        assert np.array_equal(speak(subject, [1], [DRAWN[0]], 6), codes)
    assert saved.num_bytes > subject.save(0, 100).num_bytes


def test_tables_are_read_in_their_dtype():
    for dtype in (torch.bfloat16, torch.float16):
        model = tiny.csm().to(dtype)
        rows = rows_of(model.config, "ttaaatta")
        subject = runner(model, backbone_format="float32", depth_format="float32")
        assert runner(model).formats == {"backbone": "bfloat16", "depth": "bfloat16"}
        subject.prefill(0, rows)
        codes = speak(subject, [0], [DRAWN[0]], 20)[:, 0]
        assert np.array_equal(codes, plain(model.float(), rows, DRAWN[0], 20))


def test_fewer_codebooks_are_drawn_as_if_the_others_were_masked_out():
    model = tiny.csm()
    whole, part = runner(model), runner(model, num_codebooks=3)
    rows = rows_of(model.config, "ttaaattaaaata")
    whole.prefill(0, rows)
    part.prefill(0, rows)
    first = speak(whole, [0], [DRAWN[0]], 1)[0, 0]
    codes = speak(part, [0], [DRAWN[0]], 2)[:, 0]
    assert codes.shape == (2, 3)
    assert np.array_equal(codes[0], first[:3])
    again = runner(model)
    again.prefill(0, rows)
    again.prefill(0, np.array([[*codes[0], -1, -1, -1]], np.int32))
    expected = again.step([Draw(slot=0, sampling=DRAWN[0], frame=1)])
    assert np.array_equal(codes[1], expected[0, :3])
    with pytest.raises(ConfigError, match="num_codebooks must be 2 … 5, not 6"):
        runner(model, num_codebooks=6)


@pytest.mark.parametrize("form", ["float32", "bfloat16", "int8", "int5", "int4"])
def test_a_slot_of_broken_numbers_is_named_and_the_others_are_well(form: Format):
    model = tiny.csm()
    with torch.no_grad():
        model.text_embedding.weight[7] = torch.nan
    subject = runner(model, 3, backbone_format=form, depth_format=form)
    rows = rows_of(model.config, "ttt")
    rows[rows == 7] = 8
    broken = rows.copy()
    broken[1, -1] = 7
    for slot, read in enumerate([rows, broken, rows]):
        subject.prefill(slot, read)
    draws = [Draw(slot=slot, sampling=DRAWN[0], frame=0) for slot in (0, 1, 2)]
    with pytest.raises(BrokenSlotsError, match="not finite in") as caught:
        subject.step(draws)
    assert caught.value.slots == (1,)
    assert np.array_equal(caught.value.codes[0], caught.value.codes[2])
    subject.reset(1)  # what it left in memory harms nobody
    subject.prefill(1, rows)
    draws = [Draw(slot=slot, sampling=DRAWN[0], frame=slot == 1 and 0) for slot in (1,)]
    assert np.array_equal(subject.step(draws)[0], caught.value.codes[0])


def test_sound_is_the_codecs():
    codec = tiny.mimi()
    subject = NativeRunner(tiny.csm(), codec, 2)
    codes = np.random.default_rng(0).integers(0, tiny.CODEBOOK_SIZE, (2, 3, 5)).astype(np.int32)
    sound = np.stack([subject.decode([0, 1], codes[:, frame]) for frame in range(3)], axis=1)
    expected = codec.decode(torch.from_numpy(codes.astype(np.int64)).transpose(1, 2))
    np.testing.assert_allclose(sound.reshape(2, -1), expected[:, 0].detach().numpy(), atol=1e-4)
    subject.reset(0)
    assert np.array_equal(subject.decode([0], codes[:1, 0])[0], sound[0, 0])


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ConfigError, match="one of float32, bfloat16, int8, int5, int4, not 'fp8'"):
        runner(tiny.csm(), depth_format="fp8")


def test_model_of_one_head_of_keys():
    config = dataclasses.replace(
        tiny.csm_config(), backbone=dataclasses.replace(tiny.csm_config().backbone, num_kv_heads=1)
    )
    model = tiny.csm(config=config)
    rows = rows_of(config, "ttaaa")
    subject = runner(model)
    subject.prefill(0, rows)
    assert np.array_equal(speak(subject, [0], [GREEDY], 10)[:, 0], plain(model, rows, GREEDY, 10))
