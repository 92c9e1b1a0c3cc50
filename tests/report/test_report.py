"""The parts of a report: escaped, with charts that show all values."""

from __future__ import annotations

import re

import pytest

from causerie.report.charts import NUM_BINS, histogram, lines
from causerie.report.page import audio, facts, figures, page, paragraph, section, table
from tests.report.parser import read


def test_a_page_escapes_all_texts() -> None:
    found = page(
        "<a> & b",
        [
            paragraph("<i>", "lead"),
            facts([("x<", "<y")]),
            section("h<", table(["<1"], [["<2"], [audio('a"b.flac')]])),
            section("empty", table(["x"], []), figures([("none", "")])),
        ],
    )
    assert {"<a> & b", "<i>", "x<", "<y", "h<", "<1", "<2"} <= set(read(found))
    assert 'src="a&quot;b.flac"' in found
    assert "empty" not in found
    assert not re.search(r"https?:|<script|<link|@import|url\(", found)


def test_every_value_is_in_a_bar() -> None:
    kept, dropped = [float(i % 7) for i in range(50)], [9.0, 9.0, 2.0]
    svg = histogram("a < b", {"kept": kept, "dropped": dropped}, unit=" s", limits=(5, 100))
    bars = [text for text in read(svg) if ": " in text]
    for name, total in (("kept", 50), ("dropped", 3)):
        assert sum(int(n) for bar in bars for n in re.findall(rf"(\d+) {name}", bar)) == total
    assert svg.count('class="limit"') == 1
    assert "a &lt; b: 50 kept, 3 dropped" in svg


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [0.0, 1e9]])
def test_few_or_equal_values(values: list[float]) -> None:
    svg = histogram("", {"clips": values})
    read(svg)
    assert 1 <= svg.count("<rect") <= NUM_BINS


def test_an_axis_does_not_begin_below_zero_if_all_values_are_zero() -> None:
    svg = histogram("clipped", {"kept": [0.0, 0.0], "dropped": []}, unit=" %")
    assert re.findall(r">(-?[\d.]+(?: %)?)</text>", svg) == ["2", "0", "0.5", "1 %"]


def test_no_values() -> None:
    assert histogram("", {"kept": [], "dropped": []}) == ""


def test_lines_have_all_points_and_levels() -> None:
    svg = lines(
        "WER", {0: 0.5, 10: 0.25, 20: 0.75}, levels={"base <": 1.0}, chosen=10, form="{:.0%}"
    )
    texts = read(svg)
    assert {"step 0: 50%", "step 10: 25%, chosen", "step 20: 75%", "base < 100%"} <= set(texts)
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', svg)]
    assert heights[1] > heights[0] > heights[2]  # the smallest value is lowest
    assert svg.count('r="5"') == 1
