"""What a caller sent: from the bytes of a score request to a valid `Submission`, or every problem at once.

Decoding errors are reported alone. Everything else, shape and meaning, is collected in one pass: the shapes of the
field table first, then times, intended use, measurements, covariates and quality measures against the model's panel.

Nearly every request is right and measures the whole panel in the panel's units. That one is read by a shorter way,
which refuses nothing: whatever it cannot read at once, right or wrong, goes the collecting way from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from service.domain.decode import as_object, decode
from service.domain.fields import REQUEST, REST
from service.domain.inputs import read_covariates, read_quality
from service.domain.intended_use import check_intended_use
from service.domain.measurements import find_plain_inputs, read_measurements
from service.domain.panel import Panel
from service.domain.shape import INVALID, Findings, Wrong
from service.domain.submission import PanelInput, QualityMeasure, Submission
from service.errors import InputRejected, Problem

# Clocks of laboratory systems differ; more than this is a wrong time, not a wrong clock.
CLOCK_SKEW = timedelta(minutes=5)


def parse(body: bytes, *, find_panel: Callable[[str], Panel], now: datetime) -> Submission:
    """The submission in `body`; see `parse_document`. `MalformedBody` where it is not one JSON object."""
    return parse_document(decode(body), find_panel=find_panel, now=now)


def parse_document(document: object, *, find_panel: Callable[[str], Panel], now: datetime) -> Submission:
    """The valid submission in a decoded request, or `InputRejected` with every problem found.

    `find_panel` gives the panel of a model reference. What it raises goes on: a `SystemFault` at once, an
    `InputRejected` in its own class, joined by whatever else is wrong. `now` is the aware time of receipt.
    """
    known = as_object(document)
    usual = _find_usual(known, find_panel, now)
    return _collect(known, find_panel, now) if usual is None else usual


def _find_usual(document: dict[str, Any], find_panel: Callable[[str], Panel], now: datetime) -> Submission | None:
    """What `_collect` gives for the usual request; None for any other."""
    rest = document.copy()
    rows = rest.pop("measurements", None)
    try:
        read = REST.check(rest)
        panel = find_panel(read["model"])
    except (Wrong, InputRejected):
        return None
    analytes = find_plain_inputs(rows, panel)
    if analytes is None:
        return None
    found = Findings()
    _check_rest(read, panel, now, found)
    covariates, quality = _read_lists(read, panel, found)
    return None if found.problems else _submission(read, panel, analytes | covariates, quality)


def _collect(document: dict[str, Any], find_panel: Callable[[str], Panel], now: datetime) -> Submission:
    """The submission in any request, or everything that is wrong with it."""
    found = Findings()
    read = _read(document, found)
    panel, refusal = _find_panel(read["model"], find_panel)
    _check_rest(read, panel, now, found)
    rows = read["measurements"]
    analytes = read_measurements(rows, panel, found) if rows is not INVALID else {}
    covariates, quality = _read_lists(read, panel, found)
    if refusal is not None:
        raise _joined(refusal, found.problems)
    if found.problems or panel is None:
        raise _rejected(found.problems)
    return _submission(read, panel, analytes | covariates, quality)


def _read(document: dict[str, Any], found: Findings) -> dict[str, Any]:
    try:
        return REQUEST.check(document)
    except Wrong:
        read = REQUEST.read(document, "", found)
        assert read is not INVALID  # noqa: S101 - a dict was handed in
        return read


def _check_rest(read: dict[str, Any], panel: Panel | None, now: datetime, found: Findings) -> None:
    _check_amendment(read, found)
    _check_times(read["specimen"], now, found)
    if panel is not None:
        check_intended_use(read, panel.intended_use, found)


def _read_lists(
    read: dict[str, Any], panel: Panel | None, found: Findings
) -> tuple[dict[str, PanelInput], tuple[QualityMeasure, ...]]:
    rows = read.get("covariates", ())
    covariates = read_covariates(rows, panel, found) if rows is not INVALID else {}
    rows = read.get("quality", ())
    return covariates, read_quality(rows, found) if rows is not INVALID else ()


def _find_panel(reference: Any, find_panel: Callable[[str], Panel]) -> tuple[Panel | None, InputRejected | None]:
    if reference is INVALID:
        return None, None
    try:
        return find_panel(reference), None
    except InputRejected as refusal:
        return None, refusal


def _joined(refusal: InputRejected, problems: list[Problem]) -> InputRejected:
    """The same refusal, pointing at the model, with whatever else is wrong."""
    if refusal.problems and not problems:
        return refusal
    own = refusal.problems or (Problem("/model", refusal.code, refusal.message, refusal.remedy),)
    return type(refusal)(refusal.message, refusal.remedy, (*own, *problems))


def _rejected(problems: list[Problem]) -> InputRejected:
    if len(problems) == 1:
        return InputRejected(problems[0].message, problems[0].remedy, problems)
    return InputRejected(f"{len(problems)} problems were found.", "Mend every problem listed.", problems)


def _check_amendment(read: dict[str, Any], found: Findings) -> None:
    if "replaces" in read and "reason" not in read:
        message = "A score that replaces another needs a reason."
        found.add("/reason", "missing_field", message, "Send the field reason.")
    for name in ("reason", "reason_text"):
        if name in read and "replaces" not in read:
            message = "A reason is given, but no score is replaced."
            found.add(f"/{name}", "reason_without_replaces", message, "Send the field replaces, or no reason.")


def _check_times(specimen: Any, now: datetime, found: Findings) -> None:
    if specimen is INVALID:
        return
    collected, received = specimen.collected_at, specimen.received_at
    latest = now + CLOCK_SKEW
    for name, time in (("collected_at", collected), ("received_at", received)):
        if time is not INVALID and time is not None and time > latest:
            minutes = CLOCK_SKEW // timedelta(minutes=1)
            message = f"The time lies more than {minutes} minutes after the service's clock."
            found.add(f"/specimen/{name}", "time_in_future", message, "Check the time and its zone.")
    if received is None or received is INVALID or collected is INVALID:
        return
    if received < collected:
        message = "The specimen was received before it was collected."
        found.add("/specimen/received_at", "received_before_collected", message, "Check both times and their zones.")


def _submission(
    read: dict[str, Any], panel: Panel, inputs: dict[str, PanelInput], quality: tuple[QualityMeasure, ...]
) -> Submission:
    replaces = read.get("replaces")
    return Submission(
        read["model"],
        panel,
        read["subject"],
        read["specimen"],
        tuple(map(inputs.__getitem__, panel.codes)),
        quality,
        None if replaces is None else replaces.lower(),
        read.get("reason"),
        read.get("reason_text"),
    )
