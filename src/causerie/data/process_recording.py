"""From one recording to its turns: cut, levelled, checked and encoded, or dropped with reasons."""

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
from causerie.data.whisper import Recognizer
from causerie.errors import AudioError

#: A turn may end so far behind its recording, as rounded times do.
PAST_END_S = 0.1
#: Of a turn, so much may be said at the same time as another.
MAX_OVERLAP = 0.1

_Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Tools:
    """All that a recording is worked with."""

    codec: Mimi
    limits: Limits
    detect: Detector
    recognize: Recognizer | None = None
    language: str = "en"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a turn, or of a piece that was cut from it.

    Attributes:
        row: index of the turn among the recording's.
        start_s, end_s: of the recording.
        text: the transcript, whoever wrote it.
        heard: what the recogniser heard; None where it was not asked.
        reasons: why it was dropped; none where it was kept.
        notes: what was done beyond cutting and levelling.
        num_frames: of its codes, 0 where it was dropped.
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
class Worked:
    """A recording's turns.

    Attributes:
        outcomes: in order of the rows, and of their pieces.
        codes: (frames of all kept ones, K) int16, in their order.
        duration_s: of the recording, 0 where it could not be read.
    """

    outcomes: list[Outcome]
    codes: NDArray[np.int16]
    duration_s: float


@dataclass(kw_only=True)
class _Draft:
    """A piece in the making."""

    row: int
    where: Span
    speech: list[Span]
    text: str
    heard: str | None
    notes: list[str]
    reasons: list[Reason]


def work(recording: Recording, tools: Tools) -> Worked:
    """Cut, check, level and encode a recording's turns."""
    no_codes = np.zeros((0, tools.codec.config.num_codebooks), np.int16)
    try:
        sound = read_sound(recording.path, tools.codec.config.sample_rate)
        heard_at = resample(sound.samples, sound.sample_rate, RATE)
    except AudioError as error:
        outcomes = [
            _dropped(index, row, row.end_s or 0.0, "unreadable", str(error))
            for index, row in enumerate(recording.rows)
        ]
        return Worked(outcomes=outcomes, codes=no_codes, duration_s=0.0)
    spans = speech_spans(heard_at, tools.detect)
    outcomes, drafts = [], list[_Draft]()
    for index, row in enumerate(recording.rows):
        made = _draft(index, recording.rows, sound, spans)
        if isinstance(made, Outcome):
            outcomes.append(made)
        else:
            drafts += _cut_row(row, made, heard_at, tools)
    finished, codes = _finish(recording, drafts, sound, heard_at, spans, tools)
    outcomes = sorted(outcomes + finished, key=lambda outcome: outcome.row)
    whole = np.concatenate([no_codes, *codes])
    return Worked(outcomes=outcomes, codes=whole, duration_s=sound.duration_s)


def _dropped(index: int, row: Row, end_s: float, kind: str, detail: str) -> Outcome:
    return Outcome(
        row=index,
        start_s=row.start_s or 0.0,
        end_s=max(end_s, row.start_s or 0.0),
        text=row.text,
        reasons=(Reason(kind=kind, detail=detail),),
    )


def _draft(
    index: int, rows: Sequence[Row], sound: Sound, spans: Sequence[Span]
) -> _Draft | Outcome:
    """A row with its spans of speech; an outcome where it is dropped at once."""
    row, duration_s = rows[index], sound.duration_s
    start_s = row.start_s or 0.0
    end_s = duration_s if row.end_s is None else row.end_s
    if row.problem:
        return _dropped(index, row, end_s, "transcript unreadable", row.problem)
    if start_s >= duration_s or end_s > duration_s + PAST_END_S:
        detail = f"from {start_s:g} to {end_s:g} s, the recording has {duration_s:.2f} s"
        return _dropped(index, row, end_s, "outside the recording", detail)
    region = Span(start_s, min(end_s, duration_s))
    others = [
        Span(other.start_s or 0.0, duration_s if other.end_s is None else other.end_s)
        for place, other in enumerate(rows)
        if place != index
    ]
    shared = sum(part.duration_s for part in _clipped_to(region, others))
    if shared > MAX_OVERLAP * region.duration_s:
        detail = f"{shared:.1f} of {region.duration_s:.1f} s belong to other turns too"
        return _dropped(index, row, end_s, "overlap", detail)
    speech = _clipped_to(region, spans)
    if not speech:
        return _dropped(index, row, region.end_s, "no speech", f"in {region.duration_s:.1f} s")
    return _Draft(
        row=index, where=region, speech=speech, text=row.text, heard=None, notes=[], reasons=[]
    )


def _clipped_to(region: Span, spans: Sequence[Span]) -> list[Span]:
    return [
        Span(max(span.start_s, region.start_s), min(span.end_s, region.end_s))
        for span in spans
        if span.start_s < region.end_s and span.end_s > region.start_s
    ]


def _cut_row(row: Row, draft: _Draft, heard_at: _Samples, tools: Tools) -> list[_Draft]:
    """A row in pieces that are short enough, each with its part of the transcript."""
    limits = tools.limits
    pieces = cut(draft.speech, limits.max_s, limits.max_pause_s)
    margins = with_margins(pieces, draft.where)
    drafts = [
        replace(draft, where=where, speech=piece, notes=[], reasons=[])
        for piece, where in zip(pieces, margins, strict=True)
    ]
    if len(drafts) == 1:
        return drafts
    note = f"cut at its pauses into {len(drafts)} pieces"
    if row.text and tools.recognize is None:
        detail = (
            f"{draft.where.duration_s:.1f} s, at most {limits.max_s:g} with pauses of "
            f"{limits.max_pause_s:g}; to cut the transcript too takes a recogniser"
        )
        draft.reasons.append(Reason(kind="too long", detail=detail))
        return [draft]
    heard = [_hear(piece, heard_at, tools) for piece in drafts]
    texts = split_text(row.text, heard) if row.text else [""] * len(drafts)
    for piece, text, words in zip(drafts, texts, heard, strict=True):
        piece.text, piece.heard = text, words
        piece.notes.append(note)
        if row.text and not text:
            detail = "the transcript has no words for this piece"
            piece.reasons.append(Reason(kind="transcript", detail=detail))
    return drafts


def _hear(draft: _Draft, heard_at: _Samples, tools: Tools) -> str:
    assert tools.recognize is not None
    first, last = round(draft.where.start_s * RATE), round(draft.where.end_s * RATE)
    return " ".join(tools.recognize(heard_at[first:last]).split())


def _finish(
    recording: Recording,
    drafts: Sequence[_Draft],
    sound: Sound,
    heard_at: _Samples,
    spans: Sequence[Span],
    tools: Tools,
) -> tuple[list[Outcome], list[NDArray[np.int16]]]:
    """Level, check and encode the pieces; one gain for each speaker of the recording."""
    outcomes, codes = [], list[NDArray[np.int16]]()
    waves = [_samples(sound, draft.where) for draft in drafts]
    speakers = [recording.rows[draft.row].speaker for draft in drafts]
    levels = {
        speaker: _level([w for w, s in zip(waves, speakers, strict=True) if s == speaker], sound)
        for speaker in dict.fromkeys(speakers)
    }
    for draft, wave, speaker in zip(drafts, waves, speakers, strict=True):
        measured_lufs, factor, held_back = levels[speaker]
        if held_back:
            draft.notes.append("quieter than others, since its peaks allow no more")
        measured = Measured(
            sample_rate=sound.native_rate,
            clipped=round(sound.clipped_share(draft.where.start_s, draft.where.end_s), 6),
            snr_db=round(signal_to_noise_db(heard_at, draft.speech, spans), 2),
            loudness=measured_lufs,
            pace=pace(draft.text, draft.speech),
        )
        measured = _compare(draft, measured, heard_at, tools)
        if not draft.text and not draft.reasons:
            detail = "none given, and no recogniser" if draft.heard is None else "nothing was heard"
            draft.reasons.append(Reason(kind="no transcript", detail=detail))
        known = {reason.kind for reason in draft.reasons}
        found = reasons(measured, draft.text, draft.where.duration_s, tools.limits)
        draft.reasons += [reason for reason in found if reason.kind not in known]
        num_frames = 0
        if not draft.reasons:
            codes.append(encode(wave * np.float32(factor), tools.codec))
            num_frames = len(codes[-1])
        outcomes.append(
            Outcome(
                row=draft.row,
                start_s=round(draft.where.start_s, 3),
                end_s=round(draft.where.end_s, 3),
                text=draft.text,
                heard=draft.heard,
                reasons=tuple(draft.reasons),
                notes=tuple(draft.notes),
                measured=measured,
                num_frames=num_frames,
            )
        )
    return outcomes, codes


def _compare(draft: _Draft, measured: Measured, heard_at: _Samples, tools: Tools) -> Measured:
    """Transcript against sound; writes it where there is none, if the rest will do."""
    if tools.recognize is None or draft.reasons:
        return measured
    if draft.heard is None:
        others = replace(measured, pace=None)
        if reasons(others, "", draft.where.duration_s, tools.limits):
            return measured  # dropped anyway, and listening is dear
        draft.heard = _hear(draft, heard_at, tools)
    if draft.text:
        cer = character_error_rate(draft.text, draft.heard, tools.language)
        return replace(measured, cer=round(cer, 4))
    if draft.heard:
        draft.text = draft.heard
        draft.notes.append("transcript written by the recogniser")
    return replace(measured, pace=pace(draft.text, draft.speech))


def _samples(sound: Sound, where: Span) -> _Samples:
    first, last = (round(time * sound.sample_rate) for time in (where.start_s, where.end_s))
    return sound.samples[first:last]


def _level(waves: Sequence[_Samples], sound: Sound) -> tuple[float, float, bool]:
    """Loudness of one speaker, the gain that levels it, and whether peaks held that back."""
    measured = loudness.loudness(waves, sound.sample_rate)
    return round(measured, 2), *loudness.gain(waves, measured)


def encode(samples: _Samples, codec: Mimi) -> NDArray[np.int16]:
    """Codes (T, K) of samples (N,) at the codec's rate."""
    device = next(codec.parameters()).device
    with torch.inference_mode():
        pcm = torch.from_numpy(np.ascontiguousarray(samples)).to(device)[None, None]
        codes = codec.encode(pcm)[0]
    out: NDArray[np.int16] = codes.T.cpu().numpy().astype(np.int16)
    return out
