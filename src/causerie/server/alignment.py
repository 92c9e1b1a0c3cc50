"""Letter timings: found in the audio of finished pieces, or estimated while it is generated.

A piece of text, which is one or more sentences, begins with its first audio and ends with its last.
`causerie.word_times` finds the words of a piece that has ended. Where letters are wanted earlier,
all letters of a piece are taken to last equally long: at the average pace while the piece is being
spoken, and spread over the remaining audio once it has ended. Knows no protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causerie.reply.reply import Reply
from causerie.text.split import CHARS_A_SECOND
from causerie.word_times.align import word_times


@dataclass(frozen=True)
class Letter:
    """A character and when it is spoken, in milliseconds from the start of the reply."""

    char: str
    start_ms: int
    duration_ms: int


class Alignment:
    """The letters of one reply, in order, each once.

    Args:
        speed: of the speech.

    Attributes:
        audio_ms: length of the audio so far.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.audio_ms = 0
        self._audio_s = 0.0
        self._pace = CHARS_A_SECOND * speed
        self._piece, self._text, self._num_timed = -1, "", 0
        self._began_s = 0.0
        self._end_ms = 0  # of the latest letter

    def follow(self, reply: Reply, pcm: NDArray[np.float32]) -> list[Letter]:
        """Add the latest chunk of a reply, and return the letters that are spoken by its end."""
        seconds = len(pcm) / reply.sample_rate
        if reply.silent_text is not None:
            return self.pause(reply.silent_text, seconds)
        return self.add(len(reply.texts) - 1, reply.texts[-1], seconds)

    def pause(self, text: str, seconds: float) -> list[Letter]:
        """Add silence; its letters, as written, last as long as it."""
        letters = self.rest()
        start = self._end_ms
        self._audio_s += seconds
        self.audio_ms = self._end_ms = round(1000 * self._audio_s)
        return letters + _spread(text + " ", start, self._end_ms)

    def add(self, piece: int, text: str, seconds: float) -> list[Letter]:
        """Add audio, and return the letters that are spoken by its end.

        Args:
            piece: number of the piece that is being spoken, from 0.
            text: of the whole piece.
            seconds: length of the audio.
        """
        letters = []
        if piece != self._piece:
            letters = self.rest()
            self._piece, self._text, self._num_timed = piece, text + " ", 0
            self._began_s = self._audio_s
        self._audio_s += seconds
        spoken_s = self._audio_s - self._began_s
        # The last letter waits for the end of the piece, which is unknown until the next begins.
        end = min(len(self._text) - 1, int(spoken_s * self._pace) + 1)
        return letters + self._time(end)

    def rest(self) -> list[Letter]:
        """End the piece, and return its remaining letters."""
        spoken_s = self._audio_s - self._began_s
        if self._num_timed < len(self._text) and spoken_s > 0.5:
            # The next piece will likely be as fast.
            self._pace = (self._pace + len(self._text) / spoken_s) / 2
        return self._time(len(self._text))

    def _time(self, end: int) -> list[Letter]:
        """The letters up to index `end`, spread over the audio since the latest one."""
        self.audio_ms = round(1000 * self._audio_s)
        chars = self._text[self._num_timed : end]
        if not chars:
            return []
        start, self._end_ms = self._end_ms, self.audio_ms
        self._num_timed = max(end, self._num_timed)
        return _spread(chars, start, self.audio_ms)


class ExactAlignment:
    """The letters of one reply, in order, each once, as soon as their piece has ended.

    Args:
        sample_rate: of the audio.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._piece, self._text = -1, ""
        self._chunks: list[NDArray[np.float32]] = []
        self._num_before = 0  # samples of the pieces that have ended

    def follow(self, reply: Reply, pcm: NDArray[np.float32]) -> list[Letter]:
        """Add the latest chunk of a reply, and return the letters of the piece that it ends."""
        if reply.silent_text is not None:
            return self.pause(reply.silent_text, len(pcm))
        return self.add(len(reply.texts) - 1, reply.texts[-1], pcm)

    def pause(self, text: str, num_samples: int) -> list[Letter]:
        """Add silence; its letters, as written, last as long as it."""
        letters = self.rest()
        start, self._num_before = self._num_before, self._num_before + num_samples
        edges = [round(1000 * at / self._sample_rate) for at in (start, self._num_before)]
        return letters + _spread(text + " ", *edges)

    def add(self, piece: int, text: str, pcm: NDArray[np.float32]) -> list[Letter]:
        """Add audio (N,), and return the letters of the piece that it ends.

        Args:
            piece: number of the piece that is being spoken, from 0.
            text: of the whole piece.
        """
        letters = self.rest() if piece != self._piece else []
        self._piece, self._text = piece, text
        self._chunks.append(pcm)
        return letters

    def rest(self) -> list[Letter]:
        """End the piece, and return its letters."""
        if not self._text:
            return []
        samples, text = np.concatenate(self._chunks), self._text
        places, times, at = [0], [0.0], 0
        for word in word_times(samples, self._sample_rate, [(text, len(samples))]):
            found = text.find(word.text, at)
            if found < 0:  # a comma that the reading put there
                continue
            at = found + len(word.text)
            places += [found, at]
            times += [word.start_s, word.end_s]
        text += " "
        places.append(len(text))
        times.append(len(samples) / self._sample_rate)
        edges = np.interp(np.arange(len(text) + 1), places, times)
        edges[-2] = edges[-1]  # the last letter lasts to the end of the piece
        if not self._num_before:
            edges[0] = 0.0  # the first letter of a reply starts it, as ElevenLabs' does
        before = self._num_before / self._sample_rate
        self._num_before, self._text, self._chunks = self._num_before + len(samples), "", []
        ms = [round(1000 * (before + edge)) for edge in edges.tolist()]
        return _letters(text, ms)


class OriginalText:
    """Timings for a text as it was written, whose pieces lost white space and unreadable parts.

    A lost character lasts from the letter before it to the letter after it, often no time at all.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._index = 0  # of the first character without a time
        self._end_ms = 0

    def align(self, letters: Iterable[Letter]) -> list[Letter]:
        """The next letters of the original text, up to the last one of the pieces' letters."""
        found: list[Letter] = []
        for letter in letters:
            if letter.char.isspace():
                continue
            index = self._text.index(letter.char, self._index)
            found += self._lost(index, letter.start_ms)
            found.append(letter)
            self._index, self._end_ms = index + 1, letter.start_ms + letter.duration_ms
        return found

    def rest(self) -> list[Letter]:
        """The characters after the last spoken one."""
        return self._lost(len(self._text), self._end_ms)

    def _lost(self, end: int, until_ms: int) -> list[Letter]:
        """The characters up to index `end`; the first of them lasts until `until_ms`."""
        chars, self._index = self._text[self._index : end], end
        times = [self._end_ms] + [until_ms] * len(chars)
        self._end_ms = until_ms
        return _letters(chars, times)


def _spread(chars: str, start_ms: int, end_ms: int) -> list[Letter]:
    """Letters that last equally long."""
    span = end_ms - start_ms
    times = [start_ms + span * index // len(chars) for index in range(len(chars) + 1)]
    return _letters(chars, times)


def _letters(chars: str, times: list[int]) -> list[Letter]:
    """Letters that follow each other, from one more times than there are characters."""
    return [
        Letter(char, time, after - time)
        for char, time, after in zip(chars, times, times[1:], strict=False)
    ]
