"""The section of a model card that says who acknowledged which warning, or that nobody did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.domain.acknowledgement import Acknowledgement
from service.registry.manifest import Manifest
from service.registry.page import Section, Table

TITLE = "Acknowledgements"
NOTHING = "The version warns of nothing."
NOBODY = "nobody has acknowledged it"
NO_PERSON = "no person"
HEAD = ("Warning", "What it says", "Printed name", "Person", "Meaning", "Reason", "Date and time")


def acknowledgements_section(manifest: Manifest, acknowledgements: Sequence[Acknowledgement]) -> Section:
    """Each warning with the signatures for it (21 CFR 11.50): a row for each, in the order given."""
    if not manifest.warnings:
        return Section(TITLE, (NOTHING,))
    return Section(TITLE, table=Table(HEAD, tuple(_rows(manifest, acknowledgements))))


def _rows(manifest: Manifest, acknowledgements: Sequence[Acknowledgement]) -> Iterator[tuple[str, ...]]:
    for warning in manifest.warnings:
        signed = [one for one in acknowledgements if one.code == warning.code]
        for one in signed:
            # A part of the system that did it for want of a person is shown as that.
            name, person = one.printed_name or one.actor, one.person_id or NO_PERSON
            yield warning.code, warning.text, name, person, one.meaning or "", one.reason or "", one.at
        if not signed:
            yield warning.code, warning.text, NOBODY, "", "", "", ""
