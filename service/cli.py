"""The `exoscore` command.

Exit status: 0 done; 1 the check or the input failed, and standard output says what; 2 usage; 3 the environment failed.
People read text, programs ask for `--json`. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service import __version__
from service.cli_access import ACTOR, add_access_commands
from service.cli_audit import add_audit_commands
from service.errors import ArtifactRejected, InputRejected, MalformedBody, ServiceError, SystemFault
from service.settings import Settings, load_settings, shipped
from service.telemetry import configure_logging
from service.terminal import RESEARCH_USE, answer_text, prepare, report, say, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.registry.active import ActiveModels
    from service.store.engine import Database
    from service.workflows.read_models import CardForm

DONE, FAILED, USAGE, ENVIRONMENT = 0, 1, 2, 3

Command = Callable[[argparse.Namespace, Settings], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    prepare()
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return ENVIRONMENT
    except BrokenPipeError:
        # The reader went away (`| head`); what is left in the buffer must not raise again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        # Standard output itself may be what failed.
        refusal = f"{type(error).__name__}: {error.strerror or 'the system refused'}."
        sys.stderr.write(f"system_fault: {refusal} Check the path and its owner.\n")
        return ENVIRONMENT


def _run(options: argparse.Namespace) -> int:
    command: Command = options.command
    try:
        settings = load_settings()
        configure_logging(settings.log_level)
        return command(options, settings)
    except ServiceError as error:
        report(error, as_json=options.json)
        return ENVIRONMENT if isinstance(error, SystemFault) else FAILED


def serve(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore serve`."""
    # Nothing made while starting is ever garbage; the server switches the collector on again when it is up.
    gc.disable()
    from service.serving import run

    return run(settings, options.host, options.port)


def db_upgrade(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore db upgrade`."""
    from service.store import migrate

    with _database(settings) as database:
        before = migrate.current_revision(database)
        migrate.upgrade(database, shipped("migrations"))
        after = migrate.current_revision(database)
    text = f"schema at {after}" + (", nothing to do" if before == after else f", upgraded from {before or 'nothing'}")
    return _show(options, {"from": before, "to": after}, text)


def db_check(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore db check`: is the schema current, and does it match the tables this release expects."""
    from service.store import migrate

    with _database(settings, create=False) as database:
        problems = migrate.check(database)
    text = "\n".join(problems) or f"schema at {migrate.HEAD}, no drift"
    _show(options, {"current": not problems, "problems": list(problems)}, text)
    return FAILED if problems else DONE


def score(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore score`: the numbers the service would answer, without server, storage or audit."""
    from service.workflows.score_specimen import preview
    from service.workflows.services import utc_now

    body = _read(options.file)
    if options.model is not None:
        body = _with_model(body, options.model)
    answer = preview(_models(settings), body, utc_now())
    if options.json or not sys.stdout.isatty():
        say(json.dumps(answer, indent=2))
        return DONE
    return _show(options, answer, answer_text(answer))


def model_list(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model list`."""
    models = _models(settings)
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

    models = _models(settings)
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

    models = _models(settings)
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


def subject_erase(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore subject erase SUBJECT_ID --reason CODE`."""
    import asyncio

    from service.app import services_for
    from service.domain.score_life import read_erasure
    from service.workflows.erase_subject import erase_subject

    erasure = read_erasure({"subject": options.subject_id, "reason": options.reason})
    with services_for(settings) as services:
        done = asyncio.run(erase_subject(services, erasure, actor=ACTOR))
    shown = {
        "erased": done.count,
        "purged": done.purged,
        "audit": {"index": done.receipt.index, "checkpoint": done.receipt.note},
    }
    text = f"{done.count} scores erased, recorded as entry {done.receipt.index} of {done.receipt.origin}"
    if not done.purged:
        text += "\nTheir bytes are still in files of the database, which was being read;"
        text += " a running server tries again every hour."
    return _show(options, shown, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exoscore", description="Scores exosome biomarker panels. " + RESEARCH_USE)
    parser.add_argument("--version", action="version", version=f"exoscore {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    start = _add(commands, "serve", serve, "serve the bundled models over HTTP")
    start.add_argument("--host", default="127.0.0.1")
    start.add_argument("--port", type=_port, default=8000)
    database = _group(commands, "db", "the database schema")
    _add(database, "upgrade", db_upgrade, "bring the schema up to this release")
    _add(database, "check", db_check, "compare the schema with what this release expects")
    preview_ = _add(commands, "score", score, "score one request without a server; a preview, not stored")
    preview_.add_argument("file", metavar="FILE.json", help="the request, or - for standard input")
    preview_.add_argument("--model", metavar="NAME[@VERSION|@ALIAS]", help="score with this model instead")
    models = _group(commands, "model", "the registered models")
    _add(models, "list", model_list, "list versions, states and aliases")
    for name, command, text in (
        ("show", model_show, "show a model, or one version's manifest"),
        ("card", model_card, "print the model card"),
    ):
        _add(models, name, command, text).add_argument("model", metavar="NAME[@VERSION]")
    models.choices["card"].add_argument("--format", choices=("markdown", "html", "json"), default="markdown")
    verify = _add(models, "verify", model_verify, "check an artifact's files, schema and golden vectors")
    verify.add_argument("path", metavar="PATH", type=Path)
    persons = _group(commands, "person", "the people who sign")
    add_access_commands(persons, _group(commands, "key", "API keys"), _add)
    add_audit_commands(_group(commands, "audit", "the signed audit log"), _add)
    subjects = _group(commands, "subject", "the people whose specimens were scored")
    erase = _add(subjects, "erase", subject_erase, "erase everything that is stored about a subject")
    erase.add_argument("subject_id", metavar="SUBJECT_ID")
    erase.add_argument("--reason", required=True, metavar="CODE")
    return parser


def _add(group: Any, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = group.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    return parser


def _group(commands: Any, name: str, text: str) -> Any:
    return commands.add_parser(name, help=text).add_subparsers(required=True, metavar="COMMAND")


def _show(options: argparse.Namespace, document: dict[str, Any], text: str) -> int:
    show(document, text, as_json=options.json)
    return DONE


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 2**16:
        raise argparse.ArgumentTypeError("a port lies between 0 and 65535; 0 picks a free one")
    return port


def _because(reason: str | None) -> str:
    return "" if reason is None else f"  ({reason})"


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return b"" if sys.stdin is None else sys.stdin.buffer.read()
        return Path(name).read_bytes()
    except OSError as error:
        raise InputRejected(
            f"The file cannot be read ({type(error).__name__}).", "Name a readable JSON file."
        ) from None


def _with_model(body: bytes, reference: str) -> bytes:
    from service.domain.decode import decode

    document = decode(body)
    if not isinstance(document, dict):
        raise MalformedBody("The request is not a JSON object.", "Send one JSON object.")
    return json.dumps(document | {"model": reference}).encode()


def _models(settings: Settings) -> ActiveModels:
    from service.registry.bundled import load_bundled

    return load_bundled(shipped("model_artifacts"), in_force=not settings.production)


def _exact(models: ActiveModels, name: str, reference: str) -> str:
    return models.aliases.get(name, {}).get(reference, reference)


@contextmanager
def _database(settings: Settings, *, create: bool = True) -> Iterator[Database]:
    from service.store.engine import Database

    database = Database(settings.resolved_database_url(), create=create)
    try:
        yield database
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main())
