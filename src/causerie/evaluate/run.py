"""Evaluates a model: it speaks, every metric judges, and a report is written.

    report = evaluate(TTS.from_pretrained(), seed=0, only=["wer", "stopping"])
    report.numbers["wer"]

The same seed gives the same figures on the same machine, save for `speed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from causerie.audio.audio import Audio
from causerie.errors import ConfigError
from causerie.evaluate import (
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
from causerie.tts import TTS

#: Metrics of clips, from a name for `only` to the function.
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
#: Metrics that let the model speak what they need.
CONTEXT_METRICS: Mapping[str, Callable[[Speaking], tuple[Measured, list[Clip]]]] = MappingProxyType(
    {"homographs": homographs.measure, "consistency": consistency.measure}
)
METRICS = (*CLIP_METRICS, "codec", *CONTEXT_METRICS)

#: Told what is going on: what, how much is done, and of how much.
Tell = Callable[[str, int, int], None]


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
    tell: Tell | None = None,
) -> Report:
    """Evaluate a model.

    Args:
        sentences: to be spoken; the 100 held-out ones by default.
        voices: take turns; all named ones by default, speaker 0 where there is none.
        count: of utterances; sentences come round again, each as often as needed, with other
            seeds. By default one of each sentence.
        seed: of the first utterance.
        only: names of `METRICS`; all by default, codec where there are recordings.
        out: a folder for report.json, report.html, and the samples as flac.
        recordings: of people, for the codec.
        like: by voice, recordings that it is to be like, in place of its own context.
        tools: to use again; see there.
        tell: is told how far it is.

    Raises:
        ConfigError: an unknown metric, a count below 1, or a package that is not installed.
        CauserieError: as `TTS.generate`.
    """
    chosen = check_metrics(only, has_recordings=bool(recordings))
    sentences = list(read_sentences() if sentences is None else sentences)
    count = len(sentences) if count is None else count
    if count < 1 or not sentences:
        raise ConfigError(f"{count} utterances of {len(sentences)} sentences: at least 1 is needed")
    tools, tell = tools or Tools(), tell or silent
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
        if "speed" in chosen:  # what is done once only is no part of it
            tts.generate(sentences[0], voice=speaking.voices[0], seed=seed, max_duration_s=0.5)
        for number in range(count):
            tell("speaking", number, count)
            sentence = sentences[number % len(sentences)]
            clips.append(speaking.speak(sentence, speaking.next_voice()))
        judge(clips, report, [name for name in chosen if name in CLIP_METRICS], tools, tell)
    samples = {"clips": clips}
    if "codec" in chosen:
        tell("codec", 0, 1)
        checkpoint = tts.checkpoint
        num_codebooks = checkpoint.model.config.num_codebooks
        report.add(round_trip.measure(checkpoint.codec, recordings, num_codebooks), "codec")
    for name in chosen:
        if name in CONTEXT_METRICS:
            tell(name, 0, 1)
            # from the same seed and voice, whichever metrics ran before
            speaking = Speaking(tts, voices=voices, seed=seed, like=like)
            measured, samples[name] = CONTEXT_METRICS[name](speaking)
            report.add(measured, name)
    if out is not None:
        save(report, samples, out)
    return report


def judge(
    clips: Sequence[Clip],
    report: Report,
    metrics: Sequence[str],
    tools: Tools,
    tell: Tell | None = None,
) -> None:
    """Add what metrics of clips find to a report; the clips may come from anywhere."""
    told = [
        {"clip": number, "text": clip.text, "voice": clip.voice, "seed": clip.audio.seed}
        for number, clip in enumerate(clips, 1)
    ]
    report.add(Measured(numbers={}, rows=told), "clips")
    for number, name in enumerate(metrics):
        (tell or silent)(f"judging {name}", number, len(metrics))
        report.add(CLIP_METRICS[name](clips, tools), "clips")


def check_metrics(only: Sequence[str] | None, *, has_recordings: bool) -> list[str]:
    """The metrics that are meant, in the order of `METRICS`.

    Raises:
        ConfigError: one is unknown, or codec is asked for without recordings.
    """
    if only is None:
        return [name for name in METRICS if name != "codec" or has_recordings]
    unknown = [name for name in only if name not in METRICS]
    if unknown or not only:
        raise ConfigError(f"no metric {', '.join(unknown) or 'is named'}: {', '.join(METRICS)}")
    if "codec" in only and not has_recordings:
        raise ConfigError("metric codec needs recordings: give some (--recordings)")
    return [name for name in METRICS if name in only]


def save(report: Report, samples: Mapping[str, Sequence[Clip]], out: Path) -> None:
    """Write a report as JSON and HTML, and the clips as flac.

    Raises:
        ConfigError: the folder cannot be made or written.
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
    """What is not installed is told before anything is spoken."""
    if "wer" in chosen or "repetition" in chosen:
        _ = tools.recognizer
        words.normaliser()
    if "similarity" in chosen:
        _ = tools.encoder
    if "dnsmos" in chosen:
        _ = tools.scorer


def silent(what: str, done: int, total: int) -> None:
    """Tells nobody."""
    pass
