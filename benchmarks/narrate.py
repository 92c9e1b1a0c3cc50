"""Narrates an hour of text and measures it: time, level, voice, and the times of words.

    python benchmarks/narrate.py hour --json narrate.json

Needs the extra `evaluate`, Resemblyzer and pyloudnorm. The text is everyday sentences, in chapters.
The level is that of each minute by ITU-R BS.1770. The voice is the similarity of each minute to the
voice's prompt. The times of words are compared with those of Whisper base. Audio that is in the
folder already is measured only.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.audio.resample import resample
from causerie.data.loudness import loudness
from causerie.evaluate.round_trip import decoded
from causerie.evaluate.speaker import Resemblyzer
from causerie.narrate.document import read_document
from causerie.narrate.run import narrate
from causerie.recognition.whisper import packaged_recognizer
from causerie.text.split import CHARS_A_SECOND
from causerie.tts import TTS
from causerie.voices import find_voice

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "recipes/petit"))
from everyday_sentences import sentences  # noqa: E402

CHAPTER_SENTENCES, PARAGRAPH_SENTENCES = 60, 4


def book(minutes: float) -> str:
    """Everyday sentences of the recipe's generator, in paragraphs and chapters.

    The aligner was trained on the first 480 sentences, which are not among them.
    """
    chars, lines = 60 * minutes * CHARS_A_SECOND, list[str]()
    for line in sentences(12_000)[5_000:]:
        lines.append(line)
        chars -= len(line) + 1
        if chars < 0:
            break
    text: list[str] = ["# An hour\n"]
    for number, start in enumerate(range(0, len(lines), CHAPTER_SENTENCES), 1):
        text.append(f"## Chapter {number}\n")
        chapter = lines[start : start + CHAPTER_SENTENCES]
        for at in range(0, len(chapter), PARAGRAPH_SENTENCES):
            text.append(" ".join(chapter[at : at + PARAGRAPH_SENTENCES]) + "\n")
    return "\n".join(text)


def speak(folder: Path, tts: TTS, minutes: float, voice: str) -> dict[str, float]:
    """Narrate the text into a folder; returns what that took."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "hour.md"
    source.write_text(book(minutes), "utf-8")
    document = read_document(source)
    wall, cpu = time.perf_counter(), time.process_time()
    narrate(
        document,
        range(len(document.chapters)),
        tts,
        folder / "hour.flac",
        format="flac",
        in_one_file=True,
        formats=["json"],
        speaking={"voice": voice, "seed": 0},
        identity=[voice],
        on_progress=lambda _, done, total: print(f"{done:,} of {total:,}", flush=True),
    )
    return {
        "wall_s": round(time.perf_counter() - wall, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "load": os.getloadavg()[0],
    }


def similarities(minutes: list[Audio], prompt: Audio) -> list[float]:
    """The cosine of the speaker of each minute with the voice's prompt."""
    encoder = Resemblyzer()
    target = encoder(prompt)
    assert target is not None
    vectors = [encoder(minute) for minute in minutes]
    return [0.0 if v is None else float(v @ target) for v in vectors]


def word_errors_s(
    samples: NDArray[np.float32], rate: int, words: list[dict[str, Any]], start_s: float
) -> list[float]:
    """Differences of the starts of words from Whisper's, in 30 s from a time on."""
    recognizer = packaged_recognizer()
    assert recognizer is not None, "install causerie[evaluate]"
    first = next((w["start"] for w in words if w["start"] >= start_s), 0.0) - 0.05
    part = samples[round(first * rate) : round((first + 29) * rate)]
    found, _ = recognizer.model.transcribe(
        resample(part, rate, 16_000), language="en", beam_size=5, temperature=0.0,
        condition_on_previous_text=False, word_timestamps=True,
    )  # fmt: skip
    theirs = [word for segment in found for word in segment.words or ()]
    ours = [word for word in words if first <= word["start"] < first + 29]
    keys = [_key(word["word"]) for word in ours], [_key(word.word) for word in theirs]
    blocks = difflib.SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks()
    return [
        ours[block.a + n]["start"] - first - theirs[block.b + n].start
        for block in blocks
        for n in range(block.size)
    ]


def _key(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="For the text, the audio and the words.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--voice", default="clara")
    parser.add_argument("--word-minutes", type=int, default=6, help="Where words are compared.")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    output = arguments.folder / "hour.flac"
    tts = TTS.from_pretrained()
    facts: dict[str, Any] = {}
    if not output.exists():
        facts = speak(arguments.folder, tts, arguments.minutes, arguments.voice)
        print(json.dumps(facts), flush=True)
    audio = Audio.load(output)
    words = json.loads(output.with_suffix(".json").read_text("utf-8"))
    rate = audio.sample_rate
    minute = 60 * rate
    parts = [
        audio.samples[start : start + minute]
        for start in range(0, len(audio.samples) - minute // 2, minute)
    ]
    levels = [loudness([part], rate) for part in parts]
    voice = find_voice(arguments.voice, tts.checkpoint.voices)
    codec = tts.checkpoint.codec
    prompt = np.concatenate([decoded(codec, s.codes).samples for s in voice.segments])
    similar = similarities(
        [Audio(samples=part, sample_rate=rate) for part in parts],
        Audio(samples=prompt, sample_rate=rate),
    )
    places = np.linspace(0, max(0.0, audio.duration_s - 40), arguments.word_minutes)
    errors = np.array(
        [e for place in places for e in word_errors_s(audio.samples, rate, words, place)]
    )
    facts |= {
        "speech_s": round(audio.duration_s, 1),
        "level_lufs": [round(level, 2) for level in levels],
        "level_range_db": round(max(levels) - min(levels), 2),
        "similarity": [round(value, 3) for value in similar],
        "similarity_first_less_least": round(similar[0] - min(similar), 3),
        "words_compared": len(errors),
        "word_error_median_ms": round(1000 * float(np.median(np.abs(errors)))),
        "word_error_p90_ms": round(1000 * float(np.quantile(np.abs(errors), 0.9))),
    }
    print(json.dumps(facts, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(facts), "utf-8")


if __name__ == "__main__":
    main()
