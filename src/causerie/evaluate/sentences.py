"""Reads sentences to speak: 100 everyday ones in the package, or those of a file."""

from __future__ import annotations

from pathlib import Path

from causerie.errors import TextError

#: The first 50 are those of petit's model card. No recipe trains on any of them.
HELD_OUT = Path(__file__).parent / "sentences.txt"


def read_sentences(path: Path = HELD_OUT) -> list[str]:
    """Read the lines of a text file that are not blank.

    Raises:
        TextError: the file cannot be read, or has no such line.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise TextError(f"cannot read the sentences {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TextError(f"the sentences {path} are not UTF-8 text: {error}") from error
    sentences = [line.strip() for line in lines if line.strip()]
    if not sentences:
        raise TextError(f"the sentences {path} are empty: write one sentence per line")
    return sentences
