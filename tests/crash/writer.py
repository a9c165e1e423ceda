"""One writer process of several: stores scores with their entries and prints every receipt it was given.

    python -m tests.crash.writer URL PEM NUMBER SKEW_MS FATAL

stores NUMBER scores, a few at a time, with a clock that is wrong by SKEW_MS milliseconds. Once FATAL of them are stored
(0: never) it kills itself inside its next transaction, with the head of the log locked.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from service.audit.committer import Committer
from service.audit.entry import Entry, commitment, timestamp
from service.audit.log import LogWriter, Place
from service.audit.note import Signer
from service.audit.outcome import SilentObserver
from service.store.audit_log import SqlLogStorage, SqlTransaction
from service.store.engine import Database
from service.store.scores import ScoreRow, insert_scores, link_scores

AT_ONCE = 8


class Rows:
    """Writes scores, until the one that is fatal."""

    changes_registry = False
    alone = False

    def __init__(self) -> None:
        self.fatal = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[ScoreRow]) -> list[Exception | None]:
        insert_scores(transaction.connection, rows)
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[ScoreRow], places: Sequence[Place]) -> None:
        placed = [(row.score_id, place.log_id, place.seq) for row, place in zip(rows, places, strict=True)]
        link_scores(transaction.connection, placed)
        if self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def a_score(record: str, at: datetime, subject: str = "S-1") -> tuple[ScoreRow, Entry]:
    """A made-up score and its entry, which agree with each other as those of the service do."""
    model, digest, salt = "model", "sha256:" + "0" * 64, bytes(32)
    person, specimen = {"id": subject}, {"id": f"A-{subject}"}
    request = json.dumps({"subject": person, "specimen": specimen}).encode()
    answer = json.dumps(
        {
            "id": record,
            "status": "final",
            "model": {"name": model, "version": "1.0.0", "digest": digest},
            "subject": person,
            "specimen": specimen,
            "score": {"value": 0.25, "category": None},
            "supersedes": None,
            "created_at": timestamp(at),
        }
    ).encode()
    row = ScoreRow(
        score_id=record,
        subject_id=subject,
        specimen_id=specimen["id"],
        model_name=model,
        model_version="1.0.0",
        model_digest=digest,
        status="final",
        value=0.25,
        category=None,
        created_at=timestamp(at),
        actor="key:k",
        supersedes=None,
        request=request,
        answer=answer,
        salt=salt,
    )
    entry = Entry(
        kind="score.reported",
        at=at,
        actor="key:k",
        site="default",
        record=record,
        model="model@1.0.0",
        model_digest=digest,
        in_=commitment(salt, request),
        out=commitment(salt, answer),
    )
    return row, entry


def main(url: str, pem: str, number: int, skew: timedelta, fatal: int) -> None:
    """Store and print, see above."""
    database = Database(url)
    writer = LogWriter(Signer.from_pem(pem.encode()), "default")
    storage = SqlLogStorage(database)
    storage.open(writer, site="default", now=datetime.now(UTC) + skew)
    committer = Committer(storage, writer, SilentObserver())
    committer.start()
    rows, stored = Rows(), 0
    while stored < number:
        rows.fatal = 0 < fatal <= stored
        records = [str(uuid.uuid4()) for _ in range(AT_ONCE)]
        at = datetime.now(UTC) + skew
        futures = [committer.submit(rows, *a_score(record, at)) for record in records]
        for record, future in zip(records, futures, strict=True):
            receipt = future.result()
            print(json.dumps([record, receipt.index, receipt.note]), flush=True)
        stored += AT_ONCE
    committer.close()
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:3], int(sys.argv[3]), timedelta(milliseconds=int(sys.argv[4])), int(sys.argv[5]))
