"""Llama 3's tokenizer.json, built from the ranks that the package llama-models ships.

The file itself is under Llama's licence, so it stays in its package.
"""

from __future__ import annotations

from llama_models.llama3.tokenizer import Tokenizer as Reference
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers


def byte_letters() -> list[str]:
    """The letter that stands for each byte in byte-level vocabularies, as GPT-2 chose them."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(0x100, 0x200))
    return [chr(byte) if byte in plain else chr(next(spare)) for byte in range(256)]


def reference() -> Reference:
    """Meta's own tokenizer, on tiktoken."""
    return Reference.get_instance()


def build() -> Tokenizer:
    """The same tokenizer as a `tokenizers.Tokenizer`."""
    source = reference()
    letters = byte_letters()
    ranks: dict[bytes, int] = source.model._mergeable_ranks
    spelled = {token: "".join(letters[byte] for byte in token) for token in ranks}
    # tiktoken joins any neighbours whose union is a token, lowest rank first: every split counts.
    merges = [
        (spelled[token[:cut]], spelled[token[cut:]])
        for token in sorted(ranks, key=ranks.__getitem__)
        for cut in range(1, len(token))
        if token[:cut] in ranks and token[cut:] in ranks
    ]
    vocab = {spelled[token]: rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(source.pat_str), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in source.special_tokens])
    return tokenizer
