"""The report's page: whole, safe, and in need of nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from causerie.data import page as module
from causerie.data.histogram import NUM_BINS, Histogram
from tests.data import speech
from tests.data.prepared import run


class Checker(HTMLParser):
    """Tags open and close as they should."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> list[str]:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker.texts


def test_the_page_tells_everything_and_asks_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "<talks> & more"
    speech.write(folder / "good.wav", "Alpha bravo.")
    speech.write(
        folder / "x" / "wrong.wav", "<script>alpha</script> & golf", said="delta echo kilo"
    )
    speech.write(folder / "x" / "wrong2.wav", "golf", said="delta echo kilo")
    (folder / "other.md").write_text("?")
    run(folder, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    texts = read(page)
    assert "1 of 3" in texts
    assert "<talks> & more" in texts
    assert "<script>alpha</script> & golf" in texts
    assert "delta echo kilo" in texts
    assert "other.md" in texts
    assert any(text.startswith("transcript: ") for text in texts)
    assert not re.search(r"https?:|<script|<link|src=|@import|url\(", page)
    assert page.count("<svg") == 6
    assert "more are in report.json" not in page

    monkeypatch.setattr(module, "MAX_LISTED", 1)
    run(folder, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "1 more are in report.json." in read(page)


def test_every_value_is_in_a_bar() -> None:
    kept, dropped = [float(i % 7) for i in range(50)], [9.0, 9.0, 2.0]
    svg = Histogram(title="a < b", unit=" s", kept=kept, dropped=dropped, limits=(5, 100)).svg()
    read(svg)
    counts = re.findall(r": (\d+) kept(?:, (\d+) dropped)?<", svg)
    assert sum(int(count) for count, _ in counts) == 50
    assert sum(int(count or 0) for _, count in counts) == 3
    assert svg.count('class="limit"') == 1
    assert "a &lt; b: 50 turns kept, 3 dropped" in svg


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [0.0, 1e9]])
def test_few_or_equal_values(values: list[float]) -> None:
    svg = Histogram(title="", unit="", kept=values, dropped=[]).svg()
    read(svg)
    assert 1 <= svg.count("<rect") <= NUM_BINS


def test_an_axis_does_not_begin_below_zero_where_all_is_zero() -> None:
    svg = Histogram(title="clipped", unit=" %", kept=[0.0, 0.0], dropped=[]).svg()
    assert re.findall(r">(-?[\d.]+(?: %)?)</text>", svg) == ["0", "0.5", "1 %", "2"]


def test_no_values() -> None:
    assert Histogram(title="", unit="", kept=[], dropped=[]).svg() == ""
