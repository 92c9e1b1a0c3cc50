"""Prints training dialogues of two speakers, made from our templates and words, as JSON lines.

    python recipes/petit/dialogues.py > dialogues.jsonl

A line is {"conversation": name, "turns": [{"speaker": "a" or "b", "text"}, …]}. The dialogues are
always the same, all different, without digits and without held-out sentences.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable

from everyday_sentences import HERE, Decks, inflect, read_slots, repeats, tidy

from causerie.evaluate.sentences import read_sentences

NUM_DIALOGUES = 6_000
MAX_TURNS = 6
JOIN_EVERY = 4  # each 4th dialogue continues with another template
MAX_WORDS = 22  # in a turn
SPEAKERS = "ab"
BOUND = re.compile(r"\{(\w+)#(\w+)(?::(\w+))?\}")
MAY_REPEAT = re.compile(r"\{(digit|d|phone|code|small|price|number|house|\w+:pl|\w+#\w+:spelled)\b")

Dialogue = tuple[str, ...]
"""Turns by alternating speakers, starting with a."""


def read_templates() -> list[Dialogue]:
    """The blocks of dialogues.txt."""
    lines = (HERE / "everyday" / "dialogues.txt").read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    return [tuple(block.splitlines()) for block in re.split(r"\n{2,}", text.strip("\n"))]


def joined(template: Dialogue, others: list[Dialogue], chance: random.Random) -> Dialogue:
    """The template followed by another, if speakers still alternate and it is not too long."""
    spare = MAX_TURNS - len(template)
    fitting = [
        other
        for other in others
        if len(other) <= spare and not other[0].startswith(("{greet}", "Hello"))
    ]
    if len(template) % 2 or not fitting:
        return template
    return template + chance.choice(fitting)


def spelled(phrase: str) -> str:
    """The phrase spelled out: "Anna" becomes "A, N, N, A"."""
    return ", ".join(letter.upper() for letter in phrase if letter.isalpha())


def fill(template: Dialogue, decks: Decks) -> Dialogue:
    """A dialogue from a template; slots with the same name get the same words in all turns."""
    bound: dict[tuple[str, str], str] = {}

    def one(match: re.Match[str]) -> str:
        slot, name, form = match.groups()
        if (slot, name) not in bound:
            bound[slot, name] = decks.fill(decks.draw(slot))
        phrase = bound[slot, name]
        if form == "spelled":
            return spelled(phrase)
        return inflect(phrase, form) if form else phrase

    return tuple(tidy(decks.fill(BOUND.sub(one, turn))) for turn in template)


def held_out() -> Callable[[str], bool]:
    """A predicate: whether a text has a held-out sentence, ignoring punctuation."""
    forbidden = [_words(sentence) for sentence in read_sentences()]
    shortest = min(map(len, forbidden))

    def found(text: str) -> bool:
        words = _words(text)
        return len(words) >= shortest and any(sentence in words for sentence in forbidden)

    return found


def _words(text: str) -> str:
    return " ".join(["", *re.findall(r"[a-z']+", text.lower()), ""])


def dialogues(count: int = NUM_DIALOGUES) -> list[Dialogue]:
    """`count` different dialogues in random order, the same ones every time."""
    chance = random.Random(0)
    slots = read_slots(HERE / "everyday" / "slots.txt")
    slots.update(read_slots(HERE / "everyday" / "dialogue_slots.txt", ";"))
    decks, templates, is_held_out = Decks(slots, chance), read_templates(), held_out()
    found: dict[Dialogue, None] = {}
    while len(found) < count:
        before = len(found)
        for template in templates:
            if len(found) > before and len(found) % JOIN_EVERY == 0:
                template = joined(template, templates, chance)
            for _ in range(4):
                turns = fill(template, decks)
                repetitive = any(
                    repeats(turn) and not MAY_REPEAT.search(line)
                    for turn, line in zip(turns, template, strict=True)
                )
                long = any(len(turn.split()) > MAX_WORDS for turn in turns)
                if turns in found or repetitive or long or any(map(is_held_out, turns)):
                    continue
                found[turns] = None
                break
        assert len(found) > before, "the templates are exhausted"
    ordered = [*found][:count]
    chance.shuffle(ordered)
    return ordered


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    for number, turns in enumerate(dialogues()):
        rows = [{"speaker": SPEAKERS[place % 2], "text": text} for place, text in enumerate(turns)]
        print(json.dumps({"conversation": f"d{number:05d}", "turns": rows}))


if __name__ == "__main__":
    main()
