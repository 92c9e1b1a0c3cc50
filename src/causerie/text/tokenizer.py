"""Encodes text and speaker as token ids, in the template that CSM was trained with.

Works with any ``tokenizer.json``. Does not know models or the front end.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from causerie.errors import CheckpointError

BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"
#: The tokens around a segment: Llama 3's, and those that Marvis takes from SmolLM2.
_PAIRS = ((BOS, EOS), ("<|im_start|>", "<|im_end|>"))


class TextTokenizer:
    """A tokenizer that puts a begin and an end token around every segment.

    Args:
        tokenizer: is changed to read special tokens in a text as plain text, and not to cut or pad.

    Raises:
        CheckpointError: it lacks ``<|begin_of_text|>`` or ``<|end_of_text|>``, and SmolLM2's two.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        for pair in _PAIRS:
            bos, eos = map(tokenizer.token_to_id, pair)
            if bos is not None and eos is not None:
                break
        else:
            raise CheckpointError(f"the tokenizer has no {BOS} or no {EOS}; it is not one of CSM's")
        self.tokenizer, self.bos_id, self.eos_id = tokenizer, bos, eos

    @classmethod
    def load(cls, path: Path | str) -> TextTokenizer:
        """The tokenizer in a tokenizer.json.

        Raises:
            CheckpointError: the file is missing or damaged, or lacks the two tokens.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} cannot be read ({error})") from error
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # tokenizers raises Exception itself
            raise CheckpointError(f"{path} is no tokenizer.json ({error})") from error
        return cls(tokenizer)

    @property
    def vocab_size(self) -> int:
        """Number of token ids, special tokens included."""
        size: int = self.tokenizer.get_vocab_size(with_added_tokens=True)
        return size

    def encode(self, text: str, speaker: int) -> list[int]:
        """Token ids of ``[speaker]text`` between the begin and end tokens."""
        encoding = self.tokenizer.encode(f"[{speaker}]{text}", add_special_tokens=False)
        return [self.bos_id, *encoding.ids, self.eos_id]

    def save(self, path: Path | str) -> None:
        """Write a tokenizer.json."""
        Path(path).write_text(self.tokenizer.to_str(pretty=False), encoding="utf-8")
