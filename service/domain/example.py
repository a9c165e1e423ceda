"""A synthetic request for a panel: nobody's specimen, inside the intended use, to show the form of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.analytes import MIRNA, catalogue
from service.domain.measures import CQ, HAEMOLYSIS_MARKER, HAEMOLYSIS_REFERENCE, MEASURES, SPIKE_IN_CQ
from service.domain.panel import Panel

SYNTHETIC_SUBJECT = "synthetic-example"
_AGE_YEARS = 45.0


def example_request(panel: Panel, values: Mapping[str, float]) -> dict[str, Any]:
    """A request for `panel`'s exact version; `values` by accession and covariate name, in the panel's units.

    An optional analyte may be left out of `values`. Times are fixed, because the domain has no clock.
    """
    request: dict[str, Any] = {
        "model": f"{panel.model_name}@{panel.model_version}",
        "subject": _subject(panel),
        "specimen": _specimen(panel),
        "measurements": [
            {"analyte": _spoken(analyte.accession), "value": values[analyte.accession], "unit": analyte.unit}
            for analyte in panel.analytes
            if analyte.required or analyte.accession in values
        ],
    }
    if panel.covariates:
        request["covariates"] = [{"name": c.name, "value": values[c.name], "unit": c.unit} for c in panel.covariates]
    quality = _quality(panel)
    return {**request, "quality": quality} if quality else request


def _quality(panel: Panel) -> list[dict[str, Any]]:
    """Quality measures at the limits of the gates that the version requires; a limit itself passes."""
    rows: list[dict[str, Any]] = []
    for code, gate in panel.gates.items():
        limit = next((bound for bound in (gate.flag, gate.fail) if bound is not None), 0.0)
        if not gate.required:
            continue
        if code == "haemolysis":
            rows.append(_row(CQ, 20.0 + limit, HAEMOLYSIS_REFERENCE))
            rows.append(_row(CQ, 20.0, HAEMOLYSIS_MARKER))
        elif code == "spike_in_window":
            rows.append(_row(SPIKE_IN_CQ if gate.analyte is None else CQ, gate.expected or 0.0, gate.analyte))
        elif code in MEASURES:
            rows.append(_row(code, limit))
    return rows


def _row(code: str, value: float, analyte: str | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"code": code, "value": value, "unit": MEASURES[code].unit}
    return row if analyte is None else {**row, "analyte": analyte}


def _subject(panel: Panel) -> dict[str, Any]:
    use = panel.intended_use
    age = min(max(_AGE_YEARS, use.age_min_years), use.age_max_years)
    return {"id": SYNTHETIC_SUBJECT, "age_years": age, "sex": use.sexes[0]}


def _specimen(panel: Panel) -> dict[str, Any]:
    use = panel.intended_use
    return {
        "id": "synthetic-specimen",
        "type": use.specimen_types[0],
        "collected_at": "2026-01-15T08:00:00Z",
        "received_at": "2026-01-15T08:40:00Z",
        "anticoagulant": use.anticoagulants[0],
        "isolation": use.isolation_methods[0],
        "processing_delay_minutes": _within(panel, "processing_delay", 45.0, higher_is_worse=True),
        "freeze_thaw_cycles": int(_within(panel, "freeze_thaw", 1.0, higher_is_worse=True)),
        "volume_ul": _within(panel, "volume", 250.0, higher_is_worse=False),
    }


def _within(panel: Panel, gate: str, usual: float, *, higher_is_worse: bool) -> float:
    """The usual value, or the limit of the panel's gate where the usual value would trigger it."""
    limits = panel.gates.get(gate)
    bounds = [] if limits is None else [limit for limit in (limits.flag, limits.fail) if limit is not None]
    return min([usual, *bounds]) if higher_is_worse else max([usual, *bounds])


def _spoken(accession: str) -> str:
    analyte = catalogue().get(accession)
    return analyte.name if analyte.kind == MIRNA else f"UniProt:{accession}"
