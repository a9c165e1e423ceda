"""The `exoscore audit` commands: verify, checkpoint, prove, consistency, export, check, and reopen.

All but `reopen` only read: they need no server and no secret, and disturb no server that runs beside them. Heavy
imports wait until a command needs them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import InputRejected
from service.settings import Settings
from service.terminal import say_exactly, show

if TYPE_CHECKING:
    from service.store.engine import Database
    from service.workflows.verify_records import RecordReport

SOUND, BROKEN = 0, 1

Add = Callable[..., argparse.ArgumentParser]


def add_audit_commands(group: Any, add: Add) -> None:
    """Add the commands to the parser's group `audit`."""
    verify = add(
        group, "verify", audit_verify, "verify every log from its entries up; exit status 1 where one is broken"
    )
    verify.add_argument("--deep", action="store_true", help="compare every stored score, key and person with its entry")
    verify.add_argument("--witness", metavar="FILE", type=Path, help="checkpoints that were kept elsewhere")
    verify.add_argument("--jobs", metavar="N", type=_jobs, default=1, help="processes that share the work")
    checkpoint = add(group, "checkpoint", audit_checkpoint, "print the signed checkpoint of now")
    prove = add(group, "prove", audit_prove, "print the proof that a score was recorded (C2SP tlog-proof)")
    prove.add_argument("score_id", metavar="SCORE_ID")
    prove.add_argument("--out", metavar="FILE", type=Path, help="write the proof to this file instead")
    consistency = add(group, "consistency", audit_consistency, "print the proof that the log only grew (RFC 9162)")
    consistency.add_argument("old", metavar="FROM", type=_size)
    consistency.add_argument("new", metavar="TO", type=_size)
    export = add(group, "export", audit_export, "write the log as static files (C2SP tlog-tiles)")
    export.add_argument("folder", metavar="DIR", type=Path)
    export.add_argument("--all", action="store_true", help="every log, sealed ones too, each in a folder of its own")
    for command in (checkpoint, consistency, export):
        command.add_argument("--origin", help="a log other than the open one")
    again = add(group, "reopen", audit_reopen, "seal the open log as it is, and begin a new one that cites it")
    again.add_argument("--force", action="store_true", help="also where there is nothing to repair")
    check = add(group, "check", audit_check, "verify a proof file, without any database")
    check.add_argument("file", metavar="FILE.tlog-proof", type=Path)
    check.add_argument("--key", metavar="FILE", type=Path, required=True, help="the log's verifier key")


def audit_verify(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore audit verify`."""
    from service.store.log_reader import LogOpener
    from service.workflows.verify_log import parse_witness, verify_all

    notes = () if options.witness is None else parse_witness(_read(options.witness))
    with _database(settings):
        opener = LogOpener(settings.resolved_database_url())
        found = verify_all(opener, deep=options.deep, jobs=options.jobs, witness=notes, progress=_progress(options))
    lines = found.lines()
    for log in found.logs:
        root = "-" if log.root is None else log.root.hex()
        lines.append(f"{log.origin}  {log.state}  {log.entries} entries  root {root}")
    if found.records is not None:
        lines.append(_compared(found.records))
    lines.append(f"{'sound' if found.sound else 'BROKEN'}, {found.seconds:.1f} s")
    show(found.document(), "\n".join(lines), as_json=options.json)
    return SOUND if found.sound else BROKEN


def _compared(records: RecordReport) -> str:
    access = f"{records.keys} keys, {records.persons} persons"
    return f"compared: {records.scores} scores, {access}, {records.versions} versions of models"


def audit_checkpoint(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore audit checkpoint`: the note itself, to be kept elsewhere."""
    from service.workflows.read_log import signed_log

    with _database(settings) as database, signed_log(database, options.origin) as log:
        shown = {
            "origin": log.origin,
            "size": log.size,
            "root": log.checkpoint.root.hex(),
            "key": log.vkey,
            "checkpoint": log.note,
        }
    return _show_file(options, shown, log.note)


def audit_prove(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore audit prove SCORE_ID`."""
    from service.workflows.read_log import prove_score

    with _database(settings) as database:
        proof = prove_score(database, options.score_id)
    if options.out is None:
        return _show_file(options, {"proof": proof}, proof)
    options.out.write_text(proof, encoding="utf-8", newline="\n")
    show({"file": str(options.out)}, f"written to {options.out}", as_json=options.json)
    return SOUND


def audit_consistency(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore audit consistency FROM TO`."""
    from service.domain.log_query import ConsistencyQuery
    from service.workflows.read_log import prove_consistency

    with _database(settings) as database:
        proof = prove_consistency(database, ConsistencyQuery(options.origin, options.old, options.new))
    show(proof, "\n".join([f"from {proof['from']}", f"to {proof['to']}", *proof["hashes"]]), as_json=options.json)
    return SOUND


def audit_export(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore audit export DIR`."""
    from service.workflows.export_log import export_log
    from service.workflows.read_log import list_origins

    if options.all and options.origin is not None:
        raise InputRejected("An export is of all logs or of one.", "Give one of --all and --origin.")
    with _database(settings) as database:
        if options.all:
            origins = list_origins(database)
            folders = [(origin, options.folder / origin.rpartition("/")[2]) for origin in origins]
        else:
            folders = [(options.origin, options.folder)]
        exported = [(export_log(database, origin, folder), folder) for origin, folder in folders]
    items = [{"origin": point.origin, "size": point.size, "folder": str(folder)} for point, folder in exported]
    text = "\n".join(f"{item['origin']}  {item['size']} entries  {item['folder']}" for item in items)
    show({"items": items}, text, as_json=options.json)
    return SOUND


def audit_check(options: argparse.Namespace, _: Settings) -> int:
    """`exoscore audit check FILE.tlog-proof --key FILE`: prints the entry that the file proves."""
    from service.audit.proof import parse_proof, verify_proof_file

    try:
        text, key = (_read(path).decode() for path in (options.file, options.key))
        entry = verify_proof_file(text, key.removesuffix("\n")).decode()
        index = parse_proof(text).index
    except ValueError:
        refusal = {"proved": False}
        show(refusal, "NOT proved: the file and the key do not show that the entry is in the log", as_json=options.json)
        return BROKEN
    show(
        {"proved": True, "index": index, "entry": json.loads(entry)},
        f"proved, entry {index}\n{entry}",
        as_json=options.json,
    )
    return SOUND


def audit_reopen(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore audit reopen`: seal the open log as it is, and begin a new one that cites it."""
    from service.app import reopen_log

    done = reopen_log(settings, force=options.force)
    sealed, opened = done.sealed, done.opened
    shown = {
        "found": list(done.found),
        "sealed": None if sealed is None else {"origin": sealed.origin, "size": sealed.size},
        "opened": {"origin": opened.origin, "size": opened.size},
        "key_id": done.key_id,
        "key_rotated": done.new_key,
        "witnessed": done.witnessed,
    }
    lines = [f"found: {sentence}" for sentence in done.found]
    lines.append("nothing sealed" if sealed is None else f"sealed {sealed.origin} at {sealed.size} entries")
    lines.append(f"opened {opened.origin} under {'the new' if done.new_key else 'the same'} key {done.key_id}")
    show(shown, "\n".join(lines), as_json=options.json)
    return SOUND


def _database(settings: Settings) -> AbstractContextManager[Database]:
    from service.store.migrate import open_current

    return open_current(settings.resolved_database_url())


def _show_file(options: argparse.Namespace, document: dict[str, Any], text: str) -> int:
    """A text whose every byte counts, so that it may be redirected into a file."""
    if options.json:
        show(document, "", as_json=True)
    else:
        say_exactly(text)
    return SOUND


def _progress(options: argparse.Namespace) -> Callable[[int, int], None] | None:
    """A line that is written over, for a person at a terminal."""
    if options.json or not sys.stderr.isatty():
        return None

    def shown(done: int, total: int) -> None:
        sys.stderr.write(f"\r{done * 100 // max(total, 1):3} %" + ("\r      \r" if done >= total else ""))
        sys.stderr.flush()

    return shown


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputRejected(f"A file cannot be read ({type(error).__name__}).", "Name a readable file.") from None


def _jobs(text: str) -> int:
    jobs = int(text)
    if not 1 <= jobs <= 64:  # noqa: PLR2004
        raise argparse.ArgumentTypeError("from 1 to 64 processes")
    return jobs


def _size(text: str) -> int:
    size = int(text)
    if size < 0:
        raise argparse.ArgumentTypeError("a size is not negative")
    return size
