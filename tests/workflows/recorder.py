"""Writes scores, amendments, retractions, erasures, keys, persons, models and reads into a real log, through the real
committer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert

from service.audit.committer import Committer
from service.audit.entry import Entry, Prior, commitment, timestamp
from service.audit.log import LogWriter, Place
from service.audit.note import Signer, open_checkpoint
from service.audit.outcome import Receipt, SilentObserver
from service.audit.submissions import NoRows
from service.errors import VersionExists
from service.store.audit_log import SqlLogStorage, SqlTransaction, begin
from service.store.engine import Database
from service.store.models import VersionRow
from service.store.scores import ScoreRow, insert_scores, link_scores
from service.store.tables import score, score_log, score_retraction
from service.workflows.acknowledge_warnings import ACKNOWLEDGE, drafted
from service.workflows.keys import create_key, revoke_key
from service.workflows.live_registry import LiveRegistry, loader
from service.workflows.persons import add_person, change_passphrase, revoke_person
from service.workflows.services import Services, new_uuid7
from service.workflows.transitions import Signatory
from tests.registry.artifacts import PGD, TRUSTED, misjudged, release
from tests.workflows.registering import bring, register

PASSPHRASE = "zwölf gute Zeichen"
MODEL = {"name": "model", "version": "1.0.0", "digest": "sha256:" + "0" * 64, "status_claim": "research_use_only"}


class Scores:
    """Stores scores."""

    changes_registry = False
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[ScoreRow]) -> list[Exception | None]:
        insert_scores(transaction.connection, rows)
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[ScoreRow], places: Sequence[Place]) -> None:
        placed = [(row.score_id, place.log_id, place.seq) for row, place in zip(rows, places, strict=True)]
        link_scores(transaction.connection, placed)


class Retractions:
    """Stores retractions by the ids of scores."""

    changes_registry = False
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[str]) -> list[Exception | None]:
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[str], places: Sequence[Place]) -> None:
        for score_id, place in zip(rows, places, strict=True):
            values = {"score_id": score_id, "log_id": place.log_id, "seq": place.seq}
            transaction.connection.execute(insert(score_retraction).values(values))


class Erasures:
    """Deletes scores, newest first, and what refers to them."""

    changes_registry = False
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[list[str]]) -> list[Exception | None]:
        for ids in rows:
            for table in (score_retraction, score_log, score):
                for score_id in reversed(ids):
                    transaction.connection.execute(delete(table).where(table.c.score_id == score_id))
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[list[str]], places: Sequence[Place]) -> None:
        """An erasure has no row."""


@dataclass
class Recorder:
    """A log in the database at a URL, and what was recorded in it: the place of every score by its id."""

    url: str
    now: datetime = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
    places: dict[str, Prior] = field(default_factory=dict)
    subjects: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.database = Database(self.url)
        self.signer = Signer.generate()
        self.writer = LogWriter(self.signer, "test")
        self.storage = SqlLogStorage(self.database)
        self.storage.open(self.writer, site="test", now=self.now)
        self.committer = Committer(self.storage, self.writer, SilentObserver())
        self.committer.start()
        self.services = Services(
            database=self.database,
            committer=self.committer,
            registry=LiveRegistry(self.database, loader(TRUSTED)),
            publishers=TRUSTED,
            pepper=b"p" * 32,
            site="test",
            idempotency_ttl=timedelta(hours=24),
            clock=lambda: self.now,
        )

    def close(self) -> None:
        self.committer.close()
        self.database.close()

    def score(
        self,
        subject: str = "S-1",
        *,
        value: float | None = 0.25,
        replaces: str | None = None,
        reason: str | None = None,
        model: VersionRow | None = None,
    ) -> str:
        """Record a score, not reportable where `value` is None, by a model that the log does not know or by a version
        that it does; its id."""
        named = MODEL if model is None else MODEL | {one: getattr(model, one) for one in ("name", "version", "digest")}
        self.now += timedelta(milliseconds=7)
        score_id, salt = new_uuid7(self.now), self.services.new_salt()
        document = {
            "id": score_id,
            "status": "final" if value is not None else "not_reportable",
            "model": named,
            "subject": {"id": subject},
            "specimen": {"id": f"A-{subject}"},
            "score": None
            if value is None
            else {"value": value, "category": {"code": "elevated"} if value > 0.5 else None},
            "supersedes": replaces,
            "created_at": timestamp(self.now),
        }
        asked = {"subject": {"id": subject}, "specimen": {"id": f"A-{subject}"}, "replaces": replaces, "reason": reason}
        request, answer = json.dumps(asked).encode(), json.dumps(document).encode()
        row = ScoreRow(
            score_id=score_id,
            subject_id=subject,
            specimen_id=f"A-{subject}",
            model_name=named["name"],
            model_version=named["version"],
            model_digest=named["digest"],
            status=str(document["status"]),
            value=value,
            category="elevated" if value is not None and value > 0.5 else None,
            created_at=timestamp(self.now),
            actor="key:0123456789abcdef",
            supersedes=replaces,
            request=request,
            answer=answer,
            salt=salt,
        )
        kind = "score.reported" if value is not None else "score.withheld"
        entry = Entry(
            kind="score.amended" if replaces else kind,
            at=self.now,
            actor=row.actor,
            site="test",
            record=score_id,
            model=f"{named['name']}@{named['version']}",
            model_digest=named["digest"],
            in_=commitment(salt, request),
            out=commitment(salt, answer),
            prior=self.places[replaces] if replaces else None,
            reason=reason,
        )
        receipt = self.committer.submit(Scores(), row, entry).result()
        self.places[score_id] = Prior(receipt.origin, receipt.index)
        self.subjects.setdefault(subject, []).append(score_id)
        return score_id

    def read(self, times: int = 1) -> None:
        """Record reads, which leave nothing but their entries."""
        futures = [
            self.committer.submit(NoRows(), None, Entry("score.read", self.now, "system:cli", "test"))
            for _ in range(times)
        ]
        for future in futures:
            future.result()

    def key(self, name: str = "LIMS", *, development: bool = False, person_id: str | None = None) -> str:
        """Create a key; its id."""
        scopes = ("scores:write", "scores:read")
        row, _ = create_key(
            self.services, name=name, scopes=scopes, actor="system:cli", development=development, person_id=person_id
        )
        return row.key_id

    def revoke(self, key_id: str) -> None:
        self.now += timedelta(seconds=1)
        revoke_key(self.services, key_id=key_id, actor="system:cli")

    def person(self, name: str = "Zoë Müller") -> str:
        """Add a person; the id."""
        return add_person(self.services, name=name, passphrase=PASSPHRASE, actor="system:cli").person_id

    def change(self, person_id: str) -> None:
        """Give a person another passphrase."""
        new = PASSPHRASE.upper()
        change_passphrase(self.services, person_id=person_id, passphrase=PASSPHRASE, new_passphrase=new)

    def revoke_person(self, person_id: str) -> None:
        """Revoke a person and their keys."""
        self.now += timedelta(seconds=1)
        revoke_person(self.services, person_id=person_id, actor="system:cli")

    def version(self, number: str, *places: str, signed: bool = True) -> VersionRow:
        """Register a version, and bring it to states and aliases."""
        row = register(self.services, release(PGD, number, signed=signed))
        self.bring(row, *places)
        return row

    def bring(self, row: VersionRow, *places: str) -> None:
        """Bring a version to states and aliases."""
        for to in places:
            self.now += timedelta(milliseconds=1)
            bring(self.services, row, to)

    def acknowledge(self, row: VersionRow, person_id: str, *codes: str) -> None:
        """Have a person acknowledge warnings of a version."""
        signatory = Signatory(f"person:{person_id}", person_id, "Ada Lovelace", "review", "It is known.")
        self.committer.submit(ACKNOWLEDGE, *drafted(self.services, row, codes, signatory)).result()

    def models(self) -> tuple[VersionRow, VersionRow]:
        """Every kind of transition but the last ones: two versions that are approved, the first of them in
        production."""
        first, second = self.version("1.0.0", "approved", "production"), self.version("1.1.0", "approved", signed=False)
        self.bring(second, "production")
        self.score("M-1", model=second)
        self.bring(first, "production")
        self.bring(second, "shadow", "withdrawn", "shadow")
        self.score("M-2", model=first)
        self.version("1.2.0", "rejected")
        register(self.services, misjudged(PGD, "1.3.0"))
        with suppress(VersionExists):
            register(self.services, release(PGD, "1.0.0", title="Another title"))
        return first, second

    def retract(self, score_id: str) -> Receipt:
        """Retract a score."""
        entry = Entry(
            "score.retracted",
            self.now,
            "system:cli",
            "test",
            record=score_id,
            prior=self.places[score_id],
            reason="assay_failure",
        )
        return self.committer.submit(Retractions(), score_id, entry).result()

    def erase(self, subject: str, *, say: bool = True) -> None:
        """Erase a subject, and `say` so in one entry for each log it was in."""
        ids = self.subjects.pop(subject)
        origins = dict.fromkeys(self.places[score_id].origin for score_id in ids)
        for number, origin in enumerate(origins):
            ranges = [[p.index, p.index] for p in map(self.places.__getitem__, ids) if p.origin == origin]
            entry = Entry(
                "subject.erased" if say else "score.read",
                self.now,
                "system:cli",
                "test",
                reason="subject_request",
                detail={"origin": origin, "ranges": ranges} if say else None,
            )
            self.committer.submit(Erasures(), [] if number else ids, entry).result()

    def reopen(self) -> None:
        """Seal the log and begin one that follows it, as an operator does."""
        with self.storage.transaction() as transaction:
            head = transaction.lock_head()
            assert head.note is not None
            assert head.vkey is not None
            transaction.seal(head.log_id)
            begin(
                transaction,
                self.writer,
                site="test",
                now=self.now,
                actor="system:cli",
                follows=open_checkpoint(head.note, head.vkey),
                generation=head.generation,
            )

    def everything(self) -> None:
        """A history with every kind of row in two logs, the first of them larger than a tile."""
        keys = [self.key("one"), self.key("two", development=True)]
        for number in range(8):
            self.score(f"S-{number}", value=number / 8)
        self.score("S-8", value=None)
        first = self.score("S-9", value=0.1 + 0.2)
        second = self.score("S-9", replaces=first, reason="measurement_corrected")
        self.score("S-9", value=None, replaces=second, reason="other")
        self.score("erased")
        self.score("erased", replaces=self.subjects["erased"][0], reason="specimen_corrected")
        self.retract(self.subjects["erased"][1])
        self.retract(self.subjects["S-1"][0])
        self.revoke(keys[0])
        persons = [self.person("Zoë Müller"), self.person("木村 拓哉"), self.person("Ada Lovelace")]
        self.key("portal", person_id=persons[0])
        self.key("second portal", person_id=persons[1])
        self.change(persons[2])
        first_version, second_version = self.models()
        self.read(256)
        self.reopen()
        self.key("three")
        self.score("S-2", replaces=self.subjects["S-2"][0], reason="demographics_corrected")
        self.score("erased")
        self.erase("erased")
        self.retract(self.score("S-10", value=0.75))
        self.revoke(keys[1])
        self.read(3)
        self.change(persons[1])
        self.revoke_person(persons[1])
        self.acknowledge(first_version, persons[2], "no_external_validation")
        self.bring(first_version, "canary")
        self.bring(second_version, "retired")
        self.score("M-3", model=first_version)
