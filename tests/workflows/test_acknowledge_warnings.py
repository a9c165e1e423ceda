"""People acknowledge warnings by name, and nothing answers under a name before: refusals, races, and what stays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from service.errors import (
    Conflict,
    InputRejected,
    ModelNotFound,
    PromotionRefused,
    RecordDamaged,
    ServiceError,
    SignatureRefused,
    Unauthenticated,
)
from service.store.log_reader import LogOpener
from service.store.models import VersionRow
from service.workflows.acknowledge_warnings import Acknowledged, acknowledge_open, acknowledge_warnings
from service.workflows.describe import Described, describe
from service.workflows.keys import authenticate, create_key
from service.workflows.model_history import find_history
from service.workflows.persons import revoke_person
from service.workflows.read_models import card_of, comparison_of, show_version
from service.workflows.services import Services
from service.workflows.transition_model import transition_model
from service.workflows.verify_log import verify_all
from tests.registry.artifacts import PGD, bundled_document, release
from tests.workflows.registering import (
    PASSPHRASE,
    REASON,
    SIGNATORY,
    acknowledging,
    admit,
    asked,
    at_once,
    bring,
    person,
    sign,
    stored,
)
from tests.workflows.tampering import administrator

CODES = ("cohort_relative_input", "index_not_probability", "no_external_validation")


@pytest.fixture
def sound(services: Services, database_url: str) -> Iterator[None]:
    """Whatever a test did, the deep verification agrees with it."""
    yield
    assert verify_all(LogOpener(database_url), deep=True).lines() == []


@pytest.fixture
def zoe(services: Services) -> str:
    return person(services, "Zoë Müller")


@pytest.fixture
def kimura(services: Services) -> str:
    return person(services, "木村 拓哉")


def approved(services: Services, number: str = "1.1.0", **changes: Any) -> VersionRow:
    """An approved version, of which nothing is acknowledged."""
    row = admit(services, release(PGD, number, **changes))
    bring(services, row, "approved")
    return replace(row, state="approved")


def acknowledge(services: Services, person_id: str, row: VersionRow, *codes: str, **other: Any) -> Acknowledged:
    asking = acknowledging(*codes, **other)
    return asyncio.run(acknowledge_warnings(services, person_id, row.name, row.version, asking))


def promote(services: Services, person_id: str, row: VersionRow, to: str = "production") -> Any:
    return asyncio.run(transition_model(services, person_id, row.name, row.version, asked(to)))


def refused(services: Services, person_id: str, row: VersionRow, to: str = "production") -> list[tuple[str, str]]:
    """Code and message of every problem that stands in the way of a promotion, which changes nothing."""
    before = stored(services.database)
    with pytest.raises(PromotionRefused) as caught:
        promote(services, person_id, row, to)
    assert stored(services.database) == before
    assert caught.value.http_status == 409
    return [(problem.code, problem.message) for problem in caught.value.problems]


def shown(services: Services, row: VersionRow) -> Described:
    return describe(services.registry.load_all(), row.name, row.version, services.database)


@pytest.mark.usefixtures("sound")
def test_a_version_answers_under_a_name_only_when_every_warning_is_acknowledged(
    services: Services, zoe: str, kimura: str
) -> None:
    row = approved(services)
    texts = {one["code"]: one["text"] for one in bundled_document(PGD)["warnings"]}
    said = refused(services, zoe, row)
    assert [code for code, _ in said] == ["unacknowledged_warning"] * 3
    for code, (_, message) in zip(CODES, said, strict=True):
        assert code in message
        assert texts[code] in message
    first = acknowledge(services, zoe, row, CODES[2], CODES[0], CODES[2])
    assert [one.code for one in first.made] == [CODES[2], CODES[0]]
    assert (first.already, first.still_open) == ((), (CODES[1],))
    assert [message for _, message in refused(services, zoe, row, "canary") if CODES[1] in message] != []
    assert len(refused(services, zoe, row, "canary")) == 1
    assert acknowledge(services, kimura, row, CODES[1]).still_open == ()
    assert promote(services, zoe, row).move.alias == "production"
    # Rollback: what was acknowledged stays so when the alias is gone.
    promote(services, zoe, row, "withdrawn")
    promote(services, zoe, row)
    last = find_history(services.database, PGD).happened[-1]
    assert last.said["warnings"] == list(CODES)


@pytest.mark.usefixtures("sound")
def test_a_shadow_needs_nothing_and_another_version_is_not_vouched_for(services: Services, zoe: str) -> None:
    row, other = approved(services), approved(services, "1.2.0")
    promote(services, zoe, row, "shadow")
    acknowledge(services, zoe, row, *CODES)
    assert len(refused(services, zoe, other)) == 3


@pytest.mark.usefixtures("sound")
def test_a_card_that_does_not_say_what_it_must_is_refused_with_every_field(services: Services, zoe: str) -> None:
    card = bundled_document(PGD)["card"] | {"developer": "not available", "monitoring": "Not available "}
    row = approved(services, card=card)
    said = refused(services, zoe, row)
    assert [message for code, message in said if code == "missing_card_field"] == [
        "The model card does not tell the developer (/card/developer of the manifest).",
        "The model card does not tell the monitoring (/card/monitoring of the manifest).",
    ]
    assert len(said) == 5
    acknowledge(services, zoe, row, *CODES)
    assert len(refused(services, zoe, row)) == 2
    assert show_version(shown(services, row))["missing_card_fields"] == ["/card/developer", "/card/monitoring"]


@pytest.mark.usefixtures("sound")
def test_a_version_that_warns_of_nothing_needs_nothing(services: Services, zoe: str) -> None:
    row = approved(services, warnings=[])
    acknowledge_open(services, row, SIGNATORY)
    promote(services, zoe, row)
    with pytest.raises(InputRejected) as caught:
        acknowledge(services, zoe, row, "no_external_validation")
    assert [problem.remedy for problem in caught.value.problems] == ["There is nothing to acknowledge."]


@pytest.mark.usefixtures("sound")
def test_who_when_as_what_and_why_are_shown_wherever_a_version_is(
    services: Services, zoe: str, kimura: str, clock: Any
) -> None:
    row, other = approved(services), approved(services, "1.2.0")
    before = stored(services.database)
    done = acknowledge(services, zoe, row, CODES[0], CODES[1], meaning="responsibility", reason="As SOP 7 says.")
    acknowledge(services, kimura, row, CODES[0])
    entries = stored(services.database).since(before)
    assert [(one.kind, one.actor, one.detail) for one in entries] == [
        ("model.acknowledged", f"person:{zoe}", {"codes": list(CODES[:2])}),
        ("model.acknowledged", f"person:{kimura}", {"codes": [CODES[0]]}),
    ]
    assert {(one.model, one.model_digest) for one in entries} == {(f"{PGD}@1.1.0", row.digest)}
    for entry in entries:
        for secret in ("Zoë", "Müller", "SOP", PASSPHRASE):
            assert secret.encode() not in entry.encode()
    # It moves nothing, so no score in flight has to be made again.
    assert stored(services.database).generation == before.generation
    assert done.receipt is not None
    at = datetime.fromisoformat(done.made[0].at)
    assert clock.now <= at == done.receipt.recorded_at
    described = shown(services, row)
    document = show_version(described)
    assert document["open_warnings"] == [CODES[2]]
    assert [(one["code"], len(one["acknowledgements"])) for one in document["warnings"]] == [
        (CODES[0], 2), (CODES[1], 1), (CODES[2], 0),
    ]  # fmt: skip
    (noted,) = document["warnings"][1]["acknowledgements"]
    assert noted == {
        "code": CODES[1], "actor": f"person:{zoe}", "printed_name": "Zoë Müller", "person_id": zoe,
        "meaning": "responsibility", "reason": "As SOP 7 says.", "at": done.made[0].at,
    }  # fmt: skip
    assert described.signatures == ()
    against = shown(services, other)
    pages = [str(card_of(described, form)) for form in ("markdown", "html", "json")]
    pages += [str(comparison_of(against, described, form)) for form in ("markdown", "html", "json", "text")]
    parts = (
        "Zoë Müller",
        "木村 拓哉",
        "esponsibility",
        "As SOP 7 says.",
        "nobody has acknowledged",
        at.isoformat()[:10],
    )
    for page in pages:
        for part in parts:
            assert part in page, part


@pytest.mark.usefixtures("sound")
def test_the_same_again_is_told_and_not_recorded_and_another_person_may_add_theirs(
    services: Services, zoe: str, kimura: str
) -> None:
    row = approved(services)
    acknowledge(services, zoe, row, *CODES[:2])
    before = stored(services.database)
    again = acknowledge(services, zoe, row, *CODES[:2])
    assert (again.made, again.already, again.receipt) == ((), CODES[:2], None)
    assert again.still_open == (CODES[2],)
    assert stored(services.database) == before
    more = acknowledge(services, zoe, row, *CODES)
    assert ([one.code for one in more.made], more.already, more.still_open) == ([CODES[2]], CODES[:2], ())
    second = acknowledge(services, kimura, row, CODES[0])
    assert [one.code for one in second.made] == [CODES[0]]


@pytest.mark.usefixtures("sound")
def test_a_code_that_the_version_does_not_warn_of_is_refused_by_its_place(services: Services, zoe: str) -> None:
    row = approved(services)
    before = stored(services.database)
    with pytest.raises(InputRejected) as caught:
        acknowledge(services, zoe, row, "marker", CODES[0], "demonstration_only")
    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [
        ("/codes/0", "unknown_warning"),
        ("/codes/2", "unknown_warning"),
    ]
    for problem in caught.value.problems:
        assert "marker" not in problem.message + problem.remedy
        assert all(code in problem.remedy for code in CODES)
    assert stored(services.database) == before


@pytest.mark.usefixtures("sound")
def test_who_is_not_who_they_say_acknowledges_nothing(services: Services, zoe: str) -> None:
    row = approved(services)
    before = stored(services.database)
    with pytest.raises(SignatureRefused):
        acknowledge(services, zoe, row, *CODES, passphrase=PASSPHRASE.upper())
    for unknown in (replace(row, name="marker"), replace(row, version="9.9.9"), replace(row, name="\0")):
        with pytest.raises(ModelNotFound):
            acknowledge(services, zoe, unknown, *CODES)
    after = stored(services.database)
    assert [(one.kind, one.record) for one in after.since(before)] == [("access.denied", zoe)]
    assert after.rows == before.rows


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("to", ["rejected", "retired"])
def test_nothing_is_acknowledged_of_a_version_that_has_ended(services: Services, zoe: str, to: str) -> None:
    row = admit(services, release(PGD, "1.1.0"))
    bring(services, row, *(("approved",) if to == "retired" else ()), to)
    with pytest.raises(Conflict, match=to):
        acknowledge(services, zoe, row, *CODES)


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("by_key", [True, False], ids=["key", "command"])
def test_whoever_is_revoked_between_signature_and_record_has_acknowledged_nothing(
    services: Services, replica: Services, zoe: str, by_key: bool
) -> None:
    row, calls = approved(services), iter(range(1))
    _, key = create_key(services, name="n", scopes=["models:approve"], actor="system:cli", person_id=zoe)
    caller = authenticate(services, key) if by_key else None

    def clock() -> datetime:
        if next(calls, None) is not None:
            revoke_person(replica, person_id=zoe, actor="system:cli")
        return services.clock()

    late = replace(services, clock=clock)
    with pytest.raises(Unauthenticated if by_key else SignatureRefused):
        asyncio.run(acknowledge_warnings(late, zoe, PGD, row.version, acknowledging(*CODES), caller))
    assert find_history(services.database, PGD).acknowledged == ()


@pytest.mark.usefixtures("sound")
def test_of_two_that_acknowledge_the_same_at_once_one_is_recorded(
    services: Services, replica: Services, zoe: str, kimura: str
) -> None:
    row, barrier = approved(services), Barrier(2)

    def meeting(one: Services) -> Services:
        def clock() -> datetime:
            barrier.wait(30)
            return services.clock()

        return replace(one, clock=clock)

    both = at_once([lambda one=one: acknowledge(meeting(one), zoe, row, *CODES) for one in (services, replica)])
    assert sorted(type(one).__name__ for one in both) == ["Acknowledged", "Conflict"]
    people = at_once([
        lambda: acknowledge(meeting(services), kimura, row, *CODES),
        lambda: sign(meeting(replica), zoe, row, "retired"),
    ])  # fmt: skip
    assert "Moved" in {type(one).__name__ for one in people}


# What is done to the record, and the version that it would let through.
FORGED = {
    "another version": ("UPDATE model_acknowledgement SET version = '1.2.0' WHERE version = '1.1.0'", "1.2.0"),
    "a salt": ("UPDATE model_acknowledgement SET salt = (SELECT salt FROM model_transition WHERE seq = 2)", "1.1.0"),
    "an id": ("UPDATE model_acknowledgement SET acknowledgement_id = '00000000-0000-7000-8000-000000000000'", "1.1.0"),
    "a transition": (
        "INSERT INTO model_acknowledgement SELECT * FROM model_transition WHERE version = '1.2.0' AND "
        "seq = (SELECT max(seq) FROM model_transition)",
        "1.2.0",
    ),
}


@pytest.mark.parametrize(("statement", "number"), FORGED.values(), ids=FORGED.keys())
def test_no_version_is_promoted_on_what_nobody_signed(
    services: Services, zoe: str, database_url: str, statement: str, number: str
) -> None:
    rows = {one: approved(services, one) for one in ("1.1.0", "1.2.0")}
    acknowledge(services, zoe, rows["1.1.0"], *CODES)
    admin = administrator(database_url)
    admin.run(statement)
    admin.close()
    with pytest.raises(RecordDamaged):
        promote(services, zoe, rows[number])
    assert aliases(services) == {}
    assert verify_all(LogOpener(database_url), deep=True).lines() != []


def aliases(services: Services) -> dict[str, Any]:
    with services.database.read() as connection:
        return dict(connection.sqlalchemy.execute(text("SELECT alias, version FROM model_alias")).all())


@pytest.mark.usefixtures("sound")
def test_rows_cannot_be_changed_or_deleted(services: Services, zoe: str) -> None:
    row = approved(services)
    acknowledge(services, zoe, row, *CODES)
    for statement in ("UPDATE model_acknowledgement SET version = '1.2.0'", "DELETE FROM model_acknowledgement"):
        with pytest.raises(ServiceError), services.database.write() as connection:
            connection.execute(text(statement))
    assert REASON in str(show_version(shown(services, row))["warnings"])
