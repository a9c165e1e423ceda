"""Random single bytes of every column the log answers for: each change is found by the deep verification."""

from __future__ import annotations

import os
import random
from itertools import cycle, islice
from typing import Any

from service.store.log_reader import LogOpener
from service.workflows.verify_log import verify_all
from tests.workflows.recorder import Recorder
from tests.workflows.tampering import COLUMNS, administrator

CHANGES = 10_000 if os.environ.get("SOAK") else 120


def test_every_changed_byte_is_found(backend: Any) -> None:
    recorder = Recorder(backend.migrated())
    recorder.everything()
    recorder.close()
    admin, opener = administrator(recorder.url), LogOpener(recorder.url)
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    # Column by column in turn, so that each has its share; what the database refuses is tried again elsewhere in it.
    for table, column in islice(cycle(COLUMNS), CHANGES):
        change = next(change for _ in range(1000) if (change := admin.change_byte(chance, table, column)))
        assert not verify_all(opener, deep=True).sound, (seed, change[0])
        admin.restore(change[1])
    assert verify_all(opener, deep=True).sound
    admin.close()
    backend.remove(recorder.url)
