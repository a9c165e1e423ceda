"""A page for people: headed sections of paragraphs, lists and tables, as Markdown, as HTML and as plain text.

Every text may come from a publisher's manifest, so none of it becomes markup or moves a terminal's cursor: each form
escapes what is special in it, and control and format characters (Unicode's Cc, Cf and the like; among them those that
reverse the direction of writing) are shown by their number.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from service.registry.figure import Figure, Table, figure_plain
from service.registry.figure_svg import figure_svg
from service.registry.visible import escaped, visible

__all__ = [
    "WIDTH",
    "Page",
    "Section",
    "Table",
    "page_html",
    "page_markdown",
    "page_plain",
    "page_text",
]

WIDTH: Final = 100
"""How many characters a line of plain text has at most, where its words allow it."""

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}th,td{border:1px solid #999;padding:.3rem .6rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}.status{border:3px solid #a00;padding:.6rem;color:#a00}"
    "figure{margin:1rem 0;break-inside:avoid}svg{max-width:100%;height:auto}figcaption{max-width:40rem}"
    "@media print{table{display:table}}"
)
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")
_MARKDOWN_START = re.compile(r"^([0-9]{0,9})([-+=.)])(?=[\s=-]|$)")


@dataclass(frozen=True, slots=True)
class Section:
    """One section; `strong` paragraphs are set in bold. Figures are drawn in HTML, and told in numbers elsewhere."""

    title: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    table: Table | None = None
    strong: bool = False
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page."""

    title: str
    sections: tuple[Section, ...]


def page_plain(page: Page) -> list[dict[str, Any]]:
    """The sections as plain documents, for programs."""
    return [
        {
            "title": section.title,
            "paragraphs": list(section.paragraphs),
            "items": list(section.items),
            "table": None
            if section.table is None
            else {"head": list(section.table.head), "rows": [list(row) for row in section.table.rows]},
            "figures": [figure_plain(figure) for figure in section.figures],
        }
        for section in page.sections
    ]


def page_markdown(page: Page) -> str:
    """The page as Markdown with tables as GitHub writes them."""
    parts = [f"# {_markdown(page.title)}"]
    for section in page.sections:
        parts.append(f"## {_markdown(section.title)}")
        mark = "**" if section.strong else ""
        parts += [f"{mark}{_markdown(p)}{mark}" for p in section.paragraphs]
        if section.items:
            parts.append("\n".join(f"- {_markdown(item)}" for item in section.items))
        for figure in section.figures:
            parts += [f"**{_markdown(figure.title)}**", _markdown(figure.finding), _markdown_table(figure.table)]
        if section.table is not None:
            parts.append(_markdown_table(section.table))
    return "\n\n".join(parts) + "\n"


def _line(text: str) -> str:
    return " ".join(visible(text).split())


def _markdown(text: str) -> str:
    # At the start of a line a hyphen or a number begins a list, and a row of hyphens draws a line.
    return _MARKDOWN_START.sub(r"\1\\\2", _MARKDOWN_SPECIAL.sub(r"\\\1", _line(text)))


def _markdown_table(table: Table) -> str:
    lines = [f"| {' | '.join(_markdown(cell) for cell in table.head)} |", "|" + " --- |" * len(table.head)]
    lines += [f"| {' | '.join(_markdown(cell) for cell in row)} |" for row in table.rows]
    return "\n".join(lines)


def page_html(page: Page) -> str:
    """The page as one self-contained HTML document without scripts."""
    title = escaped(page.title)
    numbers = count(1)
    body = "\n".join(_html_section(section, numbers) for section in page.sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _html_section(section: Section, numbers: Iterator[int]) -> str:
    parts = [f"<h2>{escaped(section.title)}</h2>"]
    for paragraph in section.paragraphs:
        text = escaped(paragraph)
        parts.append(f'<p class="status"><strong>{text}</strong></p>' if section.strong else f"<p>{text}</p>")
    if section.items:
        parts.append("<ul>" + "".join(f"<li>{escaped(item)}</li>" for item in section.items) + "</ul>")
    for figure, number in zip(section.figures, numbers, strict=False):
        parts.append(_html_figure(figure, number))
    if section.table is not None:
        parts.append(_html_table(section.table))
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _html_figure(figure: Figure, number: int) -> str:
    said = f"<strong>{escaped(figure.title)}</strong> {escaped(figure.finding)}"
    return f"<figure>\n{figure_svg(figure, number)}\n<figcaption>{said}</figcaption>\n</figure>"


def _html_table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escaped(cell)}</th>' for cell in table.head)
    rows = "\n".join("<tr>" + "".join(f"<td>{escaped(c)}</td>" for c in row) + "</tr>" for row in table.rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"


def page_text(page: Page) -> str:
    """The page as plain text for a terminal; a table that is too wide for it is written row by row."""
    blocks = [_line(page.title)]
    for section in page.sections:
        lines = [_line(section.title), "-" * len(_line(section.title))]
        for paragraph in section.paragraphs:
            lines += _wrapped(paragraph, "")
        for item in section.items:
            lines += _wrapped(item, "- ")
        for figure in section.figures:
            lines += [*_wrapped(f"{figure.title} {figure.finding}", ""), *_text_table(figure.table)]
        if section.table is not None:
            lines += _text_table(section.table)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _wrapped(text: str, mark: str) -> list[str]:
    # A long word, such as a digest, stays whole: it is there to be copied.
    return textwrap.wrap(
        _line(text),
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _text_table(table: Table) -> Iterator[str]:
    head = [_line(cell) for cell in table.head]
    rows = [[_line(cell) for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    if sum(widths) + 2 * len(widths) <= WIDTH:
        yield _columns(head, widths)
        yield from (_columns(row, widths) for row in rows)
        return
    for row in rows:
        first, *rest = zip(head, row, strict=True)
        yield from _wrapped(f"{first[0]}: {first[1]}", "* ")
        for name, cell in rest:
            if cell:
                yield from (f"    {line}" for line in _wrapped(f"{name}: {cell}", ""))


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
