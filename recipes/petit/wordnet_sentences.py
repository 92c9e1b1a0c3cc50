"""Prints the usage examples of WordNet 3.0 (Debian package wordnet-base) as sentences.

python recipes/petit/wordnet_sentences.py /usr/share/wordnet > sentences.txt
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

QUESTION = re.compile(
    r"^(do|does|did|is|are|was|were|can|could|will|would|have|has|what|when|where|who|why|how)\b",
    re.I,
)


def main() -> None:
    found = set()
    for part in ("noun", "verb", "adj", "adv"):
        for line in (Path(sys.argv[1]) / f"data.{part}").read_text("latin-1").splitlines():
            for example in re.findall(r'"([^"]+)"', line.split("|", 1)[-1]):
                example = " ".join(example.replace("--", ", ").replace(" ,", ",").split())
                if re.search(r"[^A-Za-z' ,.!?;:-]", example) or line.startswith("  "):
                    continue
                if 3 <= len(example.split()) <= 22:
                    found.add(example.rstrip(" ,;:"))
    sentences = sorted(found)
    random.Random(0).shuffle(sentences)
    for sentence in sentences:
        if sentence[-1] not in ".!?":
            sentence += "?" if QUESTION.match(sentence) else "."
        print(sentence[0].upper() + sentence[1:])


if __name__ == "__main__":
    main()
