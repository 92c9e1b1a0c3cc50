"""When each letter is spoken: an estimate, while the sound is made.

A piece of text, a sentence or a few, is known to begin with its first sound and to end with its
last. Within it, letters are taken to last equally long: at a usual pace while the piece is spoken,
and what is left of them when it ends. Knows nothing of protocols.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from causerie.reply.reply import CHARS_A_SECOND


@dataclass(frozen=True)
class Letter:
    """A character and when it is spoken, in milliseconds from the beginning of all sound."""

    char: str
    start_ms: int
    duration_ms: int


class Alignment:
    """The letters of one reply, in order, none twice.

    Args:
        speed: at which it is played.

    Attributes:
        heard_ms: of sound so far.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.heard_ms = 0
        self._speed = speed
        self._heard_s = 0.0
        self._pace = CHARS_A_SECOND * speed
        self._piece, self._text, self._num_told = -1, "", 0
        self._began_s = 0.0
        self._told_ms = 0  # the end of the latest letter

    def heard(self, piece: int, text: str, seconds: float) -> list[Letter]:
        """The letters that are spoken by the end of a further sound of a piece.

        Args:
            piece: its number, from 0.
            text: of the whole piece.
            seconds: of the sound, before it is sped up.
        """
        letters = []
        if piece != self._piece:
            letters = self.rest()
            self._piece, self._text, self._num_told = piece, text + " ", 0
            self._began_s = self._heard_s
        self._heard_s += seconds / self._speed
        spoken_s = self._heard_s - self._began_s
        # The last one is kept for the end, which is known only once something else follows.
        end = min(len(self._text) - 1, int(spoken_s * self._pace) + 1)
        return letters + self._tell(end)

    def rest(self) -> list[Letter]:
        """The letters of the piece that were not told yet: it has ended."""
        spoken_s = self._heard_s - self._began_s
        if (
            self._num_told < len(self._text) and spoken_s > 0.5
        ):  # the next one will likely be spoken as fast
            self._pace = (self._pace + len(self._text) / spoken_s) / 2
        return self._tell(len(self._text))

    def _tell(self, end: int) -> list[Letter]:
        """Letters up to `end`, spread over the sound that is not told of yet."""
        self.heard_ms = round(1000 * self._heard_s)
        chars = self._text[self._num_told : end]
        if not chars:
            return []
        start, span = self._told_ms, self.heard_ms - self._told_ms
        times = [start + span * index // len(chars) for index in range(len(chars) + 1)]
        self._num_told, self._told_ms = max(end, self._num_told), self.heard_ms
        return [
            Letter(char, time, after - time)
            for char, time, after in zip(chars, times, times[1:], strict=False)
        ]


class Original:
    """Letters of a text as it was written, whose pieces lost white space, or what cannot be read.

    What they lost lasts as long as nothing else is spoken, and often no time.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0  # up to which all is told
        self._end_ms = 0

    def of(self, letters: Iterable[Letter]) -> list[Letter]:
        """The next letters of the text, up to the last of these of the pieces."""
        found: list[Letter] = []
        for letter in letters:
            if letter.char.isspace():
                continue
            place = self._text.index(letter.char, self._place)
            found += self._lost(place, letter.start_ms)
            found.append(letter)
            self._place, self._end_ms = place + 1, letter.start_ms + letter.duration_ms
        return found

    def rest(self) -> list[Letter]:
        """What is left of the text, all of which is spoken."""
        return self._lost(len(self._text), self._end_ms)

    def _lost(self, end: int, until_ms: int) -> list[Letter]:
        """Letters up to `end`, of which the first lasts until something is spoken again."""
        chars, self._place = self._text[self._place : end], end
        times = [self._end_ms] + [until_ms] * len(chars)
        self._end_ms = until_ms
        return [
            Letter(char, time, after - time)
            for char, time, after in zip(chars, times, times[1:], strict=False)
        ]
