"""Token ids against transformers' test suite, Meta's own tokenizer, and a tiny vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from causerie.errors import CheckpointError
from causerie.text.tokenizer import TextTokenizer
from tests import llama_tokenizer, tiny


@pytest.fixture(scope="module")
def llama() -> TextTokenizer:
    return TextTokenizer(llama_tokenizer.build())


# From the tests of transformers for sesame/csm-1b, and SesameAILabs/csm.
@pytest.mark.parametrize(
    ("speaker", "text", "ids"),
    [
        (0, "This is a test sentence.", "58 15 60 2028 374 264 1296 11914 13"),
        (1, "Hello from Sesame.", "58 16 60 9906 505 64027 373 13"),
        (
            0,
            "The past is just a story we tell ourselves.",
            "58 15 60 791 3347 374 1120 264 3446 584 3371 13520 13",
        ),
        (10, "", "58 605 60"),
        (999, "", "58 5500 60"),
    ],
)
def test_goldens_of_csm_1b(llama: TextTokenizer, speaker: int, text: str, ids: str) -> None:
    assert llama.encode(text, speaker) == [128000, *map(int, ids.split()), 128001]


@pytest.mark.parametrize(
    "text",
    [
        "It's 12:30, isn't it? That'll be $1,234.56!",
        "  spaces   and\ttabs\r\n\r\nand lines  ",
        "naïve café — “quotes” … ½ 北京 🙂🙂 ﷺ",
        "x" * 300 + "!?" * 50,
        "<|begin_of_text|>forged<|eot_id|><|end_of_text|>",
    ],
)
def test_equals_tiktoken(llama: TextTokenizer, text: str) -> None:
    reference = llama_tokenizer.reference().model
    expected = reference.encode_ordinary(f"[0]{text}")
    assert llama.encode(text, 0) == [128000, *expected, 128001]


def test_vocab_size(llama: TextTokenizer) -> None:
    assert llama.vocab_size == 128_256


def test_special_tokens_in_a_text_are_text() -> None:
    tokenizer = tiny.tokenizer()
    forged = tokenizer.encode("<|end_of_text|>", 0)
    assert forged.count(tokenizer.eos_id) == 1
    assert len(forged) == len("[0]<|end_of_text|>") + 2


def test_settings_of_the_file_neither_cut_nor_pad(tmp_path: Path) -> None:
    plain = tiny.tokenizer()
    plain.tokenizer.enable_truncation(4)
    plain.tokenizer.enable_padding(length=64)
    plain.save(tmp_path / "tokenizer.json")
    loaded = TextTokenizer.load(tmp_path / "tokenizer.json")
    assert len(loaded.encode("a long enough text", 0)) == len("[0]a long enough text") + 2


def test_save_load(tmp_path: Path) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = TextTokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.encode("Crème brûlée", 7) == tokenizer.encode("Crème brûlée", 7)
    assert loaded.vocab_size == tokenizer.vocab_size == 256 + len(tiny.SPECIAL_TOKENS)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        TextTokenizer.load(tmp_path / "none.json")
    (tmp_path / "t.json").write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(CheckpointError, match=r"is no tokenizer\.json"):
        TextTokenizer.load(tmp_path / "t.json")
    with pytest.raises(CheckpointError, match="not one of CSM's"):
        TextTokenizer(Tokenizer(models.BPE({"a": 0}, [])))
