"""Sentences of one voice: which are learned, which are held out, and which are its prompt.

Works on a prepared folder; the same folder gives the same parts.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from causerie.audio.audio import Audio
from causerie.checkpoint.load import Checkpoint
from causerie.data.shards import INDEX, NewTurn, ShardWriter, SpeechData, Turn
from causerie.data.sound import read_sound
from causerie.errors import AudioError, ConfigError, TextError
from causerie.prompt import Segment
from causerie.voices import Voice

#: Of the speech, a tenth is held out, but at least and at most so many seconds …
HELD_OUT, MIN_HELD_OUT_S, MAX_HELD_OUT_S = 0.1, 10.0, 60.0
#: … and at least so many sentences, but never more than a third of them.
MIN_HELD_OUT, MAX_SHARE = 3, 1 / 3
#: Fewer sentences are no voice.
MIN_SENTENCES = 6
#: Seconds of the prompt, and of a sentence that is best for it.
MIN_PROMPT_S, MAX_PROMPT_S, BEST_S = 5.0, 10.0, 3.5


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Turns of a voice.

    Attributes:
        learned: what is trained on.
        held_out: what never is.
        prompt: those of the learned ones that the voice is made of.
        notes: what was left out, and why.
    """

    learned: tuple[Turn, ...]
    held_out: tuple[Turn, ...]
    prompt: tuple[Turn, ...]
    notes: tuple[str, ...] = ()


def part(data: SpeechData, base: Checkpoint) -> Parts:
    """What of a prepared folder is learned, and what is held out.

    Raises:
        ConfigError: it holds several speakers, or too few sentences that the model can read.
    """
    speakers = sorted({turn.speaker for turn in data.turns})
    if len(speakers) > 1:
        raise ConfigError(
            f"{data.folder} has {len(speakers)} speakers ({', '.join(speakers[:5])}), and one "
            "voice is made at a time: give the recordings of one, in one folder without folders "
            "in it, or by a list that names one speaker"
        )
    turns = [turn for turn in data.turns if _fits(turn, base)]
    if len(turns) < MIN_SENTENCES:
        raise ConfigError(
            f"{data.folder} has {len(turns)} sentences that can be used, and at least "
            f"{MIN_SENTENCES} are needed (some minutes of speech are better): add recordings"
        )
    left_out = len(data.turns) - len(turns)
    notes = (
        [f"left out: {left_out} of {len(data.turns)} sentences are too long, or cannot be read"]
        if left_out
        else []
    )
    lengths = [turn.num_frames / data.frame_rate for turn in turns]
    chosen = held_out(lengths)
    learned = [number for number in range(len(turns)) if number not in chosen]
    heard = [learned[place] for place in prompt([lengths[number] for number in learned])]
    return Parts(
        learned=tuple(turns[number] for number in learned),
        held_out=tuple(turns[number] for number in sorted(chosen)),
        prompt=tuple(turns[number] for number in heard),
        notes=tuple(notes),
    )


def held_out(lengths_s: Sequence[float]) -> set[int]:
    """Numbers of the sentences that are held out, by chance but always the same."""
    wanted_s = min(MAX_HELD_OUT_S, max(MIN_HELD_OUT_S, HELD_OUT * sum(lengths_s)))
    chosen: set[int] = set()
    for number in np.random.default_rng(0).permutation(len(lengths_s)).tolist():
        have_s = sum(lengths_s[one] for one in chosen)
        enough = have_s >= wanted_s and len(chosen) >= MIN_HELD_OUT
        if enough or len(chosen) >= int(MAX_SHARE * len(lengths_s)):
            break
        chosen.add(number)
    return chosen


def prompt(lengths_s: Sequence[float]) -> list[int]:
    """Numbers of whole sentences of about 5 to 10 s together, none too long or short."""
    chosen: list[int] = []
    for number in sorted(range(len(lengths_s)), key=lambda n: abs(lengths_s[n] - BEST_S)):
        have_s = sum(lengths_s[one] for one in chosen)
        if have_s >= MIN_PROMPT_S:
            break
        if not chosen or have_s + lengths_s[number] <= MAX_PROMPT_S:
            chosen.append(number)
    return sorted(chosen)


def voice_of(name: str, turns: Sequence[Turn], data: SpeechData, num_codebooks: int) -> Voice:
    """A voice of speaker 0 that has said these turns."""
    segments = [
        Segment(
            speaker=0,
            text=turn.text,
            codes=torch.from_numpy(data.codes_of(turn)[:, :num_codebooks].T.astype(np.int64)),
        )
        for turn in turns
    ]
    return Voice(name=name, segments=tuple(segments))


def write(folder: Path, turns: Sequence[Turn], data: SpeechData) -> None:
    """Write turns as a prepared folder in which each stands alone, so that any can follow another.

    What was written before is taken to be the same.
    """
    if (folder / INDEX).is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    writer = ShardWriter(
        folder, codec=data.codec, num_codebooks=data.num_codebooks, frame_rate=data.frame_rate
    )
    for turn in turns:
        new = NewTurn(
            text=turn.text, speaker=turn.speaker, turn=0, codes=data.codes_of(turn),
            source=turn.source, start_s=turn.start_s, end_s=turn.end_s,
        )  # fmt: skip
        writer.add(f"{turn.conversation} · {turn.turn}", [new])
    writer.close()


def fingerprint(parts: Parts, data: SpeechData) -> str:
    """Changes with every text and code, and with what is learned, held out, and the prompt."""
    found = hashlib.blake2b(data.codec.encode(), digest_size=16)
    for turns in (parts.learned, parts.held_out, parts.prompt):
        found.update(b"%d" % len(turns))
        for turn in turns:
            found.update(turn.text.encode())
            found.update(data.codes_of(turn).tobytes())
    return found.hexdigest()


def sounds(turns: Sequence[Turn], folder: Path, sample_rate: int) -> list[Audio] | None:
    """What was recorded of turns; None where the recordings cannot be found any more.

    Args:
        folder: of the recordings.
    """
    found: dict[Turn, Audio] = {}
    for source in {turn.source: None for turn in turns}:
        try:
            sound = read_sound(folder / source, sample_rate)
        except AudioError:
            return None
        for turn in turns:
            if turn.source == source:
                first, last = (round(time * sample_rate) for time in (turn.start_s, turn.end_s))
                samples = sound.samples[first:last].copy()  # lets go of the rest
                found[turn] = Audio(samples=samples, sample_rate=sample_rate)
    return [found[turn] for turn in turns]


def _fits(turn: Turn, base: Checkpoint) -> bool:
    """Whether the model can read the text, and take the turn."""
    try:
        tokens = base.tokenizer.encode(base.front_end(turn.text).text, 0)
    except TextError:
        return False
    return len(tokens) + turn.num_frames + 1 <= base.model.config.max_frames
