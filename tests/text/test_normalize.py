"""What is not a word is written as words."""

from __future__ import annotations

import time

import pytest

from causerie.text.normalize import normalize
from causerie.text.numbers import cardinal, ordinal, year

NUMBERS = {
    "I have 3 cats and 21 dogs.": "I have three cats and twenty one dogs.",
    "0": "zero",
    "1,000,007": "one million seven",
    "1,234,567 people": "one million two hundred thirty four thousand five hundred sixty seven "
    "people",
    "999999999999999": "nine hundred ninety nine trillion nine hundred ninety nine billion nine "
    "hundred ninety nine million nine hundred ninety nine thousand nine hundred ninety nine",
    "1234567890123456": "one two three four five six seven eight nine zero one two three four five "
    "six",
    "007": "zero zero seven",
    "-5 degrees": "minus five degrees",
    "3.14": "three point one four",
    ".75": "zero point seven five",
    "1st, 2nd, 3rd, 22nd and 100th": "first, second, third, twenty second and one hundredth",
    "12th 20th": "twelfth twentieth",
    "5-7 days": "five to seven days",
    "a 10-year-old": "a ten year-old",
    "1/2 cup": "one half cup",
    "2 1/2 cups": "two and a half cups",
    "2½ cups": "two and a half cups",
    "3/4": "three quarters",
    "50/50": "fifty fifty",
    "24/7": "twenty four seven",
    "3 x 4 = 12": "three times four equals twelve",
    "5 * 3": "five times three",
    "2 + 2 = 4": "two plus two equals four",
    "MP3 and A4": "M P three and A four",
    "COVID-19": "COVID nineteen",
    "at 10:05 a.m. EST": "at ten oh five A M E S T",
    "at 9 a.m. Monday": "at nine A M Monday",
    "at 9 a.m. Bring it": "at nine A M. Bring it",
    "#1": "number one",
    "~5": "about five",
    "１２": "twelve",
}
TIMES = {
    "In 1999 we met, in 2026 we leave.": "In nineteen ninety nine we met, in twenty twenty six we "
    "leave.",
    "1905": "nineteen oh five",
    "2005": "two thousand five",
    "1800": "eighteen hundred",
    "1939–1945": "nineteen thirty nine to nineteen forty five",
    "the 1990s and the 20s": "the nineteen nineties and the twenties",
    "'80s": "eighties",
    "7:30 pm": "seven thirty P M",
    "10:05": "ten oh five",
    "7:00": "seven o'clock",
    "19:45": "nineteen forty five",
    "at 10 a.m. today": "at ten A M today",
    "It is 7 p.m.": "It is seven P M.",
    "10am-5pm": "ten A M to five P M",
    "3:1": "three to one",
    "Nov 22, 2026": "November twenty second, twenty twenty six",
    "November 22nd": "November twenty second",
    "22 November 2026": "the twenty second of November, twenty twenty six",
    "2026-11-22": "November twenty second, twenty twenty six",
    "11/22/2026": "November twenty second, twenty twenty six",
    "22/11/2026": "November twenty second, twenty twenty six",
    "Mar 3-5": "March third to fifth",
    "May 2026": "May twenty twenty six",
}
MONEY_AND_MEASURES = {
    "$3.50": "three dollars and fifty cents",
    "$1": "one dollar",
    "$0.99": "ninety nine cents",
    "$1,234.56": "one thousand two hundred thirty four dollars and fifty six cents",
    "$2 million": "two million dollars",
    "$1.5M": "one point five million dollars",
    "£20.01": "twenty pounds and one penny",
    "5€": "five euros",
    "¥500": "five hundred yen",
    "-$5": "minus five dollars",
    "$5-10": "five to ten dollars",
    "20 USD": "twenty dollars",
    "50%": "fifty percent",
    "5 km": "five kilometers",
    "1 kg": "one kilogram",
    "20 °C": "twenty degrees Celsius",
    "-5℃": "minus five degrees Celsius",
    "60 mph": "sixty miles per hour",
    "100 km/h": "one hundred kilometers per hour",
    "10 m²": "ten square meters",
    "2.4 GHz": "two point four gigahertz",
    "5'11\"": "five foot eleven",
    "555-1234": "five five five, one two three four",
    "(555) 123-4567": "five five five, one two three, four five six seven",
    "+1 555 123 4567": "plus one, five five five, one two three, four five six seven",
    "v1.2.3": "version one point two point three",
    "192.168.0.1": "one nine two dot one six eight dot zero dot one",
}
WORDS = {
    "Dr. Smith and Mrs. Lee": "Doctor Smith and Missus Lee",
    "on Main St. in town": "on Main Street in town",
    "St. Louis": "Saint Louis",
    "cats, dogs, etc.": "cats, dogs, etcetera.",
    "Etc. And so on.": "Etcetera. And so on.",
    "e.g. this, i.e. that": "for example this, that is that",
    "cats vs. dogs": "cats versus dogs",
    "No. 5": "number five",
    "approx. 5 min.": "approximately five minutes.",
    "w/ milk, w/o sugar": "with milk, without sugar",
    "R&D": "R and D",
    "the U.S. Army": "the U S Army",
    "the US economy": "the U S economy",
    "GIVE US THIS DAY": "GIVE US THIS DAY",
    "NASA and the FBI": "NASA and the F B I",
    "Henry VIII": "Henry the eighth",
    "J. K. Rowling": "J K Rowling",
    "john.smith@example.co.uk": "john dot smith at example dot co dot U K",
    "See https://www.example.com/a-b?x=1#y.": "See example dot com slash a dash b.",
    "report.pdf": "report dot P D F",
    "#tag by @bob": "hashtag tag by at bob",
    "**bold**, _it_ and `code`": "bold, it and code",
    "snake_case": "snake case",
    "Wait... what?!": "Wait... what?!",
    "word - word": "word—word",
    "a < b > c": "a less than b greater than c",
    "“Hi,” she said": '"Hi," she said',
    "hello 😀 world": "hello 😀 world",
    "": "",
}


@pytest.mark.parametrize(
    ("text", "expected"), [*(NUMBERS | TIMES | MONEY_AND_MEASURES | WORDS).items()]
)
def test_reads(text: str, expected: str) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize("text", ["Hello, it is nice to meet you.", "I don't know; do you? No!"])
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert normalize(text) == text


@pytest.mark.parametrize(
    ("number", "expected"),
    [("0", "zero"), ("13", "thirteen"), ("100", "one hundred"), ("1001", "one thousand one")],
)
def test_cardinal(number: str, expected: str) -> None:
    assert cardinal(number) == expected


def test_ordinals_and_years() -> None:
    assert [ordinal(n) for n in ("5", "8", "30", "112")] == [
        "fifth",
        "eighth",
        "thirtieth",
        "one hundred twelfth",
    ]
    assert [year(n) for n in ("1066", "2000", "476")] == [
        "ten sixty six",
        "two thousand",
        "four hundred seventy six",
    ]


@pytest.mark.parametrize("unit", ["1", "a", "1-", "1/", "a@", "[a", "1,111", "+1 ", "Jan ", "<a"])
def test_time_grows_with_length_alone(unit: str) -> None:
    """A rule that looks again and again at the same text would take minutes."""

    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        start = time.process_time()
        assert "1" not in normalize(text)
        return time.process_time() - start

    seconds(1_000)
    assert seconds(40_000) < 8 * 8 * max(seconds(5_000), 0.002) / 2


@pytest.mark.parametrize("text", ["Lewis IV-5", "the IV&V"])
def test_a_numeral_before_a_sign_is_no_name(text: str) -> None:
    assert "four" not in normalize(text)
