"""Covariates and quality measures of a request: closed lists, each entry once, each in its unit."""

from __future__ import annotations

from typing import Any

from service.domain.analytes import catalogue
from service.domain.measurements import check_unit, named, refuse_name
from service.domain.measures import MEASURES, Measure
from service.domain.panel import Panel, PanelCovariate
from service.domain.shape import INVALID, Findings
from service.domain.submission import PanelInput, QualityMeasure
from service.domain.units import accepted_units, convert, convertible


def read_covariates(rows: tuple[Any, ...], panel: Panel | None, found: Findings) -> dict[str, PanelInput]:
    """Inputs by covariate name, in the panel's units. A version locks no value for a covariate, so none may be missing:
    the matrix has a column for each, whether the manifest calls it required or not."""
    wanted = {} if panel is None else panel.covariate_of
    inputs: dict[str, PanelInput] = {}
    first: dict[str, int] = {}
    for index, row in enumerate(rows):
        if row is INVALID:
            continue
        pointer = f"/covariates/{index}"
        name = row["name"]
        if name is not INVALID:
            if name in first:
                message = f"The covariate was named before, by /covariates/{first[name]}."
                found.add(f"{pointer}/name", "duplicate_covariate", message, "Send each covariate once.")
            elif panel is not None and name not in wanted:
                remedy = f"Send only: {', '.join(wanted)}." if wanted else "Leave covariates out."
                message = "The covariate is not one of the model's."
                found.add(f"{pointer}/name", "unknown_covariate", message, remedy)
            first.setdefault(name, index)
        value = _read_covariate(row, pointer, wanted.get(name), found)
        if value is not None:
            inputs[value.code] = value
    for covariate in wanted.values():
        if covariate.name not in first:
            remedy = f"Add the covariate {covariate.name} in {covariate.unit}."
            found.add("/covariates", "missing_covariate", "A covariate of the model is missing.", remedy)
    return inputs


def _read_covariate(
    row: dict[str, Any], pointer: str, covariate: PanelCovariate | None, found: Findings
) -> PanelInput | None:
    value, unit = row["value"], row["unit"]
    if covariate is None:
        if unit is not INVALID:
            check_unit(unit, f"{pointer}/unit", found)
        return None
    usable = unit is not INVALID and _check_unit(unit, covariate.unit, f"{pointer}/unit", found)
    if value is INVALID or not usable:
        return None
    used = convert(value, unit, covariate.unit)
    if covariate.binary and used not in {0.0, 1.0}:
        found.add(f"{pointer}/value", "not_binary", "The covariate is a yes or a no.", "Send 1 for yes or 0 for no.")
        return None
    if not covariate.low <= used <= covariate.high:
        limits = f"{covariate.low:.12g} to {covariate.high:.12g} {covariate.unit}"
        message = f"The value is outside the plausible range of the covariate, {limits}."
        found.add(f"{pointer}/value", "implausible_value", message, "Check the value and its unit.")
        return None
    return PanelInput("covariate", covariate.name, covariate.title, value, unit, used)


def _check_unit(unit: str, wanted: str, pointer: str, found: Findings) -> bool:
    if not check_unit(unit, pointer, found):
        return False
    if not convertible(unit, wanted, None):
        remedy = f"Send one of: {named(accepted_units(wanted))}."
        found.add(pointer, "unit_not_accepted", "The unit is not one accepted here.", remedy)
        return False
    return True


def read_quality(rows: tuple[Any, ...], found: Findings) -> tuple[QualityMeasure, ...]:
    """The quality measures that are sound, in the order sent and in the units of `MEASURES`."""
    read: list[QualityMeasure] = []
    first: dict[tuple[str, str | None], int] = {}
    for index, row in enumerate(rows):
        if row is INVALID or row["code"] is INVALID:
            continue
        pointer = f"/quality/{index}"
        accession, sound = _read_analyte(row, pointer, found)
        value = _read_measure(row, pointer, found)
        if not sound:
            continue
        earlier = first.setdefault((row["code"], accession), index)
        if earlier != index:
            message = f"The measure was sent before, by /quality/{earlier}."
            found.add(pointer, "duplicate_quality", message, "Send each measure once.", accession)
        elif value is not None:
            read.append(QualityMeasure(row["code"], accession, value, MEASURES[row["code"]].unit))
    return tuple(read)


def _read_analyte(row: dict[str, Any], pointer: str, found: Findings) -> tuple[str | None, bool]:
    """The accession the measure belongs to, and whether what was sent about it is right."""
    expected = MEASURES[row["code"]].analyte
    pointer += "/analyte"
    if "analyte" not in row:
        if expected == "required":
            found.add(pointer, "missing_field", "This measure belongs to an analyte.", "Send the field analyte.")
        return None, expected != "required"
    if expected == "none":
        found.add(pointer, "not_allowed", "This measure belongs to no analyte.", "Leave the field analyte out.")
        return None, False
    if row["analyte"] is INVALID:
        return None, False
    analyte = catalogue().find(row["analyte"])
    if analyte is None:
        refuse_name(row["analyte"], pointer, found)
        return None, False
    return analyte.accession, True


def _read_measure(row: dict[str, Any], pointer: str, found: Findings) -> float | None:
    measure: Measure = MEASURES[row["code"]]
    unit = row["unit"]
    usable = unit is not INVALID and _check_unit(unit, measure.unit, f"{pointer}/unit", found)
    if row["value"] is INVALID or not usable:
        return None
    value = convert(row["value"], unit, measure.unit)
    if not measure.low <= value <= measure.high:
        limits = f"{measure.low:.12g} to {measure.high:.12g} {measure.unit}"
        message = f"The value is outside the possible range of the measure, {limits}."
        found.add(f"{pointer}/value", "implausible_value", message, "Check the value and its unit.")
        return None
    return value
