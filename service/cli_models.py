"""The `exoscore model` commands: list, show, card, sign and verify. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import InputRejected, StorageUnavailable
from service.settings import Settings, shipped
from service.terminal import say, show

if TYPE_CHECKING:
    from service.registry.active import ActiveModels
    from service.registry.artifact import Artifact
    from service.store.engine import Database
    from service.workflows.read_models import CardForm

DONE = 0

Add = Callable[..., argparse.ArgumentParser]


def add_model_commands(group: Any, add: Add) -> None:
    """Add the commands to the parser's group `model`."""
    add(group, "list", model_list, "list versions, states and aliases")
    model = "NAME[@VERSION]"
    add(group, "show", model_show, "show a model, or one version's manifest").add_argument("model", metavar=model)
    card = add(group, "card", model_card, "print the model card")
    card.add_argument("model", metavar=model)
    card.add_argument("--format", choices=("markdown", "html", "json"), default="markdown")
    verify = add(group, "verify", model_verify, "check an artifact's files, schema, signature and golden vectors")
    verify.add_argument("path", metavar="PATH", type=Path, help="a folder, or a zip of its files")
    sign = add(group, "sign", model_sign, "sign an artifact as its publisher")
    sign.add_argument("path", metavar="PATH", type=Path, help="the folder of the artifact")
    sign.add_argument("--key", metavar="PEMFILE", type=Path, required=True, help="an Ed25519 key, PKCS #8")
    sign.add_argument("--name", metavar="KEYNAME", required=True, help="the name the key signs under")


@contextmanager
def known_models(settings: Settings) -> Iterator[tuple[ActiveModels, Database | None]]:
    """The registry of these settings and its database; without a database, the versions that ship with the product, as
    they are in force in development."""
    from service.app import load_registered

    database = _find_database(settings)
    if database is None:
        yield _shipped(settings), None
        return
    try:
        with load_registered(settings, database) as models:
            yield models, database
    finally:
        database.close()


def _find_database(settings: Settings) -> Database | None:
    """The database, where it is there and a service has registered something in it."""
    from service.store import migrate
    from service.store.engine import Database
    from service.store.models import is_empty

    try:
        database = Database(settings.resolved_database_url(), create=False)
    except StorageUnavailable:
        return None
    if database.embedded and not migrate.is_current(database):
        database.close()
        return None
    migrate.require_current(database)
    with database.read() as connection:
        empty = is_empty(connection)
    if empty:
        database.close()
        return None
    return database


def _shipped(settings: Settings) -> ActiveModels:
    from service.registry.bundled import load_bundled

    return load_bundled(shipped("model_artifacts"), in_force=not settings.production)


def model_list(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model list`."""
    from service.workflows.describe import describe

    with known_models(settings) as (models, database):
        found = [describe(models, v.name, v.version, database) for v in models.versions]
    rows: list[dict[str, Any]] = [
        {
            "name": one.version.name,
            "version": one.version.version,
            "state": one.version.state,
            "aliases": sorted(one.aliases),
            "digest": one.version.digest,
            "reason": one.reason,
            # Without a database there is nothing on record, neither for nor against.
            "open_warnings": [] if database is None else list(one.open_warnings),
        }
        for one in found
    ]
    lines = [
        f"{row['name']}@{row['version']}  {row['state']}  {','.join(row['aliases']) or '-'}" + _beside(row)
        for row in rows
    ]
    return _show(options, {"items": rows}, "\n".join(lines))


def model_show(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model show NAME[@V]`."""
    from service.workflows.describe import describe
    from service.workflows.read_models import show_model, show_version

    name, _, version = options.model.partition("@")
    with known_models(settings) as (models, database):
        if version:
            shown = show_version(describe(models, name, exact(models, name, version), database))
            return _show(options, shown, json.dumps(shown, indent=2))
        shown = show_model(models, name)
    lines = [f"{name}@{item['version']}  {item['state']}  {item['digest']}" for item in shown["versions"]]
    lines += [f"alias {alias} -> {version}" for alias, version in shown["aliases"].items()]
    return _show(options, shown, "\n".join(lines))


def model_card(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model card NAME[@V]`."""
    from service.workflows.describe import describe
    from service.workflows.read_models import card_of, show_model

    name, _, version = options.model.partition("@")
    form: CardForm = "json" if options.json else options.format
    with known_models(settings) as (models, database):
        chosen = exact(models, name, version) if version else show_model(models, name)["versions"][-1]["version"]
        card = card_of(describe(models, name, chosen, database), form)
    say(card if isinstance(card, str) else json.dumps(card, indent=2))
    return DONE


def model_verify(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model verify PATH`: all that a server checks; nothing is unpickled."""
    from service.registry.artifact import verify_artifact
    from service.registry.loading import release

    verified = verify_artifact(_read_artifact(options.path, settings))
    release(verified.scorer)
    artifact = verified.artifact
    found = {
        "name": artifact.name,
        "version": artifact.version,
        "digest": artifact.digest,
        "publisher": artifact.publisher,
        "golden": artifact.manifest.golden.count,
        "verified": True,
    }
    signed = "unsigned" if artifact.publisher is None else f"signed by {artifact.publisher}"
    text = f"{artifact.name}@{artifact.version} verified: files, schema, {found['golden']} golden vectors; {signed}"
    return _show(options, found, f"{text}\n{artifact.digest}")


def model_sign(options: argparse.Namespace, _: Settings) -> int:
    """`exoscore model sign PATH --key PEMFILE --name KEYNAME`: writes `signature` beside the manifest."""
    from service.registry.signing import sign_folder

    signed = sign_folder(options.path, pem=_read(options.key), key_name=options.name)
    artifact = signed.artifact
    found = {"name": artifact.name, "version": artifact.version, "digest": artifact.digest, "key": signed.vkey}
    text = f"{artifact.name}@{artifact.version} signed by {artifact.publisher}\n{artifact.digest}\n\n"
    return _show(options, found, f"{text}To trust this publisher, add to EXOSCORE_TRUSTED_PUBLISHERS:\n{signed.vkey}")


def _read_artifact(path: Path, settings: Settings) -> Artifact:
    from service.registry.artifact import examine, require_place
    from service.registry.publishers import trusted_publishers

    artifact = examine(read_files(path), trusted=trusted_publishers(settings.trusted_publishers))
    if not path.is_file():
        require_place(path, artifact)
    return artifact


def read_files(path: Path) -> Mapping[str, bytes]:
    """The files of the artifact in a folder or a zip; raises InputRejected."""
    from service.registry.archive import read_folder, read_zip

    return read_zip(_read(path)) if path.is_file() else read_folder(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputRejected(f"The file cannot be read ({type(error).__name__}).", "Name a readable file.") from None


def _show(options: argparse.Namespace, document: dict[str, Any], text: str) -> int:
    show(document, text, as_json=options.json)
    return DONE


def _beside(row: dict[str, Any]) -> str:
    """What else the line of a version says: why it cannot answer, or what keeps it from a promotion."""
    if row["reason"] is not None:
        return f"  ({row['reason']})"
    waiting = row["open_warnings"] if row["state"] in ("verified", "approved") else ()
    return f"  (not acknowledged: {', '.join(waiting)})" if waiting else ""


def exact(models: ActiveModels, name: str, reference: str) -> str:
    """The version that a version or an alias names."""
    return models.aliases.get(name, {}).get(reference, reference)
