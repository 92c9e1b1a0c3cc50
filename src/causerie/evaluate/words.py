"""Word and character error rates of clips: their texts against their recognized speech."""

from __future__ import annotations

from collections.abc import Sequence

from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.tools import Tools
from causerie.recognition.words import compare


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Error rates of clips.

    Numbers: wer, cer, words, substitutions, deletions, insertions; perfect, the share of clips
    without an error; and wer/VOICE if there are several voices.
    """
    recognized = [tools.transcript(clip.audio) for clip in clips]
    each = [compare([clip.text], [words]) for clip, words in zip(clips, recognized, strict=True)]
    total = compare([clip.text for clip in clips], recognized)
    numbers = {
        "wer": total.wer,
        "cer": total.cer,
        "words": float(total.words),
        "substitutions": float(total.substitutions),
        "deletions": float(total.deletions),
        "insertions": float(total.insertions),
        "perfect": sum(not one.errors for one in each) / len(each),
    }
    voices = sorted({clip.voice for clip in clips})
    for voice in voices if len(voices) > 1 else []:
        own = [one for clip, one in zip(clips, each, strict=True) if clip.voice == voice]
        numbers[f"wer/{voice}"] = sum(one.errors for one in own) / sum(one.words for one in own)
    rows = [
        {"heard": words, "errors": one.errors, "wer": one.wer}
        for words, one in zip(recognized, each, strict=True)
    ]
    return Measured(numbers=numbers, rows=rows)
