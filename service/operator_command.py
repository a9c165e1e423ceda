"""Running a command that the operator named: for the signing key, and for the witness.

Without a shell and with a time limit. What it writes to standard error is thrown away and its output is never shown,
because either may hold a secret; only how it ended is told.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import IO


def run_command(program: Sequence[str], *, seconds: float, data: bytes = b"", output: IO[bytes] | None = None) -> str:
    """Run `program` with `data` on its standard input and `output` as its standard output. Empty where it ended with
    status 0, else how it failed, as the end of a sentence."""
    target = subprocess.DEVNULL if output is None else output
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
            program, input=data, stdout=target, stderr=subprocess.DEVNULL, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {seconds:g} seconds"
    except (OSError, ValueError) as error:
        return f"could not be run ({type(error).__name__})"
    return "" if done.returncode == 0 else f"ended with status {done.returncode}"
