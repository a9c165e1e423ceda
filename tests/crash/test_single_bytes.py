"""Random single bytes of every column the log answers for: each change is found by the deep verification."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

from service.store.log_reader import LogOpener
from service.workflows.verify_log import verify_all
from tests.workflows.recorder import Recorder
from tests.workflows.tampering import TABLES, SqliteAdministrator

CHANGES = 10_000 if os.environ.get("SOAK") else 500


def test_every_changed_byte_is_found(sqlite_backend: Any) -> None:
    recorder = Recorder(sqlite_backend.migrated())
    recorder.everything()
    recorder.close()
    admin, opener = SqliteAdministrator(recorder.url), LogOpener(recorder.url)
    seed = random.SystemRandom().randrange(2**32)
    chance, changed = random.Random(seed), Counter[str]()
    while changed.total() < CHANGES:
        change = admin.change_byte(chance)
        if change is None:
            continue
        assert not verify_all(opener, deep=True).sound, (seed, change[0])
        admin.restore(change[1])
        changed[change[0].split()[0]] += 1
    assert verify_all(opener, deep=True).sound
    columns = {f"{table}.{column}" for table, names in TABLES.items() for column in names}
    # Each table is as likely as any other; of 10,000 changes some meet every column, of 500 at least every table.
    tables = {name.partition(".")[0] for name in changed}
    assert tables == TABLES.keys()
    assert changed.keys() == columns if CHANGES >= 10_000 else changed.keys() <= columns
    admin.close()
    sqlite_backend.remove(recorder.url)
