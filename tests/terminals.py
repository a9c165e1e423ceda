"""Commands at a real terminal, where a person types."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.conftest import ROOT

TERMINAL = """
import os, pty, sys
status = pty.spawn([sys.executable, "-m", "service.cli", *sys.argv[1:]])
sys.exit(os.waitstatus_to_exitcode(status))
"""


def at_terminal(where: dict[str, str], *arguments: str, typed: list[str]) -> tuple[int, str]:
    """Run a command at a terminal of its own and type a line at each prompt; its exit status, and all it showed."""
    command = [sys.executable, "-c", TERMINAL, *arguments]
    with subprocess.Popen(command, env=where, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        shown, until = b"", time.monotonic() + 60
        while part := os.read(process.stdout.fileno(), 4096):
            assert time.monotonic() < until, shown
            shown += part
            while typed and shown.count(b"(not shown): ") > shown.count(b"\n"):
                process.stdin.write(f"{typed.pop(0)}\n".encode())
                process.stdin.flush()
                break
        status = process.wait(60)
    return status, shown.decode()
