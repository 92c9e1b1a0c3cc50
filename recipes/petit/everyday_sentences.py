"""Prints everyday English training sentences, made from our templates and words.

    python recipes/petit/everyday_sentences.py > everyday.txt

The sentences are always the same, all different, without digits and without held-out sentences.
"""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path

from causerie.evaluate.sentences import read_sentences

HERE = Path(__file__).parent
NUM_SENTENCES = 40_000
WORDS = range(1, 27)  # possible lengths of a sentence
PAIR_EVERY = 6
SLOT = re.compile(r"\{(\w+)(?::(\w+))?\}")
SMALL_WORDS = frozenset(
    "with your that this have about will from they when what would there then please very really "
    "quite pretty rather some number degrees dollars twenty thirty forty fifty sixty seventy "
    "eighty ninety hundred thousand their morning evening".split()
)
# base form: past/participle; a single form serves as both
IRREGULAR = {
    verb: (forms.split("/")[0], forms.split("/")[-1])
    for verb, _, forms in (
        entry.partition(" ")
        for entry in """be was/been; become became/become; bite bit/bitten; break broke/broken;
        bring brought; build built; buy bought; catch caught; choose chose/chosen; come came/come;
        cut cut; dig dug; do did/done; draw drew/drawn; dream dreamed; drink drank/drunk;
        drive drove/driven; eat ate/eaten; fall fell/fallen; feed fed; feel felt; find found;
        fly flew/flown; forget forgot/forgotten; get got/gotten; give gave/given; go went/gone;
        grow grew/grown; hear heard; hide hid/hidden; hit hit; hold held; hurt hurt; keep kept;
        leave left; lend lent; lie lay/lain; lose lost; make made; meet met; pay paid; put put;
        read read; ride rode/ridden; ring rang/rung; run ran/run; say said; see saw/seen; sell sold;
        send sent; set set; shake shook/shaken; show showed/shown; sing sang/sung; sit sat;
        sleep slept; speak spoke/spoken; spell spelled; spend spent; stand stood; sweep swept;
        swim swam/swum; take took/taken; teach taught; tear tore/torn; tell told; think thought;
        throw threw/thrown; try tried; wake woke/woken; wear wore/worn; win won;
        write wrote/written""".split(";")
        for entry in [" ".join(entry.split())]
    )
}
DOUBLED = frozenset(
    "stop plan chop wrap hug dig hit cut put set sit win run get forget swim trip clap drop shop "
    "mop grab hop jog nap beg dim skip".split()
)
PLURALS = {
    "mouse": "mice",
    "goose": "geese",
    "sheep": "sheep",
    "deer": "deer",
    "fish": "fish",
    "salmon": "salmon",
    "goldfish": "goldfish",
    "moose": "moose",
    "buffalo": "buffaloes",
    "reindeer": "reindeer",
    "child": "children",
    "wolf": "wolves",
    "calf": "calves",
    "shelf": "shelves",
    "knife": "knives",
    "wife": "wives",
    "leaf": "leaves",
    "man": "men",
    "woman": "women",
    "foot": "feet",
    "tooth": "teeth",
    "hippo": "hippos",
    "kangaroo": "kangaroos",
    "bookshelf": "bookshelves",
    "salesman": "salesmen",
    "fisherman": "fishermen",
    "series": "series",
    "radio": "radios",
    "piano": "pianos",
    "pass": "passes",
}


def past(verb: str, which: int = 0) -> str:
    if verb in IRREGULAR:
        return IRREGULAR[verb][which]
    if verb.endswith("e"):
        return verb + "d"
    if verb[-1] == "y" and verb[-2] not in "aeou":
        return verb[:-1] + "ied"
    return verb + verb[-1] * (verb in DOUBLED) + "ed"


def ing(verb: str) -> str:
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee",)) and verb != "be":
        return verb[:-1] + "ing"
    return verb + verb[-1] * (verb in DOUBLED) + "ing"


def with_s(word: str) -> str:
    """Third person of a verb, or plural of a noun."""
    if word.endswith(("s", "sh", "ch", "x", "z")) or word in ("go", "do"):
        return word + "es"
    if word[-1] == "y" and word[-2] not in "aeou":
        return word[:-1] + "ies"
    return word + "s"


def plural(noun: str) -> str:
    if " of " in noun or " in " in noun:  # pairs of scissors, mothers in law
        head, link, rest = re.split(r" (of|in) ", noun, maxsplit=1)
        return f"{plural(head)} {link} {rest}"
    *before, last = noun.split(" ")
    return " ".join([*before, PLURALS.get(last) or with_s(last)])


def inflect(phrase: str, form: str) -> str:
    if form == "pl":
        return plural(phrase)
    verb, space, rest = phrase.partition(" ")
    forms = {"past": past(verb), "part": past(verb, 1), "ing": ing(verb), "s": with_s(verb)}
    return forms[form] + space + rest


class Decks:
    """Draws the entries of each slot from shuffled decks, so that all are equally frequent."""

    def __init__(self, slots: dict[str, list[str]], chance: random.Random) -> None:
        self.slots, self.chance = slots, chance
        self.decks: dict[str, list[str]] = {name: [] for name in slots}

    def draw(self, name: str) -> str:
        deck = self.decks[name]
        if not deck:
            deck.extend(self.slots[name])
            self.chance.shuffle(deck)
        return deck.pop()

    def fill(self, template: str) -> str:
        def one(match: re.Match[str]) -> str:
            phrase = self.draw(match[1])
            return self.fill(inflect(phrase, match[2]) if match[2] else phrase)

        return SLOT.sub(one, template)


def read_slots(path: Path, separator: str = ",") -> dict[str, list[str]]:
    slots: dict[str, list[str]] = {}
    name = ""
    for line in path.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            name, _, line = line.partition(":")
        entries = (entry.strip() for entry in line.split(separator))
        slots.setdefault(name, []).extend(entry for entry in entries if entry)
    return {name: _joined(entries) for name, entries in slots.items()}


def _joined(entries: list[str]) -> list[str]:
    """Entries without duplicates, except templates, whose weight is how often they are listed."""
    return [e for i, e in enumerate(entries) if "{" in e or e not in entries[:i]]


VOWEL = re.compile(
    r"(?i)^(?:[aeio]|u(?!ni[^nm]|s[eu]|kulele|rine)|hour|honest|honor|heir)(?!ne\b|nce\b|urope)"
)


def articles(sentence: str) -> str:
    """The sentence with "an" before vowels."""
    return re.sub(
        r"\b([Aa]) (?=(\w+))", lambda m: m[1] + ("n " if VOWEL.match(m[2]) else " "), sentence
    )


def tidy(sentence: str) -> str:
    sentence = articles(sentence).replace("..", ".")
    sentence = re.sub(r"\bthe (my|your|his|her|our|their)\b", r"\1", sentence)
    return re.sub(r"(^|[.?!] )([a-z])", lambda m: m[1] + m[2].upper(), sentence)


def repeats(sentence: str) -> bool:
    words = [w for w in re.findall(r"[a-z']+", sentence.lower()) if w not in SMALL_WORDS]
    return any(
        (len(w) > 3 and w in words[i + 1 :]) or words[i + 1 : i + 2] == [w]
        for i, w in enumerate(words)
    )


def sentences(count: int = NUM_SENTENCES) -> list[str]:
    """`count` sentences in random order, the same ones every time."""
    chance = random.Random(0)
    decks = Decks(read_slots(HERE / "everyday" / "slots.txt"), chance)
    lines = (HERE / "everyday" / "templates.txt").read_text("utf-8").splitlines()
    templates = [line for line in lines if line and not line.startswith("#")]
    held_out = set(read_sentences())
    found: dict[str, None] = {}
    while len(found) < count:
        before = len(found)
        for template in templates:
            if len(found) > before and len(found) % PAIR_EVERY == 0:  # two sentences in a row
                template += " " + chance.choice(templates)
            for _ in range(4):
                sentence = tidy(decks.fill(template))
                new = sentence not in found and sentence not in held_out
                digits = "{digit}" in template
                if new and len(sentence.split()) in WORDS and (digits or not repeats(sentence)):
                    found[sentence] = None
                    break
        assert len(found) > before, "the templates are exhausted"
    ordered = list(found)[:count]
    chance.shuffle(ordered)
    return ordered


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    print("\n".join(sentences()))


if __name__ == "__main__":
    main()
