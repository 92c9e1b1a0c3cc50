"""Finds where a long turn can be cut so that its end is context, with its words.

Does not know models or prompts.
"""

from __future__ import annotations

from causerie.audio.audio import Audio
from causerie.text.front_end import without_marks
from causerie.text.pronounce import Lexicon
from causerie.text.split import Piece, Sentence
from causerie.word_times.align import WordTime, word_times

#: A cut between sentences keeps at least this share of the time that is allowed; one at the longest
#: pause within a sentence at least the other share.
MIN_SENTENCES, MIN_WORDS = 1 / 4, 1 / 2


def latest_words(
    audio: Audio, text: str, max_s: float, lexicon: Lexicon | None = None
) -> tuple[str, float]:
    """The last words of a turn, and the time of the pause before them.

    They are whole sentences if that is possible. The text, which has no markup, is "" if no pause
    is found.

    Args:
        audio: longer than `max_s`.
        text: the words of the turn; "" if they are unknown.
        max_s: the seconds that the words may last.
        lexicon: of the model's front end; None: the one in this package.
    """
    end_s, samples = audio.duration_s, audio.samples
    spoken = [(text, len(samples))]
    words = word_times(samples, audio.sample_rate, spoken, lexicon) if text else []

    def starts(min_s: float) -> list[int]:
        """The words that begin `min_s` to `max_s` before the end."""
        least = [at for at in range(1, len(words)) if end_s - _pause_s(words, at) >= min_s]
        return [at for at in least if end_s - _pause_s(words, at) <= max_s]

    chosen = next(
        (at for at in starts(MIN_SENTENCES * max_s) if words[at - 1].ends_sentence), None
    ) or max(
        starts(MIN_WORDS * max_s),
        key=lambda at: words[at].start_s - words[at - 1].end_s,
        default=None,
    )
    if chosen is None:
        return "", end_s - max_s
    return _piece(words[chosen:]), _pause_s(words, chosen)


def _piece(words: list[WordTime]) -> Piece:
    """Words as they were read, so that those with a pronunciation keep it."""
    sentences: list[Sentence] = []
    first = 0
    for number, word in enumerate(words, 1):
        if word.ends_sentence or number == len(words):
            text = " ".join(one.text for one in words[first:number])
            sentences.append(Sentence(text, 0, is_open=not word.ends_sentence))
            first = number
    written = without_marks(" ".join(sentence.text for sentence in sentences))
    return Piece(" ".join(written.split()), sentences)


def _pause_s(words: list[WordTime], at: int) -> float:
    """The middle of the pause before a word."""
    return (words[at - 1].end_s + words[at].start_s) / 2
