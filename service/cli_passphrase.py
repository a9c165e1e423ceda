"""Passphrases on the command line.

They are typed at a terminal, which does not show them, or are lines of standard input for scripts; never arguments,
which stand in the process list and in the shell's history.
"""

from __future__ import annotations

import argparse
import sys
from getpass import getpass

from service.errors import InputRejected, Problem

MAX_LINE = 4096


def add_passphrase_option(command: argparse.ArgumentParser, lines: str = "one line") -> None:
    """Add `--passphrase-stdin` to a command that asks for a passphrase."""
    text = f"read {lines} from standard input instead of asking"
    command.add_argument("--passphrase-stdin", action="store_true", help=text)


def read_passphrase(options: argparse.Namespace) -> str:
    """The passphrase of whoever signs."""
    return lines_of_input(1)[0] if options.passphrase_stdin else asked("Passphrase")


def asked(what: str) -> str:
    """What was typed at the terminal, unseen; raises InputRejected where there is none."""
    # Without a terminal the standard library would read standard input with a warning, and show what is typed.
    if sys.stdin is None or not sys.stdin.isatty():
        raise _unread("There is no terminal to type a passphrase at.", "Send it with --passphrase-stdin.")
    try:
        return getpass(f"{what} (not shown): ")
    except (EOFError, UnicodeDecodeError):
        raise _unread("No passphrase was typed.", "Type it in the terminal's own encoding.") from None


def lines_of_input(count: int) -> list[str]:
    """Passphrases from standard input, a line each."""
    source = None if sys.stdin is None else sys.stdin.buffer
    lines = [b"" if source is None else source.readline(MAX_LINE) for _ in range(count)]
    try:
        return [line.removesuffix(b"\n").removesuffix(b"\r").decode() for line in lines]
    except UnicodeDecodeError:
        raise _unread("Standard input is not UTF-8.", "Send each passphrase as a line of UTF-8.") from None


def _unread(message: str, remedy: str) -> InputRejected:
    return InputRejected(message, problems=[Problem("/passphrase", "unread_passphrase", message, remedy)])
