"""How a child process of `child` begins: it lets others go first, and only then becomes the module it was started for.

    python -m service.registry.child_start MODULE NICENESS

Importing numerical libraries is the longest part of what some children do, so it must not come before that.
"""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import suppress
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def main(module: str, niceness: str) -> None:
    """Run `module` as the program of this process; `niceness` is added to that of the parent."""
    _let_others_go_first(int(niceness))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _let_others_go_first(niceness: int) -> None:
    os.nice(niceness)
    if niceness:
        # To Linux a session of its own may be a group of its own, and niceness counts within a group only. Where the
        # system has no such groups, or lets nobody say so, what was done above has to do.
        with suppress(OSError):
            AUTOGROUP.write_text(str(niceness))


if __name__ == "__main__":
    main(*sys.argv[1:])
