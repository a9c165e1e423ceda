"""A model card as a page: headed sections of paragraphs, lists and tables, made from the manifest and its signatures.

The order is a reader's: one page in plain words, what it is for, how good it is, on whom and when not to use it, with
every warning; then figures; then tables. What the manifest does not have is shown as "not available", never left out,
and every card has the same sections. Who signed stands with when, as what and why (21 CFR 11.50).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.domain.acknowledgement import Acknowledgement
from service.domain.signature import Signature, is_approved
from service.registry import card_figures as drawn
from service.registry import card_tables as tables
from service.registry.card_acknowledgements import acknowledgements_section
from service.registry.card_frameworks import FRAMEWORKS, framework_table
from service.registry.card_opening import opening
from service.registry.manifest import Manifest
from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.page import Page, Section, Table

NO_APPROVAL = "No approval is on record."
NO_PUBLISHER = "No signature of a publisher is on record."


def card_document(
    manifest: Manifest,
    digest: str,
    signatures: Sequence[Signature] = (),
    publisher: str | None = None,
    acknowledgements: Sequence[Acknowledgement] = (),
) -> Page:
    """The card of `manifest`, whose bytes have `digest`; `publisher` is the name of the key that signed the artifact.

    `signatures` and `acknowledgements` are shown in the order given, which is that of the version's life.
    """
    return Page(
        title=f"{manifest.title}: {manifest.name} {manifest.version}",
        sections=(
            *opening(manifest),
            *_figures(manifest),
            _signatures(signatures),
            acknowledgements_section(manifest, acknowledgements),
            *_numbers(manifest),
            *_background(manifest),
            *_frameworks(manifest),
            _identity(manifest, digest, publisher),
        ),
    )


def _figures(manifest: Manifest) -> Iterable[Section]:
    """A section for every kind of figure, whether there is one or not: what is missing is told."""
    for title, figures in (
        ("ROC curve", drawn.roc_figures(manifest)),
        ("Calibration", drawn.calibration_figures(manifest)),
        ("Decision curve", drawn.decision_figures(manifest)),
        ("Distribution of scores", drawn.score_figures(manifest)),
        ("Learning curve", drawn.learning_figures(manifest)),
        ("Coefficients and their intervals", drawn.coefficient_figures(manifest)),
    ):
        yield Section(title, () if figures else (NOT_AVAILABLE,), figures=figures)


def _numbers(manifest: Manifest) -> Iterable[Section]:
    output = manifest.output
    yield Section("Performance", table=_table(tables.performance(manifest)))
    yield Section("Panel", table=_table(tables.panel(manifest)))
    yield Section("Covariates", table=_table(tables.covariates(manifest)))
    yield Section("Intended use", table=_table(tables.intended_use(manifest)))
    yield Section("Normalisation", table=_table(tables.normalisation(manifest)))
    said = (*tables.equation(manifest), tables.interval_basis(manifest))
    yield Section("Model", said, table=_table(tables.coefficients(manifest)))
    limits = tables.applicability_limits(manifest)
    yield Section("Whom it resembles", limits, table=_table(tables.applicability(manifest)))
    about = f"{output.kind} of: {output.event}; time horizon: {output.time_horizon}; link: {output.link}."
    yield Section("Answer", (about,), table=_table(tables.categories(manifest)))
    yield Section("Cut-points and where they come from", table=_table(tables.cut_points(manifest)))
    yield Section("Quality gates", table=_table(tables.gates(manifest)))
    yield Section("Negative controls", table=_table(tables.controls(manifest)))
    yield Section("Curves", table=_table(tables.curves(manifest)))


def _background(manifest: Manifest) -> Iterable[Section]:
    yield Section("Training data", table=_table(tables.training(manifest)))
    texts = manifest.card.model_dump()
    rows = [(name.replace("_", " ").capitalize(), text) for name, text in texts.items()]
    yield Section("Further facts", table=_table((("Field", "Text"), rows)))
    yield Section("Lineage", tables.lineage(manifest))
    yield Section("References", items=tables.references(manifest))
    yield Section("Contacts", items=tuple(f"{c.role}: {c.name} ({c.address})" for c in manifest.contacts))


def _frameworks(manifest: Manifest) -> Iterable[Section]:
    for framework in FRAMEWORKS:
        yield Section(framework.title, (framework.source,), table=framework_table(framework, manifest))


def _signatures(signatures: Sequence[Signature]) -> Section:
    paragraphs = () if is_approved(signatures) else (NO_APPROVAL,)
    table = Table(*tables.signatures(signatures)) if signatures else None
    return Section("Signatures", paragraphs, table=table)


def _identity(manifest: Manifest, digest: str, publisher: str | None) -> Section:
    rows = [
        ("Model", f"{manifest.name}@{manifest.version}"),
        ("Manifest digest", digest),
        ("Publisher", publisher or NO_PUBLISHER),
    ]
    rows += [(name, file_digest) for name, file_digest in manifest.files.items()]
    return Section("Identity", table=_table((("What", "Value"), rows)))


def _table(content: tables.Content) -> Table:
    head, rows = content
    body = tuple(tuple(row) for row in rows)
    return Table(tuple(head), body or ((NOT_AVAILABLE,) + ("",) * (len(head) - 1),))
