"""Measures how much `verify` mends on beds where a model says other words than its text has.

    python benchmarks/verify.py sentences                       # petit itself
    python benchmarks/verify.py bare                            # phrases without final punctuation
    python benchmarks/verify.py bare --model OUT --guard on     # by another petit
    python benchmarks/verify.py hot --temperature 2.5           # over all codes
    python benchmarks/verify.py model --model OUT --guard on    # of recipes/petit/wrong_adapters.py
    python benchmarks/verify.py streams                         # the first sound

Each text is spoken without and with verification, with the same seed. A row has the word error
rate, the processor seconds for each second of speech that was kept, and the attempts. The
recognizer that chooses also judges, which flatters `verify`. If pocketsphinx is installed, it
judges as well: it hears less well, and has no part in the choice.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import itertools
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.engine.engine import Engine
from causerie.engine.runners.choose import new_runner
from causerie.evaluate.sentences import read_sentences
from causerie.recognition.whisper import RATE, Recognizer, Whisper
from causerie.recognition.words import compare
from causerie.reply import verifier
from causerie.reply.attempts import MAX_CHECKED
from causerie.tts import TTS
from stop_guard import MAX_DURATION_S, PHRASES, Bare, model


class Remembering:
    """Whisper, which hears the same samples only once.

    Attributes:
        saved_s: processor time that this saved.
    """

    def __init__(self, whisper: Whisper) -> None:
        self._whisper, self.saved_s = whisper, 0.0
        self._known: dict[tuple[Recognizer, bytes], tuple[str, float]] = {}

    def __call__(self, samples: NDArray[np.float32]) -> str:
        """See `Whisper`."""
        return self._recall(self._whisper, samples)

    def quick(self, samples: NDArray[np.float32]) -> str:
        """See `Whisper`."""
        return self._recall(self._whisper.quick, samples)

    def _recall(self, recognize: Recognizer, samples: NDArray[np.float32]) -> str:
        key = recognize, samples.tobytes()
        if key in self._known:
            self.saved_s += self._known[key][1]
        else:
            started = time.process_time()
            text = recognize(samples)
            self._known[key] = text, time.process_time() - started
        return self._known[key][0]


def pocketsphinx() -> Recognizer | None:
    """A recognizer whose model is in its package; None if it is not installed."""
    if importlib.util.find_spec("pocketsphinx") is None:
        return None
    from pocketsphinx import Decoder  # type: ignore[import-not-found]

    decoder = Decoder(samprate=RATE, loglevel="ERROR")

    def recognize(samples: NDArray[np.float32]) -> str:
        decoder.start_utt()
        pcm = (np.clip(samples, -1, 1) * 32_767).astype(np.int16)
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return recognize


def rates(texts: Sequence[str], clips: Sequence[Audio], judges: dict[str, Recognizer]) -> str:
    """The word error rate by each judge."""
    found = []
    for name, judge in judges.items():
        words = compare(texts, [judge(clip.resampled(RATE)) for clip in clips])
        found.append(
            f"word errors by {name} {words.wer:.1%} ({words.substitutions} other, "
            f"{words.deletions} missing, {words.insertions} invented, of {words.words})"
        )
    return ", ".join(found)


def measure(
    tts: TTS,
    jobs: Sequence[tuple[str, str]],
    whisper: Remembering,
    judges: dict[str, Recognizer],
    settings: dict[str, object],
) -> None:
    """Speak each (text, voice) without and with verification, and print a row for each."""
    texts = [text for text, _ in jobs]
    for verify in (False, True):
        saved_s, started = whisper.saved_s, time.process_time()
        clips = [
            tts.generate(text, voice=voice, seed=seed, verify=verify, **settings)  # type: ignore[arg-type]
            for seed, (text, voice) in enumerate(jobs)
        ]
        seconds = time.process_time() - started + whisper.saved_s - saved_s
        speech_s = sum(clip.duration_s for clip in clips)
        attempts = Counter(check.attempts for clip in clips for check in clip.checks)
        mean = sum(n * count for n, count in attempts.items()) / max(1, attempts.total())
        print(
            f"  verify {'on ' if verify else 'off'}: {rates(texts, clips, judges)}, "
            f"{seconds / speech_s:.2f} s of processor for a second of speech"
            + (f", {mean:.2f} attempts {dict(sorted(attempts.items()))}" if verify else ""),
            flush=True,
        )


def measure_streams(tts: TTS, count: int) -> None:
    """Print the first sound of streams of three pieces, without and with verification."""
    sentences = itertools.cycle(read_sentences())
    texts = [" ".join(itertools.islice(sentences, 6)) for _ in range(count)]
    first: dict[bool, list[float]] = {False: [], True: []}
    for seed, text in enumerate(texts):
        for verify in (False, True):
            stream = tts.stream(text, seed=seed, verify=verify)
            for _ in stream:
                pass
            assert stream.first_sound_ms is not None
            first[verify].append(stream.first_sound_ms)
    for verify, times in first.items():
        print(f"  verify {verify}: first sound after {np.median(times):.0f} ms, {count} streams")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bed", choices=("sentences", "bare", "hot", "model", "streams"))
    parser.add_argument("--model", default="petit", help="that speaks (%(default)s)")
    parser.add_argument("--temperature", type=float, default=2.0, help="for hot (%(default)s)")
    parser.add_argument("--guard", default="off", help="on or off (%(default)s)")
    parser.add_argument("--count", type=int, default=24, help="clips (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of Whisper; 0: all (%(default)s)")
    args = parser.parse_args()
    bed = model(args.model)
    voices, texts = [*bed.voices], read_sentences()
    if args.bed == "bare":
        texts = PHRASES.read_text("utf-8").splitlines()
        bed = dataclasses.replace(bed, front_end=Bare(bed.front_end))
    whisper = Remembering(Whisper(threads=args.threads))
    verifier.whispers = lambda: [whisper.quick, whisper]  # type: ignore[assignment]
    tts = TTS(bed, engine=Engine(new_runner(bed, 4)))
    name = args.bed + {"hot": f" {args.temperature}", "model": f" {args.model}"}.get(args.bed, "")
    print(f"{name}, guard {args.guard}, at most {MAX_CHECKED} attempts", flush=True)
    if args.bed == "streams":
        measure_streams(tts, args.count)
        return
    jobs = [
        (texts[n % len(texts)], voices[(n + n // len(texts)) % len(voices)])
        for n in range(args.count)
    ]
    other = pocketsphinx()
    judges: dict[str, Recognizer] = {"Whisper base": whisper}
    if other is not None:
        judges["pocketsphinx"] = other
    settings: dict[str, object] = {"guard": args.guard, "max_duration_s": MAX_DURATION_S}
    if args.bed == "hot":
        settings |= {"temperature": args.temperature, "top_k": 0}
    measure(tts, jobs, whisper, judges, settings)


if __name__ == "__main__":
    main()
