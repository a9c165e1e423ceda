"""Pages in three forms: each holds the same text, and no text becomes more than text."""

import pytest

from service.registry.page import WIDTH, Page, Section, Table, page_html, page_markdown, page_plain, page_text
from service.registry.visible import visible
from tests.registry.pages import HOSTILE, Html, assert_harmless, plain


def test_a_hostile_text_is_text_in_every_place() -> None:
    table = Table((HOSTILE, HOSTILE), ((HOSTILE, HOSTILE), (HOSTILE, HOSTILE)))
    page = Page(HOSTILE, (Section(HOSTILE, (HOSTILE,), (HOSTILE,), table), Section(HOSTILE, (HOSTILE,), strong=True)))
    forms = {"markdown": page_markdown(page), "html": page_html(page), "text": page_text(page)}
    assert_harmless(**forms)
    said = visible(HOSTILE)
    assert plain(forms["markdown"]).count(said) == 12
    assert Html(forms["html"]).text.count(said) == 13  # the title stands in the head, too
    assert forms["text"].count("<U+202E>") == 14  # a wide table names its columns in each row


def test_programs_get_the_text_as_it_is() -> None:
    (section,) = page_plain(Page("t", (Section("s", (HOSTILE,), table=Table(("h",), ((HOSTILE,),))),)))
    assert section == {
        "title": "s",
        "paragraphs": [HOSTILE],
        "items": [],
        "table": {"head": ["h"], "rows": [[HOSTILE]]},
        "figures": [],
    }


@pytest.mark.parametrize("text", ["- x", "+ x", "1. x", "12) x", "---", "===", "-"])
def test_a_line_never_begins_a_list_or_a_rule(text: str) -> None:
    line = page_markdown(Page("t", (Section("s", (text,)),))).splitlines()[-1]
    assert line != text
    assert plain(line) == text


@pytest.mark.parametrize("text", ["-2.14", "1.0.0", "0.5", "+1"])
def test_numbers_and_versions_stay_as_they_are(text: str) -> None:
    assert page_markdown(Page("t", (Section("s", (text,)),))).splitlines()[-1] == text


def test_what_is_not_seen_is_shown_by_its_number() -> None:
    assert visible("a\u202eb\u200bc\x00") == "a<U+202E>b<U+200B>c<U+0000>"
    assert visible("\u00b5g, \u60a3\u8005\n") == "\u00b5g, \u60a3\u8005\n"


def test_plain_text_keeps_to_its_width_but_never_breaks_a_word() -> None:
    digest = "sha256:" + "a" * 64
    wide = Table(("What", "Value"), (("x " * 80, digest), ("y", "")))
    narrow = Table(("a", "b"), (("1", "2"), ("333", "4")))
    text = page_text(Page("t", (Section("s", ("word " * 60,), ("item " * 60,), wide), Section("n", table=narrow))))
    assert max(map(len, text.splitlines())) <= WIDTH + 4
    assert digest in text
    assert "a    b\n1    2\n333  4\n" in text
    assert "* What: y\n" in text  # an empty cell has no line
