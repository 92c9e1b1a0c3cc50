"""Writes the tokenizer of `petit`: one token per phoneme, with its stress and a space before it.

python recipes/petit/make_tokenizer.py OUT/tokenizer.json
"""

from __future__ import annotations

import sys

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

from causerie.text.pronounce import CONSONANTS, PUNCTUATION, SPELLED, STRESSES, VOWELS

SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|unknown|>")


def main() -> None:
    plain = [*"[]0123456789", *PUNCTUATION, *CONSONANTS, *SPELLED.values()]
    vowels = [stress + vowel for vowel in sorted(VOWELS) for stress in ("", *STRESSES)]
    # a few words stress a syllabic consonant
    syllabic = [stress + consonant for consonant in CONSONANTS for stress in STRESSES]
    symbols = [*plain, *vowels, *syllabic]
    vocab = [*SPECIAL, *symbols, *(" " + symbol for symbol in symbols), " "]
    tokenizer = Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(vocab)}, unk_token="<|unknown|>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(f" ?[{STRESSES}]?[^ {STRESSES}]| "), "isolated"
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.save(sys.argv[1])
    print(f"{len(vocab)} tokens")


if __name__ == "__main__":
    main()
