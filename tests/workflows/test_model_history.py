"""The past of a model: at, before and after each transition, and the version that every score of it names."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from service.errors import ModelNotFound, RecordDamaged
from service.store.log_reader import LogOpener
from service.workflows.keys import authenticate, create_key
from service.workflows.model_history import find_history, find_registrant, find_registration, rendered
from service.workflows.register_model import register_model
from service.workflows.score_specimen import score_specimen
from service.workflows.services import Services
from service.workflows.transitions import Signatory
from service.workflows.verify_log import verify_all
from tests.registry.artifacts import KEY_NAME, PGD, misjudged, release
from tests.workflows.registering import admit, bring, person, register, stored
from tests.workflows.tampering import administrator

TICK = timedelta(microseconds=1)


@pytest.fixture
def sound(services: Services, database_url: str) -> Iterator[None]:
    """Whatever a test did, the deep verification agrees with it."""
    yield
    assert verify_all(LogOpener(database_url), deep=True).lines() == []


@pytest.mark.usefixtures("sound")
def test_a_model_stood_as_its_transitions_left_it(services: Services, clock: Any) -> None:
    first, second = admit(services, release(PGD, "1.9.0")), admit(services, release(PGD, "1.10.0"))
    way = [
        (first, "approved"), (first, "production"), (second, "approved"), (second, "shadow"), (second, "production"),
        (first, "canary"), (first, "production"), (second, "withdrawn"), (second, "retired"),
    ]  # fmt: skip
    for row, to in way:
        clock.now += timedelta(seconds=1)
        bring(services, row, to)
    history = find_history(services.database, PGD)
    expected: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"1.9.0": "registered"}, {}),
        ({"1.9.0": "verified"}, {}),
        ({"1.9.0": "verified", "1.10.0": "registered"}, {}),
        ({"1.9.0": "verified", "1.10.0": "verified"}, {}),
        ({"1.9.0": "approved", "1.10.0": "verified"}, {}),
        ({"1.9.0": "approved", "1.10.0": "verified"}, {"production": "1.9.0"}),
        ({"1.9.0": "approved", "1.10.0": "approved"}, {"production": "1.9.0"}),
        ({"1.9.0": "approved", "1.10.0": "approved"}, {"production": "1.9.0", "shadow": "1.10.0"}),
        ({"1.9.0": "approved", "1.10.0": "approved"}, {"production": "1.10.0", "shadow": "1.10.0"}),
        (
            {"1.9.0": "approved", "1.10.0": "approved"},
            {"canary": "1.9.0", "production": "1.10.0", "shadow": "1.10.0"},
        ),
        ({"1.9.0": "approved", "1.10.0": "approved"}, {"canary": "1.9.0", "production": "1.9.0", "shadow": "1.10.0"}),
        ({"1.9.0": "approved", "1.10.0": "approved"}, {"canary": "1.9.0", "production": "1.9.0"}),
        ({"1.9.0": "approved", "1.10.0": "retired"}, {"canary": "1.9.0", "production": "1.9.0"}),
    ]
    before: tuple[dict[str, str], dict[str, str]] = ({}, {})
    times = [one.at for one in history.happened]
    for at, stood in zip(times, expected, strict=True):
        for moment, (states, aliases) in ((at - TICK, before), (at, stood), (at + TICK, stood)):
            # A transition may follow another one within a microsecond.
            if moment == at or moment not in times:
                found = find_history(services.database, PGD, moment)
                assert (found.states, found.aliases) == (states, aliases), moment
        before = stood
    assert (history.states, history.aliases) == expected[-1]
    assert list(history.states) == ["1.9.0", "1.10.0"]


@pytest.mark.usefixtures("sound")
def test_a_transition_is_dated_behind_all_that_was_recorded_before_it(
    services: Services, replica: Services, clock: Any
) -> None:
    replica.clock.now = clock.now - timedelta(seconds=30)  # type: ignore[attr-defined]
    row = admit(services, release(PGD, "1.1.0"))
    for one, to in ((replica, "approved"), (services, "production"), (replica, "shadow"), (replica, "withdrawn")):
        bring(one, row, to)
    times = [entry.at for entry in stored(services.database).entries if entry.kind.startswith("model.")]
    assert times == sorted(set(times))
    assert len(times) == 7


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("apart", [timedelta(0), timedelta(seconds=5), timedelta(seconds=-5)], ids=str)
def test_the_recorded_time_of_a_score_tells_the_version_that_answered(
    services: Services, replica: Services, clock: Any, pgd_request: dict[str, Any], apart: timedelta
) -> None:
    chance = random.Random(int(apart.total_seconds()))
    rows = [admit(services, release(PGD, f"1.{number}.0")) for number in range(3)]
    for row in rows:
        bring(services, row, "approved")
    bring(services, rows[0], "production")
    _, key = create_key(services, name="LIMS", scopes=["scores:write"], actor="system:cli")
    both = (services, replica)
    for one in both:
        one.registry.load_all()
    body = json.dumps(pgd_request | {"model": PGD}).encode()

    async def main() -> None:
        pointed = rows[0]
        for _ in range(60):
            clock.now += timedelta(microseconds=chance.choice([0, 0, 1, 900, 40_000]))
            replica.clock.now = clock.now + apart  # type: ignore[attr-defined]
            one = chance.choice(both)
            if chance.random() < 0.3:
                pointed = chance.choice([row for row in rows if row != pointed])
                await asyncio.to_thread(bring, one, pointed, "production")
            else:
                caller = await asyncio.to_thread(authenticate, one, key)
                outcome = await score_specimen(one, caller, body, None)
                assert json.loads(outcome.answer)["model"]["version"] == pointed.version

    asyncio.run(main())
    scored = [entry for entry in stored(services.database).entries if entry.kind == "score.reported"]
    assert len(scored) > 30
    for entry in scored:
        answered = find_history(services.database, PGD, entry.at).aliases["production"]
        assert entry.model == f"{PGD}@{answered}"
    assert len({entry.model for entry in scored}) == 3


def test_what_is_on_record_of_a_registration_is_found(services: Services) -> None:
    zoe = person(services, "Zoë Müller")
    admit(services, release(PGD, "1.0.0"))
    register_model(services, lambda: release(PGD, "1.1.0", signed=False), Signatory("key:portal", zoe), prove=False)
    register(services, misjudged(PGD, "1.2.0"))
    assert [find_registrant(services.database, PGD, f"1.{n}.0") for n in range(3)] == [None, zoe, None]
    with pytest.raises(RecordDamaged, match="not on record"):
        find_registrant(services.database, PGD, "9.9.9")
    found = [find_registration(services.database, PGD, f"1.{n}.0") for n in range(3)]
    assert found[:2] == [(KEY_NAME, None), (None, None)]
    assert "values differ" in (found[2][1] or "")


@pytest.mark.usefixtures("sound")
def test_a_history_is_told_with_who_when_and_why(services: Services, clock: Any) -> None:
    row = admit(services, release(PGD, "1.1.0"))
    bring(services, row, "approved", "production", "withdrawn")
    told = rendered(find_history(services.database, PGD), None)
    assert (told["name"], told["as_of"], told["aliases"]) == (PGD, None, {})
    assert told["versions"] == [{"version": "1.1.0", "state": "approved"}]
    kinds = [(item["kind"], item["from"], item["to"], item["alias"], item["dropped"]) for item in told["items"]]
    assert kinds == [
        ("registered", None, "registered", None, None),
        ("verified", "registered", "verified", None, None),
        ("approved", "verified", "approved", None, None),
        ("acknowledged", None, None, None, None),
        ("promoted", None, "1.1.0", "production", None),
        ("promoted", None, None, None, ["production"]),
    ]
    assert told["items"][0]["publisher"] == KEY_NAME
    assert {item["digest"] for item in told["items"]} == {row.digest}
    assert [item["audit"]["index"] for item in told["items"]] == [1, 2, 3, 4, 5, 6]
    assert [item["codes"] for item in told["items"] if item["codes"]] == [
        ["cohort_relative_input", "index_not_probability", "no_external_validation"]
    ]
    at = datetime.fromisoformat(told["items"][2]["at"])
    early = rendered(find_history(services.database, PGD, at), at)
    assert (early["as_of"], len(early["items"])) == (told["items"][2]["at"], 3)


def test_before_its_first_version_a_model_had_none_and_an_unknown_one_has_no_history(
    services: Services, clock: Any
) -> None:
    admit(services, release(PGD, "1.1.0"))
    early = find_history(services.database, PGD, clock.now - timedelta(days=1))
    assert (early.happened, early.states, early.aliases) == ((), {}, {})
    with pytest.raises(ModelNotFound) as unknown:
        find_history(services.database, "marker")
    assert "marker" not in unknown.value.message + unknown.value.remedy


ALTERED = {
    "the statement": "UPDATE model_transition SET statement = CAST('{}' AS {}) WHERE seq = 2",
    "the salt": "UPDATE model_transition SET salt = (SELECT salt FROM model_transition WHERE seq = 1) WHERE seq = 2",
    "the id": "UPDATE model_transition SET transition_id = '00000000-0000-7000-8000-000000000000' WHERE seq = 2",
    "the entry": "UPDATE audit_entry SET entry = leaf_hash WHERE seq = 2",
}


@pytest.mark.parametrize("statement", ALTERED.values(), ids=ALTERED.keys())
def test_a_past_that_was_altered_is_not_told(services: Services, database_url: str, statement: str) -> None:
    admit(services, release(PGD, "1.1.0"))
    admin = administrator(database_url)
    kind = "BLOB" if database_url.startswith("sqlite") else "BYTEA"
    admin.run(statement.replace("AS {}", f"AS {kind}"))
    admin.close()
    with pytest.raises(RecordDamaged):
        find_history(services.database, PGD)
    assert verify_all(LogOpener(database_url), deep=True).lines() != []
    with services.database.read() as connection:
        assert connection.sqlalchemy.execute(text("SELECT count(*) FROM model_transition")).scalar_one() == 2
