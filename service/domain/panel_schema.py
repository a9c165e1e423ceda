"""JSON Schema of the requests one model version accepts, so that a LIMS can check before it sends.

The schema refuses what JSON Schema can refuse: other fields, words, analytes, units and ranges, censored and absent
results that the version does not take, and analytes that are missing or named twice. What it cannot say is left to the
service: duplicate keys, times against the clock and against each other, quality measures sent twice.
It never refuses a request that the service would accept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from service.domain.analytes import catalogue
from service.domain.fields import ANTICOAGULANTS, ISOLATION_METHODS, request_schema
from service.domain.panel import Action, Panel, PanelAnalyte, PanelCovariate, Rule
from service.domain.units import accepted_units, convert

_NULL: dict[str, Any] = {"type": "null"}


def panel_schema(panel: Panel) -> dict[str, Any]:
    """JSON Schema 2020-12 of a score request for `panel`."""
    schema = request_schema()
    schema["title"] = f"Request of a score by {panel.model_name}@{panel.model_version}"
    fields = schema["properties"]
    version = re.escape(panel.model_version)
    fields["model"] = {"type": "string", "pattern": f"^{panel.model_name}(?:@(?:{version}|[A-Za-z][0-9A-Za-z._-]*))?$"}
    _tighten_subject(fields["subject"]["properties"], panel)
    _tighten_specimen(fields["specimen"], panel)
    _tighten_measurements(fields["measurements"], panel)
    _tighten_covariates(schema, panel)
    return schema


def _tighten_subject(fields: dict[str, Any], panel: Panel) -> None:
    use = panel.intended_use
    fields["age_years"] |= {"minimum": use.age_min_years, "maximum": use.age_max_years}
    fields["sex"]["enum"] = list(use.sexes)


def _tighten_specimen(specimen: dict[str, Any], panel: Panel) -> None:
    use = panel.intended_use
    specimen["properties"]["type"]["enum"] = list(use.specimen_types)
    details = (
        ("anticoagulant", use.anticoagulants, ANTICOAGULANTS),
        ("isolation", use.isolation_methods, ISOLATION_METHODS),
    )
    for name, accepted, known in details:
        if not set(known) <= set(accepted):
            specimen["properties"][name] = {"type": "string", "enum": list(accepted)}
            specimen["required"] = [*specimen["required"], name]


def _tighten_measurements(measurements: dict[str, Any], panel: Panel) -> None:
    names = {analyte.accession: catalogue().texts(analyte.accession) for analyte in panel.analytes}
    item = measurements["items"]
    item["properties"]["analyte"] = {"type": "string", "enum": [name for known in names.values() for name in known]}
    item["allOf"] = [
        {"if": _is("analyte", names[analyte.accession]), "then": {"anyOf": list(_forms(analyte))}}
        for analyte in panel.analytes
    ]
    measurements["maxItems"] = len(panel.analytes)
    measurements["allOf"] = [
        _once("analyte", names[analyte.accession], required=analyte.required or analyte.absent.action is Action.REFUSE)
        for analyte in panel.analytes
    ]


def _is(name: str, values: list[str]) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"enum": values}}}


def _once(name: str, values: list[str], *, required: bool) -> dict[str, Any]:
    return {"contains": _is(name, values), "minContains": int(required), "maxContains": 1}


def _taken(rule: Rule) -> bool:
    return rule.action is not Action.REFUSE and rule.value is not None


def _forms(analyte: PanelAnalyte) -> Iterable[dict[str, Any]]:
    """The forms a measurement of `analyte` may have: measured, censored or absent."""
    lower, upper = analyte.bounds
    rules = (analyte.below_loq, analyte.above_upper)
    lesser, greater = map(_taken, reversed(rules) if analyte.falls else rules)
    low = analyte.low if lesser or lower is None else max(analyte.low, lower)
    high = analyte.high if greater or upper is None else min(analyte.high, upper)
    for unit in accepted_units(analyte.unit, analyte.molar_mass):
        yield _measured(analyte, unit, low, high, _NULL)
        if lesser:
            top = analyte.high if lower is None else lower
            yield _measured(analyte, unit, analyte.low, top, {"enum": ["<", "<="]})
        if greater:
            bottom = analyte.low if upper is None else upper
            yield _measured(analyte, unit, bottom, analyte.high, {"enum": [">", ">="]})
    absences = ["not_detected"] if _taken(analyte.not_detected) else []
    absences += ["not_tested", "insufficient"] if _taken(analyte.absent) else []
    if absences:
        nothing = {"value": _NULL, "unit": _NULL, "comparator": _NULL}
        yield {"required": ["absent"], "properties": {"absent": {"enum": absences}, **nothing}}


def _measured(analyte: PanelAnalyte, unit: str, low: float, high: float, comparator: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = {"anyOf": [{"type": "number", **_bounds(analyte, unit, low, high)}]}
    if comparator is not _NULL or _taken(analyte.not_detected):
        value["anyOf"] += [_bounds(analyte, unit, code, code) for code in analyte.nondetect_codes]
    elif analyte.nondetect_codes and unit == analyte.unit:
        value["not"] = {"enum": list(analyte.nondetect_codes)}
    properties = {"unit": {"const": unit}, "value": value, "comparator": comparator, "absent": _NULL}
    required = ["value", "unit"] if comparator is _NULL else ["value", "unit", "comparator"]
    return {"required": required, "properties": properties}


def _bounds(analyte: PanelAnalyte, unit: str, low: float, high: float) -> dict[str, float]:
    """The range in `unit`. A converted bound is one step wider, so that its rounding refuses nothing valid."""
    if unit == analyte.unit:
        return {"minimum": low, "maximum": high}
    least = convert(low, analyte.unit, unit, analyte.molar_mass)
    most = convert(high, analyte.unit, unit, analyte.molar_mass)
    return {"minimum": math.nextafter(least, -math.inf), "maximum": math.nextafter(most, math.inf)}


def _tighten_covariates(schema: dict[str, Any], panel: Panel) -> None:
    if not panel.covariates:
        schema["properties"]["covariates"] = {"type": "null"}
        return
    covariates = schema["properties"]["covariates"]
    covariates["maxItems"] = len(panel.covariates)
    names = [covariate.name for covariate in panel.covariates]
    item = covariates["items"]
    item["properties"]["name"] = {"type": "string", "enum": names}
    item["allOf"] = [
        {"if": _is("name", [c.name]), "then": {"anyOf": list(_covariate_forms(c))}} for c in panel.covariates
    ]
    covariates["type"] = "array"
    covariates["allOf"] = [_once("name", [name], required=True) for name in names]
    schema["required"] = [*schema["required"], "covariates"]


def _covariate_forms(covariate: PanelCovariate) -> Iterable[dict[str, Any]]:
    for unit in accepted_units(covariate.unit):
        least, most = (convert(bound, covariate.unit, unit) for bound in (covariate.low, covariate.high))
        value: dict[str, Any] = {"minimum": least, "maximum": most}
        if unit != covariate.unit:
            value = {"minimum": math.nextafter(least, -math.inf), "maximum": math.nextafter(most, math.inf)}
        elif covariate.binary:
            value["enum"] = [0, 1]
        yield {"properties": {"unit": {"const": unit}, "value": value}}
