"""The `exoscore model` commands that change the registry, and the one that tells how it changed.

A person signs with id and passphrase (`cli_passphrase`).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from service.cli_models import read_files
from service.cli_passphrase import add_passphrase_option, read_passphrase
from service.domain.model_life import read_acknowledgement, read_transition
from service.domain.model_query import parse_history
from service.domain.signature import MEANINGS
from service.errors import InputRejected, Problem
from service.settings import Settings
from service.terminal import show

DONE, FAILED = 0, 1

Add = Callable[..., argparse.ArgumentParser]

SIGNED = {
    "approve": ("approved", "approval", "approve a verified version, which somebody else registered"),
    "promote": ("production", "approval", "put an approved version in production, or point another alias to it"),
    "withdraw": ("withdrawn", "responsibility", "take a version out of all its aliases"),
    "retire": ("retired", "responsibility", "end an approved version for good"),
    "reject": ("rejected", "review", "turn down a version that is not approved"),
}
"""Command -> where it brings a version to, what its signature means unless told otherwise, and what it does."""


def add_registry_commands(group: Any, add: Add) -> None:
    """Add the commands to the parser's group `model`."""
    register = add(group, "register", model_register, "register the artifact in a folder or a zip")
    register.add_argument("path", metavar="PATH", type=Path)
    register.add_argument("--person", metavar="PERSON_ID", help="who registers it, and may then not approve it")
    add_passphrase_option(register)
    for name, (to, meaning, text) in SIGNED.items():
        command = add(group, name, partial(model_sign_for, to), text)
        command.add_argument("model", metavar="NAME@VERSION")
        if name == "promote":
            command.add_argument("--alias", default=to, help="default %(default)s")
        _add_signature(command, meaning)
    acknowledge = add(group, "acknowledge", model_acknowledge, "acknowledge warnings of a version by name")
    acknowledge.add_argument("model", metavar="NAME@VERSION")
    acknowledge.add_argument("codes", metavar="CODE", nargs="+", help="of a warning on the version's card")
    _add_signature(acknowledge, "review")
    history = add(group, "history", model_history, "what happened to a model, and how it stood at a time")
    history.add_argument("name", metavar="NAME")
    history.add_argument("--as-of", metavar="TIME", help="RFC 3339, such as 2026-11-23T05:51:19Z; default now")


def _add_signature(command: argparse.ArgumentParser, meaning: str) -> None:
    command.add_argument("--person", required=True, metavar="PERSON_ID", help="who signs")
    command.add_argument("--reason", required=True, help="why, in words that stay on record")
    command.add_argument("--meaning", choices=MEANINGS, default=meaning, help="default %(default)s")
    add_passphrase_option(command)


def model_register(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model register PATH`."""
    from service.app import services_for
    from service.workflows.register_model import register_model
    from service.workflows.signatures import require_signature
    from service.workflows.transitions import Signatory

    signatory = Signatory("system:cli")
    passphrase = None if options.person is None else read_passphrase(options)
    with services_for(settings) as services:
        if passphrase is not None:
            require_signature(services, options.person, passphrase, actor="system:cli")
            signatory = Signatory(f"person:{options.person}", options.person)
        done = register_model(services, partial(read_files, options.path), signatory)
    row = done.version
    shown = {
        "name": row.name,
        "version": row.version,
        "digest": row.digest,
        "state": row.state,
        "publisher": done.publisher,
        "fault": done.fault,
    }
    what = "registered" if done.created else "is registered already"
    text = f"{row.name}@{row.version} {what}: {row.state}, signed by {done.publisher or 'nobody'}\n{row.digest}"
    if done.fault is not None:
        text += f"\n{done.fault}"
    show(shown, text, as_json=options.json)
    return FAILED if row.state == "rejected" else DONE


def model_sign_for(to: str, options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model approve | promote | withdraw | retire | reject NAME@VERSION`."""
    from service.app import services_for
    from service.workflows.transition_model import transition_model

    name, version = _exact(options.model)
    signing = read_transition(
        {
            "to": getattr(options, "alias", to),
            "reason": options.reason,
            "meaning": options.meaning,
            "passphrase": read_passphrase(options),
        }
    )
    with services_for(settings) as services:
        moved = asyncio.run(transition_model(services, options.person, name, version, signing))
    signature = moved.signature
    shown = {
        "name": name,
        "version": version,
        "digest": moved.version.digest,
        "state": moved.version.state,
        "alias": moved.move.alias,
        "dropped": list(moved.move.dropped),
        "signature": {
            "printed_name": signature.printed_name,
            "person": signature.person_id,
            "meaning": signature.meaning,
            "reason": signature.reason,
            "at": signature.at,
        },
        "audit": {"index": moved.receipt.index, "checkpoint": moved.receipt.note},
    }
    where = f"alias {moved.move.alias}" if moved.move.alias else signing.to
    text = f"{name}@{version}: {where}\nsigned by {signature.printed_name}, {signature.at}, meaning {signature.meaning}"
    show(shown, text, as_json=options.json)
    return DONE


def model_acknowledge(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model acknowledge NAME@VERSION CODE [CODE...]`."""
    from service.app import services_for
    from service.workflows.acknowledge_warnings import acknowledge_warnings

    name, version = _exact(options.model)
    asked = read_acknowledgement(
        {
            "codes": options.codes,
            "reason": options.reason,
            "meaning": options.meaning,
            "passphrase": read_passphrase(options),
        }
    )
    with services_for(settings) as services:
        done = asyncio.run(acknowledge_warnings(services, options.person, name, version, asked))
    receipt = done.receipt
    shown = {
        "name": name,
        "version": version,
        "digest": done.version.digest,
        "acknowledged": [asdict(one) for one in done.made],
        "already": list(done.already),
        "open_warnings": list(done.still_open),
        "audit": None if receipt is None else {"index": receipt.index, "checkpoint": receipt.note},
    }
    lines = []
    if done.made:
        first = done.made[0]
        lines.append(f"{name}@{version}: acknowledged {', '.join(one.code for one in done.made)}")
        lines.append(f"signed by {first.printed_name}, {first.at}, meaning {first.meaning}")
    if done.already:
        lines.append(f"acknowledged by the same person before: {', '.join(done.already)}")
    lines.append(f"still open: {', '.join(done.still_open)}" if done.still_open else "no warning is open")
    show(shown, "\n".join(lines), as_json=options.json)
    return DONE


def model_history(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model history NAME [--as-of TIME]`."""
    from service.store.migrate import open_current
    from service.workflows.model_history import find_history, rendered

    as_of = parse_history([] if options.as_of is None else [("as_of", options.as_of)])
    with open_current(settings.resolved_database_url()) as database:
        history = find_history(database, options.name, as_of)
    document = rendered(history, as_of)
    lines = [_line(item) for item in document["items"]]
    lines += [f"{options.name}@{version}  {state}" for version, state in history.states.items()]
    lines += [f"alias {alias} -> {version}" for alias, version in history.aliases.items()]
    show(document, "\n".join(lines) or "nothing had happened by then", as_json=options.json)
    return DONE


def _line(item: dict[str, Any]) -> str:
    what = item["kind"]
    if item["codes"]:
        what += f" {', '.join(item['codes'])}"
    if item["alias"] is not None:
        what += f" to {item['alias']} (before: {item['from'] or 'none'})"
    if item["dropped"]:
        what += f", out of {', '.join(item['dropped'])}"
    who = item["actor"] if item["printed_name"] is None else f"{item['printed_name']} ({item['meaning']})"
    return f"{item['at']}  {item['version']}  {what}  by {who}  {item['reason'] or ''}".rstrip()


def _exact(reference: str) -> tuple[str, str]:
    name, _, version = reference.partition("@")
    if not name or not version:
        problem = Problem("/model", "not_exact", "An exact version is needed.", "Write NAME@VERSION.")
        raise InputRejected("The version was not named.", problems=[problem])
    return name, version
