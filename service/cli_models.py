"""The `exoscore model` commands: list, show, card and verify. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import ArtifactRejected
from service.settings import Settings, shipped
from service.terminal import report, say, show

if TYPE_CHECKING:
    from service.registry.active import ActiveModels
    from service.workflows.read_models import CardForm

DONE, FAILED = 0, 1

Add = Callable[..., argparse.ArgumentParser]


def add_model_commands(group: Any, add: Add) -> None:
    """Add the commands to the parser's group `model`."""
    add(group, "list", model_list, "list versions, states and aliases")
    model = "NAME[@VERSION]"
    add(group, "show", model_show, "show a model, or one version's manifest").add_argument("model", metavar=model)
    card = add(group, "card", model_card, "print the model card")
    card.add_argument("model", metavar=model)
    card.add_argument("--format", choices=("markdown", "html", "json"), default="markdown")
    verify = add(group, "verify", model_verify, "check an artifact's files, schema and golden vectors")
    verify.add_argument("path", metavar="PATH", type=Path)


def shipped_models(settings: Settings) -> ActiveModels:
    """The versions that ship with the product, in force in development."""
    from service.registry.bundled import load_bundled

    return load_bundled(shipped("model_artifacts"), in_force=not settings.production)


def model_list(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model list`."""
    models = shipped_models(settings)
    rows: list[dict[str, Any]] = [
        {
            "name": v.name,
            "version": v.version,
            "state": v.state,
            "aliases": sorted(a for a, target in models.aliases.get(v.name, {}).items() if target == v.version),
            "digest": v.digest,
            "reason": v.reason,
        }
        for v in models.versions
    ]
    lines = [
        f"{row['name']}@{row['version']}  {row['state']}  {','.join(row['aliases']) or '-'}" + _because(row["reason"])
        for row in rows
    ]
    return _show(options, {"items": rows}, "\n".join(lines))


def model_show(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model show NAME[@V]`."""
    from service.workflows.read_models import show_model, show_version

    models = shipped_models(settings)
    name, _, version = options.model.partition("@")
    if version:
        shown = show_version(models, name, _exact(models, name, version))
        return _show(options, shown, json.dumps(shown, indent=2))
    shown = show_model(models, name)
    lines = [f"{name}@{item['version']}  {item['state']}  {item['digest']}" for item in shown["versions"]]
    lines += [f"alias {alias} -> {version}" for alias, version in shown["aliases"].items()]
    return _show(options, shown, "\n".join(lines))


def model_card(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model card NAME[@V]`."""
    from service.workflows.read_models import card_of, show_model

    models = shipped_models(settings)
    name, _, version = options.model.partition("@")
    exact = _exact(models, name, version) if version else show_model(models, name)["versions"][-1]["version"]
    form: CardForm = "json" if options.json else options.format
    card = card_of(models, name, exact, form)
    say(card if isinstance(card, str) else json.dumps(card, indent=2))
    return DONE


def model_verify(options: argparse.Namespace, _: Settings) -> int:
    """`exoscore model verify PATH`: schema, digests and golden vectors of an artifact; nothing is unpickled."""
    from service.registry.artifact import read_artifact, verify_artifact

    try:
        artifact = verify_artifact(read_artifact(options.path, expected_digest=None)).artifact
    except ArtifactRejected as error:
        report(error, as_json=options.json)
        return FAILED
    found = {
        "name": artifact.name,
        "version": artifact.version,
        "digest": artifact.digest,
        "golden": artifact.manifest.golden.count,
        "verified": True,
    }
    text = f"{artifact.name}@{artifact.version} verified: files, schema, {found['golden']} golden vectors"
    return _show(options, found, f"{text}\n{artifact.digest}")


def _show(options: argparse.Namespace, document: dict[str, Any], text: str) -> int:
    show(document, text, as_json=options.json)
    return DONE


def _because(reason: str | None) -> str:
    return "" if reason is None else f"  ({reason})"


def _exact(models: ActiveModels, name: str, reference: str) -> str:
    return models.aliases.get(name, {}).get(reference, reference)
