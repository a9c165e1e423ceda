"""What is known of models and their versions, from one snapshot of the registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from service.domain.example import example_request
from service.domain.panel_schema import panel_schema
from service.domain.signature import Signature
from service.errors import ModelNotFound, VersionNotInForce
from service.registry.active import ActiveModels, ModelVersion
from service.registry.card import card_html, card_json, card_markdown
from service.registry.compare import Comparison, compare
from service.registry.compare_page import comparison_html, comparison_json, comparison_markdown, comparison_text
from service.registry.manifest import Manifest

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


def show_version(models: ActiveModels, name: str, version: str) -> dict[str, Any]:
    """State, digest, reason and manifest of one version; raises ModelNotFound."""
    found = models.get(name, version)
    return {"state": found.state, "digest": found.digest, "reason": found.reason, "manifest": found.document}


def panel_of(models: ActiveModels, name: str, version: str) -> dict[str, Any]:
    """JSON Schema of a request to one version; raises ModelNotFound, or VersionNotInForce for a rejected version."""
    found = models.get(name, version)
    if found.panel is None:
        raise _rejected(found)
    schema = panel_schema(found.panel)
    if found.example is not None:
        schema["examples"] = [example_request(found.panel, found.example)]
    return schema


def card_of(models: ActiveModels, name: str, version: str, form: CardForm) -> dict[str, Any] | str:
    """The model card of one version; raises ModelNotFound, or VersionNotInForce where its manifest cannot be read."""
    found = models.get(name, version)
    return render_card(_manifest(found), found.digest, form)


def render_card(
    manifest: Manifest,
    digest: str,
    form: CardForm,
    signatures: Sequence[Signature] = (),
    publisher: str | None = None,
) -> dict[str, Any] | str:
    """The model card of a manifest in one of its three forms."""
    if form == "json":
        return card_json(manifest, digest, signatures, publisher)
    render = card_html if form == "html" else card_markdown
    return render(manifest, digest, signatures, publisher)


def comparison_of(models: ActiveModels, name: str, old: str, new: str, form: ComparisonForm) -> dict[str, Any] | str:
    """Two versions of one model side by side, and what changes from `old` to `new`; raises as `card_of` does."""
    before, after = models.get(name, old), models.get(name, new)
    return render_comparison(compare(_manifest(before), before.digest, _manifest(after), after.digest), form)


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


def _manifest(version: ModelVersion) -> Manifest:
    if version.manifest is None:
        raise _rejected(version)
    return version.manifest


def _rejected(version: ModelVersion) -> VersionNotInForce:
    return VersionNotInForce(f"The version is {version.state}: {version.reason}", "Ask for another version.")
