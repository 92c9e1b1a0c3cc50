"""Tests whether replies adapt to how the other speaker sounds, and what that changes at all.

Each question is spoken by another voice, and is changed to higher and lower, faster and slower,
louder and softer speech. The answer is spoken with each of them as context, and without any. People
move their pitch, pace and loudness towards those of the other speaker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

import numpy as np
from torch import Tensor

from causerie.audio.audio import Audio
from causerie.audio.formats import Change
from causerie.audio.resample import resample
from causerie.conversation import other_speaker
from causerie.evaluate.clip import Clip, Measured, Row
from causerie.evaluate.prosody import Prosody, prosody
from causerie.evaluate.speaking import Speaking
from causerie.prompt import Segment
from causerie.reply.listening import Listening
from causerie.tts import TTS
from causerie.voices import Voice, find_voice

#: Questions and answers.
PAIRS = (
    ("Do you know when the next train leaves?", "It leaves in about ten minutes."),
    ("Are you coming to the party tonight?", "I would love to, but I have to work."),
    ("What did you think of the movie?", "The ending was better than the rest."),
    ("Can you help me carry these boxes?", "Sure, where do you want them?"),
    ("Why is the window open?", "It was getting too warm in here."),
    ("Have you seen my keys anywhere?", "They are on the kitchen table."),
    ("Is there anything left to eat?", "There is some soup in the fridge."),
    ("How was your first day at school?", "My teacher is really nice."),
    ("Where should we go on our holiday?", "Somewhere near the sea would be great."),
    ("Did you hear that noise outside?", "That was only the wind in the trees."),
    ("Could you turn the music down?", "Of course, I did not know you were asleep."),
    ("Who won the game yesterday?", "Our team did, in the last minute."),
)


def shifted(audio: Audio, semitones: float) -> Audio:
    """The audio with another pitch, whose formants move too."""
    ratio = 2 ** (semitones / 12)
    rate = audio.sample_rate
    faster = resample(audio.samples, round(rate * ratio), rate)
    return paced(Audio(samples=faster, sample_rate=rate), 1 / ratio)


def paced(audio: Audio, speed: float) -> Audio:
    """The audio with another pace."""
    change = Change(audio.sample_rate, audio.sample_rate, speed)
    samples = np.concatenate([change.add(audio.samples), change.finish()])
    return Audio(samples=samples, sample_rate=audio.sample_rate)


def amplified(audio: Audio, decibels: float) -> Audio:
    """The audio with another loudness; peaks above full scale stay, as in floating point."""
    gain = np.float32(10 ** (decibels / 20))
    return Audio(samples=gain * audio.samples, sample_rate=audio.sample_rate)


def encoded(tts: TTS, audio: Audio) -> Tensor:
    """The codes (K, T) of audio, which need not be good speech."""
    listening = Listening(tts.checkpoint, audio.sample_rate)
    listening.add(audio.samples)
    return listening.end()


#: Attribute of `Prosody` → how a question is changed, by how much up and down.
MANNERS: Mapping[str, tuple[Callable[[Audio, float], Audio], float, float]] = MappingProxyType(
    {
        "pitch": (shifted, 3, -3),  # semitones
        "pace": (paced, 1.25, 0.8),
        "loudness": (amplified, 3, -6),  # dB; more would clip
    }
)
#: A question that was changed by less, such as one in which no pitch was found, does not count.
MIN_CHANGE: Mapping[str, float] = MappingProxyType({"pitch": 3, "pace": 0.2, "loudness": 4})


def measure(
    speaking: Speaking, pairs: Sequence[tuple[str, str]] = PAIRS
) -> tuple[Measured, list[Clip]]:
    """Speak answers without context, with the question as context, and with its variants.

    Numbers, each a mean over the pairs with its standard error as NAME_error: adapts_pitch,
    adapts_pace and adapts_loudness, the change of the answer over the change of the question, 1 if
    the answer follows it and 0 if it does not; heard_pitch and heard_range in semitones, heard_pace
    as a share, and heard_loudness in dB, the change of the answer by the context; and drift_pitch,
    that of its pitch as a share of the distance to the asking voice, 1 if it takes over that voice.

    Returns:
        The figures and the answers.
    """
    rows: list[Row] = []
    clips: list[Clip] = []
    for question, text in pairs:
        voice = speaking.next_voice()
        asked = speaking.speak(question, _other_voice(speaking, voice)).audio
        variants = {"": asked}
        for name, (change, up, down) in MANNERS.items():
            variants |= {f"{name} up": change(asked, up), f"{name} down": change(asked, down)}
        answers = {"without": speaking.speak(text, voice)}
        for name, audio in variants.items():
            heard = Segment(
                speaker=other_speaker(voice),
                text=question,
                codes=encoded(speaking.tts, audio),
            )
            answers[name] = speaking.speak(text, voice, context=[heard])
        clips += answers.values()
        found = {name: prosody(clip.audio, text) for name, clip in answers.items()}
        asked_so = {name: prosody(audio, question) for name, audio in variants.items()}
        rows.append({"question": question, "answer": text, "voice": voice.name})
        rows[-1] |= _changes(asked_so, found)
    numbers: dict[str, float] = {}
    for name in _names():
        values = np.array([row[name] for row in rows if row.get(name) is not None])
        if len(values):
            numbers[name] = float(values.mean())
        if len(values) > 1:
            numbers[f"{name}_error"] = float(values.std(ddof=1) / math.sqrt(len(values)))
    return Measured(numbers=numbers, rows=rows), clips


def _names() -> list[str]:
    """The figures of a row."""
    heard = [f"heard_{name}" for name in ("pitch", "range", "pace", "loudness")]
    return [*(f"adapts_{name}" for name in MANNERS), *heard, "drift_pitch"]


def _changes(
    asked: Mapping[str, Prosody | None], answered: Mapping[str, Prosody | None]
) -> dict[str, float]:
    """The figures of one pair; those of silent clips are left out."""
    found: dict[str, float] = {}
    for name in MANNERS:
        up, down = f"{name} up", f"{name} down"
        question = _difference(asked[up], asked[down])
        answer = _difference(answered[up], answered[down])
        if question and answer and question[name] > MIN_CHANGE[name]:
            found[f"adapts_{name}"] = answer[name] / question[name]
    by_context = _difference(answered[""], answered["without"])
    if by_context:
        found |= {f"heard_{name}": value for name, value in by_context.items()}
        found["heard_pace"] = math.expm1(by_context["pace"])
    distance = _difference(asked[""], answered["without"])
    if by_context and distance and abs(distance["pitch"]) > MIN_CHANGE["pitch"]:
        found["drift_pitch"] = by_context["pitch"] / distance["pitch"]
    return found


def _difference(one: Prosody | None, two: Prosody | None) -> dict[str, float] | None:
    """What one has more than the other."""
    if one is None or two is None:
        return None
    second = asdict(two)
    return {name: value - second[name] for name, value in asdict(one).items()}


def _other_voice(speaking: Speaking, voice: Voice) -> Voice:
    """The next voice of the model, which asks; another speaker number if it has only one."""
    voices = speaking.tts.checkpoint.voices
    names = [name for name in voices if name != voice.name]
    if not names:
        return find_voice(other_speaker(voice), voices)
    own = list(voices).index(voice.name) if voice.name in voices else 0
    return find_voice(names[own % len(names)], voices)
