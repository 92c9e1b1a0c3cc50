"""What `causerie read` and `TTS.read` show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from causerie.cli import app
from causerie.errors import TextError
from causerie.text.front_end import FrontEnd, ReadingOptions
from causerie.text.reading import Skipped, read
from causerie.tts import TTS
from causerie.voice_file import BUNDLED

ANSWER = "# Prices\n\nIt costs **$5-10** at 5 PM, says GPT-4.\n\n```python\nx = 1\n```\n\n日 Done"


@pytest.fixture(scope="module")
def front_end() -> FrontEnd:
    return FrontEnd.load("phonemes", BUNDLED)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("a std::vector<int> and List<String>", "a std vector int and list string"),
        ("`Map<String, int>` and Dear <name>, hi", "map string int and dear name hi"),
        ("Run it, then ./build.sh.", "run it then dot slash build dot s h"),
        ("We flew to Ft. Worth. It rained.", "we flew to fort worth it rained"),
        (
            r"\(\sum_{i=1}^{n} i = \frac{n}{2}\)",
            "the sum from i equals one to n of i equals n over two",
        ),
        ("The <script> tag, a <div> element", "the script tag a div element"),
        ("A <b>bold</b> <i>plan</i> in <b> bold </b>", "a bold plan in bold"),
        ("The <think>plan</think> works.", "the works"),
        ("5* service in *chapter 5* here", "five star service in chapter five here"),
        ("5! is 120.", "five factorial is one hundred twenty"),
        ("Great job! 🎉👍🏽 I ❤️ NY", "great job i love n y"),
    ],
)
def test_words_of_markup_and_code(front_end: FrontEnd, written: str, words: str) -> None:
    assert read(written, front_end).words == words


def test_capitals_that_are_no_initialism_are_read_as_a_word(front_end: FrontEnd) -> None:
    assert front_end.lexicon is not None
    assert not front_end.lexicon.knows("nema")
    assert read("By JOHN KNIGHT of the NAACP", front_end).words == "by john knight of the n a a c p"
    assert read("NGOS and [ARGS]", front_end).words == "n g o s and args"
    found = read("NEMA and USMCA", front_end)
    assert found.words == "nema and u s m c a"
    assert found.phonemes == "ｎｅｍａ ænd jˌuˌɛsˌɛmsˌiˈA."


def test_words_phonemes_and_what_is_skipped(front_end: FrontEnd) -> None:
    found = read(ANSWER, front_end)
    assert found.words == "prices it costs five to ten dollars at five p m says g p t four 日 done"
    assert found.phonemes is not None
    assert found.phonemes.endswith("dˈʌn.")
    assert found.skipped == (
        Skipped(text="```python\nx = 1\n```", reason="code"),
        Skipped(text="日", reason="cannot be read"),
    )
    assert "".join(found.pieces).startswith("# Prices")


@pytest.mark.parametrize(
    ("written", "words", "skipped", "reason"),
    [
        ("Thanks :) bye", "thanks bye", ":)", "emoticon"),
        ("So cute ^_^", "so cute", "^_^", "emoticon"),
        ("Hi :wave: all", "hi all", ":wave:", "emoticon"),
        ("We won :D", "we won", ":D", "emoticon"),
        ("See a.org/x?id=5.", "see a dot org slash x", "?id=5", "part of a web address"),
        ("At www.a.org/#top", "at a dot org", "#top", "part of a web address"),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "phonemes"])
def test_what_has_no_words_is_named(
    front_end: FrontEnd, kind: str, written: str, words: str, skipped: str, reason: str
) -> None:
    found = read(written, front_end if kind == "phonemes" else FrontEnd("plain"))
    assert (found.words, found.skipped) == (words, (Skipped(text=skipped, reason=reason),))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("SSN ***-**-6789.", "s s n ending in six seven eight nine"),
        ("Visa ****1234 expired", "visa ending in one two three four expired"),
        ("card ending in **** 1234", "card ending in one two three four"),
        ("It is ***very*** good, **1999** too", "it is very good nineteen ninety nine too"),
        ('<say-as interpret-as="ordinal">21</say-as> floor', "twenty first floor"),
        ("ASP.NET Core if a != b", "a s p dot net core if a is not equal to b"),
    ],
)
def test_marks_within_words_are_no_markup(front_end: FrontEnd, written: str, words: str) -> None:
    found = read(written, front_end)
    assert (found.words, found.skipped, len(found.pieces)) == (words, (), 1)


def test_long_text_is_cut_as_it_is_spoken(front_end: FrontEnd) -> None:
    found = read("This is a sentence of eight short words. " * 12, front_end)
    assert len(found.pieces) == 6, "a model of phonemes gets one or two sentences"
    as_text = read("This is a sentence of eight short words. " * 12, FrontEnd("plain"))
    assert len(as_text.pieces) == 2
    assert found.words == " ".join(["this is a sentence of eight short words"] * 12)


def test_text_without_words_is_an_error(front_end: FrontEnd) -> None:
    for text in ("", " \n", "日本", "```\nx = 1\n```"):
        with pytest.raises(TextError):
            read(text, front_end)


def test_a_model_that_reads_letters_gets_words() -> None:
    found = read("It costs $5.", FrontEnd("plain"))
    assert (found.words, found.phonemes, found.skipped) == ("it costs five dollars", None, ())
    assert found.text == "It costs five dollars."
    assert "phonemes" not in found.to_dict()
    raw = read(" It costs $5. ", FrontEnd("plain"), ReadingOptions(normalize=False))
    assert raw.text == "It costs $5."


def test_the_library_reads_as_its_front_end() -> None:
    tts = TTS.from_pretrained("petit")
    assert tts.read(ANSWER) == read(ANSWER, tts.checkpoint.front_end)


def test_the_command(tmp_path: Path, tiny_folder: Path) -> None:
    done = CliRunner().invoke(app, ["read", "It costs $5-10."])
    assert done.stdout.splitlines()[0] == "it costs five to ten dollars"
    (tmp_path / "answer.md").write_text(ANSWER, encoding="utf-8")
    done = CliRunner().invoke(app, ["read", "-f", str(tmp_path / "answer.md"), "--json"])
    found = json.loads(done.stdout)
    assert list(found) == ["words", "phonemes", "skipped", "pieces"]
    assert found["skipped"][0] == {"text": "```python\nx = 1\n```", "reason": "code"}
    assert "skipped: '日': cannot be read" in CliRunner().invoke(app, ["read", "日 Done"]).stderr
    done = CliRunner().invoke(app, ["read", "Hi, $5.", "--model", str(tiny_folder)])
    assert done.stdout == "hi five dollars\nHi, five dollars.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["read", " "], "text is empty"),
        (["read", "Hi.", "-f", "a.txt"], "give one text: causerie read TEXT, or -f FILE"),
        (["read", "Hi.", "--model", "./nowhere"], "nowhere"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_imports_no_torch() -> None:
    code = (
        "import sys; from causerie.cli import app; sys.argv[1:] = ['read', 'At 5 PM.', '--json']\n"
        "try: app()\n"
        "except SystemExit as error: assert not error.code\n"
        "print(sorted({'torch', 'numpy', 'pydantic', 'transformers'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
