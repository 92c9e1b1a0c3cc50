"""Evaluates a model: synthesises sentences, runs all metrics and writes a report.

    report = evaluate(TTS.from_pretrained(), seed=0, only=["wer", "stopping"])
    report.numbers["wer"]

The same seed gives the same figures on the same machine, except for `speed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from causerie.audio.audio import Audio
from causerie.errors import ConfigError
from causerie.evaluate import (
    adaptation,
    consistency,
    duration,
    homographs,
    quality,
    repetition,
    round_trip,
    silence,
    similarity,
    speed,
    stopping,
    words,
)
from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.page import page, sample_path
from causerie.evaluate.report import Report
from causerie.evaluate.sentences import read_sentences
from causerie.evaluate.speaking import Speaking, VoiceName
from causerie.evaluate.tools import Tools
from causerie.recognition.words import normaliser
from causerie.tts import TTS

#: Metrics of clips by name.
CLIP_METRICS: Mapping[str, Callable[[Sequence[Clip], Tools], Measured]] = MappingProxyType(
    {
        "wer": words.measure,
        "similarity": similarity.measure,
        "dnsmos": quality.measure,
        "stopping": stopping.measure,
        "duration": duration.measure,
        "silence": silence.measure,
        "repetition": repetition.measure,
        "speed": speed.measure,
    }
)
#: Metrics that synthesise their own sentences.
CONTEXT_METRICS: Mapping[str, Callable[[Speaking], tuple[Measured, list[Clip]]]] = MappingProxyType(
    {
        "homographs": homographs.measure,
        "consistency": consistency.measure,
        "adaptation": adaptation.measure,
    }
)
METRICS = (*CLIP_METRICS, "codec", *CONTEXT_METRICS)

#: Called with the current work, the number of steps done, and the total.
OnProgress = Callable[[str, int, int], None]


def evaluate(
    tts: TTS,
    sentences: Sequence[str] | None = None,
    *,
    voices: Sequence[VoiceName] | None = None,
    count: int | None = None,
    seed: int = 0,
    only: Sequence[str] | None = None,
    out: Path | None = None,
    recordings: Sequence[Audio] = (),
    like: Mapping[str, Sequence[Audio]] | None = None,
    tools: Tools | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Evaluate a model.

    Args:
        sentences: sentences to speak; by default the 100 held-out ones.
        voices: voices, which take turns; by default all named voices, or speaker 0.
        count: number of utterances; sentences repeat with other seeds. By default one of each.
        seed: seed of the first utterance.
        only: names of `METRICS`; by default all, codec only with recordings.
        out: folder for report.json, report.html, and the samples as flac.
        recordings: recordings for the codec metric.
        like: recordings to compare each voice with, instead of its own prompt.
        tools: tools to reuse over several evaluations.
        on_progress: called with the progress.

    Raises:
        ConfigError: a metric is unknown, the count is below 1, or a package is not installed.
        CauserieError: see `TTS.generate`.
    """
    chosen = check_metrics(only, has_recordings=bool(recordings))
    sentences = list(read_sentences() if sentences is None else sentences)
    count = len(sentences) if count is None else count
    if count < 1 or not sentences:
        raise ConfigError(f"{count} utterances of {len(sentences)} sentences: 1 or more needed")
    tools, on_progress = tools or Tools(), on_progress or silent
    _load(tools, chosen)
    speaking = Speaking(tts, voices=voices, seed=seed, like=like)
    report = Report(
        model=tts.checkpoint.name,
        settings={
            "seed": seed, "clips": count, "voices": [voice.name for voice in speaking.voices],
        },
    )  # fmt: skip
    clips = []
    if any(name in CLIP_METRICS for name in chosen):
        if "speed" in chosen:  # warm up
            tts.generate(sentences[0], voice=speaking.voices[0], seed=seed, max_duration_s=0.5)
        for number in range(count):
            on_progress("speaking", number, count)
            sentence = sentences[number % len(sentences)]
            clips.append(speaking.speak(sentence, speaking.next_voice()))
        measure_clips(
            clips, report, [name for name in chosen if name in CLIP_METRICS], tools, on_progress
        )
    samples = {"clips": clips}
    if "codec" in chosen:
        on_progress("codec", 0, 1)
        checkpoint = tts.checkpoint
        num_codebooks = checkpoint.model.config.num_codebooks
        report.add(round_trip.measure(checkpoint.codec, recordings, num_codebooks), "codec")
    for name in chosen:
        if name in CONTEXT_METRICS:
            on_progress(name, 0, 1)
            # so that the seed and voice do not depend on other metrics
            speaking = Speaking(tts, voices=voices, seed=seed, like=like)
            measured, samples[name] = CONTEXT_METRICS[name](speaking)
            report.add(measured, name)
    if out is not None:
        save(report, samples, out)
    return report


def measure_clips(
    clips: Sequence[Clip],
    report: Report,
    metrics: Sequence[str],
    tools: Tools,
    on_progress: OnProgress | None = None,
) -> None:
    """Add the results of metrics of clips to a report; the clips may come from any source."""
    rows = [
        {"clip": number, "text": clip.text, "voice": clip.voice, "seed": clip.audio.seed}
        for number, clip in enumerate(clips, 1)
    ]
    report.add(Measured(numbers={}, rows=rows), "clips")
    for number, name in enumerate(metrics):
        (on_progress or silent)(f"measuring {name}", number, len(metrics))
        report.add(CLIP_METRICS[name](clips, tools), "clips")


def check_metrics(only: Sequence[str] | None, *, has_recordings: bool) -> list[str]:
    """The names of the metrics to run, in the order of `METRICS`.

    Raises:
        ConfigError: a metric is unknown, or codec has no recordings.
    """
    if only is None:
        return [name for name in METRICS if name != "codec" or has_recordings]
    unknown = [name for name in only if name not in METRICS]
    if unknown or not only:
        raise ConfigError(f"no metric {', '.join(unknown) or 'given'}: {', '.join(METRICS)}")
    if "codec" in only and not has_recordings:
        raise ConfigError("the metric codec needs recordings: give --recordings")
    return [name for name in METRICS if name in only]


def save(report: Report, samples: Mapping[str, Sequence[Clip]], out: Path) -> None:
    """Write a report as JSON and HTML, and the clips as flac.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(report.to_json(), "utf-8")
        (out / "report.html").write_text(page(report, samples), "utf-8")
        for name, clips in samples.items():
            for number, clip in enumerate(clips, 1):
                path = out / sample_path(name, number)
                path.parent.mkdir(parents=True, exist_ok=True)
                if len(clip.audio.samples):
                    clip.audio.save(path)
    except OSError as error:
        raise ConfigError(f"cannot write the report to {out}: {error}") from error


def _load(tools: Tools, chosen: Sequence[str]) -> None:
    """Load all tools, so that a missing package is reported before anything is spoken."""
    if "wer" in chosen or "repetition" in chosen:
        _ = tools.recognizer
        normaliser()
    if "similarity" in chosen:
        _ = tools.encoder
    if "dnsmos" in chosen:
        _ = tools.scorer


def silent(what: str, done: int, total: int) -> None:
    """Ignore the progress."""
