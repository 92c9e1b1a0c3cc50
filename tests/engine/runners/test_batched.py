"""BatchedRunner: many slots at once equal each slot alone, and the plain model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from causerie.codec.mimi import Mimi
from causerie.engine.engine import Engine
from causerie.engine.runner import BrokenSlotsError, Draw, Rows, Sampling
from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.cuda_graph import Eager
from causerie.engine.runners.plain import PlainRunner
from causerie.engine.runners.slot_model import SlotModel, fused, products
from causerie.model.csm import CSM
from causerie.model.sampling import noise, sample
from causerie.nn.kv_cache import KVCache
from tests import tiny
from tests.engine import asking
from tests.engine.recorder import Recorder

NUM_SLOTS = 5
GREEDY = Sampling(temperature=0.0, top_k=None, depth_temperature=0.0, depth_top_k=None, seed=0)
ROWS = ("tttaaasttaa", "tt", "ttttttaaaaaaaaaaaaasttt", "tas", "ttaaatt")
Make = Callable[..., BatchedRunner]


def sampling(seed: int) -> Sampling:
    return Sampling(
        temperature=0.5 + seed % 3 * 0.4, top_k=(None, 3, 9)[seed % 3],
        depth_temperature=0.7, depth_top_k=(5, 0, None)[seed % 3], seed=seed * 12_345,
    )  # fmt: skip


def prompt(kinds: str, seed: int = 0) -> Rows:
    torch.manual_seed(seed)
    frames, mask = tiny.frames(tiny.csm_config(), kinds, batch=1)
    return frames.masked_fill(~mask, -1)[0].numpy().astype(np.int32)


def plain(model: CSM, rows: Rows, how: Sampling, count: int) -> NDArray[np.int32]:
    """Frames (T, K) by the plain model, which ignores stops."""
    config = model.config
    cache = KVCache(config.backbone, 1, 128)
    depth = KVCache(config.depth, 1, config.num_codebooks)
    given = torch.from_numpy(rows).long()[None]
    seeds, frames = torch.tensor([how.seed]), list[torch.Tensor]()
    with torch.inference_mode():
        hidden = model.prefill(given.clamp(min=0), given >= 0, cache)
        for frame in range(count):

            def draw(logits: torch.Tensor, codebook: int, frame: int = frame) -> torch.Tensor:
                temperature, top_k = how.temperature, how.top_k
                if codebook:
                    temperature, top_k = how.depth_temperature, how.depth_top_k
                size = tiny.CODEBOOK_SIZE
                noise_ = noise(seeds, frame, codebook, size)
                return sample(logits[:, :size], temperature, top_k, noise_)

            frames.append(model.depth_decode(hidden, depth, draw))
            hidden = model.backbone_step(frames[-1], cache)
    return torch.cat(frames).numpy().astype(np.int32)


@pytest.fixture(
    params=[
        pytest.param("eager", marks=pytest.mark.slow),
        pytest.param("products", marks=pytest.mark.slow),
        "recorded",
    ]
)
def make(request: pytest.FixtureRequest) -> Make:
    """Runners of the same model: with calls, another attention, or simulated graphs."""

    def new(codec: Mimi | None = None, *, speaks_at_once: bool = False) -> BatchedRunner:
        return BatchedRunner(
            tiny.csm(), codec or tiny.mimi(), num_slots=NUM_SLOTS, max_rows=100,
            runs=Recorder.graphs() if request.param == "recorded" else None,
            attention=products if request.param == "products" else fused,
            speaks_at_once=speaks_at_once,
        )  # fmt: skip

    return new


@pytest.fixture(params=[tiny.mimi_config, tiny.source_filter_config])
def codec(request: pytest.FixtureRequest) -> Mimi:
    """A codec with each kind of decoder."""
    return tiny.mimi(config=request.param())


def assert_same_sound(
    codec: Mimi, found: NDArray[np.float32], expected: NDArray[np.float32]
) -> None:
    """Assert that the power of the difference is below -70 dB; of SEANet's, much less."""
    assert np.square(found - expected).mean() < 1e-7 * np.square(expected).mean()
    if codec.config.decoder is None:  # the other's pulses move by the rounding of their pitch
        np.testing.assert_allclose(found, expected, atol=1e-4)


def steps(
    runner: BatchedRunner, hows: dict[int, Sampling], count: int, start: int = 0
) -> dict[int, NDArray[np.int32]]:
    """Frames (T, K) of some slots, drawn together."""
    out = [
        runner.step([Draw(slot=slot, sampling=how, frame=frame) for slot, how in hows.items()])
        for frame in range(start, start + count)
    ]
    return {slot: np.stack([codes[i] for codes in out]) for i, slot in enumerate(hows)}


@pytest.mark.parametrize("greedy", [True, False])
def test_all_slots_are_the_plain_model(make: Make, greedy: bool) -> None:
    runner = make()
    hows = {slot: GREEDY if greedy else sampling(slot) for slot in range(NUM_SLOTS)}
    for slot, kinds in enumerate(ROWS):
        runner.prefill(slot, prompt(kinds, slot))
    got = steps(runner, hows, 12)
    for slot, kinds in enumerate(ROWS):
        expected = plain(tiny.csm(), prompt(kinds, slot), hows[slot], 12)
        assert got[slot].dtype == np.int32
        np.testing.assert_array_equal(got[slot], expected)


def test_slots_join_and_leave(make: Make) -> None:
    """Slots that join and leave at any time say the same as alone."""
    runner = make()
    runner.prefill(3, prompt(ROWS[0]))
    first = steps(runner, {3: sampling(1)}, 4)[3]
    runner.prefill(0, prompt(ROWS[1]))
    mixed = runner.step([
        Draw(slot=0, sampling=sampling(2), frame=0), Draw(slot=3, sampling=sampling(1), frame=4),
    ])  # fmt: skip
    runner.reset(3)
    runner.prefill(3, prompt(ROWS[4]))
    again = steps(runner, {3: sampling(4)}, 6)[3]
    model = tiny.csm()
    said = plain(model, prompt(ROWS[0]), sampling(1), 5)
    np.testing.assert_array_equal(first, said[:4])
    np.testing.assert_array_equal(mixed[1], said[4])
    np.testing.assert_array_equal(mixed[0], plain(model, prompt(ROWS[1]), sampling(2), 1)[0])
    np.testing.assert_array_equal(again, plain(model, prompt(ROWS[4]), sampling(4), 6))


def test_one_that_is_not_asked_does_not_change(make: Make) -> None:
    runner = make()
    for slot in (0, 1, 2):
        runner.prefill(slot, prompt(ROWS[slot]))
    before = steps(runner, {1: sampling(1)}, 3)[1]
    steps(runner, {0: sampling(0), 2: sampling(2)}, 9)
    after = steps(runner, {2: sampling(2), 1: sampling(1)}, 3, start=3)[1]
    expected = plain(tiny.csm(), prompt(ROWS[1]), sampling(1), 6)
    np.testing.assert_array_equal(np.concatenate((before, after)), expected)


def test_prefill_in_pieces(make: Make) -> None:
    runner, rows = make(), prompt(ROWS[2])
    for start, end in ((0, 1), (1, 2), (2, 9), (9, len(rows))):
        runner.prefill(1, rows[start:end])
    np.testing.assert_array_equal(
        steps(runner, {1: sampling(5)}, 5)[1], plain(tiny.csm(), rows, sampling(5), 5)
    )


@pytest.mark.parametrize("kept", [1, 5, 10, 11])
def test_saved_rows_are_rows_read(make: Make, kept: int) -> None:
    runner, rows = make(), prompt(ROWS[0])
    runner.prefill(0, rows)
    saved = runner.save(0, kept)
    assert saved.num_rows == kept
    assert saved.num_bytes == 2 * 4 * 3 * 2 * kept * 16
    first = steps(runner, {0: sampling(3)}, 3)[0]  # saving has changed nothing
    runner.reset(4)
    runner.load(4, saved, kept - kept // 2)
    rest = np.concatenate((rows[kept - kept // 2 :], prompt("t")))
    runner.prefill(4, rest)
    whole = np.concatenate((rows, prompt("t")))
    np.testing.assert_array_equal(first, plain(tiny.csm(), rows, sampling(3), 3))
    np.testing.assert_array_equal(
        steps(runner, {4: sampling(6)}, 4)[4], plain(tiny.csm(), whole, sampling(6), 4)
    )


def test_a_reply_is_saved_with_its_frames(make: Make) -> None:
    """Frames too: a conversation continues from them."""
    runner, rows = make(), prompt("ttt")
    runner.prefill(0, rows)
    codes = steps(runner, {0: sampling(3)}, 4)[0]
    said = np.concatenate((rows, np.insert(codes, codes.shape[1], -1, axis=1)))
    saved = runner.save(0, len(said))
    runner.load(2, saved, len(said))
    runner.prefill(2, prompt("tt", 8))
    whole = np.concatenate((said, prompt("tt", 8)))
    np.testing.assert_array_equal(
        steps(runner, {2: GREEDY}, 4)[2], plain(tiny.csm(), whole, GREEDY, 4)
    )


def test_the_last_position_is_used(make: Make) -> None:
    runner, rows = make(), prompt("t" * 96)
    runner.prefill(2, rows)
    got = steps(runner, {2: GREEDY}, 5)[2]  # 96 + 4 rows are read, the fifth frame is not
    np.testing.assert_array_equal(got, plain(tiny.csm(), rows, GREEDY, 5))
    with pytest.raises(AssertionError, match="full"):
        steps(runner, {2: GREEDY}, 1)


def test_sound_is_the_codecs(make: Make, codec: Mimi) -> None:
    """Slots that start at other times, beyond the 250 steps of the codec's context."""
    runner = make(codec)
    length = 140 if codec.config.decoder is None else 30
    torch.manual_seed(0)
    codes = torch.randint(tiny.CODEBOOK_SIZE, (3, tiny.NUM_CODEBOOKS, length))
    slots, sound = (4, 0, 2), [list[NDArray[np.float32]]() for _ in range(3)]
    starts = (0, 3, length // 2)
    for time in range(length):
        rows = [row for row in range(3) if time >= starts[row]]
        rows = rows[time % 2 :] + rows[: time % 2]
        frames = np.stack([codes[row, :, time - starts[row]] for row in rows]).astype(np.int32)
        pcm = runner.decode([slots[row] for row in rows], frames)
        assert pcm.shape == (len(rows), runner.frame_size)
        assert pcm.dtype == np.float32
        for row, piece in zip(rows, pcm, strict=True):
            sound[row].append(piece)
    for row in range(3):
        count = length - starts[row]
        expected = codec.decode(codes[row : row + 1, :, :count])[0, 0].numpy()
        assert_same_sound(codec, np.concatenate(sound[row]), expected)


def test_a_slot_starts_anew_beside_others(make: Make, codec: Mimi) -> None:
    """Three rows of a batch of four: the last is a dummy."""
    runner = make(codec)
    torch.manual_seed(1)
    codes = torch.randint(tiny.CODEBOOK_SIZE, (3, tiny.NUM_CODEBOOKS, 6))
    frames = codes.numpy().astype(np.int32)
    first = [runner.decode([2, 0, 1], frames[:, :, time]) for time in range(3)]
    runner.reset(0)
    rest = [runner.decode([2, 0, 1], frames[:, :, time]) for time in range(3, 6)]
    sound = np.concatenate(first + rest, axis=1)
    expected = codec.decode(codes)[:, 0].numpy()
    expected[1, 3 * runner.frame_size :] = codec.decode(codes[1:2, :, 3:])[0, 0].numpy()
    for row in range(3):
        assert_same_sound(codec, sound[row], expected[row])


@pytest.mark.parametrize("at_once", [False, True])
def test_a_reply_is_the_plain_runners(make: Make, codec: Mimi, at_once: bool) -> None:
    """The engine's replies, some at once and some in slots of others before."""
    requests = asking.mixed(8)
    plain_engine = Engine(PlainRunner(tiny.csm(), codec, 2))
    batched_engine = Engine(make(codec, speaks_at_once=at_once))
    handles = [batched_engine.submit(request) for request in requests]
    for request, handle in zip(requests, handles, strict=True):
        expected, sound, state = asking.collect(plain_engine, plain_engine.submit(request))
        frames, found, found_state = asking.collect(batched_engine, handle)
        assert (frames, found_state) == (expected, state)
        assert_same_sound(codec, np.frombuffer(found, np.float32), np.frombuffer(sound, np.float32))


def test_codes_and_sound_at_once(make: Make, codec: Mimi) -> None:
    """They are those of two calls, and the sound of each frame must be taken."""
    once, twice = make(codec, speaks_at_once=True), make(codec)
    for runner in (once, twice):
        runner.prefill(0, prompt(ROWS[0]))
        runner.prefill(3, prompt(ROWS[1]))
    for frame in range(4):
        draws = [Draw(slot=slot, sampling=sampling(slot), frame=frame) for slot in (3, 0)]
        codes = once.step(draws)
        np.testing.assert_array_equal(codes, twice.step(draws))
        np.testing.assert_array_equal(once.stops((3, 0)), twice.stops((3, 0)))
        sound = once.decode((0, 3), codes[::-1])
        assert_same_sound(codec, sound, twice.decode((0, 3), codes[::-1]))
    codes = once.step(draws)
    with pytest.raises(AssertionError, match="other codes"):
        once.decode((3,), codes[1:])
    with pytest.raises(AssertionError, match="was not taken"):
        once.step(draws)
    once.reset(0)  # its reply is over
    once.reset(3)
    once.prefill(3, prompt(ROWS[1]))
    codes = once.step(draws[:1])
    twice.reset(3)
    twice.prefill(3, prompt(ROWS[1]))
    np.testing.assert_array_equal(codes, twice.step(draws[:1]))
    assert_same_sound(codec, once.decode((3,), codes), twice.decode((3,), codes))


@pytest.mark.parametrize(("at_once", "waits"), [(True, 1), (False, 2)])
def test_the_host_waits_for_codes_and_for_sound(
    at_once: bool, waits: int, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or once for both; what is sent to the device needs no wait."""
    runner, counted, real = make(speaks_at_once=at_once), list[int](), torch.Tensor.cpu
    runner.prefill(0, prompt(ROWS[0]))
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: (counted.append(1), real(self))[1])
    for frame in range(3):
        counted.clear()
        codes = runner.step([Draw(slot=0, sampling=sampling(0), frame=frame)])
        runner.decode([0], codes)
        assert len(counted) == waits


def test_sound_starts_from_silence_after_reset(make: Make, codec: Mimi) -> None:
    runner = make(codec)
    codes = np.full((1, tiny.NUM_CODEBOOKS), 7, np.int32)
    first = [runner.decode([1], codes) for _ in range(3)]
    runner.reset(1)
    again = [runner.decode([1], codes) for _ in range(3)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


def test_slots_that_are_not_finite_are_reported_and_cleared(make: Make) -> None:
    runner = make()
    runner.prefill(0, prompt(ROWS[0]))
    runner.prefill(1, prompt(ROWS[1]))
    runner._model.backbone.cache.keys[0, 1, :, 0] = torch.nan
    with pytest.raises(BrokenSlotsError, match="not finite") as caught:
        steps(runner, {0: GREEDY, 1: GREEDY}, 1)
    assert caught.value.slots == (1,)
    rest = steps(runner, {0: GREEDY}, 2, start=1)[0]  # the other one goes on
    got = np.concatenate((caught.value.codes[:1], rest))
    np.testing.assert_array_equal(got, plain(tiny.csm(), prompt(ROWS[0]), GREEDY, 3))
    runner.reset(1)
    runner.prefill(1, prompt(ROWS[1]))
    got = steps(runner, {1: GREEDY}, 3)[1]
    np.testing.assert_array_equal(got, plain(tiny.csm(), prompt(ROWS[1]), GREEDY, 3))


def test_all_is_recorded_beforehand() -> None:
    """No later call records, and recording changes no slot."""
    graphs, kinds = Recorder.graphs(), list[str]()
    record = graphs.record
    graphs.record = lambda key, compute: (kinds.append(key[0]), record(key, compute))  # type: ignore
    runner = BatchedRunner(
        tiny.csm(), tiny.mimi(), num_slots=NUM_SLOTS, max_rows=100, runs=graphs
    )  # fmt: skip
    runner.prefill(0, prompt(ROWS[0]))
    pieces = runner.preparations()
    for piece in pieces:
        piece.run()
    assert [piece.what for piece in pieces[:2]] == ["prompts", "batches of 1"]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "prompt": 1, "read": 4, "draw": 4, "sound": 4  # batches of 1, 2, 4 and 5, one length
    }  # fmt: skip
    count = len(kinds)
    for piece in pieces:
        piece.run()  # nothing is left
    runner.prefill(4, prompt(ROWS[2]))
    got = steps(runner, {0: GREEDY, 4: sampling(4)}, 3)
    runner.decode([0, 4], np.stack([got[0][0], got[4][0]]))
    assert len(kinds) == count
    np.testing.assert_array_equal(got[0], plain(tiny.csm(), prompt(ROWS[0]), GREEDY, 3))
    np.testing.assert_array_equal(got[4], plain(tiny.csm(), prompt(ROWS[2]), sampling(4), 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_dtypes_draw_from_logits_near_fp32(dtype: torch.dtype) -> None:
    """Cards before Ampere compute in float16. Codes differ; hidden states are near."""
    runners = [
        BatchedRunner(tiny.csm().to(number), tiny.mimi(), num_slots=2, max_rows=100)
        for number in (torch.float32, dtype)
    ]
    hidden = []
    for runner in runners:
        for slot in (0, 1):
            runner.prefill(slot, prompt(ROWS[slot], slot))
        steps(runner, {0: GREEDY, 1: sampling(1)}, 1)
        hidden.append(runner.hidden([0, 1]).float())
    error = (hidden[0] - hidden[1]).pow(2).mean().sqrt() / hidden[0].std()
    assert 0 < error < (0.05 if dtype is torch.bfloat16 else 0.01)


def test_calls_need_no_preparation() -> None:
    runner = BatchedRunner(tiny.csm(), tiny.mimi(), num_slots=1, runs=Eager())
    assert not runner.preparations()


@pytest.mark.parametrize("length", [1, 63, 64, 65, 90])
def test_padded_prompts_are_prompts(length: int) -> None:
    """To the last digit of fp32, computed in fp64: in fp32 the sums of other shapes round apart."""
    model = tiny.csm().double()
    runner = BatchedRunner(model, tiny.mimi(), num_slots=2, max_rows=100)
    rows = prompt("tta" * 30)[:length]
    cache = runner._model.backbone.cache
    cache.keys[:, 0], cache.values[:, 0] = torch.nan, torch.nan  # of another slot
    runner.prefill(1, np.concatenate((rows, prompt("t"))))
    unpadded = SlotModel(model, 1, length, tiny.CODEBOOK_SIZE)
    with torch.inference_mode():
        unpadded.read(torch.from_numpy(rows).long()[None], torch.arange(length)[None], length)
    expected = unpadded.backbone.cache
    for ours, theirs in ((cache.keys, expected.keys), (cache.values, expected.values)):
        assert torch.equal(ours[:, 1, :, :length].float(), theirs[:, 0].float())
        assert not ours[:, 1, :, length:100].any()  # the dummy position is the one after
        assert ours[:, 0].isnan().all()
