"""Splits the sentences of a voice into training, held-out and prompt sentences.

The same prepared folder gives the same split.
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

#: Share of the speech to hold out, with its minimum and maximum in seconds.
HELD_OUT, MIN_HELD_OUT_S, MAX_HELD_OUT_S = 0.1, 10.0, 60.0
#: Minimum number of sentences to hold out, and their maximum share.
MIN_HELD_OUT, MAX_SHARE = 3, 1 / 3
#: Minimum number of sentences of a voice.
MIN_SENTENCES = 6
#: Length of the prompt in seconds, and the best length of one of its sentences.
MIN_PROMPT_S, MAX_PROMPT_S, BEST_S = 5.0, 10.0, 3.5


@dataclass(frozen=True, kw_only=True)
class Split:
    """The turns of a voice.

    Attributes:
        learned: turns for training.
        held_out: turns that are never trained on.
        prompt: those training turns that are the voice's prompt.
        notes: lines for the user about sentences that were left out.
    """

    learned: tuple[Turn, ...]
    held_out: tuple[Turn, ...]
    prompt: tuple[Turn, ...]
    notes: tuple[str, ...] = ()


def split(data: SpeechData, base: Checkpoint) -> Split:
    """Split the turns of a prepared folder.

    Raises:
        ConfigError: the folder has several speakers, or too few sentences that the model can use.
    """
    speakers = sorted({turn.speaker for turn in data.turns})
    if len(speakers) > 1:
        raise ConfigError(
            f"{data.folder} has {len(speakers)} speakers ({', '.join(speakers[:5])}), but a voice "
            "needs exactly one: use a folder without subfolders, or a manifest with one speaker"
        )
    turns = [turn for turn in data.turns if _fits(turn, base)]
    if len(turns) < MIN_SENTENCES:
        raise ConfigError(
            f"{data.folder} has {len(turns)} usable sentences, but at least {MIN_SENTENCES} are "
            "needed, better some minutes of speech: add recordings"
        )
    left_out = len(data.turns) - len(turns)
    notes = (
        [f"left out: {left_out} of {len(data.turns)} sentences are too long or unreadable"]
        if left_out
        else []
    )
    lengths = [turn.num_frames / data.frame_rate for turn in turns]
    chosen = held_out(lengths)
    learned = [number for number in range(len(turns)) if number not in chosen]
    prompted = [learned[place] for place in prompt([lengths[number] for number in learned])]
    return Split(
        learned=tuple(turns[number] for number in learned),
        held_out=tuple(turns[number] for number in sorted(chosen)),
        prompt=tuple(turns[number] for number in prompted),
        notes=tuple(notes),
    )


def held_out(lengths_s: Sequence[float]) -> set[int]:
    """Indexes of the sentences to hold out, random but always the same."""
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
    """Indexes of sentences with a total length of about 5 to 10 s, none too long or short."""
    chosen: list[int] = []
    for number in sorted(range(len(lengths_s)), key=lambda n: abs(lengths_s[n] - BEST_S)):
        have_s = sum(lengths_s[one] for one in chosen)
        if have_s >= MIN_PROMPT_S:
            break
        if not chosen or have_s + lengths_s[number] <= MAX_PROMPT_S:
            chosen.append(number)
    return sorted(chosen)


def voice_of(name: str, turns: Sequence[Turn], data: SpeechData, num_codebooks: int) -> Voice:
    """A voice with these turns as context, all by speaker 0."""
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
    """Write a prepared folder with each turn as its own conversation, unless it exists already.

    Training can then combine any of them.
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


def fingerprint(split: Split, data: SpeechData) -> str:
    """A hash of the split, with all texts and codes."""
    found = hashlib.blake2b(data.codec.encode(), digest_size=16)
    for turns in (split.learned, split.held_out, split.prompt):
        found.update(b"%d" % len(turns))
        for turn in turns:
            found.update(turn.text.encode())
            found.update(data.codes_of(turn).tobytes())
    return found.hexdigest()


def audio_of(turns: Sequence[Turn], folder: Path, sample_rate: int) -> list[Audio] | None:
    """The recorded audio of turns; None if the recordings are gone.

    Args:
        folder: folder of the recordings.
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
                samples = sound.samples[first:last].copy()  # frees the recording
                found[turn] = Audio(samples=samples, sample_rate=sample_rate)
    return [found[turn] for turn in turns]


def _fits(turn: Turn, base: Checkpoint) -> bool:
    """Whether the model can read the text, and the turn fits into its context."""
    try:
        tokens = base.tokenizer.encode(base.front_end(turn.text).text, 0)
    except TextError:
        return False
    return len(tokens) + turn.num_frames + 1 <= base.model.config.max_frames
