"""Where the time goes between a user's last word and the first sound of the answer."""

from __future__ import annotations

import time
from typing import Literal, TypeAlias, get_args

#: The silence that ended the turn; waiting for its words; waiting for the language model; all
#: the rest, which is causerie's own.
Part: TypeAlias = Literal["silence", "recognizer", "chat", "causerie"]


class Latency:
    """A stopwatch for the parts.

    Args:
        silence_s: sound after the last word.
        since: when the last of it arrived, by `time.monotonic`.
    """

    def __init__(self, silence_s: float, since: float) -> None:
        self._seconds: dict[str, float] = dict.fromkeys(get_args(Part), 0.0)
        self._seconds["silence"] = silence_s
        self._since = since

    def lap(self, part: Part) -> None:
        """Count the time since the latest call as this part."""
        self._seconds[part] += self.skip()

    def skip(self) -> float:
        """Do not count the time since the latest call; returns it."""
        before, self._since = self._since, time.monotonic()
        return self._since - before

    def end(self, chat_s: float) -> dict[str, float]:
        """The seconds of all parts, now that the first sound is sent, and their `total`.

        Args:
            chat_s: how much of the time since the latest call was waiting for the language model.
        """
        self.lap("causerie")
        self._seconds["causerie"] -= chat_s
        self._seconds["chat"] += chat_s
        return {**self._seconds, "total": sum(self._seconds.values())}
