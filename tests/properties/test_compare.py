"""Nothing that two manifests state differently is missing from their comparison, in any of its forms."""

import copy
import json
import os
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.registry.compare import Change, Comparison, compare
from service.registry.compare_diff import differences
from service.registry.compare_page import (
    comparison_html,
    comparison_json,
    comparison_markdown,
    comparison_text,
)
from service.registry.compare_words import IDENTITIES
from service.registry.manifest import Manifest
from tests.registry.manifests import Document, Steps, bundled, leaves, manifest, mutations, rich, value_at
from tests.registry.pages import Html, plain

FULL = ("intended_use", "population", "sexes")
"""A list that holds all the schema knows; one goes, so that another may come."""

DOCUMENTS = {"tb": bundled("tb-exosomal-mirna"), "pgd": bundled("pgd-klkb1-inotrope"), "rich": copy.deepcopy(rich())}
for _document in DOCUMENTS.values():
    value_at(_document, FULL).pop()
    for _curve in _document["curves"]:
        del _curve["points"][4:]  # one value to the comparison, and many to this test

EVERY = 1 if os.environ.get("SOAK") else 3
"""One leaf of so many is tried, each time others."""

ANOTHER_SHAPE = {"schema_version", "format", "step"}
"""Where the schema knows one value only, or another value would need other fields beside it."""


def compared(old: Manifest, new: Document) -> Comparison:
    return compare(old, "sha256:" + "a" * 64, manifest(new), "sha256:" + "b" * 64)


def normal(document: Document) -> Document:
    """As the registry understands it, with the defaults that were left out."""
    return manifest(document).model_dump(mode="json", by_alias=True)


def pointer(steps: Steps) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def shows(changes: tuple[Change, ...], document: Document, steps: Steps, side: str) -> bool:
    """Whether the changes hold the value that stands in this place of the document, or what was put into it."""
    for change in changes:
        start = getattr(change, f"{side}_pointer") or "nowhere"
        if start.startswith(pointer(steps) + "/"):
            return True
        for length in range(len(steps) + 1):
            if start == pointer(steps[:length]) and change.kind != "reordered":
                held = value_at(getattr(change, side), steps[length:])
                return repr(held) == repr(value_at(document, steps))
    return False


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_leaf_that_changes_is_shown_with_both_values(name: str) -> None:
    document = normal(DOCUMENTS[name])
    old = manifest(document)
    untried = set()
    for steps in list(leaves(document))[random.randrange(EVERY) :: EVERY]:
        tried = 0
        for changed in mutations(document, steps):
            comparison = compared(old, changed)
            after = normal(changed)
            if comparison.changes == () and after == document:
                continue  # the schema reads both alike, as 1 and 1.0
            tried += 1
            present = steps if _reaches(after, steps) else steps[:-1]
            if value_at(document, steps) not in ([], {}):
                assert shows(comparison.changes, document, steps, "old"), steps
            assert shows(comparison.changes, after, present, "new"), steps
            if tried == 2:
                break
        if not tried:
            untried.add(steps)
    assert [steps for steps in untried if steps[-1] not in ANOTHER_SHAPE] == []


def _reaches(document: Document, steps: Steps) -> bool:
    try:
        value_at(document, steps)
    except (KeyError, IndexError, TypeError):
        return False
    return True


@given(data=st.data())
@settings(max_examples=60)
def test_every_form_shows_every_change(data: st.DataObject) -> None:
    document = normal(DOCUMENTS[data.draw(st.sampled_from(sorted(DOCUMENTS)))])
    steps = data.draw(st.sampled_from([s for s in leaves(document) if s[-1] not in ANOTHER_SHAPE]))
    changed = next(mutations(document, steps))
    comparison = compared(manifest(document), changed)
    texts = {
        "markdown": plain(comparison_markdown(comparison)),
        "html": Html(comparison_html(comparison)).text,
        "text": comparison_text(comparison),
    }
    programs = comparison_json(comparison)
    assert json.loads(json.dumps(programs, allow_nan=False))["changes"] == programs["changes"]
    for change in comparison.changes:
        exact = {json.dumps(value) for value in (change.old, change.new) if value is not None}
        for form, text in texts.items():
            for said in {change.text, *exact}:
                # Lines are broken where the form wants them.
                assert "".join(said.split()) in "".join(text.split()), (form, said)


@pytest.mark.parametrize(("old", "new"), [(0.0, -0.0), (1, True), (1, 1.0), (0, False), ([0.0], [-0.0]), ([], {})])
def test_what_python_takes_for_equal_still_differs(old: Any, new: Any) -> None:
    (found,) = differences({"k": old}, {"k": new}, {})
    assert (found.kind, found.old_pointer, found.new_pointer) == ("changed", "/k", "/k")


def edits(document: Document) -> st.SearchStrategy[list[tuple[str, Steps]]]:
    lists = [steps for steps in _lists(document) if value_at(document, steps)]
    places = st.sampled_from(sorted(lists, key=str))
    return st.lists(st.tuples(st.sampled_from(["drop", "double", "reverse", "rotate"]), places), max_size=3)


def _lists(value: Any, at: Steps = ()) -> list[Steps]:
    here = [at] if isinstance(value, list) else []
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return here + [found for step, part in parts for found in _lists(part, (*at, step))]


def edited(document: Document, edit: str, steps: Steps) -> Document:
    changed = copy.deepcopy(document)
    if not _reaches(changed, steps) or not value_at(changed, steps):
        return changed
    items = value_at(changed, steps)
    match edit:
        case "drop":
            del items[len(items) // 2]
        case "double":
            items.insert(0, copy.deepcopy(items[-1]))
        case "reverse":
            items.reverse()
        case "rotate":
            items.append(items.pop(0))
    return changed


@given(data=st.data())
@settings(max_examples=300)
def test_no_edit_of_a_list_passes_unseen(data: st.DataObject) -> None:
    document = normal(DOCUMENTS["rich"])
    changed = document
    for edit, steps in data.draw(edits(document)):
        changed = edited(changed, edit, steps)
    found = differences(document, changed, IDENTITIES)
    assert bool(found) == (document != changed)
    assert {one.kind for one in differences(changed, document, IDENTITIES)} == {
        {"added": "removed", "removed": "added"}.get(one.kind, one.kind) for one in found
    }


scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1, 1) | st.sampled_from(["", "a", "1", "None"])
trees = st.recursive(
    scalars,
    lambda parts: (
        st.lists(parts, max_size=4)
        | st.dictionaries(st.sampled_from(["k", "id", "a/b", "~", "list"]), parts, max_size=4)
    ),
    max_leaves=20,
)


@given(trees, trees)
@settings(max_examples=500)
def test_two_documents_of_any_shape_differ_exactly_where_something_is_told(old: Any, new: Any) -> None:
    """Whatever schema comes; and what is told is what stands there."""
    identities = {("list",): ("id",), ("k",): (), ("k", "list"): ("id", "k")}
    before, after = {"list": old, "k": old}, {"list": new, "k": new}
    found = differences(before, after, identities)
    assert bool(found) == (json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True))
    for one in found:
        if one.kind != "reordered":
            assert one.old_pointer is None or repr(one.old) == repr(resolved(before, one.old_pointer))
            assert one.new_pointer is None or repr(one.new) == repr(resolved(after, one.new_pointer))
            assert repr(one.old) != repr(one.new) or None in {one.old_pointer, one.new_pointer}


def resolved(document: Any, where: str) -> Any:
    """What an RFC 6901 pointer points at."""
    for part in where.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document
