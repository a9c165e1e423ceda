"""Signing: right, wrong, by nobody, too often, while the database is away; and what of it is on record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from service.audit.entry import Entry
from service.errors import InputRejected, SignatureRefused, StorageUnavailable, TooManyAttempts
from service.store.persons import PersonRow
from service.workflows.attempts import LIMIT, Attempts
from service.workflows.patience import in_thread
from service.workflows.persons import add_person, revoke_person
from service.workflows.services import Services
from service.workflows.signatures import require_signature

PASSPHRASE, WRONG = "zwölf gute Zeichen", "zwölf böse Zeichen"


@pytest.fixture
def zoe(services: Services) -> PersonRow:
    return add_person(services, name="Zoë Müller", passphrase=PASSPHRASE, actor="system:cli")


def denied(services: Services) -> list[Entry]:
    with services.database.read() as connection:
        rows = connection.sqlalchemy.execute(text("SELECT entry FROM audit_entry ORDER BY seq"))
        return [one for (entry,) in rows if (one := Entry.parse(entry)).kind == "access.denied"]


def refusal(services: Services, person_id: str, passphrase: str) -> InputRejected:
    with pytest.raises(InputRejected) as refused:
        require_signature(services, person_id, passphrase, actor="key:k1")
    return refused.value


def test_whoever_knows_the_passphrase_signs(services: Services, zoe: PersonRow) -> None:
    assert require_signature(services, zoe.person_id, PASSPHRASE) == zoe
    decomposed = PASSPHRASE.replace("ö", "o\N{COMBINING DIAERESIS}")
    assert asyncio.run(in_thread(require_signature, services, zoe.person_id, decomposed)) == zoe
    assert denied(services) == []


def test_wrong_unknown_and_revoked_are_not_told_apart_and_each_is_on_record(
    services: Services, zoe: PersonRow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exoscore")
    gone = add_person(services, name="Ada", passphrase=PASSPHRASE, actor="system:cli")
    revoke_person(services, person_id=gone.person_id, actor="system:cli")
    refusals = [
        refusal(services, zoe.person_id, WRONG),
        refusal(services, zoe.person_id, "\udcff"),
        refusal(services, gone.person_id, PASSPHRASE),
        refusal(services, "f" * 16, PASSPHRASE),
        refusal(services, "nobody\udcff", ""),
    ]
    assert len({(type(one), one.message, one.remedy, one.problems) for one in refusals}) == 1
    assert (refusals[0].code, refusals[0].http_status) == ("signature_refused", 403)
    entries = denied(services)
    assert [one.record for one in entries] == [zoe.person_id, zoe.person_id, gone.person_id, None, None]
    assert {(one.actor, one.reason, str(one.detail)) for one in entries} == {("key:k1", "passphrase", "{'count': 1}")}
    logged = [(record.levelname, record.__dict__["event"], record.__dict__["fields"]) for record in caplog.records]
    assert [fields["actor"] for _, _, fields in logged[:3]] == [
        f"person:{zoe.person_id}",
        f"person:{zoe.person_id}",
        f"person:{gone.person_id}",
    ]
    assert {line[:2] for line in logged} == {("WARNING", "passphrase_wrong")}
    for secret in (WRONG, PASSPHRASE, "Zoë", zoe.passphrase_hash.hex(), "nobody"):
        assert secret not in str(logged) + repr([one.args for one in refusals])
        assert not any(secret.encode() in one.encode() for one in entries)


def test_after_five_wrong_ones_the_right_one_has_to_wait(
    services: Services, zoe: PersonRow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exoscore")
    now = [0.0]
    services = replace(services, attempts=Attempts(lambda: now[0]))
    for _ in range(LIMIT):
        assert isinstance(refusal(services, zoe.person_id, WRONG), SignatureRefused)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * (LIMIT - 1) + ["ERROR"]
    waiting = refusal(services, zoe.person_id, PASSPHRASE)
    assert isinstance(waiting, TooManyAttempts)
    assert (waiting.http_status, waiting.retry_after) == (429, 900)
    assert len(denied(services)) == LIMIT
    now[0] = 900
    assert require_signature(services, zoe.person_id, PASSPHRASE) == zoe


def test_a_refusal_that_cannot_be_recorded_is_a_fault_and_counts_all_the_same(
    services: Services, zoe: PersonRow, database_url: str,
    break_commit: Callable[[str], None], mend_commit: Callable[[str], None],
) -> None:  # fmt: skip
    break_commit(database_url)
    for _ in range(LIMIT):
        with pytest.raises(StorageUnavailable):
            require_signature(services, zoe.person_id, WRONG)
    mend_commit(database_url)
    assert isinstance(refusal(services, zoe.person_id, PASSPHRASE), TooManyAttempts)
    assert denied(services) == []
