"""Four processes write into one log and one of them is killed: the log has no gap, and every receipt holds."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.audit.note import Signer
from service.store.engine import Database
from tests.crash.book import Receipt, check, verify

ROOT = Path(__file__).parents[2]
ENTRIES = 240
KILL_AT = 48
SKEWS = ("0", "-300", "250", "-2000")


def start(url: str, signer: Signer, name: int, fatal: int) -> subprocess.Popen[str]:
    arguments = [url, signer.pem().decode(), str(ENTRIES), SKEWS[name], str(fatal)]
    command = [sys.executable, "-m", "tests.crash.writer", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def receipts(process: subprocess.Popen[str], kill_at: int | None) -> list[Receipt]:
    """What a process was acknowledged; it is killed once that are `kill_at`."""
    found = []
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            if line.endswith("\n"):  # else it was cut off by the signal
                found.append(Receipt(*json.loads(line)))
            if len(found) == kill_at:
                process.kill()
    return found


@pytest.mark.parametrize("inside", [False, True], ids=["somewhere", "with the head locked"])
def test_one_of_four_writers_is_killed(database: Database, database_url: str, inside: bool, soak: bool) -> None:
    signer = Signer.generate()
    everything: list[Receipt] = []
    for number in range(20 if soak else 1):
        victim = number % 4
        processes = [
            start(database_url, signer, name, KILL_AT if inside and name == victim else 0) for name in range(4)
        ]
        kill_at = [KILL_AT if not inside and name == victim else None for name in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(receipts, processes, kill_at))
        assert [process.returncode for process in processes] == [-9 if name == victim else 0 for name in range(4)]
        assert [len(one) for n, one in enumerate(found) if n != victim] == [ENTRIES] * 3
        assert len(found[victim]) >= KILL_AT
        everything += [receipt for one in found for receipt in one]
        checked = check(database, everything)
        assert len({receipt.index for receipt in everything}) == len(everything)
        assert checked.head.size >= 1 + len(everything)
    verify(database_url)
