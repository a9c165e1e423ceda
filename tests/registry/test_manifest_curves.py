"""Curves of a manifest: old ones stand as they are, and each fault of a new one is told by its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import ArtifactRejected
from service.registry.manifest import Manifest, parse_manifest
from tests.registry.curves import CURVES, ROC, band, curve, with_curves

Document = dict[str, Any]
Parse = Callable[[Document], Manifest]


@pytest.mark.parametrize("name", ["tb-exosomal-mirna", "pgd-klkb1-inotrope"])
def test_a_signed_manifest_without_the_new_parts_still_parses(bundled: Path, name: str) -> None:
    raw = (bundled / name / "1.0.0" / "manifest.json").read_bytes()
    manifest = parse_manifest(raw)
    assert all(one.band is None and one.of is None and one.people is None for one in manifest.curves)
    assert len(manifest.curves) == len(json.loads(raw)["curves"])


def test_every_kind_of_curve_is_taken(parse: Parse, tb_document: Document) -> None:
    manifest = parse(with_curves(tb_document))
    shown = [one.model_dump(mode="json", exclude_none=True) for one in manifest.curves]
    assert shown == CURVES


SHARES = [[0.0, 0.5], [0.5, 0.5], [1.0, 0.0]]
CASES = [
    ("x goes back", curve("roc", [[0.5, 0.0], [0.4, 1.0]]), {"/points": "order"}),
    ("sensitivity falls", curve("roc", [[0.0, 0.5], [1.0, 0.4]]), {"/points": "order"}),
    ("x is no share", curve("roc", [[0.0, 0.0], [1.1, 1.0]]), {"/points": "range"}),
    ("y is no share", curve("calibration", [[0.0, 0.0], [1.0, 1.1]]), {"/points": "range"}),
    ("x stands still", curve("decision", [[0.2, 0.0], [0.2, 0.1]]), {"/points": "order"}),
    ("too large", curve("decision", [[0.2, 0.0], [0.3, -1e300]]), {"/points": "range"}),
    ("of somebody", curve("decision", [[0.2, 0.0], [0.3, 0.0]], of="me"), {"/of": "one_of"}),
    ("nobody's scores", curve("scores", SHARES), {"/of": "missing"}),
    ("last bin open", curve("scores", [[0.0, 0.5], [1.0, 0.5]], of="case"), {"/points": "shares"}),
    ("shares do not add up", curve("scores", [[0.0, 0.5], [1.0, 0.0]], of="case"), {"/points": "shares"}),
    ("a share below 0", curve("scores", [[0.0, -0.5], [0.5, 1.5], [1.0, 0.0]], of="a"), {"/points": "range"}),
    ("less than a person", curve("learning", [[0.5, 0.5], [10.0, 0.6]]), {"/points": "range"}),
    ("band too short", curve("roc", ROC, band=band([0.0], [1.0])), {"/band": "shape"}),
    ("band beside its line", curve("roc", ROC, band=band([0.9] * 5, [1.0] * 5)), {"/band": "range"}),
    ("band outside", curve("roc", ROC, band=band([-0.5] * 5, [1.0] * 5)), {"/band": "range"}),
    ("band reversed", curve("roc", ROC, band=band([1.0] * 5, [0.0] * 5)), {"/band": "range"}),
    (
        "band too large",
        curve("decision", [[0.2, 0.0], [0.3, 0.0]], band=band([-2e9] * 2, [0.0] * 2)),
        {"/band": "range"},
    ),
    (
        "two faults",
        curve("roc", [[0.5, 0.0], [0.4, 2.0]], band=band([0.0], [1.0])),
        {"/points": "order", "/band": "shape"},
    ),
]


@pytest.mark.parametrize(("bad", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_fault_is_told_by_its_place(
    parse: Parse, tb_document: Document, bad: Document, expected: dict[str, str]
) -> None:
    tb_document["curves"] = [CURVES[1], bad]
    with pytest.raises(ArtifactRejected) as caught:
        parse(tb_document)
    found = [(p.pointer, p.code) for p in caught.value.problems]
    for place, code in expected.items():
        assert (f"/curves/1{place}", code) in found
    assert {pointer for pointer, _ in found} == {f"/curves/1{place}" for place in expected}


def test_a_curve_stands_once(parse: Parse, tb_document: Document) -> None:
    tb_document["curves"] = [CURVES[0], CURVES[1], CURVES[0]]
    with pytest.raises(ArtifactRejected) as caught:
        parse(tb_document)
    assert [(p.pointer, p.code) for p in caught.value.problems] == [("/curves/2", "repeated")]
