"""Text and speaker → token ids, in the template that CSM was trained with.

Works with any ``tokenizer.json``. Knows nothing of models, and nothing of what the text was
before the front end.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from causerie.errors import CheckpointError

BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"


class TextTokenizer:
    """A tokenizer with Llama 3's marks around every segment.

    Args:
        tokenizer: changed to read special tokens in a text as plain text, and never to cut or pad.

    Raises:
        CheckpointError: if it lacks ``<|begin_of_text|>`` or ``<|end_of_text|>``.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        bos, eos = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)
        if bos is None or eos is None:
            raise CheckpointError(f"the tokenizer has no {BOS} or no {EOS}; it is not one of CSM's")
        self.tokenizer, self.bos_id, self.eos_id = tokenizer, bos, eos

    @classmethod
    def load(cls, path: Path | str) -> TextTokenizer:
        """Read a tokenizer.json.

        Raises:
            CheckpointError: if it is missing or damaged, or lacks the two marks.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} cannot be read ({error})") from error
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing narrower
            raise CheckpointError(f"{path} is no tokenizer.json ({error})") from error
        return cls(tokenizer)

    @property
    def vocab_size(self) -> int:
        """Ids there are, special tokens included."""
        size: int = self.tokenizer.get_vocab_size(with_added_tokens=True)
        return size

    def encode(self, text: str, speaker: int) -> list[int]:
        """Ids of ``[speaker]text`` between the two marks."""
        encoding = self.tokenizer.encode(f"[{speaker}]{text}", add_special_tokens=False)
        return [self.bos_id, *encoding.ids, self.eos_id]

    def save(self, path: Path | str) -> None:
        """Write a tokenizer.json."""
        Path(path).write_text(self.tokenizer.to_str(pretty=False), encoding="utf-8")
