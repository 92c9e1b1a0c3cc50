"""Pronunciations: their alphabets, files, and the words that they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from causerie.errors import ConfigError, TextError
from causerie.text.front_end import FrontEnd, ReadingOptions
from causerie.text.growing import GrowingText
from causerie.text.lexicon import UserLexicon, read_lexicon
from causerie.text.phonemes import is_ipa, to_phonemes
from causerie.text.pronounce import CONSONANTS, STRESSES, VOWELS
from causerie.text.split import Piece, split
from causerie.voice_file import BUNDLED


@pytest.fixture(scope="module")
def front_end() -> FrontEnd:
    return FrontEnd.load("phonemes", BUNDLED)


@pytest.mark.parametrize(
    ("written", "phonemes"),
    [
        ("kˈOkəɹO", "kˈOkəɹO"),
        ("/təˈmeɪtoʊ/", "təmˈAtO"),
        ("həlˈəʊ", "həlˈO"),
        ("t͡ʃɜːt͡ʃ", "ʧɜɹʧ"),
        ("ˈnɜːs", "nˈɜɹs"),
        ("bɝd", "bɜɹd"),
        ("kəˈrʌpt", "kəɹˈʌpt"),
        ("ˈbʌtn̩", "bˈʌtᵊn"),
        ("d^ʒˈʌd^ʒ", "ʤˈʌʤ"),
        ("ˈfiː.nɪks", "fˈinɪks"),
        ("wˈɔːɾɚ", "wˈɔTəɹ"),
        ("nuː ˈjɔːk", "nu jˈɔk"),
    ],
)
def test_ipa_of_piper_dictionaries_and_misaki(written: str, phonemes: str) -> None:
    assert to_phonemes(written, "word") == phonemes
    assert set(phonemes) <= {*VOWELS, *CONSONANTS, *STRESSES, " "}


def test_other_alphabets() -> None:
    assert to_phonemes("M AE1 D IH0 S AH0 N", "w", alphabet="cmu-arpabet") == "mˈædɪsən"
    assert to_phonemes('p@"keIn.i', "w", alphabet="x-sampa") == "pəkˈAni"


@pytest.mark.parametrize(
    ("written", "alphabet", "where"),
    [
        ("kʘt", "ipa", "'ʘ' at 2"),
        ("k3t", "ipa", "'3' at 2"),
        ("k AE1 QX", "cmu-arpabet", "'QX' at 7"),
        ("k~t", "x-sampa", "'~' at 2"),
        ("ˈ", "ipa", "has no phonemes"),
    ],
)
def test_unknown_phonemes_are_refused_with_their_place(
    written: str, alphabet: str, where: str
) -> None:
    with pytest.raises(TextError, match=where):
        to_phonemes(written, "cat", alphabet=alphabet)


def test_addresses_are_no_ipa() -> None:
    assert [text for text in "home about docs zürich a/b kæt si gO".split() if is_ipa(text)] == [
        "kæt", "si", "gO",
    ]  # fmt: skip


FILES = {
    "words.txt": '# names\nGIF\tʤˈɪf\n\nnginx\t"engine x"\n',
    "words.json": '{"GIF": "ʤˈɪf",\n "nginx": {"alias": "engine x"}}',
    "words.pls": '<?xml version="1.0"?>\n<lexicon alphabet="ipa" xmlns="http://x">'
    "<lexeme><grapheme>GIF</grapheme><phoneme>d͡ʒˈɪf</phoneme></lexeme>\n"
    "<lexeme><grapheme>nginx</grapheme><alias>engine x</alias></lexeme></lexicon>",
}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path: Path, front_end: FrontEnd, name: str) -> None:
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8-sig")
    options = ReadingOptions(lexicon=UserLexicon.load(path))
    expected = front_end("A [[ʤˈɪf]] by engine x")
    assert front_end("A GIF by Nginx", options) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "ok\tkˈæt\nGIF ʤˈɪf\n", r"a\.txt, line 2: 'GIF ʤˈɪf' has no tab: write"),
        ("a.txt", "GIF\tʤʘf", r"a\.txt, line 1: .* 'ʘ' at 2"),
        ("a.txt", "GIF\t \n", r"line 1: 'GIF' has no phonemes"),
        ("a.txt", "\tkˈæt\n", "line 1: the word is missing"),
        ("a.json", '{"a": "kˈæt",\n"b": 5}', r"a\.json, line 2: 'b' has no phonemes"),
        ("a.json", '{"a": "kˈæt"\n"b"}', r"a\.json, line 2 is not JSON"),
        ("a.pls", "<lexicon>\n<lexeme>", r"a\.pls, line 2"),
        ("a.pls", "<lexicon>\n<lexeme><grapheme>a</grapheme></lexeme></lexicon>", "line 2"),
        ("a.pls", "<!DOCTYPE x><lexicon/>", "DTD"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as error:
        UserLexicon.load(tmp_path / name)
    assert "\n" not in str(error.value)


def test_what_is_no_lexicon(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        read_lexicon(tmp_path / "none.txt")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_lexicon(tmp_path / "bytes")
    with pytest.raises(ConfigError, match="a file or a dictionary"):
        read_lexicon(5)
    assert read_lexicon(None) is None


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("Kokoro is here.", "[Kokoro](/kˈOkəɹO/) is here."),
        ("KOKORO, kokoro!", "[[kˈOkəɹO]], [[kˈOkəɹO]]!"),
        ("Kokoro's voice", "[[kˈOkəɹOz]] voice"),
        ("Two kokoros", "Two [[kˈOkəɹOz]]"),
        ("It is IT.", "It is [[ˈItˈi]]."),  # the word it stays
        ("C++ in New  York.", "[[sˈi plˈʌs]] in [[nu jˈɔɹk]]."),
        ("**Kokoro** and `C++`", "[[kˈOkəɹO]] and [[sˈi plˈʌs]]"),
        ("Ask nginx's author.", "Ask engine x's author."),
        ("Kokorofish", "Kokorofish"),
        ("[Kokoro](/kˈæt/)", "[[kˈæt]]"),  # the text goes first
    ],
)
def test_words_of_a_lexicon(front_end: FrontEnd, text: str, same_as: str) -> None:
    lexicon = UserLexicon.of(
        {
            "Kokoro": "kˈOkəɹO", "IT": "ˈItˈi", "C++": "sˈi plˈʌs", "New York": "nu jˈɔɹk",
            "nginx": '"engine x"',
        }
    )  # fmt: skip
    assert front_end(text, ReadingOptions(lexicon=lexicon)).text == front_end(same_as).text


def test_a_pronunciation_is_the_same_in_any_cutting(front_end: FrontEnd) -> None:
    text = "We say [New York](/nu jˈɔɹk/) here, and Kokoro too. " * 6
    options = ReadingOptions(lexicon=UserLexicon.of({"Kokoro": "kˈOkəɹO"}))
    growing = GrowingText(250)
    streamed = [piece for char in text for piece in growing.add(char)] + growing.end()

    def phonemes(pieces: list[Piece]) -> str:
        return " ".join(front_end(piece, options).text for piece in pieces)

    expected = front_end(text, options).text
    assert expected.count("nu jˈɔɹk") == expected.count("kˈOkəɹO") == 6
    assert phonemes(streamed) == phonemes(split(text, 60)) == expected


@pytest.mark.parametrize(
    "tag",
    ["[laughs]", "[laughter]", "<laugh>", "<giggle>", "(sighs)", "(clears throat)", "*gasps*",
     "[laughs softly]", "[nervous laughter]", "[starts laughing]", "[whispers]", "<sniffle>",
     "[clears throat]", "[breath]", "[sigh]", "*clears throat*", "[applause]"],
)  # fmt: skip
def test_tags_are_spoken_by_models_that_know_them(front_end: FrontEnd, tag: str) -> None:
    text = f"Well, {tag} that is it."
    assert FrontEnd("plain", tags=[tag])(text).text == text
    for other in (front_end, FrontEnd("plain")):
        spoken = other(text)
        assert spoken.text == other("Well, that is it.").text
        assert [(part.reason, part.text) for part in spoken.left_out] == [
            ("tag that this model does not speak", tag)
        ]


@pytest.mark.parametrize(
    "text",
    ["Well [sic] done", "See (below) now", "Do not *cry* now", "He (laughed at me) left",
     "A [link] here", "Dear <name>, hi", "laugh(s)",
     "She *laughs* a lot.", "Anna *laughs* a lot.", "Then Tom *sighs* and leaves.",
     "The crowd *gasps* in awe.", "(I sigh and he laughs)"],
)  # fmt: skip
def test_words_in_brackets_are_no_tags(text: str) -> None:
    assert FrontEnd("plain")(text).left_out == ()


def test_tags_of_a_model_may_be_any(front_end: FrontEnd) -> None:
    assert FrontEnd("plain", tags=["<zonk>"])("Oh <zonk> no.").text == "Oh <zonk> no."
    with pytest.raises(ConfigError, match="a tag is like"):
        FrontEnd("plain", tags=["laugh"])
