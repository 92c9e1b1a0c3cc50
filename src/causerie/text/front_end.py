"""Turns what a user wrote into the text that a checkpoint's tokenizer was trained on.

Two kinds: "plain" leaves the text as it is (csm-1b and its family), "phonemes" writes numbers and
symbols out as words and reads the words with a lexicon. Knows nothing about tokenizers or models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from causerie.errors import CheckpointError, ConfigError, TextError
from causerie.text.normalize import normalize
from causerie.text.pronounce import PUNCTUATION, Lexicon

KINDS = ("plain", "phonemes")
LEXICON_FILE = "lexicon.txt.gz"
_PAUSES = frozenset(PUNCTUATION + " ")


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What the tokenizer gets.

    Attributes:
        text: text or phonemes.
        skipped: the characters that could not be read, in order; empty when all were.
    """

    text: str
    skipped: str = ""


class FrontEnd:
    """User text → text for the tokenizer.

    Args:
        kind: "plain" or "phonemes".
        lexicon: needed by "phonemes", and by it alone.

    Raises:
        ConfigError: for an unknown kind, or "phonemes" without a lexicon.
    """

    def __init__(self, kind: str, lexicon: Lexicon | None = None) -> None:
        _check(kind)
        if kind == "phonemes" and lexicon is None:
            raise ConfigError("front end 'phonemes' needs a lexicon: use FrontEnd.load")
        self.kind, self.lexicon = kind, lexicon

    @classmethod
    def load(cls, kind: str, folder: Path) -> FrontEnd:
        """The front end of the checkpoint in a folder; "phonemes" reads its lexicon.txt.gz.

        Raises:
            ConfigError: for an unknown kind.
            CheckpointError: if the lexicon is missing or unreadable.
        """
        _check(kind)
        if kind == "plain":
            return cls(kind)
        path = folder / LEXICON_FILE
        if not path.is_file():
            raise CheckpointError(
                f"{path} is missing; a checkpoint with front_end 'phonemes' needs it: "
                "fetch or copy the whole folder again"
            )
        return cls(kind, Lexicon.load(path))

    def __call__(self, text: str) -> Spoken:
        """Read a text.

        Raises:
            TextError: if it is blank, or holds nothing that can be spoken.
        """
        if not text.strip():
            raise TextError(f"text is empty ({_excerpt(text)}): give at least one word")
        if self.lexicon is None:
            return Spoken(text=text)
        reading = self.lexicon.read(normalize(text))
        if _PAUSES.issuperset(reading.phonemes):
            raise TextError(
                f"nothing in {_excerpt(text)} can be spoken: this model reads English words, "
                "numbers and the usual symbols"
            )
        return Spoken(text=reading.phonemes, skipped=reading.unread)


def _check(kind: str) -> None:
    if kind not in KINDS:
        raise ConfigError(f"front end {kind!r} is unknown: use one of {', '.join(KINDS)}")


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
