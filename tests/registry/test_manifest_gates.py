"""Quality gates in a manifest: what a gate would read wrongly, or not read at all, is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from service.domain.quality import GATES
from service.errors import ArtifactRejected
from service.registry.manifest import Manifest

Document = dict[str, Any]
Parse = Callable[[Document], Manifest]
SPIKE_IN = {"expected": 22.0}
SOUND = {"requirement": "optional", "flag": 1.0, "fail": 2.0, "source": "x"}
LOW = SOUND | {"flag": 2.0, "fail": 1.0}


def told(parse: Parse, document: Document, code: str, gate: Document) -> dict[str, tuple[str, str]]:
    document["gates"] = {code: gate}
    with pytest.raises(ArtifactRejected) as caught:
        parse(document)
    return {p.pointer: (p.code, p.remedy) for p in caught.value.problems}


LIMITS = [
    ("haemolysis", {"flag": None, "fail": None}, "Give flag, fail or both."),
    ("haemolysis", {"flag": 7.0, "fail": 5.0}, "Set flag below fail."),
    ("haemolysis", {"flag": 5.0, "fail": 5.0}, "Set flag below fail."),
    ("volume", {"flag": 100.0, "fail": 200.0}, "Set flag above fail."),
    ("volume", {"flag": 100.0, "fail": 100.0}, "Set flag above fail."),
    ("spike_in_window", SPIKE_IN | {"flag": 3.0, "fail": 2.0}, "Set flag below fail."),
    ("spike_in_window", SPIKE_IN | {"flag": -1.0, "fail": 2.0}, "Give limits from 0 up."),
    ("spike_in_window", SPIKE_IN | {"flag": None, "fail": -2.0}, "Give limits from 0 up."),
]
LIMIT_IDS = ["none", "high: past", "high: equal", "low: past", "low: equal", "window: past", "flag < 0", "fail < 0"]


@pytest.mark.parametrize(("code", "change", "remedy"), LIMITS, ids=LIMIT_IDS)
def test_limits_that_cannot_do_their_work_are_refused(
    parse: Parse, tb_document: Document, code: str, change: Document, remedy: str
) -> None:
    assert told(parse, tb_document, code, SOUND | change) == {f"/gates/{code}": ("limits", remedy)}


def sound_gate(code: str) -> Document:
    return {"spike_in_window": SOUND | SPIKE_IN}.get(code, LOW if GATES[code].direction == "low" else SOUND)


@pytest.mark.parametrize("missing", [None, "flag", "fail"], ids=["both limits", "no flag", "no fail"])
@pytest.mark.parametrize("code", list(GATES))
def test_every_gate_takes_a_flag_milder_than_its_fail_or_one_of_them(
    parse: Parse, tb_document: Document, code: str, missing: str | None
) -> None:
    gate = sound_gate(code) | ({} if missing is None else {missing: None})
    tb_document["gates"] = {code: gate}
    limits = parse(tb_document).panel().gates[code]
    assert (limits.flag, limits.fail) == (gate["flag"], gate["fail"])


@pytest.mark.parametrize("field", [{"expected": 22.0}, {"analyte": "MIMAT0000078"}], ids=["expected", "analyte"])
@pytest.mark.parametrize("code", [code for code in GATES if code != "spike_in_window"])
def test_a_gate_that_is_no_window_refuses_what_it_would_not_read(
    parse: Parse, tb_document: Document, code: str, field: Document
) -> None:
    (name,) = field
    assert told(parse, tb_document, code, sound_gate(code) | field) == {
        f"/gates/{code}/{name}": ("unused", "Leave it out.")
    }


def test_a_window_needs_its_centre(parse: Parse, tb_document: Document) -> None:
    found = told(parse, tb_document, "spike_in_window", SOUND)
    assert found == {"/gates/spike_in_window/expected": ("limits", "Give the expected value.")}


@pytest.mark.parametrize("analyte", ["hsa-miR-23a-3p", "mimat0000078", "nothing"], ids=["name", "case", "unknown"])
def test_a_window_names_its_analyte_by_accession(parse: Parse, tb_document: Document, analyte: str) -> None:
    found = told(parse, tb_document, "spike_in_window", SOUND | SPIKE_IN | {"analyte": analyte})
    assert found == {"/gates/spike_in_window/analyte": ("analyte", "Use MIMAT or UniProt.")}


def test_a_window_may_watch_an_accession(parse: Parse, tb_document: Document) -> None:
    tb_document["gates"] = {"spike_in_window": SOUND | SPIKE_IN | {"analyte": "MIMAT0000078"}}
    limits = parse(tb_document).panel().gates["spike_in_window"]
    assert (limits.expected, limits.analyte) == (22.0, "MIMAT0000078")
