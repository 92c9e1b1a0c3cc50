"""Cuts the text of a reply into the pieces that are spoken one after the other."""

from __future__ import annotations

from causerie.text.growing import GrowingText
from causerie.text.split import Piece, split, whole


class Pieces:
    """The pieces of one text.

    Args:
        max_chars: the longest piece; None: the text is one piece, or one for each `flush`.
        min_chars: pieces of a whole text are complete at this length; None: they are as long as
            possible.
        keep_space: the model gets the text as it is written, with the white space at both ends, as
            from csm-1b's own code.
        tags: of the model, see `FrontEnd`.
    """

    def __init__(
        self,
        max_chars: int | None,
        *,
        min_chars: int | None = None,
        keep_space: bool = False,
        tags: frozenset[str] = frozenset(),
    ) -> None:
        self._max_chars, self._min_chars = max_chars, min_chars
        self._keep_space, self._tags = keep_space, tags
        self._growing = (
            _Uncut(tags)
            if max_chars is None
            else GrowingText(max_chars, is_raw=keep_space, tags=tags)
        )
        self._before = self._after = ""  # white space at the ends of the text so far
        self._has_begun = False

    def whole(self, text: str) -> list[Piece]:
        """The pieces of a complete text."""
        self._watch(text)
        if self._max_chars is None:
            pieces = _uncut(text, self._tags)
        else:
            pieces = split(
                text,
                self._max_chars,
                min_chars=self._min_chars,
                is_raw=self._keep_space,
                tags=self._tags,
            )
        return self._with_space(pieces, is_end=True)

    def add(self, part: str) -> list[Piece]:
        """Append a part of the text; returns the pieces that are now complete."""
        self._watch(part)
        return self._with_space(self._growing.add(part), is_end=False)

    def flush(self) -> list[Piece]:
        """The remaining pieces so far. A sentence that is cut ends in a comma's pause."""
        return self._with_space(self._growing.flush(), is_end=True)

    def end(self) -> list[Piece]:
        """The remaining pieces; the text ends here."""
        return self._with_space(self._growing.end(), is_end=True)

    def _watch(self, part: str) -> None:
        if not self._has_begun:
            inner = part.lstrip()
            self._before += part[: len(part) - len(inner)]
            self._has_begun, part = bool(inner), inner
        kept = part.rstrip()
        self._after = ("" if kept else self._after) + part[len(kept) :]

    def _with_space(self, pieces: list[Piece], *, is_end: bool) -> list[Piece]:
        if not pieces or not self._keep_space:
            return pieces
        pieces[0], self._before = _written(self._before + pieces[0], pieces[0]), ""
        if is_end:
            pieces[-1], self._after = _written(pieces[-1] + self._after, pieces[-1]), ""
        return pieces


class _Uncut:
    """A growing text that is one piece."""

    def __init__(self, tags: frozenset[str]) -> None:
        self._text, self._tags = "", tags

    def add(self, text: str) -> list[Piece]:
        """Append text; no piece is complete before the end."""
        self._text += text
        return []

    def flush(self) -> list[Piece]:
        """The whole text so far, unless it is blank."""
        text, self._text = self._text, ""
        return _uncut(text, self._tags)

    end = flush


def _uncut(text: str, tags: frozenset[str]) -> list[Piece]:
    """A text as one piece; none if it is blank."""
    return [whole(text.strip(), tags)] if text.strip() else []


def _written(text: str, piece: Piece) -> Piece:
    """A piece as it is written, with other white space."""
    return Piece(text, piece.sentences, piece.left_out)
