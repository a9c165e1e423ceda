"""What is known of models and their versions: how they stand, what they need, their cards, and how two differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from service.domain.acknowledgement import Acknowledgement
from service.domain.example import example_request
from service.domain.panel_schema import panel_schema
from service.domain.signature import Signature
from service.errors import ModelNotFound, VersionNotInForce
from service.registry.active import ActiveModels
from service.registry.card import card_html, card_json, card_markdown
from service.registry.card_required import missing_fields
from service.registry.compare import Comparison, compare
from service.registry.compare_page import comparison_html, comparison_json, comparison_markdown, comparison_text
from service.registry.manifest import Manifest
from service.workflows.describe import Described

CardForm = Literal["markdown", "html", "json"]
ComparisonForm = Literal["markdown", "html", "json", "text"]
CARD_FORMS: dict[str, CardForm] = {"text/markdown": "markdown", "text/html": "html", "application/json": "json"}


def list_models(models: ActiveModels) -> list[dict[str, Any]]:
    """Every model: name, aliases, newest version."""
    return [
        {"name": name, "aliases": dict(models.aliases.get(name, {})), "latest": models.versions_of(name)[-1].version}
        for name in models.names()
    ]


def show_model(models: ActiveModels, name: str) -> dict[str, Any]:
    """One model with its versions, newest last; raises ModelNotFound."""
    versions = models.versions_of(name)
    if not versions:
        raise ModelNotFound("No model has this name.", "List the models with GET /v1/models.")
    return {
        "name": name,
        "aliases": dict(models.aliases.get(name, {})),
        "versions": [{"version": v.version, "state": v.state, "digest": v.digest} for v in versions],
    }


def show_version(found: Described) -> dict[str, Any]:
    """State, digest, reason, manifest, publisher, aliases, signatures and warnings of one version: who acknowledged
    which, and what still stands in the way of a promotion."""
    return {
        "state": found.version.state,
        "digest": found.version.digest,
        "reason": found.reason,
        "publisher": found.publisher,
        "aliases": list(found.aliases),
        "signatures": [asdict(signature) for signature in found.signatures],
        "warnings": _warnings(found),
        "open_warnings": list(found.open_warnings),
        "missing_card_fields": [] if found.manifest is None else list(missing_fields(found.manifest)),
        "manifest": found.document,
    }


def panel_of(found: Described) -> dict[str, Any]:
    """JSON Schema of a request to one version; raises VersionNotInForce where its manifest cannot be read."""
    panel = _manifest(found).panel()
    schema = panel_schema(panel)
    if found.version.example is not None:
        schema["examples"] = [example_request(panel, found.version.example)]
    return schema


def card_of(found: Described, form: CardForm) -> dict[str, Any] | str:
    """The model card of one version; raises VersionNotInForce where its manifest cannot be read."""
    return render_card(
        _manifest(found), found.version.digest, form, found.signatures, found.publisher, found.acknowledgements
    )


def render_card(
    manifest: Manifest,
    digest: str,
    form: CardForm,
    signatures: Sequence[Signature] = (),
    publisher: str | None = None,
    acknowledgements: Sequence[Acknowledgement] = (),
) -> dict[str, Any] | str:
    """The model card of a manifest in one of its three forms."""
    if form == "json":
        return card_json(manifest, digest, signatures, publisher, acknowledgements)
    render = card_html if form == "html" else card_markdown
    return render(manifest, digest, signatures, publisher, acknowledgements)


def comparison_of(old: Described, new: Described, form: ComparisonForm) -> dict[str, Any] | str:
    """Two versions of one model side by side, and what changes from `old` to `new`; raises as `card_of` does."""
    comparison = compare(
        _manifest(old),
        old.version.digest,
        _manifest(new),
        new.version.digest,
        signatures=(old.signatures, new.signatures),
        publishers=(old.publisher, new.publisher),
        acknowledgements=(old.acknowledgements, new.acknowledgements),
    )
    return render_comparison(comparison, form)


def render_comparison(comparison: Comparison, form: ComparisonForm) -> dict[str, Any] | str:
    """A comparison in one of its four forms."""
    match form:
        case "json":
            return comparison_json(comparison)
        case "html":
            return comparison_html(comparison)
        case "markdown":
            return comparison_markdown(comparison)
        case "text":
            return comparison_text(comparison)


def _warnings(found: Described) -> list[dict[str, Any]]:
    """Each warning of the manifest, with who acknowledged it."""
    warnings = () if found.manifest is None else found.manifest.warnings
    shown = []
    for warning in warnings:
        signed = [asdict(one) for one in found.acknowledgements if one.code == warning.code]
        shown.append({"code": warning.code, "text": warning.text, "acknowledgements": signed})
    return shown


def _manifest(found: Described) -> Manifest:
    if found.manifest is None:
        raise VersionNotInForce(f"The version is {found.version.state}: {found.reason}", "Ask for another version.")
    return found.manifest
