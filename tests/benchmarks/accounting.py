"""Whether what was acknowledged under load is in the database: no figure counts otherwise.

By number: every answer that wrk counted has one score, one link to the log, one idempotency row and one entry, and the
head says so too. Where wrk drops its connections at the end of a run, up to one request each is stored and not counted.
By name: in one more run wrk keeps the id of every answer, and each of them is looked up.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from pathlib import Path

from sqlalchemy import Table, func, select

from service.store.engine import Database, ReadConnection
from service.store.tables import audit_entry, audit_log, idempotency, score, score_log
from tests.benchmarks import wrk
from tests.benchmarks.machine import Unmeasurable
from tests.benchmarks.servers import Server

LOOKED_UP_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows of each kind a database holds, and the size its log's head claims."""

    scores: int
    links: int
    keys: int
    entries: int
    claimed: int


def count(database_url: str) -> Rows:
    """The rows of the database at a URL."""
    database = Database(database_url)
    try:
        with database.read() as connection:
            return Rows(
                *(_count(connection, table) for table in (score, score_log, idempotency, audit_entry)),
                claimed=int(connection.select(select(func.sum(audit_log.c.size))).scalar_one()),
            )
    finally:
        database.close()


def claimed_size(database_url: str) -> int:
    """Entries of all logs, as their heads claim."""
    database = Database(database_url)
    try:
        with database.read() as connection:
            return int(connection.select(select(func.sum(audit_log.c.size))).scalar_one())
    finally:
        database.close()


@dataclass(slots=True)
class Ledger:
    """Answers acknowledged by one server since the ledger was opened, and how many may have gone uncounted."""

    server: Server
    before: Rows
    answered: int = 0
    cut_off: int = 0
    named: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, server: Server) -> Ledger:
        """A ledger from now on."""
        assert server.database_url is not None
        return cls(server, count(server.database_url))

    def note(self, load: wrk.Load, connections: int) -> None:
        """Book one run."""
        self.answered += load.requests
        self.cut_off += connections

    def run_by_name(self, folder: Path) -> None:
        """One more second of load, in which the id of every answer is kept."""
        ids = folder / f"ids-{self.server.name}"
        self.note(wrk.run(self.server.target, folder, connections=16, seconds=1, ids=ids), 16)
        lines = [line.split(" ") for line in ids.read_text().splitlines()]
        if any(status != "201" for status, _ in lines):
            raise Unmeasurable(f"{self.server.name} gave an answer that is no 201.")
        self.named |= {score_id for _, score_id in lines}
        if len(self.named) != len(lines):
            raise Unmeasurable(f"{self.server.name} answered two requests with one id.")

    def settle(self) -> str:
        """One sentence on what is stored, asked after the server has ended; raises Unmeasurable where it disagrees."""
        assert self.server.database_url is not None
        after = count(self.server.database_url)
        gained = {now - then for now, then in zip(astuple(after), astuple(self.before), strict=True)}
        stored = gained.pop()
        if gained or not self.answered <= stored <= self.answered + self.cut_off:
            raise Unmeasurable(
                f"{self.server.name}: {self.answered} answers were counted, at most {self.cut_off} cut off, but the "
                f"rows went from {self.before} to {after}."
            )
        missing = self.named - _recorded(self.server.database_url, sorted(self.named))
        if missing:
            raise Unmeasurable(f"{self.server.name}: {len(missing)} acknowledged scores are not in the log.")
        return (
            f"{self.server.name}: {self.answered} answers counted, {stored} scores, links, keys and entries stored "
            f"({stored - self.answered} cut off uncounted); {len(self.named)} looked up by id, none missing"
        )


def _recorded(database_url: str, ids: list[str]) -> set[str]:
    """Those of `ids` that have a score, a link and the entry it points at."""
    found: set[str] = set()
    database = Database(database_url)
    statement = (
        select(score.c.score_id)
        .join(score_log, score_log.c.score_id == score.c.score_id)
        .join(audit_entry, (audit_entry.c.log_id == score_log.c.log_id) & (audit_entry.c.seq == score_log.c.seq))
    )
    with database.read() as connection:
        for start in range(0, len(ids), LOOKED_UP_AT_ONCE):
            some = ids[start : start + LOOKED_UP_AT_ONCE]
            found.update(connection.select(statement.where(score.c.score_id.in_(some))).scalars())
    database.close()
    return found


def _count(connection: ReadConnection, table: Table) -> int:
    return int(connection.select(select(func.count()).select_from(table)).scalar_one())
