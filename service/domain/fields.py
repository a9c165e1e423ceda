"""The field table of a score request: every field, its shape and whether it is required.

It is the one declaration behind the check of a request, the OpenAPI document and the JSON Schema of a panel. Sex is
FHIR's administrative-gender; the words for specimens are the product's own and are mapped at its edges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.domain.measures import MEASURES
from service.domain.record import Field, ListOf, Record, TypedRecord
from service.domain.shape import Choice, Instant, Number, Text
from service.domain.submission import Specimen, Subject
from service.domain.units import COMPARATORS

SEXES = ("female", "male", "other", "unknown")
SPECIMEN_TYPES = ("plasma", "serum", "urine", "csf", "saliva", "whole_blood", "other")
ANTICOAGULANTS = ("edta", "citrate", "acd_a", "heparin", "none")
ISOLATION_METHODS = (
    "ultracentrifugation",
    "size_exclusion",
    "precipitation",
    "immunoaffinity",
    "magnetic_beads",
    "ultrafiltration",
    "microfluidic",
    "none",
)
ABSENCES = ("not_detected", "not_tested", "insufficient")
AMENDMENT_REASONS = ("measurement_corrected", "demographics_corrected", "specimen_corrected", "other")

MODEL_NAME = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_MODEL = Text(
    MODEL_NAME + r"(?:@[0-9A-Za-z][0-9A-Za-z.+_-]*)?", "a model name, name@version or name@alias", recurring=True
)
IDENTIFIER = Text(
    r"[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*",
    "1 to 128 characters, not blank, without control characters",
    printable=True,
)
_NAME = replace(IDENTIFIER, recurring=True, printable=False)
_UNIT = Text(IDENTIFIER.pattern, "a UCUM unit code", high=64, recurring=True)
_UUID = Text(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "the id of a score, a UUID", high=36)
FREE_TEXT = Text(
    r"[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]+",
    "1 to 2000 characters; of the control characters only tab and line ends",
    high=2000,
)

SUBJECT = TypedRecord(
    {
        "id": Field(IDENTIFIER, required=True),
        # The oldest verified human age is 122 years; the bound catches ages sent in months or days.
        "age_years": Field(Number((0, 130)), required=True),
        "sex": Field(Choice(SEXES), required=True),
    },
    reads_as=Subject,
)
SPECIMEN = TypedRecord(
    {
        "id": Field(IDENTIFIER, required=True),
        "type": Field(Choice(SPECIMEN_TYPES), required=True),
        "collected_at": Field(Instant(), required=True),
        "received_at": Field(Instant()),
        "anticoagulant": Field(Choice(ANTICOAGULANTS)),
        "isolation": Field(Choice(ISOLATION_METHODS)),
        "processing_delay_minutes": Field(Number((0, 10_000_000))),
        "freeze_thaw_cycles": Field(Number((0, 1000), whole=True)),
        "volume_ul": Field(Number((0, 10_000_000))),
    },
    reads_as=Specimen,
)
MEASUREMENT = Record(
    {
        "analyte": Field(_NAME, required=True),
        "value": Field(Number()),
        "unit": Field(_UNIT),
        "comparator": Field(Choice(COMPARATORS)),
        "absent": Field(Choice(ABSENCES)),
    },
    rules={
        "oneOf": [
            {
                "required": ["value", "unit"],
                "properties": {
                    "value": {"type": "number"},
                    "unit": {"type": "string"},
                    "absent": {"type": "null"},
                },
            },
            {
                "required": ["absent"],
                "properties": {
                    "absent": {"type": "string"},
                    "value": {"type": "null"},
                    "unit": {"type": "null"},
                    "comparator": {"type": "null"},
                },
            },
        ]
    },
)
COVARIATE = Record(
    {
        "name": Field(_NAME, required=True),
        "value": Field(Number(), required=True),
        "unit": Field(_UNIT, required=True),
    }
)
QUALITY_MEASURE = Record(
    {
        "code": Field(Choice(tuple(MEASURES)), required=True),
        "analyte": Field(_NAME),
        "value": Field(Number(), required=True),
        "unit": Field(_UNIT, required=True),
    }
)


def _needs(given: str, needed: str) -> dict[str, Any]:
    sent = {"required": [given], "properties": {given: {"type": "string"}}}
    return {"if": sent, "then": {"required": [needed], "properties": {needed: {"type": "string"}}}}


REQUEST = Record(
    {
        "model": Field(_MODEL, required=True),
        "subject": Field(SUBJECT, required=True),
        "specimen": Field(SPECIMEN, required=True),
        "measurements": Field(ListOf(MEASUREMENT, low=1), required=True),
        "covariates": Field(ListOf(COVARIATE, low=1)),
        "quality": Field(ListOf(QUALITY_MEASURE, low=1)),
        "replaces": Field(_UUID),
        "reason": Field(Choice(AMENDMENT_REASONS)),
        "reason_text": Field(FREE_TEXT),
    },
    rules={
        "allOf": [_needs("replaces", "reason"), _needs("reason", "replaces"), _needs("reason_text", "replaces")],
    },
)

REST = Record({name: expected for name, expected in REQUEST.fields.items() if name != "measurements"})
"""A request without its measurements: what is left where a panel's own table has read those."""


def request_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of any score request, whatever its model."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Request of a score",
        **REQUEST.schema(),
    }
