"""Cuts, levels, checks and encodes the turns of one recording, or drops them with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from causerie.audio.resample import resample
from causerie.codec.mimi import Mimi
from causerie.data import loudness
from causerie.data.activity import RATE, Detector, Span, speech_spans
from causerie.data.checks import Limits, Measured, Reason, pace, reasons, signal_to_noise_db
from causerie.data.cut import cut, split_text, with_margins
from causerie.data.letters import character_error_rate
from causerie.data.manifest import Recording, Row
from causerie.data.sound import Sound, read_sound
from causerie.errors import AudioError
from causerie.recognition.whisper import Recognizer

#: A turn may end this long after its recording, because times are rounded.
PAST_END_S = 0.1
#: Largest share of a turn that may overlap with other turns.
MAX_OVERLAP = 0.1
#: Note on turns without a given transcript.
TRANSCRIBED = "transcript written by the recognizer"

_Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The models and settings that process all recordings."""

    codec: Mimi
    limits: Limits
    detect: Detector
    recognize: Recognizer | None = None
    language: str = "en"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result for a turn, or for a piece that was cut from it.

    Attributes:
        row: index of the turn in the recording.
        start_s, end_s: interval of the recording.
        text: the transcript, given or recognized.
        heard: the recognized text; None if the recognizer did not run.
        reasons: why the turn was dropped; empty if it was kept.
        notes: what was done beyond cutting and levelling.
        num_frames: frames of its codes; 0 if it was dropped.
    """

    row: int
    start_s: float
    end_s: float
    text: str
    heard: str | None = None
    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    measured: Measured = field(default_factory=Measured)
    num_frames: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Processed:
    """The result for a recording.

    Attributes:
        outcomes: outcomes in the order of the rows and their pieces.
        codes: codes (frames, K) int16 of all kept turns, in the same order.
        duration_s: length of the recording; 0 if it could not be read.
    """

    outcomes: list[Outcome]
    codes: NDArray[np.int16]
    duration_s: float


@dataclass(kw_only=True)
class _Piece:
    """A turn, or a piece of it, before it is checked."""

    row: int
    where: Span
    speech: list[Span]
    text: str
    heard: str | None
    notes: list[str]
    reasons: list[Reason]


def process(recording: Recording, pipeline: Pipeline) -> Processed:
    """Cut, check, level and encode the turns of a recording."""
    no_codes = np.zeros((0, pipeline.codec.config.num_codebooks), np.int16)
    try:
        sound = read_sound(recording.path, pipeline.codec.config.sample_rate)
        samples_16k = resample(sound.samples, sound.sample_rate, RATE)
    except AudioError as error:
        outcomes = [
            _dropped(index, row, row.end_s or 0.0, "unreadable", str(error))
            for index, row in enumerate(recording.rows)
        ]
        return Processed(outcomes=outcomes, codes=no_codes, duration_s=0.0)
    spans = speech_spans(samples_16k, pipeline.detect)
    outcomes, pieces = [], list[_Piece]()
    for index, row in enumerate(recording.rows):
        made = _read_row(index, recording.rows, sound, spans)
        if isinstance(made, Outcome):
            outcomes.append(made)
        else:
            pieces += _cut_row(row, made, samples_16k, pipeline)
    finished, codes = _finish(recording, pieces, sound, samples_16k, spans, pipeline)
    outcomes = sorted(outcomes + finished, key=lambda outcome: outcome.row)
    whole = np.concatenate([no_codes, *codes])
    return Processed(outcomes=outcomes, codes=whole, duration_s=sound.duration_s)


def _dropped(index: int, row: Row, end_s: float, kind: str, detail: str) -> Outcome:
    return Outcome(
        row=index,
        start_s=row.start_s or 0.0,
        end_s=max(end_s, row.start_s or 0.0),
        text=row.text,
        reasons=(Reason(kind=kind, detail=detail),),
    )


def _read_row(
    index: int, rows: Sequence[Row], sound: Sound, spans: Sequence[Span]
) -> _Piece | Outcome:
    """A row with its spans of speech, or the outcome if it is dropped at once."""
    row, duration_s = rows[index], sound.duration_s
    start_s = row.start_s or 0.0
    end_s = duration_s if row.end_s is None else row.end_s
    if row.problem:
        return _dropped(index, row, end_s, "transcript unreadable", row.problem)
    if start_s >= duration_s or end_s > duration_s + PAST_END_S:
        detail = f"from {start_s:g} to {end_s:g} s; the recording lasts {duration_s:.2f} s"
        return _dropped(index, row, end_s, "outside the recording", detail)
    region = Span(start_s, min(end_s, duration_s))
    others = [
        Span(other.start_s or 0.0, duration_s if other.end_s is None else other.end_s)
        for place, other in enumerate(rows)
        if place != index
    ]
    shared = sum(part.duration_s for part in _clipped_to(region, others))
    if shared > MAX_OVERLAP * region.duration_s:
        detail = f"{shared:.1f} of {region.duration_s:.1f} s overlap with other turns"
        return _dropped(index, row, end_s, "overlap", detail)
    speech = _clipped_to(region, spans)
    if not speech:
        return _dropped(index, row, region.end_s, "no speech", f"in {region.duration_s:.1f} s")
    return _Piece(
        row=index, where=region, speech=speech, text=row.text, heard=None, notes=[], reasons=[]
    )


def _clipped_to(region: Span, spans: Sequence[Span]) -> list[Span]:
    return [
        Span(max(span.start_s, region.start_s), min(span.end_s, region.end_s))
        for span in spans
        if span.start_s < region.end_s and span.end_s > region.start_s
    ]


def _cut_row(row: Row, whole: _Piece, samples_16k: _Samples, pipeline: Pipeline) -> list[_Piece]:
    """Cut a row into pieces that are short enough, each with its part of the transcript."""
    limits = pipeline.limits
    spans = cut(whole.speech, limits.max_s, limits.max_pause_s)
    margins = with_margins(spans, whole.where)
    pieces = [
        replace(whole, where=where, speech=speech, notes=[], reasons=[])
        for speech, where in zip(spans, margins, strict=True)
    ]
    if len(pieces) == 1:
        return pieces
    note = f"cut at pauses into {len(pieces)} pieces"
    if row.text and pipeline.recognize is None:
        detail = (
            f"{whole.where.duration_s:.1f} s, at most {limits.max_s:g} with pauses of "
            f"{limits.max_pause_s:g}; cutting the transcript needs the recognizer"
        )
        whole.reasons.append(Reason(kind="too long", detail=detail))
        return [whole]
    heard = [_transcribe(piece, samples_16k, pipeline) for piece in pieces]
    texts = split_text(row.text, heard) if row.text else [""] * len(pieces)
    for piece, text, words in zip(pieces, texts, heard, strict=True):
        piece.text, piece.heard = text, words
        piece.notes.append(note)
        if row.text and not text:
            detail = "the transcript has no words for this piece"
            piece.reasons.append(Reason(kind="transcript", detail=detail))
    return pieces


def _transcribe(piece: _Piece, samples_16k: _Samples, pipeline: Pipeline) -> str:
    assert pipeline.recognize is not None
    first, last = round(piece.where.start_s * RATE), round(piece.where.end_s * RATE)
    return " ".join(pipeline.recognize(samples_16k[first:last]).split())


def _finish(
    recording: Recording,
    pieces: Sequence[_Piece],
    sound: Sound,
    samples_16k: _Samples,
    spans: Sequence[Span],
    pipeline: Pipeline,
) -> tuple[list[Outcome], list[NDArray[np.int16]]]:
    """Level, check and encode the pieces, with one gain per speaker of the recording."""
    outcomes, codes = [], list[NDArray[np.int16]]()
    waves = [_samples(sound, piece.where) for piece in pieces]
    speakers = [recording.rows[piece.row].speaker for piece in pieces]
    levels = {
        speaker: _level([w for w, s in zip(waves, speakers, strict=True) if s == speaker], sound)
        for speaker in dict.fromkeys(speakers)
    }
    for piece, wave, speaker in zip(pieces, waves, speakers, strict=True):
        measured_lufs, factor, is_limited = levels[speaker]
        if is_limited:
            piece.notes.append("quieter than others, because of its peaks")
        measured = Measured(
            sample_rate=sound.native_rate,
            clipped=round(sound.clipped_share(piece.where.start_s, piece.where.end_s), 6),
            snr_db=round(signal_to_noise_db(samples_16k, piece.speech, spans), 2),
            loudness=measured_lufs,
            pace=pace(piece.text, piece.speech),
        )
        measured = _compare(piece, measured, samples_16k, pipeline)
        if not piece.text and not piece.reasons:
            detail = (
                "none given, and no recognizer" if piece.heard is None else "no words recognized"
            )
            piece.reasons.append(Reason(kind="no transcript", detail=detail))
        known = {reason.kind for reason in piece.reasons}
        found = reasons(measured, piece.text, piece.where.duration_s, pipeline.limits)
        piece.reasons += [reason for reason in found if reason.kind not in known]
        num_frames = 0
        if not piece.reasons:
            codes.append(encode(wave * np.float32(factor), pipeline.codec))
            num_frames = len(codes[-1])
        outcomes.append(
            Outcome(
                row=piece.row,
                start_s=round(piece.where.start_s, 3),
                end_s=round(piece.where.end_s, 3),
                text=piece.text,
                heard=piece.heard,
                reasons=tuple(piece.reasons),
                notes=tuple(piece.notes),
                measured=measured,
                num_frames=num_frames,
            )
        )
    return outcomes, codes


def _compare(
    piece: _Piece, measured: Measured, samples_16k: _Samples, pipeline: Pipeline
) -> Measured:
    """Compare the transcript with the audio; write a missing one if other limits are met."""
    if pipeline.recognize is None or piece.reasons:
        return measured
    if piece.heard is None:
        others = replace(measured, pace=None)
        if reasons(others, "", piece.where.duration_s, pipeline.limits):
            return measured  # it is dropped anyway, and the recognizer is slow
        piece.heard = _transcribe(piece, samples_16k, pipeline)
    if piece.text:
        cer = character_error_rate(piece.text, piece.heard, pipeline.language)
        return replace(measured, cer=round(cer, 4))
    if piece.heard:
        piece.text = piece.heard
        piece.notes.append(TRANSCRIBED)
    return replace(measured, pace=pace(piece.text, piece.speech))


def _samples(sound: Sound, where: Span) -> _Samples:
    first, last = (round(time * sound.sample_rate) for time in (where.start_s, where.end_s))
    return sound.samples[first:last]


def _level(waves: Sequence[_Samples], sound: Sound) -> tuple[float, float, bool]:
    """The loudness of one speaker, the gain that levels it, and whether peaks limit the gain."""
    measured = loudness.loudness(waves, sound.sample_rate)
    return round(measured, 2), *loudness.gain(waves, measured)


def encode(samples: _Samples, codec: Mimi) -> NDArray[np.int16]:
    """The codes (T, K) of samples (N,) at the codec's rate."""
    device = next(codec.parameters()).device
    with torch.inference_mode():
        pcm = torch.from_numpy(np.ascontiguousarray(samples)).to(device)[None, None]
        codes = codec.encode(pcm)[0]
    out: NDArray[np.int16] = codes.T.cpu().numpy().astype(np.int16)
    return out
