"""silentcipher, the watermark of Sesame's own tool: an option for whole sounds.

A network of Sony's writes a message of 5 bytes into a spectrogram at 44.1 kHz; another one reads
it. The networks here take the published weights from a folder, and give what the package
silentcipher gives, which requires torch 2.0 or older. The message is scaled by the mean power of
the sound and by statistics of the whole spectrogram, so streams cannot be marked.
Everybody who has the weights can read and write messages: it has no key.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from causerie.audio.audio import Audio
from causerie.audio.resample import resample
from causerie.errors import WatermarkError

#: Of CSM's own tool: "this key is public".
SESAME_MESSAGE = bytes([212, 211, 146, 56, 201])
MESSAGE_BYTES = 5
#: Level of the message below the sound, in dB: that of Sesame's tool.
MESSAGE_DB = 36.0
#: The rate of the networks; samples of a spectrum, and between spectra.
RATE, NUM_POINTS, HOP = 44_100, 4096, 2048
#: Frequencies that carry the message.
NUM_MARKED = 1024
#: A spectrum carries a sign for an end, or 1 + two bits; the message comes again and again.
NUM_SIGNS, MESSAGE_LENGTH = 5, 21
#: Sounds are brought to this mean power: that of the speech that the networks learned from.
POWER = 0.002837200844477648
#: Between the starts at which a message is sought in sound that was cut.
START_STEP = 10
FILES = ("enc_c.ckpt", "dec_c.ckpt", "dec_m_0.ckpt")
ADVICE = (
    "download the folder 44_1_khz/73999_iteration of sony/silentcipher from the Hugging Face hub"
)


@dataclass(frozen=True, kw_only=True)
class CipherDetection:
    """A message in a sound.

    Attributes:
        message: the one that was read; None if there is none. Sound without a mark may give one.
        confidence: the share of spectra that agree with it.
        is_marked: whether it is the one that was sought.
    """

    message: bytes | None
    confidence: float
    is_marked: bool


class SilentCipher:
    """Writes and finds messages, by networks on one device.

    Args:
        networks: for the sound, for the mark, and for reading.
        message: the one that is written and sought.
    """

    def __init__(self, networks: tuple[Encoder, Marks, Reader], message: bytes) -> None:
        if not isinstance(message, bytes) or len(message) != MESSAGE_BYTES:
            raise WatermarkError(f"silentcipher's message has {MESSAGE_BYTES} bytes")
        self._encoder, self._marks, self._reader = networks
        self._device = next(self._encoder.parameters()).device
        self.message = message

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        *,
        message: bytes = SESAME_MESSAGE,
        device: str | torch.device = "cpu",
    ) -> SilentCipher:
        """The networks with the weights in a folder; nothing is downloaded.

        Raises:
            WatermarkError: weights are missing or have other shapes, or the message is invalid.
        """
        networks = Encoder(), Marks(), Reader()
        for network, name in zip(networks, FILES, strict=True):
            path = Path(folder, name)
            if not path.is_file():
                raise WatermarkError(f"silentcipher's weights are missing: no {path}; {ADVICE}")
            try:
                weights = torch.load(path, map_location="cpu", weights_only=True)
                network.load_state_dict(
                    {key.removeprefix("module."): value for key, value in weights.items()}
                )
            except (RuntimeError, UnpicklingError, AttributeError, EOFError) as error:
                raise WatermarkError(
                    f"{path} does not hold silentcipher's weights for 44.1 kHz; {ADVICE}"
                ) from error
            network.to(device).requires_grad_(False)
        return cls(networks, message)

    @torch.inference_mode()
    def mark(self, audio: Audio) -> Audio:
        """The sound with the message; its other marks, notes and codes stay.

        Sound of less than a second is too short to hold the message. Silence stays as it is.

        Raises:
            WatermarkError: it is no whole sound but a stream.
        """
        if not isinstance(audio, Audio):
            raise WatermarkError(
                "silentcipher marks whole sounds, as it needs their mean power: give it the Audio "
                f"of generate or of Stream.collect, not {type(audio).__name__}"
            )
        samples = resample(audio.samples, audio.sample_rate, RATE)
        power = _power(samples)
        if not power:
            return audio
        spectrum = self._spectrum(samples * np.sqrt(POWER / power))
        level = spectrum.abs()
        signs = torch.tensor(message_signs(self.message), device=self._device)
        signs = signs.repeat(-(-level.shape[1] // MESSAGE_LENGTH))[: level.shape[1]]
        mark = self._marks(self._encoder(level, nn.functional.one_hot(signs, NUM_SIGNS).float()))
        mark *= level.square().mean().sqrt()
        # The phases stay, and no level becomes negative.
        spectrum = torch.polar((level - mark).relu(), spectrum.angle())
        marked = torch.istft(spectrum, NUM_POINTS, HOP, window=self._window())[: len(samples)]
        heard = marked.cpu().numpy() * np.float32(np.sqrt(power / POWER))
        back = resample(heard, RATE, audio.sample_rate)[: len(audio.samples)]
        back = np.pad(back, (0, len(audio.samples) - len(back)))
        return replace(audio, samples=back.astype(np.float32))

    @torch.inference_mode()
    def detect(self, audio: Audio, *, other_starts: bool = False) -> CipherDetection:
        """The message in a sound.

        Args:
            other_starts: also seek it in sound whose beginning was cut off, if it is not found as
                it was made. This takes 200 times as long, so it needs a GPU.
        """
        samples = resample(audio.samples, audio.sample_rate, RATE)
        samples = samples * np.sqrt(POWER / max(_power(samples), 1e-30))
        found = self._read(samples)
        if self._message(found).is_marked or not other_starts:
            return self._message(found)
        starts = (self._read(samples[start:]) for start in range(0, HOP, START_STEP))
        return self._message(max(starts, key=_agreement))

    def _read(self, samples: NDArray[np.float32]) -> NDArray[np.int64]:
        """The signs in a sound (repetitions of the message, signs)."""
        signs = self._reader(self._spectrum(samples).abs()).argmax(dim=0).cpu().numpy()
        number = len(signs) // MESSAGE_LENGTH
        return np.asarray(signs[: number * MESSAGE_LENGTH].reshape(number, MESSAGE_LENGTH))

    def _message(self, signs: NDArray[np.int64]) -> CipherDetection:
        """What most repetitions of a message say."""
        if not len(signs):
            return CipherDetection(message=None, confidence=0.0, is_marked=False)
        usual = _counts(signs).argmax(axis=0)
        message = read_signs(usual)
        return CipherDetection(
            message=message,
            confidence=float((signs == usual).mean()),
            is_marked=message == self.message,
        )

    def _spectrum(self, samples: NDArray[np.float32]) -> Tensor:
        """The spectra of a sound (frequencies, T)."""
        sound = torch.from_numpy(samples.astype(np.float32)).to(self._device)
        sound = nn.functional.pad(sound, (0, NUM_POINTS - len(sound) % NUM_POINTS))
        return torch.stft(sound, NUM_POINTS, HOP, window=self._window(), return_complex=True)

    def _window(self) -> Tensor:
        return torch.hann_window(NUM_POINTS, device=self._device)


def message_signs(message: bytes) -> list[int]:
    """The signs of a message and of its end: 1 + two bits each, and 0."""
    return [1 + (byte >> shift & 3) for byte in message for shift in (6, 4, 2, 0)] + [0]


def read_signs(signs: NDArray[np.int64]) -> bytes | None:
    """The message in signs that may begin anywhere in it; None if they are none."""
    (ends,) = np.nonzero(signs == 0)
    if len(ends) != 1:
        return None
    pairs = np.roll(signs, -int(ends[0]) - 1)[:-1].reshape(MESSAGE_BYTES, 4) - 1
    return bytes(int(byte) for byte in pairs @ [64, 16, 4, 1])


def _counts(signs: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each sign stands at each place (signs, places)."""
    counts: NDArray[np.int64] = (signs == np.arange(NUM_SIGNS)[:, None, None]).sum(axis=1)
    return counts


def _agreement(signs: NDArray[np.int64]) -> float:
    """The share of repetitions that agree with most of them."""
    return float(_counts(signs).max(axis=0).mean() / len(signs)) if len(signs) else 0.0


def _power(samples: NDArray[np.float32]) -> float:
    return float(np.square(samples, dtype=np.float64).mean())


class Gated(nn.Module):
    """A convolution with a gate, normalized by the statistics of the sound itself.

    The package never leaves training, so neither do the statistics.
    """

    def __init__(self, num_in: int, num_out: int, size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_in, num_out, size, padding=size // 2)
        self.gate = nn.Conv2d(num_in, num_out, size, padding=size // 2)
        self.bn = nn.BatchNorm2d(num_out)

    def forward(self, x: Tensor) -> Tensor:
        gated = self.conv(x) * self.gate(x).sigmoid()
        return nn.functional.batch_norm(
            gated, None, None, self.bn.weight, self.bn.bias, True, eps=self.bn.eps
        )


class Encoder(nn.Module):
    """Channels (1, 96, frequencies, T) that say what sound and message are."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(Gated(1, 32), Gated(32, 32), Gated(32, 32))
        self.linear = nn.Linear(NUM_SIGNS, NUM_MARKED)

    def forward(self, level: Tensor, signs: Tensor) -> Tensor:
        message = self.linear(signs).T
        message = nn.functional.pad(message, (0, 0, 0, len(level) - NUM_MARKED))
        parts = [self.main(level[None, None])]
        parts += [part.expand(1, 32, -1, -1) for part in (level, message)]
        return torch.cat(parts, dim=1)


class Marks(nn.Module):
    """What is taken from each level (frequencies, T), relative to the mean level."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(*(Gated(96, 96) for _ in range(3)), Gated(96, 1, size=1))

    def forward(self, channels: Tensor) -> Tensor:
        mark = self.main(channels)[0, 0].abs()
        mark[NUM_MARKED:] = 0
        scaled: Tensor = mark / mark.square().mean(dim=0).sqrt() / 10 ** (MESSAGE_DB / 20)
        return scaled


class Reader(nn.Module):
    """How much each sign stands in each spectrum (signs, T)."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(*self._layers())
        self.linear = nn.Linear(NUM_MARKED, 1)

    def forward(self, level: Tensor) -> Tensor:
        channels = self.main(level[None, None, :NUM_MARKED])
        signs: Tensor = self.linear(channels.transpose(2, 3))[0, :, :, 0]
        return signs

    @staticmethod
    def _layers() -> Iterator[Any]:
        widths = [1, *[128] * 9, NUM_SIGNS]
        for num_in, num_out in itertools.pairwise(widths):
            yield nn.Identity()  # the published weights count the layers of training's dropout
            yield Gated(num_in, num_out)
