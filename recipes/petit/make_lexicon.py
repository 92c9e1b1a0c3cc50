"""Writes the lexicon of `petit`: misaki's American lexicon, as hibari-tts ships it, and more words.

    python recipes/petit/make_lexicon.py src/causerie/assets/petit/lexicon.txt.gz

misaki's and hibari's are Apache-2.0. `extra_words.txt` has names and newer words that misaki's
lacks, and CMUdict (BSD) has more names.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path

import cmu_words
import hibari

from causerie.text.pronounce import Lexicon

EXTRA = Path(__file__).parent / "extra_words.txt"
WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
SAME_SOUND = str.maketrans("ɾʔ", "Tt")  # symbols that the teacher lacks: flap, glottal stop


def main() -> None:
    assets = Path(hibari.__file__).parent / "assets"
    symbols = set(json.loads((assets / "vocab.json").read_text("utf-8"))) - {" "}
    entries: dict[str, str] = {}
    for name in ("silver", "gold"):  # gold overrides silver, lower case upper case
        source = assets / f"lexicon_us_{name}.json.gz"
        readings = json.loads(gzip.decompress(source.read_bytes()))
        for word, reading in sorted(readings.items(), key=lambda item: item[0].islower()):
            if isinstance(reading, dict):  # by part of speech
                reading = reading.get("DEFAULT")
            if not reading or not WORD.fullmatch(word):
                continue
            sounds = reading.translate(SAME_SOUND)
            if symbols.issuperset(sounds):
                entries[word.lower()] = sounds
    for letter in "bcdefghjklmnopqrstuvwxyz":  # single letters are read by their names
        entries.pop(letter, None)
    for line in EXTRA.read_text("utf-8").splitlines():
        word, sounds = line.split("\t")
        entries.setdefault(word, sounds)
    ours = Lexicon(entries)
    entries |= {
        word: sounds
        for word, sounds in cmu_words.words()
        if not ours.knows(word) and symbols.issuperset(sounds)
    }
    lines = "".join(f"{word}\t{entries[word]}\n" for word in sorted(entries))
    Path(sys.argv[1]).write_bytes(gzip.compress(lines.encode(), 9, mtime=0))
    print(f"{len(entries):,} words")


if __name__ == "__main__":
    main()
