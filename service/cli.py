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
from service.cli_build import add_build_command
from service.cli_compare import add_compare_command
from service.cli_models import add_model_commands, known_models
from service.cli_registry import add_registry_commands
from service.cli_shadow import add_shadow_command
from service.errors import InputRejected, MalformedBody, ServiceError, SystemFault
from service.settings import Settings, load_settings, shipped
from service.telemetry import configure_logging
from service.terminal import RESEARCH_USE, answer_text, prepare, report, say, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.store.engine import Database

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
    with known_models(settings) as (models, _):
        answer = preview(models, body, utc_now())
    if options.json or not sys.stdout.isatty():
        say(json.dumps(answer, indent=2))
        return DONE
    return _show(options, answer, answer_text(answer))


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
    start = _add(commands, "serve", serve, "serve the registered models over HTTP")
    start.add_argument("--host", default="127.0.0.1")
    start.add_argument("--port", type=_port, default=8000)
    database = _group(commands, "db", "the database schema")
    _add(database, "upgrade", db_upgrade, "bring the schema up to this release")
    _add(database, "check", db_check, "compare the schema with what this release expects")
    preview_ = _add(commands, "score", score, "score one request without a server; a preview, not stored")
    preview_.add_argument("file", metavar="FILE.json", help="the request, or - for standard input")
    preview_.add_argument("--model", metavar="NAME[@VERSION|@ALIAS]", help="score with this model instead")
    models = _group(commands, "model", "the registered models")
    add_model_commands(models, _add)
    add_build_command(models, _add)
    add_registry_commands(models, _add)
    add_compare_command(models, _add)
    add_shadow_command(models, _add)
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
