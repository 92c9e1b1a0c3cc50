"""silentcipher: the sound and the signs of its package for the same weights; what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from causerie.audio.audio import Audio
from causerie.audio.resample import resample
from causerie.errors import WatermarkError
from causerie.watermark.detect import detect
from causerie.watermark.key import PUBLIC_KEY, Watermark
from causerie.watermark.mark import Marker
from causerie.watermark.silentcipher import (
    FILES,
    POWER,
    RATE,
    SESAME_MESSAGE,
    SilentCipher,
    message_signs,
    read_signs,
)
from tests.watermark.cipher import write_weights
from tests.watermark.sounds import RATE as OWN_RATE
from tests.watermark.sounds import host


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def cipher(folder: Path) -> SilentCipher:
    return SilentCipher.load(folder)


class Planted(nn.Module):
    """A reader that finds the signs of a message from some spectrum on, and noise elsewhere."""

    def __init__(self, message: bytes, start: int, num_wrong: int = 0) -> None:
        super().__init__()
        self.signs = np.roll(message_signs(message), -start)
        self.num_wrong = num_wrong

    def forward(self, level: Tensor) -> Tensor:
        signs = np.resize(self.signs, level.shape[1])
        signs[: self.num_wrong] = (signs[: self.num_wrong] + 1) % 5
        return nn.functional.one_hot(torch.from_numpy(signs), 5).T.float()


def sound(seconds: float) -> Audio:
    return Audio(samples=host(seconds, seed=5), sample_rate=OWN_RATE, seed=7, notes=["a note"])


def test_the_networks_give_what_the_package_gives(cipher: SilentCipher):
    """The numbers are of silentcipher 1.0.5 with the same weights and sound."""
    samples = resample(host(1.0, seed=5), OWN_RATE, RATE)
    change = cipher.mark(Audio(samples=samples, sample_rate=RATE)).samples - samples
    assert change[5000:40000:5000] == pytest.approx(
        [0.00097668, 0.00220723, -0.00078960, 0.00077944, -0.00025360, 0.00136963, -0.00126628],
        abs=2e-6,
    )
    assert np.linalg.norm(change) == pytest.approx(0.272291, rel=1e-4)
    scaled = samples * np.sqrt(POWER / np.square(samples).mean())
    assert cipher._read(scaled)[0].tolist() == [
        4, 4, 4, 4, 0, 3, 4, 1, 0, 3, 1, 4, 4, 3, 4, 4, 0, 0, 4, 3, 4,
    ]  # fmt: skip


def test_marked_sound_keeps_its_length_rate_notes_and_own_mark(cipher: SilentCipher):
    marker, plain = Marker(Watermark(), OWN_RATE), sound(1.3)
    own = marker.mark(plain.samples, marker.begin(0, b""))
    marked = cipher.mark(Audio(samples=own, sample_rate=OWN_RATE, seed=7, notes=["a note"]))
    assert (len(marked.samples), marked.sample_rate) == (len(own), OWN_RATE)
    assert (marked.seed, marked.notes) == (7, ["a note"])
    change = np.linalg.norm(marked.samples - own) / np.linalg.norm(own)
    assert 0.005 < change < 0.1
    assert detect(marked, PUBLIC_KEY).is_marked


def test_silence_stays_silent(cipher: SilentCipher):
    silence = Audio(samples=np.zeros(30_000, np.float32), sample_rate=OWN_RATE)
    assert cipher.mark(silence) is silence


def test_messages_become_signs_and_back_from_any_place():
    signs = np.array(message_signs(bytes([0b00011011, 255, 0, 1, 128])))
    assert signs.tolist()[:4] == [1, 2, 3, 4]
    assert (len(signs), signs[-1]) == (21, 0)
    for start in range(21):
        assert read_signs(np.roll(signs, start)) == bytes([0b00011011, 255, 0, 1, 128])
    assert read_signs(np.ones(21, int)) is None
    assert read_signs(np.zeros(21, int)) is None


def test_a_message_is_found_from_any_spectrum_on(cipher: SilentCipher):
    for start in (0, 5, 20):
        cipher._reader = Planted(SESAME_MESSAGE, start)
        found = cipher.detect(sound(2.5))
        assert (found.message, found.confidence, found.is_marked) == (SESAME_MESSAGE, 1.0, True)
    cipher._reader = Planted(SESAME_MESSAGE, 0, num_wrong=3)
    found = cipher.detect(sound(3.1))  # three repetitions of 0.98 s
    assert found.is_marked
    assert found.confidence == pytest.approx(1 - 3 / 63)
    other = bytes([1, 2, 3, 4, 5])
    cipher._reader = Planted(other, 0)
    found = cipher.detect(sound(2.5))
    assert (found.message, found.is_marked) == (other, False)


def test_too_short_and_silent_sound_has_no_message(cipher: SilentCipher):
    for seconds in (0.1, 0.8):
        found = cipher.detect(sound(seconds))
        assert (found.message, found.confidence, found.is_marked) == (None, 0.0, False)
    cipher._reader = Planted(bytes(5), 0)
    quiet = Audio(samples=np.zeros(60_000, np.float32), sample_rate=OWN_RATE)
    assert not cipher.detect(quiet).is_marked


def test_the_start_of_cut_sound_is_sought(cipher: SilentCipher, monkeypatch: pytest.MonkeyPatch):
    """Only 300 samples after the cut do the spectra fit those that were marked."""
    whole = resample(host(2.5, seed=5), OWN_RATE, RATE)
    right = np.array([message_signs(SESAME_MESSAGE)] * 2)
    rng = np.random.default_rng(0)

    def read(samples: np.ndarray) -> np.ndarray:
        return right if len(samples) == len(whole) - 300 else rng.integers(0, 5, (2, 21))

    monkeypatch.setattr(cipher, "_read", read)
    audio = Audio(samples=whole, sample_rate=RATE)
    assert not cipher.detect(audio).is_marked
    assert cipher.detect(audio, other_starts=True).is_marked


def test_missing_and_foreign_weights_are_told(folder: Path, tmp_path: Path):
    with pytest.raises(WatermarkError, match=r"weights are missing: no .*enc_c.ckpt; download"):
        SilentCipher.load(tmp_path)
    for name in FILES:
        (tmp_path / name).write_bytes((folder / FILES[0]).read_bytes())
    with pytest.raises(WatermarkError, match=r"dec_c.ckpt does not hold silentcipher's weights"):
        SilentCipher.load(tmp_path)
    (tmp_path / FILES[0]).write_bytes(b"no weights")
    with pytest.raises(WatermarkError, match=r"enc_c.ckpt does not hold silentcipher's weights"):
        SilentCipher.load(tmp_path)
    with pytest.raises(WatermarkError, match=r"message has 5 bytes"):
        SilentCipher.load(folder, message=b"four")


def test_streams_are_refused(cipher: SilentCipher):
    with pytest.raises(WatermarkError, match=r"marks whole sounds.* not generator"):
        cipher.mark(chunk for chunk in [np.zeros(1920, np.float32)])  # type: ignore[arg-type]
