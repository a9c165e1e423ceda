"""Text that people read as it is: what is not seen, or changes what is seen, is shown by its number."""

from __future__ import annotations

import unicodedata
from html import escape

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    """`text` with every character that is not seen, or changes what is seen, as its number: `<U+202E>`."""
    if text.isprintable():
        return text
    return "".join(_seen(character) for character in text)


def _seen(character: str) -> str:
    unseen = unicodedata.category(character) in _UNSEEN and character not in "\t\n\r"
    return f"<U+{ord(character):04X}>" if unseen else character


def escaped(text: str) -> str:
    """`text` for HTML and SVG: visible, and nothing in it is markup, between tags or in an attribute."""
    return escape(visible(text))
