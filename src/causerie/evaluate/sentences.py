"""Sentences to be spoken: 100 everyday ones that come with causerie, or those of a file."""

from __future__ import annotations

from pathlib import Path

from causerie.errors import TextError

#: The first 50 are those of petit's model card. No recipe of causerie trains on any of them.
HELD_OUT = Path(__file__).parent / "sentences.txt"


def read_sentences(path: Path = HELD_OUT) -> list[str]:
    """The lines of a text file that are not blank.

    Raises:
        TextError: it cannot be read, or has no such line.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise TextError(f"sentences {path} cannot be opened: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TextError(f"sentences {path} are not text in UTF-8: {error}") from error
    sentences = [line.strip() for line in lines if line.strip()]
    if not sentences:
        raise TextError(f"sentences {path} has no line to speak: write one sentence a line")
    return sentences
