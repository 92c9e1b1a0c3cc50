"""The source-filter decoder: a network predicts how speech sounds, a synthesizer makes the wave.

It decodes the same codes as SEANet, which has to learn the phase of every wave. Here the network
predicts pitch, voicing, spectral envelope and aperiodicity, 200 times a second, and the synthesizer
filters pulses and noise by them:

    latent, 12.5 Hz → causal blocks → 8 steps a frame → causal blocks → 2 hops a step: parameters
    pulses, noise → windows of two hops → spectra · minimum-phase filters → overlap and add

Nothing looks ahead. The sound is one hop, 5 ms, late: a window ends with its hop. The phase is an
integer, so it cannot drift, and the noise depends on the number of the hop alone, so the waveform
is a function of the codes. Sources: WORLD (Morise 2016) for the parameters, Liu et al. 2020
("Neural homomorphic vocoder") for filters that vary with time.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causerie.config import HOP, SourceFilterConfig
from causerie.nn.hashing import STEP, mix, shift

SAMPLE_RATE = 24_000
#: Samples of the excitation that one filter sees, under a Hann window.
WINDOW = 2 * HOP
#: Samples of a filtered window, the response of the filter included.
FFT = 512
BINS = FFT // 2 + 1
#: Hops until the noise repeats: 5 s.
NOISE_HOPS = 1024
#: Highest frequency of the pulses in Hz.
TOP_HZ = 11_500.0
#: Range of the pitch in Hz.
LOWEST_HZ, HIGHEST_HZ = 50.0, 700.0
#: The network's output is 4 · ln(pitch / MIDDLE_HZ).
MIDDLE_HZ = 200.0
#: Largest log gain of a filter, against overflow.
MAX_LOG_GAIN = 6.0
#: A cycle of the phase.
CYCLE = 2**32


def band_centers(least_hz: float, share: float) -> list[float]:
    """Frequencies from 0 to the Nyquist frequency, `least_hz` or ``f / share`` apart."""
    centers = [0.0]
    while centers[-1] < SAMPLE_RATE / 2:
        centers.append(centers[-1] + max(least_hz, centers[-1] / share))
    return [center * SAMPLE_RATE / 2 / centers[-1] for center in centers]


#: Centers in Hz of the bands of the envelope and of the aperiodicity.
ENVELOPE_HZ = band_centers(40.0, 30.0)
APERIODICITY_HZ = band_centers(300.0, 5.0)

#: Outputs of the network for a hop: voicing, pitch, envelope, aperiodicity.
SPLIT = (1, 1, len(ENVELOPE_HZ), len(APERIODICITY_HZ))
NUM_OUTPUTS = sum(SPLIT)


def band_weights(centers: list[float], frequencies: Tensor) -> Tensor:
    """Weights (bands, frequencies) of a linear interpolation between the centers of bands."""
    at = torch.tensor(centers, dtype=torch.float64)
    above = torch.searchsorted(at, frequencies, right=True).clamp(1, len(centers) - 1)
    share = (frequencies - at[above - 1]) / (at[above] - at[above - 1])
    weights = torch.zeros((len(centers), len(frequencies)), dtype=torch.float64)
    columns = torch.arange(len(frequencies))
    weights[above - 1, columns], weights[above, columns] = 1 - share, share
    return weights


@dataclass(frozen=True)
class Tables:
    """Constants of the synthesizer.

    Attributes:
        envelope: (bands, BINS), from bands to bins; `aperiodicity` likewise.
        phase: (BINS, BINS), from the log gains of a filter to its minimum phase.
        window: (WINDOW,), whose shifts by a hop add up to one.
        noise: (NOISE_HOPS, BINS), spectra of windows of white noise, complex.
    """

    envelope: Tensor
    aperiodicity: Tensor
    phase: Tensor
    window: Tensor
    noise: Tensor


@functools.cache
@torch.inference_mode(False)
def tables(device: torch.device) -> Tables:
    """The tables on a device."""
    frequencies = torch.arange(BINS, dtype=torch.float64) * SAMPLE_RATE / FFT
    turn = torch.arange(WINDOW, dtype=torch.float64) / WINDOW
    window = 0.5 - 0.5 * (2 * math.pi * turn).cos()
    # The phase of a filter is minus the Hilbert transform of its log gain: fold its cepstrum.
    folding = torch.zeros(FFT, dtype=torch.float64)
    folding[0], folding[1 : FFT // 2], folding[FFT // 2] = 1, 2, 1
    cepstra = torch.fft.irfft(torch.eye(BINS, dtype=torch.float64), FFT)
    noise = _white_noise(NOISE_HOPS * HOP)
    noise = torch.cat((noise[HOP - WINDOW :], noise))  # it repeats
    return Tables(
        envelope=band_weights(ENVELOPE_HZ, frequencies).to(device, torch.float32),
        aperiodicity=band_weights(APERIODICITY_HZ, frequencies).to(device, torch.float32),
        phase=torch.fft.rfft(cepstra * folding).imag.to(device, torch.float32),
        window=window.to(device, torch.float32),
        noise=torch.fft.rfft(noise.unfold(0, WINDOW, HOP) * window, FFT).to(
            device, torch.complex64
        ),
    )


def _white_noise(size: int) -> Tensor:
    """Standard normal numbers (size,) by Box and Muller, float64."""
    bits = shift(mix(torch.arange(1, 2 * size + 1) * STEP), 11)
    uniform = bits.double() / 2**53
    return (-2 * (-uniform[:size]).log1p()).sqrt() * (2 * math.pi * uniform[size:]).cos()


@dataclass(frozen=True)
class Parameters:
    """The network's output for each hop.

    Attributes:
        pitch: (B, N), in Hz, also where the sound is unvoiced.
        voicing: (B, N), logit of the probability that the sound is voiced.
        envelope: (B, N, bands), log gain.
        aperiodicity: (B, N, bands), logit of the share of noise in the power of voiced sound.
    """

    pitch: Tensor
    voicing: Tensor
    envelope: Tensor
    aperiodicity: Tensor


@dataclass
class SourceFilterState:
    """Streaming state, updated in place.

    Attributes:
        columns: inputs of each block that its next step also sees, (B, kernel - 1, C).
        hop: (B,) int64, number of the next hop.
        step: (B,) int64, the last sample's increment of the phase, in cycles / CYCLE.
        phase: (B,) int64, of the last sample.
        excitation: (B, WINDOW - HOP), pulses that the next window also sees.
        sound: (B, FFT - HOP), sums that the next windows complete.
    """

    columns: list[Tensor]
    hop: Tensor
    step: Tensor
    phase: Tensor
    excitation: Tensor
    sound: Tensor

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors, in a fixed order."""
        return [*self.columns, self.hop, self.step, self.phase, self.excitation, self.sound]

    def rows(self, streams: Tensor) -> SourceFilterState:
        """A copy of the state of some streams."""
        *columns, hop, step, phase, excitation, sound = (t[streams] for t in self.tensors)
        return SourceFilterState(columns, hop, step, phase, excitation, sound)


class CausalBlock(nn.Module):
    """A ConvNeXt block (Liu et al. 2022) that sees only the past: (B, N, C) → (B, N, C)."""

    def __init__(self, dim: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(dim, dim, kernel, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, hidden)
        self.narrow = nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), 0.3))

    def new_state(self, batch: int) -> Tensor:
        """Zeros before the first step."""
        weight = self.mix.weight
        return weight.new_zeros((batch, weight.shape[-1] - 1, weight.shape[0]))

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        seen = torch.cat((state, x), dim=1)
        state.copy_(seen[:, x.shape[1] :].detach())
        y = self.mix(seen.transpose(1, 2)).transpose(1, 2)
        y = self.narrow(F.gelu(self.widen(self.norm(y))))
        out: Tensor = x + self.scale * y
        return out


class SourceFilter(nn.Module):
    """Latent (B, D, T) → waveform (B, 1, T · frame_size).

    Args:
        latent_dim: D.
    """

    def __init__(self, config: SourceFilterConfig, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        front, dim = config.front_dim, config.dim
        self.input = nn.Linear(latent_dim, front)
        self.front = nn.ModuleList(
            CausalBlock(front, config.expansion * front, config.front_kernel)
            for _ in range(config.front_layers)
        )
        self.upsample = nn.Linear(front, config.steps * dim)
        self.body = nn.ModuleList(
            CausalBlock(dim, config.expansion * dim, config.kernel)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, config.hops_per_step * NUM_OUTPUTS)

    def new_state(self, batch: int) -> SourceFilterState:
        """State of `batch` streams about to start."""
        state = new_synthesis_state(batch, self.input.weight.device)
        blocks: list[CausalBlock] = [*self.front, *self.body]
        state.columns = [block.new_state(batch) for block in blocks]
        return state

    def forward(self, latent: Tensor, state: SourceFilterState | None = None) -> Tensor:
        """The waveform of the next frames, or of a whole stream where `state` is None."""
        state = state or self.new_state(len(latent))
        return synthesize(self.predict(latent, state), state)[:, None]

    def predict(self, latent: Tensor, state: SourceFilterState | None = None) -> Parameters:
        """The parameters of the hops of a latent (B, D, T)."""
        state = state or self.new_state(len(latent))
        columns = iter(state.columns)
        x = self.input(latent.transpose(1, 2))
        for block in self.front:
            x = block(x, next(columns))
        x = self.upsample(x).unflatten(-1, (self.config.steps, -1)).flatten(1, 2)
        for block in self.body:
            x = block(x, next(columns))
        out = self.output(self.norm(x)).float().unflatten(-1, (-1, NUM_OUTPUTS)).flatten(1, 2)
        voicing, pitch, envelope, aperiodicity = out.split(SPLIT, dim=-1)
        return Parameters(
            pitch=(MIDDLE_HZ * (pitch[..., 0] / 4).exp()).clamp(LOWEST_HZ, HIGHEST_HZ),
            voicing=voicing[..., 0],
            envelope=envelope,
            aperiodicity=aperiodicity,
        )


def new_synthesis_state(batch: int, device: torch.device) -> SourceFilterState:
    """State of the synthesizer alone."""

    def counter() -> Tensor:
        return torch.zeros(batch, dtype=torch.int64, device=device)

    return SourceFilterState(
        columns=[],
        hop=counter(),
        step=counter(),
        phase=counter(),
        excitation=torch.zeros((batch, WINDOW - HOP), device=device),
        sound=torch.zeros((batch, FFT - HOP), device=device),
    )


def synthesize(parameters: Parameters, state: SourceFilterState | None = None) -> Tensor:
    """The waveform (B, N · HOP) of N hops. Differentiable, but not by pitch and voicing."""
    batch, num_hops = parameters.pitch.shape
    device = parameters.pitch.device
    state = state or new_synthesis_state(batch, device)
    constants = tables(device)
    voiced = (parameters.voicing > 0).float()
    with torch.no_grad():
        pulses = torch.cat((state.excitation, _pulses(parameters.pitch, voiced, state)), dim=-1)
        state.excitation.copy_(pulses[:, -(WINDOW - HOP) :])
        source = torch.fft.rfft(pulses.unfold(-1, WINDOW, HOP) * constants.window, FFT)
        hops = state.hop[:, None] + torch.arange(num_hops, device=device)
        state.hop += num_hops
        noise = constants.noise[hops % NOISE_HOPS]
    gain = parameters.envelope @ constants.envelope
    share = parameters.aperiodicity @ constants.aperiodicity
    # Unvoiced sound is all noise.
    spectrum = _filter(gain + 0.5 * F.logsigmoid(-share), constants) * source
    spectrum = (
        spectrum + _filter(gain + 0.5 * voiced[..., None] * F.logsigmoid(share), constants) * noise
    )
    responses = torch.fft.irfft(spectrum, FFT).transpose(1, 2)
    size = num_hops * HOP + FFT - HOP
    sound = F.fold(responses, (1, size), (1, FFT), stride=(1, HOP))[:, 0, 0]
    sound = sound + F.pad(state.sound, (0, size - state.sound.shape[-1]))
    state.sound.copy_(sound[:, num_hops * HOP :].detach())
    return sound[:, : num_hops * HOP]


def _filter(log_gain: Tensor, constants: Tables) -> Tensor:
    """The minimum-phase filters (…, BINS) of log gains."""
    log_gain = log_gain.clamp(max=MAX_LOG_GAIN)
    return torch.polar(log_gain.exp(), log_gain @ constants.phase)


def _pulses(pitch: Tensor, voiced: Tensor, state: SourceFilterState) -> Tensor:
    """Pulses (B, N · HOP) without harmonics above TOP_HZ; their power per Hz is that of the noise.

    The pitch glides from hop to hop, in whole steps of the phase.
    """
    steps = (pitch * (CYCLE / SAMPLE_RATE)).round().long()  # (B, N)
    first = torch.where(state.step == 0, steps[:, 0], state.step)
    before = torch.cat((first[:, None], steps[:, :-1]), dim=-1)
    state.step.copy_(steps[:, -1])
    place = torch.arange(1, HOP + 1, device=pitch.device)
    step = (before[..., None] * (HOP - place) + steps[..., None] * place) // HOP
    step = step.flatten(1)
    phase = (state.phase[:, None] + step.cumsum(-1)) % CYCLE
    state.phase.copy_(phase[:, -1])
    angle = (phase - CYCLE * (phase >= CYCLE // 2)).float() * (2 * math.pi / CYCLE)
    frequency = step.float() * (SAMPLE_RATE / CYCLE)
    # Σ cos(k · angle) for k = 1 … n, and a share of the next harmonic.
    harmonics = TOP_HZ / frequency
    n = harmonics.floor()
    below = 2 * (angle / 2).sin()
    flat = below.abs() < 2e-3
    ratio = ((n + 0.5) * angle).sin() / below.masked_fill(flat, 1.0)
    total = torch.where(flat, n + 0.5, ratio) - 0.5
    total = total + (harmonics - n) * ((n + 1) * angle).cos()
    level = 2 * (frequency / SAMPLE_RATE).sqrt()
    return total * level * voiced.repeat_interleave(HOP, dim=-1)
