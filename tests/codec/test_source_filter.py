"""The source-filter decoder: streaming = offline to the bit, and a synthesizer that obeys."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from causerie.codec import source_filter
from causerie.codec.mimi import Mimi
from causerie.codec.source_filter import (
    APERIODICITY_HZ,
    CYCLE,
    ENVELOPE_HZ,
    SAMPLE_RATE,
    Parameters,
    SourceFilter,
    new_synthesis_state,
    synthesize,
    tables,
)
from causerie.config import HOP, SourceFilterConfig
from causerie.errors import ConfigError
from tests import tiny

NUM_FRAMES = 40
FRAME = 1920


@pytest.fixture(scope="module")
def codec() -> Mimi:
    return tiny.mimi(config=tiny.source_filter_config())


@pytest.fixture(scope="module")
def codes() -> Tensor:
    torch.manual_seed(2)
    return torch.randint(tiny.CODEBOOK_SIZE, (2, tiny.NUM_CODEBOOKS, NUM_FRAMES))


def parameters(
    num_hops: int,
    *,
    pitch_hz: float = 120.0,
    voiced: bool = True,
    noise: float = -20.0,
    gain: Tensor | None = None,
) -> Parameters:
    """Parameters that do not change over time; `gain` (bands,) is a log gain."""
    flat = torch.zeros(len(ENVELOPE_HZ)) if gain is None else gain
    return Parameters(
        pitch=torch.full((1, num_hops), pitch_hz),
        voicing=torch.full((1, num_hops), 9.0 if voiced else -9.0),
        envelope=flat.expand(1, num_hops, -1),
        aperiodicity=torch.full((1, num_hops, len(APERIODICITY_HZ)), noise),
    )


def spectrum(sound: Tensor, size: int = 4096) -> np.ndarray:
    """Mean power (bins,) of frames under a Hann window, scaled to 1 for white noise."""
    window = torch.hann_window(size)
    frames = sound[0, SAMPLE_RATE // 5 :].unfold(0, size, size // 2) * window
    power = torch.fft.rfft(frames).abs().square().mean(0) / window.square().sum()
    return power.numpy()


def relative_error(sound: Tensor, expected: Tensor) -> float:
    """The power of the difference, as a share."""
    return float((sound - expected).square().mean() / expected.square().mean())


@pytest.mark.parametrize(
    "sizes", [[1] * NUM_FRAMES, [1, 2, 3, 5, 29], [39, 1], [NUM_FRAMES]], ids=str
)
def test_streaming_equals_offline_to_the_bit(codec: Mimi, codes: Tensor, sizes: list[int]) -> None:
    offline = codec.decode(codes)
    assert offline.shape == (2, 1, NUM_FRAMES * FRAME)
    assert 0.05 < offline.std() < 20
    state = codec.new_decoder_state(2)
    streamed = [codec.decode_step(piece, state) for piece in codes.split(sizes, dim=-1)]
    assert torch.equal(torch.cat(streamed, dim=-1), offline)


def test_training_computes_the_same_in_one_go(codec: Mimi, codes: Tensor) -> None:
    assert isinstance(codec.decoder, SourceFilter)
    latent = codec.quantizer.decode(codes)
    with torch.no_grad():
        whole = synthesize(codec.decoder.predict(latent))
        expected = codec.decode(codes)[:, 0]
    assert relative_error(whole, expected) < 1e-4


def test_streams_in_a_batch_do_not_mix(codec: Mimi, codes: Tensor) -> None:
    alone = codec.decode(codes[1:])
    assert relative_error(codec.decode(codes)[1:], alone) < 1e-4


def test_nothing_looks_ahead(codec: Mimi, codes: Tensor) -> None:
    changed = codes.clone()
    changed[..., 20:] = (changed[..., 20:] + 1) % tiny.CODEBOOK_SIZE
    before = slice(0, 20 * FRAME)
    assert torch.equal(codec.decode(changed)[..., before], codec.decode(codes)[..., before])
    assert not torch.equal(codec.decode(changed), codec.decode(codes))


def test_gradients_reach_all_weights(codec: Mimi, codes: Tensor) -> None:
    decoder = codec.decoder
    assert isinstance(decoder, SourceFilter)
    predicted = decoder.predict(codec.quantizer.decode(codes[..., :4]))
    synthesize(predicted).square().mean().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in decoder.parameters())
    decoder.zero_grad()


@pytest.mark.parametrize("pitch_hz", [60.0, 120.0, 333.3, 600.0])
def test_voiced_sound_has_the_pitch_and_its_harmonics(pitch_hz: float) -> None:
    power = spectrum(synthesize(parameters(400, pitch_hz=pitch_hz)), 8192)
    frequencies = np.arange(len(power)) * SAMPLE_RATE / 8192
    for harmonic in (1, 2, 7, int(11_000 / pitch_hz)):
        near = np.abs(frequencies - harmonic * pitch_hz) < pitch_hz / 2
        peak = frequencies[near][power[near].argmax()]
        assert abs(peak - harmonic * pitch_hz) < SAMPLE_RATE / 8192
    between = np.abs(frequencies - 4.5 * pitch_hz) < 0.1 * pitch_hz
    assert power[between].max() < 1e-3 * power[np.abs(frequencies - 4 * pitch_hz) < 9].max()


def test_pulses_and_noise_have_the_same_power(codec: Mimi) -> None:
    below = slice(20, int(10_000 / SAMPLE_RATE * 4096))
    for given in (parameters(1000), parameters(1000, voiced=False)):
        assert spectrum(synthesize(given))[below].mean() == pytest.approx(1.0, rel=0.1)


def test_the_envelope_shapes_both() -> None:
    gain = torch.from_numpy(np.where(np.abs(np.array(ENVELOPE_HZ) - 2000) < 500, 1.0, -2.0)).float()
    frequencies = np.arange(2049) * SAMPLE_RATE / 4096
    for voiced in (True, False):
        power = spectrum(synthesize(parameters(1000, voiced=voiced, gain=gain)))
        inside = power[np.abs(frequencies - 2000) < 400].mean()
        outside = power[np.abs(frequencies - 6000) < 1000].mean()
        assert 0.5 * np.log(inside / outside) == pytest.approx(3.0, abs=0.15)


def test_aperiodicity_is_the_share_of_noise() -> None:
    frequencies = np.arange(2049) * SAMPLE_RATE / 4096
    between = np.abs((frequencies / 120) % 1 - 0.5) < 0.1
    for logit, share in ((-3.0, 0.047), (0.0, 0.5), (9.0, 1.0)):
        power = spectrum(synthesize(parameters(2000, noise=logit)))
        assert power[between][:300].mean() == pytest.approx(share, rel=0.2)


def test_silence_stays_silent() -> None:
    silent = parameters(40, gain=torch.full((len(ENVELOPE_HZ),), -20.0))
    assert synthesize(silent).abs().max() < 1e-7


def test_the_phase_does_not_drift_in_an_hour() -> None:
    """A stream that is an hour old has pulses where arithmetic puts them."""
    given = parameters(16, pitch_hz=123.456)
    state = new_synthesis_state(1, torch.device("cpu"))
    step = round(123.456 * CYCLE / SAMPLE_RATE)
    hours = 3600 * SAMPLE_RATE
    synthesize(given, state)
    assert int(state.phase) == 16 * HOP * step % CYCLE
    state.phase.fill_((hours + 16 * HOP) * step % CYCLE)
    state.hop.fill_(hours // HOP + 16)
    synthesize(given, state)
    assert int(state.phase) == (hours + 32 * HOP) * step % CYCLE


def test_the_noise_is_the_same_everywhere() -> None:
    expected = [1.627021773145, -0.496300991397, 0.106550075116, 0.358943311588]
    assert source_filter._white_noise(4).tolist() == pytest.approx(expected, abs=1e-12)
    long = source_filter._white_noise(200_000)
    assert abs(long.mean()) < 0.01
    assert float(long.std()) == pytest.approx(1.0, abs=0.01)
    assert abs(np.corrcoef(long[1:].numpy(), long[:-1].numpy())[0, 1]) < 0.01


def test_windows_add_up_to_one() -> None:
    window = tables(torch.device("cpu")).window
    torch.testing.assert_close(window[:HOP] + window[HOP:], torch.ones(HOP))


def test_a_frame_of_another_size_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^decoder makes frames of 960 samples at 24000 Hz, and"):
        dataclasses.replace(tiny.mimi_config(), decoder=SourceFilterConfig(steps=4))
