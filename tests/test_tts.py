"""From text to sound with tiny random models: equalities, stopping, context, seeds."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

import causerie
from causerie.audio.audio import Audio
from causerie.checkpoint import Checkpoint, GenerationDefaults
from causerie.device import find_device, find_dtype
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Request
from causerie.engine.runner import Draw
from causerie.engine.runners.native import NativeRunner
from causerie.engine.runners.plain import PlainRunner
from causerie.errors import AudioError, CheckpointError, ConfigError, TextError
from causerie.native import library
from causerie.prompt import Part, Segment, build_prompt
from causerie.reply import turns as turns_module
from causerie.reply.context import MAX_CACHED
from causerie.text import front_end
from causerie.text.front_end import Spoken
from causerie.tts import TTS
from causerie.voices import Voice
from tests import tiny

FRAME = 1_920


class FrontEnd:
    """Reads latin letters alone, and may claim to have skipped something."""

    kind = "plain"
    lexicon = None
    tags: frozenset[str] = frozenset()
    min_piece_chars = max_piece_chars = 250

    def __init__(self, skipped: str = "") -> None:
        self.skipped = skipped

    def __call__(self, text: str, options: object = None) -> Spoken:
        if not text.isascii():
            raise TextError(f"nothing in {text!r} can be spoken")
        return Spoken(text=text, skipped=self.skipped)


@pytest.fixture
def tts() -> TTS:
    return TTS(tiny.checkpoint(), normalize="off")


@pytest.fixture(scope="module")
def shared() -> TTS:
    """For tests that change nothing."""
    return TTS(tiny.checkpoint(), normalize="off")


def noise(seconds: float = 0.4, rate: int = 24_000, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate))
    return samples.astype(np.float32)


def turn(seconds: float = 0.4, rate: int = 24_000, **more: Any) -> Segment:
    return Segment(speaker=1, text="Before.", audio=noise(seconds, rate), sample_rate=rate, **more)


def plain(checkpoint: Checkpoint | None = None) -> TTS:
    """A TTS whose runner is surely the one that calls the model's own functions."""
    checkpoint = checkpoint or tiny.checkpoint()
    return TTS(
        checkpoint,
        engine=Engine(PlainRunner(checkpoint.model, checkpoint.codec, 4)),
        normalize="off",
    )


def stop_after(tts: TTS, monkeypatch: pytest.MonkeyPatch, *counts: int) -> None:
    """Let the runner give the stop frame after so many frames, in each turn."""
    runner = tts.engine.runner
    reset, step = runner.reset, runner.step
    left = list(counts)
    remaining = [0]

    def stopping_reset(slot: int) -> None:
        remaining[0] = left.pop(0)
        reset(slot)

    def stopping_step(draws: Sequence[Draw]) -> np.ndarray:
        codes = step(draws)
        remaining[0] -= 1
        return np.zeros_like(codes) if remaining[0] < 0 else codes.clip(min=1)

    monkeypatch.setattr(runner, "reset", stopping_reset)
    monkeypatch.setattr(runner, "step", stopping_step)


def requests_of(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What the engine is asked for."""
    requests: list[Request] = []
    submit = tts.engine.submit

    def spy(request: Request) -> Handle:
        requests.append(request)
        return submit(request)

    monkeypatch.setattr(tts.engine, "submit", spy)
    return requests


# -- equalities ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_stream_equals_generate_sample_for_sample(shared: TTS, seed: int) -> None:
    stream = shared.stream("Hello there", seed=seed, max_duration_s=2.5)
    pieces = list(stream)
    whole = shared.generate("Hello there", seed=seed, max_duration_s=2.5)
    sizes = [len(piece) / FRAME for piece in pieces]
    assert sizes[:2] == [1, 1]
    assert sum(sizes) == 31
    assert np.array_equal(np.concatenate(pieces), whole.samples)
    assert np.array_equal(stream.audio().samples, whole.samples)
    assert stream.num_frames == 31


def test_sound_is_what_the_codec_makes_of_the_codes_at_once() -> None:
    tts = TTS(tiny.checkpoint(), normalize="off", watermark=False)
    audio = tts.generate("Hello there", seed=3)
    assert audio.codes is not None
    at_once = tts.checkpoint.codec.decode(audio.codes[None])[0, 0].detach().numpy()
    assert len(audio.samples) == len(at_once) > 100 * FRAME
    np.testing.assert_allclose(audio.samples, at_once, rtol=1e-4, atol=1e-3)


def test_frames_equal_an_uncached_model(shared: TTS) -> None:
    """Greedy frames by cached steps are those of a full forward over all rows each time."""
    model = shared.checkpoint.model
    audio = shared.generate("Hey", temperature=0, max_duration_s=0.5)
    assert audio.codes is not None
    tokens = shared.checkpoint.tokenizer.encode("Hey", 0)
    num_codebooks = model.config.num_codebooks
    rows = torch.zeros(1, len(tokens), num_codebooks + 1, dtype=torch.long)
    rows[0, :, -1] = torch.tensor(tokens)
    mask = torch.zeros_like(rows, dtype=torch.bool)
    mask[..., -1] = True
    for frame in audio.codes.T:
        row = torch.cat((frame, torch.zeros(1, dtype=torch.long)))[None, None]
        rows = torch.cat((rows, row), dim=1)
        audio_mask = torch.ones_like(row, dtype=torch.bool)
        audio_mask[..., -1] = False
        mask = torch.cat((mask, audio_mask), dim=1)
    predicted = ~mask[..., -1]
    with torch.no_grad():
        first, rest = model(rows, mask, predicted)
    known = tiny.CODEBOOK_SIZE
    assert torch.equal(first[:, :known].argmax(-1), audio.codes[0])
    assert torch.equal(rest[..., :known].argmax(-1), audio.codes[1:].T)


def test_same_seed_same_sound_whatever_ran_before() -> None:
    fresh = TTS(tiny.checkpoint(), normalize="off").generate("Hello", seed=5, max_duration_s=0.5)
    used = TTS(tiny.checkpoint(), normalize="off")
    used.generate("Something else", seed=9, max_duration_s=0.3)
    next(used.stream("Left unfinished", context=[turn()], seed=5))
    torch.manual_seed(77)
    again = used.generate("Hello", seed=5, max_duration_s=0.5)
    assert np.array_equal(fresh.samples, again.samples)


def test_replies_at_the_same_time_do_not_mix(shared: TTS) -> None:
    def speak(seed: int) -> np.ndarray:
        return shared.generate(f"Text {seed}", seed=seed, max_duration_s=0.5).samples

    alone = [speak(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(speak, range(4)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    streams = [shared.stream(f"Text {seed}", seed=seed, max_duration_s=0.5) for seed in (0, 1)]
    for _ in zip(*streams, strict=True):
        pass
    assert all(np.array_equal(alone[i], s.audio().samples) for i, s in enumerate(streams))


def test_replies_at_the_same_time_share_steps(tts: TTS) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: tts.generate("Hello", seed=seed, max_duration_s=2), range(4)))
    stats = tts.engine.stats()
    assert stats.num_frames == 100
    assert stats.num_steps < 100
    assert max(stats.batch_sizes) > 1


def test_more_replies_than_streams_wait() -> None:
    tts = TTS(tiny.checkpoint(), normalize="off", max_streams=1)
    streams = [tts.stream("Hello", seed=seed, max_duration_s=0.3) for seed in range(3)]
    firsts = [next(stream) for stream in reversed(streams)]
    assert all(len(first) == FRAME for first in firsts)
    assert tts.engine.runner.num_slots == 1
    for stream in streams:
        again = tts.generate("Hello", seed=stream.seed, max_duration_s=0.3).samples
        assert np.array_equal(stream.collect().samples, again)


@pytest.mark.parametrize("way", ["close", "forget"])
def test_an_abandoned_stream_frees_its_slot(tts: TTS, way: str) -> None:
    stream = tts.stream("Hello", seed=1)
    next(stream)
    assert tts.engine.stats().active == 1
    if way == "close":
        stream.close()
        assert list(stream) == []
        assert len(stream.audio().samples) == FRAME
    else:
        del stream  # nothing holds it in a cycle: no collection of garbage is waited for
    assert tts.engine.stats().active == 0
    assert tts.engine.stats().done == {"cancelled": 1}


def test_the_prefix_cache_can_be_turned_off() -> None:
    tts = TTS(tiny.checkpoint(), normalize="off", prefix_cache_mb=0)
    voice = tts.make_voice("ada", [turn(2.0)])
    for seed in range(2):
        tts.generate("Hello", voice=voice, seed=seed, max_duration_s=0.3)
    assert tts.engine.stats().num_prefix_hits == tts.engine.stats().prefix_bytes == 0
    with pytest.raises(ConfigError, match="prefix_cache_mb"):
        TTS(tiny.checkpoint(), prefix_cache_mb=-1)


def test_a_voice_is_read_once(tts: TTS) -> None:
    voice = tts.make_voice("ada", [turn(2.0)])
    num_rows = len("[1]Before.") + 2 + 25 + 1
    one = tts.generate("Hello", voice=voice, seed=1, max_duration_s=0.3)
    tts.generate("Good day", voice=voice, seed=1, max_duration_s=0.3)
    again = tts.generate("Hello", voice=voice, seed=1, max_duration_s=0.3)
    assert tts.engine.stats().num_prefix_hits == 2
    assert tts.engine.stats().num_rows_saved >= 2 * num_rows
    assert np.array_equal(one.samples, again.samples)
    fresh = TTS(tiny.checkpoint(), normalize="off").generate(
        "Hello", voice=voice, seed=1, max_duration_s=0.3
    )
    assert np.array_equal(one.samples, fresh.samples)


def test_a_reply_costs_the_next_turn_only_its_own_rows() -> None:
    checkpoint = tiny.checkpoint()
    runner = NativeRunner(checkpoint.model, checkpoint.codec, 2)
    tts = TTS(checkpoint, engine=Engine(runner), normalize="off")
    first = tts.generate("Hello", seed=1, max_duration_s=0.8)
    said = Segment(speaker=0, text="Hello", codes=first.codes)
    before = tts.engine.stats().num_rows
    second = tts.generate("Hi", voice=1, context=[said], seed=1, max_duration_s=0.3)
    num_tokens = len(checkpoint.tokenizer.encode("Hi", 1))
    assert tts.engine.stats().num_rows - before == num_tokens + 2  # the last frame, the stop frame
    fresh = TTS(checkpoint, normalize="off").generate(
        "Hi", voice=1, context=[said], seed=1, max_duration_s=0.3
    )
    assert np.array_equal(second.samples, fresh.samples)


@pytest.mark.parametrize("max_streams", [0, -1, 1.5, True, "2"])
def test_bad_numbers_of_streams(max_streams: Any) -> None:
    with pytest.raises(ConfigError, match="max_streams must be a whole number above 0"):
        TTS(tiny.checkpoint(), max_streams=max_streams)


def test_formats_of_weights(tiny_folder: Path) -> None:
    tts = TTS.from_pretrained(
        tiny_folder, device="cpu", backbone_format="bfloat16", depth_format="int8"
    )
    assert isinstance(tts.engine.runner, NativeRunner)
    assert tts.engine.runner.formats == {"backbone": "bfloat16", "depth": "int8"}
    assert len(tts.generate("Hello", max_duration_s=0.2).samples) == 2 * FRAME
    with pytest.raises(ConfigError, match="weight format must be one of auto"):
        TTS.from_pretrained(tiny_folder, depth_format="int3")


def test_fast_chooses_the_formats(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tts = TTS.from_pretrained(tiny_folder, device="cpu", fast=True)
    assert isinstance(tts.engine.runner, NativeRunner)
    assert tts.engine.runner.formats == {"backbone": "int5", "depth": "int4"}
    with pytest.raises(ConfigError, match="fast chooses the weight formats"):
        TTS.from_pretrained(tiny_folder, fast=True, depth_format="int8")
    assert not caplog.messages
    monkeypatch.setattr(library, "problem", lambda: "no kernels")
    assert isinstance(TTS.from_pretrained(tiny_folder, fast=True).engine.runner, PlainRunner)
    assert "fast changes nothing without native kernels: no kernels" in caplog.messages


def test_a_longer_limit_only_adds(shared: TTS) -> None:
    short = shared.generate("Hello", seed=2, max_duration_s=0.4).samples
    long = shared.generate("Hello", seed=2, max_duration_s=1.0).samples
    assert len(short) < len(long)
    assert np.array_equal(short[: 4 * FRAME], long[: 4 * FRAME])


def test_a_picked_seed_is_reported(shared: TTS) -> None:
    audio = shared.generate("Hello", max_duration_s=0.2)
    again = shared.generate("Hello", max_duration_s=0.2, seed=audio.seed)
    other = shared.generate("Hello", max_duration_s=0.2)
    assert np.array_equal(audio.samples, again.samples)
    assert audio.seed != other.seed


def test_a_saved_checkpoint_speaks_the_same(shared: TTS, tiny_folder: Path) -> None:
    loaded = TTS.from_pretrained(tiny_folder, device="cpu", normalize="off")
    ours = shared.generate("Hello", seed=1, max_duration_s=0.5)
    theirs = loaded.generate("Hello", seed=1, max_duration_s=0.5)
    assert np.array_equal(ours.samples, theirs.samples)


def test_consumer_is_not_left_in_inference_mode(shared: TTS) -> None:
    for _ in shared.stream("Hello", seed=1, max_duration_s=0.3):
        assert not torch.is_inference_mode_enabled()
    codes = shared.generate("Hello", seed=1, max_duration_s=0.2).codes
    assert codes is not None
    assert not codes.is_inference()


# -- stopping --------------------------------------------------------------------------------------


def test_stop_frame_first_gives_empty_audio(tts: TTS) -> None:
    for weight in (tts.checkpoint.model.codebook0_head.weight, tts.checkpoint.model.audio_heads):
        nn.init.zeros_(weight)  # all logits equal: greedily code 0 everywhere
    stream = tts.stream("Hello", temperature=0)
    assert list(stream) == []
    audio = stream.audio()
    assert audio.samples.shape == (0,)
    assert audio.duration_s == 0
    assert audio.stopped == "end"
    assert audio.rtf is None
    assert audio.first_sound_ms is None
    assert audio.codes is not None
    assert audio.codes.shape == (tiny.NUM_CODEBOOKS, 0)
    assert audio.notes == ["empty: the model said nothing"]  # without noise, nor would it again


def test_a_turn_that_is_empty_at_first_is_spoken_with_another_seed(
    tts: TTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, seeds = tts.engine.runner.step, []

    def empty_in_the_second_turn(draws: Sequence[Draw]) -> np.ndarray:
        seeds.append(draws[0].sampling.seed)
        return np.zeros_like(step(draws)) if len(seeds) == 3 else step(draws)

    monkeypatch.setattr(tts.engine.runner, "step", empty_in_the_second_turn)
    monkeypatch.setattr(turns_module, "MAX_DURATION_S", 0.16)
    stream = tts.stream(["Hello there. ", "So be it."], seed=1)
    audio = stream.collect()
    assert [seed == 1 for seed in seeds] == [True] * 3 + [False] * 2
    assert stream.texts == ["Hello there.", "So be it."]
    assert audio.codes is not None
    assert audio.codes.shape == (tiny.NUM_CODEBOOKS, 4)
    assert "empty: the model said nothing at first: spoken with another seed" in audio.notes


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 13])
def test_stop_frame_in_the_middle_is_a_clean_end(
    tts: TTS, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    stop_after(tts, monkeypatch, count)
    audio = tts.generate("Hello", seed=1)
    assert audio.stopped == "end"
    assert len(audio.samples) == count * FRAME
    assert not any("limit" in note for note in audio.notes)


def test_zeros_in_some_codebooks_do_not_stop(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    step = tts.engine.runner.step

    def mostly_zero(draws: Sequence[Draw]) -> np.ndarray:
        codes = np.zeros_like(step(draws))
        codes[:, -1] = 1  # the last codebook alone is not zero
        return codes

    monkeypatch.setattr(tts.engine.runner, "step", mostly_zero)
    audio = tts.generate("Hello", max_duration_s=0.4)
    assert audio.stopped == "limit"
    assert len(audio.samples) == 5 * FRAME


def test_a_missing_stop_frame_is_a_note(shared: TTS) -> None:
    audio = shared.generate("Hello", seed=1, max_duration_s=0.5)
    assert audio.stopped == "limit"
    assert len(audio.samples) == 6 * FRAME
    assert "stopped: limit of 0.5 s, the model did not end" in audio.notes


def test_a_tiny_limit_gives_one_frame(shared: TTS) -> None:
    assert len(shared.generate("Hello", max_duration_s=1e-9).samples) == FRAME


def test_limit_is_never_more_than_the_context(shared: TTS) -> None:
    audio = shared.generate("Hello", seed=1, max_duration_s=1e6)
    num_tokens = len(shared.checkpoint.tokenizer.encode("Hello", 0))
    assert len(audio.samples) == (128 - num_tokens) * FRAME


# -- codes -----------------------------------------------------------------------------------------


class Reserved(nn.Module):
    """A head that wants the reserved codes above all."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(hidden)
        logits[..., tiny.CODEBOOK_SIZE :] += 1e4
        return logits


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_reserved_codes_never_reach_the_codec(temperature: float) -> None:
    tts = plain()
    model = tts.checkpoint.model
    model.codebook0_head = Reserved(model.codebook0_head)  # type: ignore[assignment]
    with torch.no_grad():
        model.audio_heads[..., tiny.CODEBOOK_SIZE :] *= 1e4
    audio = tts.generate("Hello", temperature=temperature, top_k=0, seed=1, max_duration_s=1)
    assert audio.codes is not None
    assert int(audio.codes.max()) < tiny.CODEBOOK_SIZE


def test_generated_codes_are_context_as_they_are(shared: TTS) -> None:
    first = shared.generate("Hello", seed=1, max_duration_s=0.4)
    said = Segment(speaker=0, text="Hello", codes=first.codes)
    reply = shared.generate("Hi", voice=1, context=[said], seed=1, max_duration_s=0.2)
    assert len(reply.samples) == 2 * FRAME


def test_broken_weights_are_an_error(tts: TTS) -> None:
    with torch.no_grad():
        tts.checkpoint.model.backbone.norm.weight.fill_(math.nan)
    with pytest.raises(CheckpointError, match="not finite"):
        tts.generate("Hello")


@pytest.mark.parametrize("limit_s", [0.4, 4.0])
@pytest.mark.parametrize("spoiled", ["backbone_step", "depth_decode"])
def test_values_that_become_nan_are_an_error(
    monkeypatch: pytest.MonkeyPatch, spoiled: str, limit_s: float
) -> None:
    """Whether they look like the stop frame, or sound on to the limit."""
    tts = plain()
    model = tts.checkpoint.model
    step, decode = model.backbone_step, model.depth_decode
    calls = [0]

    def poisoned_step(*args: Any) -> Tensor:
        calls[0] += 1
        return step(*args) * (math.nan if calls[0] >= 3 else 1)

    def poisoned_decode(hidden: Tensor, cache: Any, draw: Any) -> Tensor:
        calls[0] += 1
        factor = math.inf if calls[0] > 3 else 1
        return decode(hidden, cache, lambda logits, codebook: draw(logits * factor, codebook))

    new = poisoned_step if spoiled == "backbone_step" else poisoned_decode
    monkeypatch.setattr(model, spoiled, new)
    with pytest.raises(CheckpointError, match=r"not finite in torch\.float32"):
        tts.generate("Hello", seed=1, max_duration_s=limit_s)


def test_nan_that_looks_like_a_stop_frame_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = plain()
    step = tts.checkpoint.model.backbone_step
    calls = [0]

    def poisoned(*args: Any) -> Tensor:
        calls[0] += 1
        return step(*args) * (math.nan if calls[0] == 3 else 1)

    monkeypatch.setattr(tts.checkpoint.model, "backbone_step", poisoned)
    stream = tts.stream("Hello", temperature=0)  # greedily NaN is code 0 in each codebook
    with pytest.raises(CheckpointError, match="not finite"):
        list(stream)
    assert calls[0] == 3
    assert stream.stopped is None


def test_model_and_codec_must_fit() -> None:
    checkpoint = tiny.checkpoint()
    config = dataclasses.replace(tiny.mimi_config(), num_codebooks=3)
    misfit = dataclasses.replace(checkpoint, codec=tiny.mimi(config=config))
    with pytest.raises(CheckpointError, match="do not fit: 5 codebooks"):
        TTS(misfit)


# -- settings --------------------------------------------------------------------------------------


def spied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int | None]]:
    """Temperature and top_k of every draw."""
    from causerie.engine.runners import plain

    calls: list[tuple[float, int | None]] = []
    real = plain.sample

    def spy(logits: Tensor, temperature: float, top_k: int | None, *more: Any) -> Tensor:
        calls.append((temperature, top_k))
        return real(logits, temperature, top_k, *more)

    monkeypatch.setattr(plain, "sample", spy)
    return calls


@pytest.mark.parametrize(
    ("asked", "first", "rest"),
    [
        ({}, (0.8, 40), (0.4, 10)),
        ({"temperature": 0.4}, (0.4, 40), (0.2, 10)),
        ({"temperature": 0}, (0, 40), (0, 10)),
        ({"top_k": 7}, (0.8, 7), (0.4, 7)),
        ({"top_k": 0}, (0.8, 0), (0.4, 0)),
    ],
)
def test_settings_default_to_the_checkpoints(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], first: Any, rest: Any
) -> None:
    defaults = GenerationDefaults(temperature=0.8, top_k=40, depth_temperature=0.4, depth_top_k=10)
    tts = plain(dataclasses.replace(tiny.checkpoint(), defaults=defaults))
    calls = spied(monkeypatch)
    tts.generate("Hello", max_duration_s=0.08, **asked)
    assert calls == [first] + [rest] * (tiny.NUM_CODEBOOKS - 1)


def test_depth_settings_default_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = plain()
    calls = spied(monkeypatch)
    tts.generate("Hello", max_duration_s=0.08)
    assert set(calls) == {(0.9, 50)}


def test_devices_and_dtypes() -> None:
    cpu = torch.device("cpu")
    assert find_device("cpu") == cpu
    assert find_device(cpu) == cpu
    assert find_device("auto").type in ("cpu", "cuda", "mps")
    assert find_dtype("auto", cpu) is torch.float32
    assert find_dtype("auto", torch.device("cuda")) is torch.bfloat16
    assert find_dtype("bf16", cpu) is torch.bfloat16
    assert find_dtype(torch.float16, cpu) is torch.float16
    with pytest.raises(ConfigError, match="dtype"):
        find_dtype(torch.int8, cpu)


def test_bfloat16_speaks(tiny_folder: Path) -> None:
    tts = TTS.from_pretrained(tiny_folder, device="cpu", dtype="bfloat16")
    assert tts.checkpoint.model.projection.weight.dtype == torch.bfloat16
    audio = tts.generate("Hello", seed=1, max_duration_s=0.4)
    assert audio.samples.dtype == np.float32
    assert np.isfinite(audio.samples).all()


def test_timing_is_measured(shared: TTS) -> None:
    audio = shared.generate("Hello", max_duration_s=0.4)
    assert audio.first_sound_ms is not None
    assert audio.rtf is not None
    assert 0 < audio.first_sound_ms <= 1000 * audio.rtf * audio.duration_s


def test_underruns_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    tts, now = plain(), [0.0]
    step = tts.engine.runner.step

    def slowly(draws: Sequence[Draw]) -> np.ndarray:
        now[0] += 0.1
        return step(draws)

    monkeypatch.setattr(tts.engine, "clock", lambda: now[0])
    monkeypatch.setattr(tts.engine.runner, "step", slowly)
    stream = tts.stream("Hello", max_duration_s=0.4)
    sizes = [len(piece) // FRAME for piece in stream]
    assert sizes == [1] * 5
    assert stream.num_underruns == 4
    assert tts.engine.stats().num_underruns == 4


def test_time_of_a_slow_listener_does_not_count(shared: TTS) -> None:
    import time

    stream = shared.stream("Hello", max_duration_s=0.4)
    next(stream)
    before = stream.rtf
    time.sleep(0.3)
    assert stream.rtf == before


# -- context ---------------------------------------------------------------------------------------


def count_encodes(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    calls: list[tuple[int, ...]] = []
    encode = tts.checkpoint.codec.encode

    def counting(pcm: Tensor, *args: Any) -> Tensor:
        calls.append(tuple(pcm.shape))
        return encode(pcm, *args)

    monkeypatch.setattr(tts.checkpoint.codec, "encode", counting)
    return calls


def test_context_changes_the_reply(shared: TTS) -> None:
    plain = shared.generate("Hello", seed=1, max_duration_s=0.3)
    after = shared.generate("Hello", seed=1, max_duration_s=0.3, context=[turn()])
    assert not np.array_equal(plain.samples, after.samples)


def test_same_context_is_encoded_once(
    tts: TTS, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = count_encodes(tts, monkeypatch)
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(seed=5), 24_000)
    context = [
        turn(),
        Segment(speaker=0, text="File.", audio=path),
        Segment(speaker=0, text="Audio.", audio=Audio(samples=noise(seed=6), sample_rate=24_000)),
    ]
    first = tts.generate("Hello", context=context, seed=1, max_duration_s=0.2)
    assert len(calls) == 3
    again = tts.generate("Hello", context=[turn(), *context[1:]], seed=1, max_duration_s=0.2)
    assert len(calls) == 3
    assert np.array_equal(first.samples, again.samples)
    soundfile.write(path, noise(seed=7), 24_000)  # the same path, but another sound
    tts.generate("Hello", context=context, seed=1, max_duration_s=0.2)
    assert len(calls) == 4


def test_recordings_of_the_context_are_examined(shared: TTS, tmp_path: Path) -> None:
    def spoken(samples: np.ndarray, text: str = "Before.") -> list[str]:
        said = Segment(speaker=1, text=text, audio=samples, sample_rate=24_000)
        notes = shared.generate("Hi", context=[turn(), said], max_duration_s=0.1).notes
        return [note for note in notes if note.startswith("context")]

    assert spoken(np.clip(8 * noise(), -1, 1)) == [
        "context segment 2 is distorted: 21 % of its samples are at full scale; record it again "
        "at a lower level"
    ]
    assert "transcript that is too long: 35.0 letters" in spoken(noise(), "a" * 14)[0]
    assert spoken(noise()) == []
    for samples, text, message in (
        (np.sign(noise()), "Before.", r"^context segment 2 is distorted: 100 % of its samples"),
        (0 * noise(), "Before.", r"^context segment 2 is silent: check the microphone$"),
        (noise(0.04), "", r"^context segment 2 is shorter than 50 ms$"),
        (noise(), "a" * 40, r"^context segment 2 has a transcript that is too long to be said"),
    ):
        with pytest.raises(AudioError, match=message):
            spoken(samples, text)
    path = tmp_path / "still.wav"
    soundfile.write(path, np.zeros(24_000), 24_000)
    with pytest.raises(AudioError, match=r"segment 2 \(.*still\.wav\) is silent"):
        shared.generate("Hi", context=[turn(), Segment(speaker=0, audio=path)])


def test_a_made_voice_keeps_what_is_wrong_with_its_recordings(shared: TTS) -> None:
    clipped = np.clip(8 * noise(), -1, 1)
    loud = Segment(speaker=1, text="Before.", audio=clipped, sample_rate=24_000)
    voice = shared.make_voice("ada", [loud])
    assert voice.notes is not None
    assert voice.notes[0].startswith("segment 1 of voice ada is distorted")
    assert voice.notes[0] in shared.generate("Hi", voice=voice, max_duration_s=0.1).notes
    assert shared.make_voice("ada", [loud], examine=False).notes == ()
    still = Segment(speaker=1, text="Before.", audio=0 * noise(), sample_rate=24_000)
    with pytest.raises(AudioError, match="segment 1 of voice ada is silent"):
        shared.make_voice("ada", [still])
    by_hand = Voice(name="ada", segments=(still,))
    with pytest.raises(AudioError, match="segment 1 of voice ada is silent"):
        shared.generate("Hi", voice=by_hand)


def test_memory_of_contexts_is_bounded(tts: TTS) -> None:
    for seed in range(MAX_CACHED + 5):
        segment = Segment(speaker=0, text="a", audio=noise(0.01, seed=seed), sample_rate=24_000)
        tts._context.segment(segment, "segment")
    assert len(tts._context._cache) == MAX_CACHED


def test_context_of_any_rate_and_channel_count(
    tts: TTS, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = count_encodes(tts, monkeypatch)
    path = tmp_path / "stereo.wav"
    stereo = np.stack([noise(0.4, 44_100, seed) for seed in (1, 2)], axis=1)
    soundfile.write(path, stereo, 44_100)
    context = [
        Segment(speaker=0, text="Stereo.", audio=path),
        turn(0.4, 8_000),
        Segment(speaker=0, text="Rows.", audio=stereo.T, sample_rate=44_100),
    ]
    tts.generate("Hello", context=context, max_duration_s=0.1)
    assert [shape[-1] for shape in calls] == [9_600, 9_600, 9_600]


def test_context_that_does_not_fit_is_dropped_with_a_note(shared: TTS) -> None:
    context = [turn(2.0)] * 5  # 36 rows each, of 128
    audio = shared.generate("Hello", context=context, seed=1, max_duration_s=1)
    fewer = shared.generate("Hello", context=context[:2], seed=1, max_duration_s=1)
    assert "dropped: the oldest 3 of 5 segments" in audio.notes
    assert not any("dropped" in note for note in fewer.notes)
    assert np.array_equal(audio.samples, fewer.samples)


def test_voice_stays_when_context_is_dropped(shared: TTS) -> None:
    voice = shared.make_voice("ada", [turn(2.0)])
    audio = shared.generate("Hello", voice=voice, context=[turn(1.9)] * 5, seed=1)
    fewer = shared.generate("Hello", voice=voice, context=[turn(1.9)], seed=1)
    assert "dropped: the oldest 4 of 6 segments" in audio.notes
    assert np.array_equal(audio.samples, fewer.samples)


def test_unread_characters_are_a_note() -> None:
    tts = TTS(dataclasses.replace(tiny.checkpoint(), front_end=FrontEnd("世" * 50)))  # type: ignore[arg-type]
    audio = tts.generate("Hello", max_duration_s=0.1)
    assert audio.notes[0] == f"skipped: cannot read '{'世' * 39}…'"


# -- long text -------------------------------------------------------------------------------------


def test_long_text_is_spoken_in_pieces_with_the_first_and_latest_as_context(
    tts: TTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_end.FrontEnd, "max_piece_chars", 8)
    requests = requests_of(tts, monkeypatch)
    stop_after(tts, monkeypatch, 3, 0, 0, 2, 1)
    audio = tts.generate("One. 1. Two. 2. Three. Four. 4.", seed=1)
    encode = tts.checkpoint.tokenizer.encode
    texts = [encode(text, 0) for text in ("One. 1.", "Two. 2.", "Three.", "Four. 4.")]
    columns = [request.rows[:, -1] for request in requests]
    assert [column[column >= 0].tolist() for column in columns] == [
        texts[0],
        texts[0] + texts[1],
        texts[0] + texts[1],  # with another seed
        texts[0] + texts[2],  # the second piece gave no sound, so it is no context
        texts[0] + texts[2] + texts[3],
    ]
    assert len(audio.samples) == 6 * FRAME
    assert audio.stopped == "end"


def test_long_text_streams_as_it_generates(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end.FrontEnd, "max_piece_chars", 8)
    stop_after(tts, monkeypatch, 3, 4, 5, 3, 4, 5)
    streamed = list(tts.stream("One. 1. Two. 2. Three.", seed=1))
    whole = tts.generate("One. 1. Two. 2. Three.", seed=1)
    assert np.array_equal(np.concatenate(streamed), whole.samples)
    assert len(whole.samples) == 12 * FRAME


def notes_of(audio: Audio) -> list[str]:
    """The notes, save that random models are too loud."""
    return [note for note in audio.notes if not note.startswith("clipped")]


def test_a_piece_too_long_to_be_context_is_left_out(
    tts: TTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_end.FrontEnd, "max_piece_chars", 8)
    requests = requests_of(tts, monkeypatch)
    audio = tts.generate("One. 1. Two. 2.", seed=1)  # neither ends before all 128 rows are full
    num_tokens = len(tts.checkpoint.tokenizer.encode("One. 1.", 0))
    assert [len(request.rows) for request in requests] == [num_tokens, num_tokens]
    assert len(audio.samples) == 2 * (128 - num_tokens) * FRAME
    assert "dropped: a piece of the reply, too long to be context itself" in audio.notes


def test_a_limit_applies_to_the_whole_reply(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end.FrontEnd, "max_piece_chars", 8)
    stop_after(tts, monkeypatch, 3, 4, 99)
    audio = tts.generate("One. 1. Two. 2. Three. Four. 4.", seed=1, max_duration_s=0.8)
    assert len(audio.samples) == 10 * FRAME
    assert audio.stopped == "limit"
    assert notes_of(audio) == ["stopped: limit of 0.8 s, the model did not end"]


def test_without_a_limit_each_piece_is_guarded(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end.FrontEnd, "max_piece_chars", 8)
    monkeypatch.setattr(turns_module, "MAX_DURATION_S", 0.4)
    stop_after(tts, monkeypatch, 3, 99, 99)
    audio = tts.generate("One. 1. Two. 2. Three.", seed=1)
    assert len(audio.samples) == 13 * FRAME
    assert audio.stopped == "limit"
    assert notes_of(audio) == ["stopped: limit of 0.4 s, the model did not end"]


def test_a_piece_that_cannot_be_read_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FrontEnd, "max_piece_chars", 8)
    tts = TTS(dataclasses.replace(tiny.checkpoint(), front_end=FrontEnd()))  # type: ignore[arg-type]
    stop_after(tts, monkeypatch, 3, 4)
    requests = requests_of(tts, monkeypatch)
    rockets, faces = "\N{ROCKET}" * 7 + "!", "\N{GRINNING FACE}" * 7 + "!"
    audio = tts.generate(f"{rockets}\nOne. 1.\n{faces}\nTwo. 2.", seed=1)
    assert len(requests) == 2
    assert len(audio.samples) == 7 * FRAME
    assert notes_of(audio) == [
        f"skipped: cannot read '{rockets}'",
        f"skipped: cannot read '{faces}'",
    ]
    with pytest.raises(TextError, match=f"nothing in '{rockets}' can be spoken"):
        tts.generate(f"{rockets}\n{faces}")


def test_equal_pieces_do_not_sound_equal(tts: TTS) -> None:
    part = Part(tokens=tts.checkpoint.tokenizer.encode("Hello", 0))
    prompt = build_prompt([part], num_codebooks=5, max_frames=128, reply_frames=4)
    handles = [
        tts.engine.submit(
            Request(
                rows=prompt.rows,
                part_ends=prompt.part_ends,
                max_frames=4,
                sampling=tts._sampling(None, None, 1),
                first_frame=start,
            )
        )
        for start in (0, 4)
    ]
    for handle in handles:
        tts.engine.wait(handle, 4)
    first, second = (np.stack(handle.frames) for handle in handles)
    assert not np.array_equal(first, second)


# -- the public face -------------------------------------------------------------------------------


def test_loading_the_runner_and_long_replies_are_logged(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(front_end.FrontEnd, "max_piece_chars", 8)
    caplog.set_level("INFO", "causerie")
    tts = TTS.from_pretrained(tiny_folder, device="cpu", max_streams=2)
    tts.generate("One two. Three.", max_duration_s=20, seed=1)
    loaded, runner, spoken = (record.getMessage() for record in caplog.records)
    assert loaded.startswith(f"loaded {tiny_folder} on cpu in torch.float32, ")
    assert runner == f"runner: {type(tts.engine.runner).__name__}, 2 slots"
    assert " s in 2 pieces, real-time factor " in spoken


def test_without_a_handler_nothing_is_printed() -> None:
    assert any(isinstance(h, logging.NullHandler) for h in logging.getLogger("causerie").handlers)


def test_public_names() -> None:
    for name in causerie.__all__:
        assert getattr(causerie, name) is not None
    assert causerie.TTS is TTS
    assert causerie.Voice is Voice
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        causerie.nothing  # noqa: B018
    assert dir(causerie) == sorted(causerie.__all__)


def test_importing_the_package_and_its_help_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, causerie, causerie.cli\n"
        "print(json.dumps([m for m in ('torch', 'numpy', 'tokenizers') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == []
