"""From the measurements of a request to the inputs of a panel.

Rules:
1. A measurement names one analyte exactly, once, and that analyte is of the panel.
2. It carries a value with its unit, or says why there is none; never both.
3. A value in another unit is converted exactly; one outside the plausible range is refused.
4. A result that is not a plain number in range (below LoQ, above the upper limit, not detected, absent) is handled as
   the model version says: refused, or replaced by the value locked in the version. A censored result keeps that
   meaning: "<0.5" is never read as 0.5 (CLSI EP17-A2). Below and above are of the amount: in cycles, "> 35" is below.
5. "<50" says nothing about an LoQ of 0.5: a limit on the wrong side of the model's own is refused, not replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from service.domain.analytes import Analyte, catalogue
from service.domain.panel import Action, Panel, PanelAnalyte, Rule
from service.domain.shape import INVALID, Findings
from service.domain.submission import PanelInput
from service.domain.units import UnknownUnit, accepted_units, convert, convertible, parse_unit

_PLAIN = ("analyte", "value", "unit")
_SHOWN = 12  # a remedy names at most so many candidates or units


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A result that is not a plain number in range: its code, what to say, and which rule of the analyte decides."""

    code: str
    message: str
    rule: Callable[[PanelAnalyte], Rule]


_BELOW_LOQ = _Outcome("below_loq", "The result is below the limit of quantification.", lambda a: a.below_loq)
_ABOVE_UPPER = _Outcome("above_upper_limit", "The result is above the reportable range.", lambda a: a.above_upper)
_NOT_DETECTED = _Outcome("not_detected", "The analyte was not detected.", lambda a: a.not_detected)
_ABSENT = _Outcome("absent", "There is no result for the analyte.", lambda a: a.absent)


def named(labels: tuple[str, ...]) -> str:
    """The first labels as a list for a remedy, and how many more there are."""
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return "; ".join(labels[:_SHOWN]) + more


def refuse_name(text: str, pointer: str, found: Findings) -> tuple[Analyte, ...]:
    """Notes that `text`, at `pointer`, names no analyte; what it may have meant."""
    candidates = catalogue().candidates(text)
    if not candidates:
        message = "The name is not in the catalogue of analytes."
        remedy = "Send a miRBase v22 accession or name, UniProt:ACCESSION, or a gene symbol."
        found.add(pointer, "unknown_analyte", message, remedy)
    elif len(candidates) == 1:
        message = "The name is not a current name or accession of the catalogue."
        remedy = f"Send the accession, if this is what was measured: {candidates[0].label}."
        found.add(pointer, "unknown_analyte", message, remedy)
    else:
        message = "The name stands for more than one analyte of the catalogue."
        remedy = f"Send the accession of the one that was measured: {named(tuple(a.label for a in candidates))}."
        found.add(pointer, "ambiguous_analyte", message, remedy)
    return candidates


def check_unit(unit: str, pointer: str, found: Findings) -> bool:
    """Whether `unit` is a code the product knows, with a problem noted where it is not."""
    try:
        parse_unit(unit)
    except UnknownUnit as error:
        remedy = f"Send {error.candidates[0]}." if error.candidates else "Send the unit as a UCUM code."
        found.add(pointer, "unknown_unit", "The unit is not a UCUM code the service accepts.", remedy)
        return False
    return True


def find_plain_inputs(rows: object, panel: Panel) -> dict[str, PanelInput] | None:
    """Inputs by accession where `rows`, as sent, are the usual ones: one for each analyte of the panel, with nothing to
    convert, to decide or to say. None otherwise, be they right or wrong: `read_measurements` knows."""
    if type(rows) is not list or not len(rows) == len(panel.analytes) > 0:
        return None
    plain, inputs = _plain_by_text(panel), {}
    try:
        for row in rows:
            code, name, unit, low, high, nondetect_codes = plain[row["analyte"]]
            value = row["value"]
            if len(row) != len(_PLAIN) or type(value) is not float or row["unit"] != unit:
                return None
            if not low <= value <= high or value in nondetect_codes:
                return None
            inputs[code] = PanelInput("analyte", code, name, value, unit, value)
    except (KeyError, TypeError):  # a field is missing, or something is not of the type it should be
        return None
    return inputs if len(inputs) == len(rows) else None


_Plain = tuple[str, str, str, float, float, tuple[float, ...]]
"""What the usual row is held against: accession, name, unit, measuring range, and codes that are no measurements."""


@lru_cache(maxsize=256)
def _plain_by_text(panel: Panel) -> dict[str, _Plain]:
    """The analytes of a panel by every text that names them."""
    return {
        text: (one.accession, one.name, one.unit, *one.measuring_range, one.nondetect_codes)
        for one in panel.analytes
        for text in catalogue().texts(one.accession)
    }


def read_measurements(rows: tuple[Any, ...], panel: Panel | None, found: Findings) -> dict[str, PanelInput]:
    """Inputs by accession for the measurements that are sound; a problem for each that is not, and for each missing.

    Without a panel (its model is unknown) the names, the forms and the units are checked all the same.
    """
    wanted = {} if panel is None else panel.analyte_of
    names = catalogue()
    inputs: dict[str, PanelInput] = {}
    first: dict[str, int] = {}
    offered: set[str] = set()
    for index, row in enumerate(rows):
        if row is INVALID:
            continue
        text = row["analyte"]
        analyte = names.find(text)
        expected = None
        if analyte is not None:
            expected = wanted.get(analyte.accession)
            if first.setdefault(analyte.accession, index) != index or (expected is None and panel is not None):
                _refuse_place(analyte.accession, index, first[analyte.accession], found)
        elif text is not INVALID:
            offered |= {candidate.accession for candidate in refuse_name(text, f"/measurements/{index}/analyte", found)}
        result = _read_result(row, f"/measurements/{index}", expected, found)
        if result is not None:
            inputs[result.code] = result
    for accession, expected in wanted.items():
        # A name that may have meant this analyte was refused already; saying "missing" as well would mislead.
        if accession not in first and accession not in offered:
            _read_omitted(expected, inputs, found)
    return inputs


def _refuse_place(accession: str, index: int, earlier: int, found: Findings) -> None:
    """Notes an analyte that came before or is not wanted by the panel."""
    pointer = f"/measurements/{index}/analyte"
    if earlier != index:
        message = f"The analyte was named before, by /measurements/{earlier}."
        found.add(pointer, "duplicate_analyte", message, "Send one measurement for each analyte.", accession)
    else:
        message = "The analyte is not part of the model's panel."
        found.add(pointer, "analyte_not_in_panel", message, "Leave it out, or use another model.", accession)


def _read_omitted(analyte: PanelAnalyte, inputs: dict[str, PanelInput], found: Findings) -> None:
    if analyte.required:
        message = "A required analyte of the panel is missing."
        remedy = f"Add a measurement of {analyte.accession} ({analyte.name}) in {analyte.unit}."
        found.add("/measurements", "missing_analyte", message, remedy, analyte.accession)
        return
    result = _apply(_ABSENT, analyte, analyte.unit, "/measurements", found)
    if result is not None:
        inputs[analyte.accession] = result


def _read_result(row: dict[str, Any], pointer: str, analyte: PanelAnalyte | None, found: Findings) -> PanelInput | None:
    if "absent" in row:
        return _read_absent(row, pointer, analyte, found)
    if "value" not in row:
        remedy = "Send value and unit, or the reason in absent."
        found.add(f"{pointer}/value", "missing_field", "The measurement has neither a value nor a reason.", remedy)
    usable = _check_measured_unit(row.get("unit"), pointer, analyte, found)
    value, comparator = row.get("value"), row.get("comparator")
    if analyte is None or not usable or value is None or value is INVALID or comparator is INVALID:
        return None
    return _read_value(value, row["unit"], comparator, pointer, analyte, found)


def _read_absent(row: dict[str, Any], pointer: str, analyte: PanelAnalyte | None, found: Findings) -> PanelInput | None:
    if not row.keys().isdisjoint({"value", "unit", "comparator"}):
        message = "The measurement has a result and a reason for having none."
        found.add(pointer, "value_and_absent", message, "Send value and unit, or absent alone.")
        return None
    if analyte is None or row["absent"] is INVALID:
        return None
    outcome = _NOT_DETECTED if row["absent"] == "not_detected" else _ABSENT
    return _apply(outcome, analyte, analyte.unit, f"{pointer}/absent", found)


def _check_measured_unit(unit: Any, pointer: str, analyte: PanelAnalyte | None, found: Findings) -> bool:
    """Whether the unit can be used for the analyte, with a problem noted where it cannot."""
    if analyte is not None and unit == analyte.unit:
        return True
    pointer += "/unit"
    if unit is INVALID:
        return False
    if unit is None:
        accession = analyte.accession if analyte else None
        found.add(pointer, "missing_unit", "The measurement has no unit.", _remedy(analyte), accession)
        return False
    if analyte is None:
        return check_unit(unit, pointer, found)
    try:
        usable = convertible(unit, analyte.unit, analyte.molar_mass)
    except UnknownUnit as error:
        meant = f"{error.candidates[0]} is the code that may have been meant. " if error.candidates else ""
        message = "The unit is not a UCUM code the service accepts."
        found.add(pointer, "unknown_unit", message, meant + _remedy(analyte), analyte.accession)
        return False
    if not usable:
        message = "The unit does not convert into the unit of the model."
        found.add(pointer, "unit_not_accepted", message, _remedy(analyte), analyte.accession)
    return usable


def _remedy(analyte: PanelAnalyte | None) -> str:
    if analyte is None:
        return "Send the unit as a UCUM code."
    return f"Send one of: {named(accepted_units(analyte.unit, analyte.molar_mass))}."


def _read_value(
    value: float, unit: str, comparator: str | None, pointer: str, analyte: PanelAnalyte, found: Findings
) -> PanelInput | None:
    used = convert(value, unit, analyte.unit, analyte.molar_mass)
    if comparator is None and analyte.measures(used):
        return PanelInput("analyte", analyte.accession, analyte.name, value, unit, used)
    pointer += "/value"
    # Such a code is no measurement and often lies outside the plausible range.
    coded = used in analyte.nondetect_codes
    if coded and comparator is None:
        return _apply(_NOT_DETECTED, analyte, unit, pointer, found)
    if not coded and not analyte.low <= used <= analyte.high:
        limits = f"{analyte.low:.12g} to {analyte.high:.12g} {analyte.unit}"
        message = f"The value is outside the plausible range of the analyte, {limits}."
        remedy = "Check the value and its unit; a true value in that place cannot be scored by this model."
        found.add(pointer, "implausible_value", message, remedy, analyte.accession)
        return None
    if comparator is not None:
        return _read_censored(comparator, used, unit, pointer, analyte, found)
    lower, _ = analyte.bounds
    outcome = _outcome(analyte, lesser=lower is not None and used < lower)
    return _apply(outcome, analyte, unit, pointer, found)


def _outcome(analyte: PanelAnalyte, *, lesser: bool) -> _Outcome:
    """What a number beyond the lower (`lesser`) or the upper bound says of the amount."""
    return _BELOW_LOQ if lesser is not analyte.falls else _ABOVE_UPPER


def _read_censored(
    comparator: str, limit: float, unit: str, pointer: str, analyte: PanelAnalyte, found: Findings
) -> PanelInput | None:
    lesser = comparator in {"<", "<="}
    outcome = _outcome(analyte, lesser=lesser)
    lower, upper = analyte.bounds
    own = lower if lesser else upper
    if own is not None and (limit > own if lesser else limit < own):
        name = "limit of quantification" if outcome is _BELOW_LOQ else "upper limit"
        message = f"The result is censored inside the measuring range of the model; its {name} is {own:.12g}."
        remedy = f"Send the measured value in {analyte.unit}, or repeat the measurement."
        found.add(pointer, "censored_in_range", message, remedy, analyte.accession)
        return None
    return _apply(outcome, analyte, unit, pointer, found)


def _apply(outcome: _Outcome, analyte: PanelAnalyte, unit: str, pointer: str, found: Findings) -> PanelInput | None:
    """The input that the analyte's rule supplies, or None with a problem where the rule refuses."""
    rule = outcome.rule(analyte)
    if rule.action is Action.REFUSE or rule.value is None:
        remedy = f"This model needs a value of {analyte.accession} in its measuring range, in {analyte.unit}."
        found.add(pointer, outcome.code, outcome.message, remedy, analyte.accession)
        return None
    return PanelInput("analyte", analyte.accession, analyte.name, None, unit, rule.value, substituted=True)
