"""Measures the watermark: what it withstands, what is found where there is none, quality, cost.

    export OMP_NUM_THREADS=1                               # more only wait for each other
    python benchmarks/watermark.py
    python benchmarks/watermark.py --speech FOLDER         # recordings instead of petit
    python benchmarks/watermark.py --speech FOLDER --count 400 --tables clean quality

It speaks the default sentences by petit's voices in turn, marks them, and treats them as sound is
treated on its way. Each clip is examined as a whole, and in a window of 3 s and one of 1 s at a
random place. Music, reverb and noise are synthetic. PESQ needs the package pesq, the scores of
DNSMOS the extra `evaluate`. Prints the tables of docs/watermark.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.audio.formats import Change, encoder
from causerie.audio.resample import resample
from causerie.data.sound import EXTENSIONS
from causerie.evaluate.sentences import read_sentences
from causerie.evaluate.tools import Tools
from causerie.tts import TTS
from causerie.watermark.detect import BOUND, Patterns, detect, log_tail
from causerie.watermark.evidence import RATE as EVIDENCE_RATE
from causerie.watermark.evidence import Spectra
from causerie.watermark.key import PUBLIC_KEY, Watermark
from causerie.watermark.mark import Marker

Samples = NDArray[np.float32]
Attack = Callable[[Samples, np.random.Generator], tuple[Samples, int]]

RATE, FRAME = 24_000, 1920
#: Seconds of the windows, and of the longest clip.
WINDOWS, LONGEST_S = (3, 1), 8.0
#: Keys against which clean sound is held.
NUM_KEYS = 30


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Speech, before and after it was marked."""

    name: str
    plain: Samples
    marked: Samples


# -- attacks ---------------------------------------------------------------------------------------


def coded(format: str, bit_rate: int) -> Attack:
    """Encoding and decoding."""

    def attack(samples: Samples, _: np.random.Generator) -> tuple[Samples, int]:
        made = encoder(format, sample_rate=RATE, bit_rate=bit_rate)
        audio = Audio.load(made.encode(samples) + made.finish())
        return audio.samples, audio.sample_rate

    return attack


def at_rate(rate: int) -> Attack:
    """Another sample rate."""
    return lambda samples, _: (resample(samples, RATE, rate), rate)


def mu_law(samples: Samples, _: np.random.Generator) -> tuple[Samples, int]:
    """The sound of a telephone: 8 bits by the µ-law at 8 kHz."""
    low = np.clip(resample(samples, RATE, 8000), -1, 1)
    steps = np.round(127 * np.sign(low) * np.log1p(255 * np.abs(low)) / np.log(256))
    sizes = (256 ** (np.abs(steps) / 127) - 1) / 255
    return (np.sign(steps) * sizes).astype(np.float32), 8000


def clipped(samples: Samples, _: np.random.Generator) -> tuple[Samples, int]:
    """Clipping at 30 % of the peak."""
    peak = 0.3 * np.abs(samples).max()
    return np.clip(samples, -peak, peak), RATE


def noisy(samples: Samples, rng: np.random.Generator) -> tuple[Samples, int]:
    """White noise 20 dB below the speech."""
    return _plus(samples, rng.standard_normal(len(samples)), -20), RATE


def with_music(samples: Samples, rng: np.random.Generator) -> tuple[Samples, int]:
    """Chords of sawtooth waves 12 dB below the speech."""
    seconds = np.arange(len(samples)) / RATE
    music = np.zeros(len(samples))
    for start in np.arange(0, seconds[-1], 0.5):
        tones = 110 * 2 ** (rng.choice(25, 4, replace=False) / 12)
        envelope = np.exp(-3 * (seconds - start)) * (seconds >= start)
        music += envelope * sum((seconds * tone) % 1 - 0.5 for tone in tones)
    return _plus(samples, music, -12), RATE


def reverberated(samples: Samples, rng: np.random.Generator) -> tuple[Samples, int]:
    """A room with a reverberation time of 0.4 s, 3 dB below the direct sound."""
    late = rng.standard_normal(RATE // 2) * 10 ** (-3 * np.arange(RATE // 2) / RATE / 0.4)
    room = np.concatenate([[1.0], late * 10 ** (-3 / 20) / np.linalg.norm(late)])
    size = len(samples) + len(room)
    heard = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(room, size), size)
    heard = heard[: len(samples)]
    return (heard / max(1, np.abs(heard).max())).astype(np.float32), RATE


def at_tempo(speed: float) -> Attack:
    """Another tempo at the same pitch."""

    def attack(samples: Samples, _: np.random.Generator) -> tuple[Samples, int]:
        change = Change(RATE, RATE, speed)
        return np.concatenate([change.add(samples), change.finish()]), RATE

    return attack


def at_speed(speed: float) -> Attack:
    """Another speed, as of a tape."""
    return lambda samples, _: (resample(samples, round(RATE * speed), RATE), RATE)


def _plus(samples: Samples, other: NDArray[np.float64], level_db: float) -> Samples:
    scale = 10 ** (level_db / 20) * np.linalg.norm(samples) / np.linalg.norm(other)
    return (samples + scale * other).astype(np.float32)


ATTACKS: dict[str, Attack] = {
    "nothing": lambda samples, _: (samples, RATE),
    "MP3, 64 kbit/s": coded("mp3", 64_000),
    "MP3, 32 kbit/s": coded("mp3", 32_000),
    "Opus, 24 kbit/s": coded("opus", 24_000),
    "Opus, 12 kbit/s": coded("opus", 12_000),
    "AAC, 64 kbit/s": coded("aac", 64_000),
    "µ-law at 8 kHz": mu_law,
    "16 kHz": at_rate(16_000),
    "8 kHz": at_rate(8_000),
    "-20 dB": lambda samples, _: (samples * np.float32(0.1), RATE),
    "clipped at 30 % of the peak": clipped,
    "white noise, 20 dB below": noisy,
    "cut at any sample": lambda samples, rng: (samples[rng.integers(1, 8_000) :], RATE),
    "3 s of silence before": lambda samples, _: (np.pad(samples, (3 * RATE, 0)), RATE),
    "music, 12 dB below": with_music,
    "reverb": reverberated,
    "tempo -5 %": at_tempo(0.95),
    "tempo +5 %": at_tempo(1.05),
    "speed -5 %": at_speed(0.95),
    "speed +5 %": at_speed(1.05),
}


# -- measures --------------------------------------------------------------------------------------


def robustness(clips: list[Clip], rng: np.random.Generator) -> Iterator[str]:
    """The share that is found, whole and in windows, for each attack."""
    yield "| sound after | whole | " + " | ".join(f"{size} s" for size in WINDOWS) + " |"
    yield "|---|---|" + "---|" * len(WINDOWS)
    for name, attack in ATTACKS.items():
        found: dict[int, list[bool]] = {size: [] for size in (0, *WINDOWS)}
        for clip in clips:
            samples, rate = attack(clip.marked, rng)
            found[0].append(_is_found(samples, rate))
            for size in WINDOWS if "silence" not in name else ():
                if len(samples) >= size * rate:
                    start = rng.integers(0, len(samples) - size * rate + 1)
                    found[size].append(_is_found(samples[start : start + size * rate], rate))
        yield f"| {name} | " + " | ".join(_share(one) for one in found.values()) + " |"


def false_positives(clips: list[Clip], rng: np.random.Generator) -> Iterator[str]:
    """Detections where there is no mark of the key: at all speeds, and of many keys."""
    other = Marker(Watermark(key=bytes(32)), RATE)
    kinds = {
        "unmarked speech": [clip.plain for clip in clips],
        "marked by another key": [
            other.mark(clip.plain, other.begin(0, clip.name.encode())) for clip in clips
        ],
        "noise and music": [
            with_music(rng.standard_normal(3 * RATE).astype(np.float32) / 10, rng)[0] for _ in clips
        ],
    }
    yield "| sound | clips | found | smallest p |"
    yield "|---|---|---|---|"
    for name, sounds in kinds.items():
        results = [detect(Audio(samples=one, sample_rate=RATE), PUBLIC_KEY) for one in sounds]
        number = sum(one.is_marked for one in results)
        smallest = min(one.p for one in results)
        yield f"| {name} | {len(sounds)} | {number} | {smallest:.2g} |"
    yield ""
    keys = [Patterns(number.to_bytes(32, "big")) for number in range(NUM_KEYS)]
    values = []
    for clip in clips:
        spectra = Spectra(resample(clip.plain, RATE, EVIDENCE_RATE))
        evidence = spectra.evidence()
        for patterns in keys:
            (_, z, _), *_ = patterns.matches(evidence)
            values.append(math.exp(log_tail(z)) * BOUND * 2**11)
    shares = ", ".join(
        f"p ≤ {limit:g} in {100 * np.mean(np.array(values) <= limit):.2g} %"
        for limit in (0.1, 0.01, 0.001)
    )
    yield f"Unmarked speech against {NUM_KEYS} keys, {len(values)} tests: {shares}."


def payloads(clips: list[Clip], rng: np.random.Generator) -> Iterator[str]:
    """The share of payloads that are read right in 3 s."""
    right = []
    for clip in clips:
        if len(clip.plain) >= 3 * RATE:
            payload = int(rng.integers(1, 2**16))
            marker = Marker(Watermark(payload=payload), RATE)
            samples = marker.mark(clip.plain, marker.begin(0, clip.name.encode()))[: 3 * RATE]
            found = detect(Audio(samples=samples, sample_rate=RATE), PUBLIC_KEY)
            right.append(found.payload == payload)
    yield f"Payload read right in 3 s: {_share(right)} of {len(right)} clips."


def quality(clips: list[Clip], rng: np.random.Generator) -> Iterator[str]:
    """What the mark changes, by models that judge speech."""
    snr = [
        20 * math.log10(np.linalg.norm(one.plain) / np.linalg.norm(one.marked - one.plain))
        for one in clips
    ]
    yield f"Speech above the change: {np.mean(snr):.1f} dB (smallest {min(snr):.1f})."
    if importlib.util.find_spec("pesq"):
        from pesq import pesq

        scores = [
            pesq(16_000, *(resample(one, RATE, 16_000) for one in (clip.plain, clip.marked)), "wb")
            for clip in clips
        ]
        yield f"PESQ: {np.mean(scores):.2f} (smallest {min(scores):.2f})."
    else:
        yield "PESQ: not measured, as the package pesq is not installed."
    if importlib.util.find_spec("speechmos"):
        score = Tools().scorer
        before, after = (
            [score(Audio(samples=one, sample_rate=RATE)) for one in some]
            for some in zip(*((clip.plain, clip.marked) for clip in clips), strict=True)
        )
        for name in ("ovrl", "p808"):
            means = [np.mean([one[name] for one in some]) for some in (before, after)]
            yield f"{name.upper()}: {means[0]:.3f} → {means[1]:.3f}."
    else:
        yield "DNSMOS: not measured, as the package speechmos is not installed."


def cost(clips: list[Clip], rng: np.random.Generator) -> Iterator[str]:
    """Processor time of this thread, the least of 20 runs."""
    marker = Marker(Watermark(), RATE)
    frame = np.random.default_rng(0).standard_normal(FRAME).astype(np.float32) / 10
    for num_streams in (1, 64):
        states = [marker.begin(seed, b"") for seed in range(num_streams)]
        times = []
        for _ in range(20):
            start = time.thread_time()
            for _ in range(64 // num_streams):
                for state in states:
                    marker.mark(frame, state)
            times.append(1000 * (time.thread_time() - start) * num_streams / 64)
        yield f"A frame of {num_streams} streams: {min(times):.3f} ms of a CPU."


#: By name, in the order in which they are printed.
TABLES: dict[str, Callable[[list[Clip], np.random.Generator], Iterator[str]]] = {
    "attacks": robustness,
    "clean": false_positives,
    "payloads": payloads,
    "quality": quality,
    "cost": cost,
}


def _is_found(samples: Samples, rate: int) -> bool:
    return detect(Audio(samples=samples, sample_rate=rate), PUBLIC_KEY).is_marked


def _share(found: list[bool]) -> str:
    return f"{100 * np.mean(found):.3g} %" if found else "–"


# -- clips -----------------------------------------------------------------------------------------


def speech(count: int, folder: Path | None) -> Iterator[tuple[str, Samples]]:
    """Names and unmarked speech: recordings of a folder, or petit's."""
    if folder is not None:
        paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in EXTENSIONS]
        for path in paths[:count]:
            yield path.name, Audio.load(path).resampled(RATE)
        return
    tts = TTS.from_pretrained(watermark=False)
    sentences = read_sentences()
    for number in range(count):
        text = sentences[number % len(sentences)]
        voice = tts.voices[number % len(tts.voices)]
        yield f"{voice}-{number}", tts.generate(text, voice=voice, seed=number).samples


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="number of clips")
    parser.add_argument("--speech", type=Path, help="folder of recordings, in place of petit's")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    args = parser.parse_args()
    marker, clips = Marker(Watermark(), RATE), []
    for name, samples in speech(args.count, args.speech):
        plain = samples[: int(LONGEST_S * RATE)]
        marked = marker.mark(plain, marker.begin(0, name.encode()))
        clips.append(Clip(name=name, plain=plain, marked=marked))
    seconds = [len(clip.plain) / RATE for clip in clips]
    rng = np.random.default_rng(0)
    print(f"{len(clips)} clips of {min(seconds):.1f} to {max(seconds):.1f} s\n")
    for table in args.tables:
        for line in TABLES[table](clips, rng):
            print(line, flush=True)
        print(flush=True)


if __name__ == "__main__":
    main()
