"""The model card of a version, for people (Markdown, HTML) and for programs (JSON), from its manifest alone."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from service.registry.card_document import Section, Table, card_document
from service.registry.manifest import Manifest

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}th,td{border:1px solid #999;padding:.3rem .6rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}.status{border:3px solid #a00;padding:.6rem;color:#a00}"
)
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def card_json(manifest: Manifest, digest: str) -> dict[str, Any]:
    """The card as a plain document: name, version, digest, status, and the sections people read, in their order."""
    document = card_document(manifest, digest)
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": digest,
        "status_claim": manifest.status_claim,
        "title": document.title,
        "sections": [_plain(section) for section in document.sections],
    }


def _plain(section: Section) -> dict[str, Any]:
    table = section.table
    return {
        "title": section.title,
        "paragraphs": list(section.paragraphs),
        "items": list(section.items),
        "table": None if table is None else {"head": list(table.head), "rows": [list(row) for row in table.rows]},
    }


def card_markdown(manifest: Manifest, digest: str) -> str:
    """The card as Markdown; text of the manifest is escaped and cannot become markup."""
    document = card_document(manifest, digest)
    parts = [f"# {_text(document.title)}"]
    for section in document.sections:
        parts.append(f"## {_text(section.title)}")
        mark = "**" if section.strong else ""
        parts += [f"{mark}{_text(p)}{mark}" for p in section.paragraphs]
        if section.items:
            parts.append("\n".join(f"- {_text(item)}" for item in section.items))
        if section.table is not None:
            parts.append(_markdown_table(section.table))
    return "\n\n".join(parts) + "\n"


def _text(text: str) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _markdown_table(table: Table) -> str:
    lines = [f"| {' | '.join(_text(cell) for cell in table.head)} |", "|" + " --- |" * len(table.head)]
    lines += [f"| {' | '.join(_text(cell) for cell in row)} |" for row in table.rows]
    return "\n".join(lines)


def card_html(manifest: Manifest, digest: str) -> str:
    """The card as one self-contained HTML page without scripts; text of the manifest is escaped."""
    document = card_document(manifest, digest)
    title = escape(document.title)
    body = "\n".join(_html_section(section) for section in document.sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _html_section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    for paragraph in section.paragraphs:
        text = escape(paragraph)
        parts.append(f'<p class="status"><strong>{text}</strong></p>' if section.strong else f"<p>{text}</p>")
    if section.items:
        parts.append("<ul>" + "".join(f"<li>{escape(item)}</li>" for item in section.items) + "</ul>")
    if section.table is not None:
        parts.append(_html_table(section.table))
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _html_table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    rows = "\n".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in table.rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
