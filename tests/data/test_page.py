"""The report's page: complete, escaped, self-contained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from causerie.data import page as module
from tests.data import speech
from tests.data.prepared import run
from tests.report.parser import read


def test_the_page_has_everything_and_needs_no_network(
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
