"""How tests read a page: the text of its HTML, and what none of its forms may hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser

HOSTILE = "<script>alert(1)</script> | **b** [x](javascript:y) `c` &lt;b&gt; \"q\" 'q' \x1b[2J\x07 \u202etxt\u200b \\"
"""Text that tries to be markup in every form, to move a terminal's cursor, and to be read backwards."""

_ESCAPED = re.compile(r"\\[\\`*_{}\[\]<>#|~$&.)=+-]")
_ATTRIBUTES = frozenset(
    {
        *("lang", "charset", "name", "content", "class", "scope", "id", "role", "aria-labelledby", "xmlns", "viewbox"),
        *("width", "height", "font-family", "font-size", "fill", "stroke", "stroke-width", "stroke-dasharray", "d"),
        *("x", "y", "cx", "cy", "r", "points", "text-anchor", "transform"),
    }
)
_TAGS = frozenset(
    {
        *("html", "head", "title", "style", "body", "section", "h1", "h2", "p", "strong", "ul", "li"),
        *("table", "thead", "tbody", "tr", "th", "td"),
        *("figure", "figcaption", "svg", "desc", "path", "text", "polyline", "polygon", "circle", "rect"),
    }
)


class Html(HTMLParser):
    """The text of a document whose tags are all closed, in their order, and none of which is fetched or run."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.text = ""
        self._open: list[str] = []
        assert document.startswith("<!DOCTYPE html>\n")
        self.feed(document)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {name for name, _ in attrs} - _ATTRIBUTES
        if tag != "meta":
            assert tag in _TAGS
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def plain(markdown: str) -> str:
    """Markdown as the text it stands for."""
    return re.sub(r"\\([\\`*_{}\[\]<>#|~$&.)=+-])", r"\1", markdown)


def assert_harmless(*, markdown: str, html: str, text: str = "") -> None:
    """No form holds what a hostile text wanted to become."""
    for form in (markdown, html, text):
        assert not set(form) & {"\x1b", "\x07", "\u202e", "\u200b"}
    assert "<script" not in html
    assert "javascript:y" in Html(html).text
    left = _ESCAPED.sub("", markdown)
    assert not set(left) & set("<>[]`&$~_{}")
    for line in left.splitlines():
        assert line.count("*") in (0, 4)  # only what is set in bold as a whole
        if line.startswith("|"):
            assert line.endswith("|")
