"""The files under `EXOSCORE_HOME`: the pepper, the signing key, the development key and the example request.

In production secrets come only from files or a command the operator names; in development they are made on first start,
with mode 0600. Of two starts at once one makes the file, and both read it. A file that belongs to an earlier database
is moved aside, never overwritten.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from service.errors import Problem, UnsafeConfiguration
from service.operator_command import run_command
from service.settings import Settings

MIN_PEPPER_BYTES = 32

KEY_COMMAND_SECONDS = 30.0
"""How long the command that prints the signing key may take."""


def read_pepper(settings: Settings) -> bytes:
    """The pepper of keyed hashes: at least 32 bytes from the named file, or the development file made here."""
    named = settings.pepper_file
    path = named if named is not None else settings.home / "pepper"
    if named is None and not settings.production:
        _create(path, lambda: secrets.token_bytes(MIN_PEPPER_BYTES))
    try:
        pepper = path.read_bytes()
    except OSError as error:
        raise _unsafe(f"The pepper file cannot be read ({type(error).__name__}).") from None
    if len(pepper) < MIN_PEPPER_BYTES:
        raise _unsafe(f"The pepper file holds fewer than {MIN_PEPPER_BYTES} bytes.")
    return pepper


def read_signing_key(settings: Settings, make: Callable[[], bytes], *, seconds: float = KEY_COMMAND_SECONDS) -> bytes:
    """The key that signs checkpoints, PEM: from the named command or file, or the development file made here by
    `make`. Raises UnsafeConfiguration; no message holds anything of the key, the command or what it printed."""
    program = settings.signing_key_program
    if program is not None:
        return _printed_key(program, seconds)
    named = settings.signing_key_file
    path = named if named is not None else settings.home / "signing-key"
    if named is None and not settings.production:
        _create(path, make)
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"The signing key file cannot be read ({type(error).__name__})."
        remedy = "Name a private file with an Ed25519 key in PEM (PKCS #8) in EXOSCORE_SIGNING_KEY_FILE."
        raise unusable_key(message, remedy) from None


def unusable_key(message: str, remedy: str) -> UnsafeConfiguration:
    """The refusal of a signing key."""
    return UnsafeConfiguration(message, remedy, [Problem("", "signing_key", message, remedy)])


def _printed_key(program: list[str], seconds: float) -> bytes:
    with TemporaryFile() as printed:
        failure = run_command(program, seconds=seconds, output=printed)
        if not failure:
            printed.seek(0)
            return printed.read()
    message = f"The command of EXOSCORE_SIGNING_KEY_COMMAND {failure}."
    raise unusable_key(message, "Run it by hand as the user of the service; it has to print the key in PEM.")


def development_key_path(settings: Settings) -> Path:
    """Where the development key lies."""
    return settings.home / "dev-key"


def write_development_key(settings: Settings, key: str) -> Path:
    """Store a new development key with mode 0600; an old one is moved aside. Returns its path."""
    path = development_key_path(settings)
    move_aside(path)
    _create(path, key.encode)
    return path


def move_aside(path: Path) -> Path | None:
    """Rename a file out of the way, if it is there; returns its new path."""
    if not os.path.lexists(path):
        return None
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%S')}.{secrets.token_hex(2)}.old")
    path.rename(aside)
    return aside


def write_example(settings: Settings, request: dict[str, Any]) -> Path:
    """Store the synthetic example request that the printed command sends. Returns its path."""
    path = settings.home / "example.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(json.dumps(request, indent=2) + "\n", encoding="utf-8")
    return path


def _create(path: Path, make: Callable[[], bytes]) -> None:
    """Create a private file with its whole content at once, or leave the one that is there."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(make())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    # Without this a power cut may take the name of the file although its content is on the disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unsafe(message: str) -> UnsafeConfiguration:
    remedy = "Name a private file with at least 32 random bytes in EXOSCORE_PEPPER_FILE."
    return UnsafeConfiguration(message, remedy, [Problem("", "pepper", message, remedy)])
