"""Parses a page and checks that its tags match."""

from __future__ import annotations

from html.parser import HTMLParser


class Checker(HTMLParser):
    """Asserts that each tag closes the one that was opened last."""

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
    """The texts of a page."""
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker.texts
