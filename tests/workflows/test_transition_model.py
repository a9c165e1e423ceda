"""People move versions: every move and every one that is not possible, four eyes, races, and what cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import update

from service.errors import (
    ArtifactRejected,
    Conflict,
    InputRejected,
    ModelNotFound,
    NoActiveModel,
    PersonRequired,
    ServiceError,
    SignatureRefused,
    TooManyAttempts,
    Unauthenticated,
    VersionNotInForce,
)
from service.registry.lifecycle import STATES
from service.store.log_reader import LogOpener
from service.store.models import VersionRow
from service.store.tables import artifact_part
from service.workflows.acknowledge_warnings import acknowledge_open
from service.workflows.artifact_files import ALTERED
from service.workflows.describe import describe
from service.workflows.key_cache import Caller
from service.workflows.keys import authenticate, create_key
from service.workflows.model_history import find_history
from service.workflows.persons import revoke_person
from service.workflows.read_models import card_of, comparison_of, show_version
from service.workflows.register_model import register_model
from service.workflows.services import Services
from service.workflows.signed import require_person
from service.workflows.transition_model import Moved, transition_model
from service.workflows.transitions import Signatory
from service.workflows.verify_log import verify_all
from tests.registry.artifacts import PGD, digest, misjudged, release
from tests.workflows.registering import (
    PASSPHRASE,
    REASON,
    SIGNATORY,
    admit,
    asked,
    at_once,
    bring,
    person,
    sign,
    stored,
)


@pytest.fixture(autouse=True)
def sound(services: Services, database_url: str) -> Iterator[None]:
    """Whatever a test did, the deep verification agrees with it, but for what a test altered in SQL."""
    yield
    found = verify_all(LogOpener(database_url), deep=True).lines()
    assert [line for line in found if "artifact_part" not in line] == []


@pytest.fixture
def zoe(services: Services) -> str:
    return person(services, "Zoë Müller")


@pytest.fixture
def kimura(services: Services) -> str:
    return person(services, "木村 拓哉")


def version(services: Services, number: str = "1.1.0", *places: str) -> VersionRow:
    """A verified version of the graft dysfunction model, registered by a machine, its warnings acknowledged, brought
    further by one."""
    row = admit(services, release(PGD, number))
    acknowledge_open(services, row, SIGNATORY)
    bring(services, row, *places)
    return row


def caller_of(services: Services, person_id: str | None) -> Caller:
    _, key = create_key(services, name="n", scopes=["models:approve"], actor="system:cli", person_id=person_id)
    return authenticate(services, key)


def refusal(services: Services, person_id: str, row: VersionRow, to: str, **other: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        asyncio.run(transition_model(services, person_id, row.name, row.version, asked(to, **other)))
    return refused.value


def test_a_version_goes_its_whole_way(services: Services, zoe: str, clock: Any) -> None:
    row = version(services)
    before = stored(services.database)
    way = ("approved", "production", "shadow", "withdrawn", "canary", "retired")
    moves = [sign(services, zoe, row, to) for to in way]
    assert [one.version.state for one in moves] == ["approved"] * 5 + ["retired"]
    entries = stored(services.database).since(before)
    assert [(entry.kind, entry.detail) for entry in entries] == [
        ("model.approved", {"from": "verified", "to": "approved"}),
        ("model.promoted", {"from": None, "to": "1.1.0", "alias": "production"}),
        ("model.promoted", {"from": None, "to": "1.1.0", "alias": "shadow"}),
        ("model.promoted", {"from": None, "to": None, "dropped": ["production", "shadow"]}),
        ("model.promoted", {"from": None, "to": "1.1.0", "alias": "canary"}),
        ("model.retired", {"from": "approved", "to": "retired", "dropped": ["canary"]}),
    ]
    assert {entry.actor for entry in entries} == {f"person:{zoe}"}
    assert {(entry.model, entry.model_digest) for entry in entries} == {(f"{PGD}@1.1.0", row.digest)}
    assert [one.receipt.index for one in moves] == list(range(len(before.entries), len(before.entries) + 6))
    assert stored(services.database).generation == before.generation + 6
    for entry in entries:
        for secret in ("Zoë", "Müller", REASON, PASSPHRASE):
            assert secret.encode() not in entry.encode()


def test_name_time_meaning_and_reason_are_shown_wherever_a_version_is(services: Services, zoe: str, clock: Any) -> None:
    row, other = version(services), version(services, "1.2.0", "approved")
    signing = asked("approved", meaning="responsibility", reason="Reviewed as SOP 7 says.")
    moved = asyncio.run(transition_model(services, zoe, PGD, row.version, signing))
    shown = moved.signature
    assert (shown.printed_name, shown.person_id, shown.meaning) == ("Zoë Müller", zoe, "responsibility")
    assert shown.reason == "Reviewed as SOP 7 says."
    at = datetime.fromisoformat(shown.at)
    assert clock.now <= at == moved.receipt.recorded_at
    last = find_history(services.database, PGD).happened[-1]
    said = {"printed_name": "Zoë Müller", "person": zoe, "meaning": "responsibility", "reason": shown.reason}
    assert said.items() <= last.said.items()
    assert last.at == at
    models = services.registry.load_all()
    described = describe(models, PGD, row.version, services.database)
    assert described.signatures == (shown,)
    (listed,) = show_version(described)["signatures"]
    assert listed["printed_name"] == "Zoë Müller"
    against = describe(models, PGD, other.version, services.database)
    pages = [str(card_of(described, form)) for form in ("markdown", "html", "json")]
    pages += [str(comparison_of(against, described, form)) for form in ("markdown", "html", "json", "text")]
    for page in pages:
        assert "Zoë Müller" in page
        assert "esponsibility" in page
        assert shown.at[:10] in page


def test_who_registered_a_version_does_not_approve_it_and_a_second_person_does(
    services: Services, zoe: str, kimura: str
) -> None:
    files = release(PGD, "1.1.0")
    row = register_model(services, lambda: files, Signatory("key:portal", zoe)).version
    before = stored(services.database)
    refused = refusal(services, zoe, row, "approved")
    assert isinstance(refused, Conflict)
    assert "somebody else" in refused.message
    assert stored(services.database) == before
    sign(services, kimura, row, "approved")
    # Four eyes have seen it: everything else one of them may do alone.
    sign(services, zoe, row, "production", "retired")


def test_who_registered_a_version_may_turn_it_down(services: Services, zoe: str) -> None:
    files = release(PGD, "1.1.0")
    row = register_model(services, lambda: files, Signatory("key:portal", zoe)).version
    assert sign(services, zoe, row, "rejected").version.state == "rejected"
    shown = describe(services.registry.load_all(), PGD, "1.1.0", services.database)
    assert (shown.version.state, shown.reason) == ("rejected", REASON)


def test_the_key_of_a_machine_signs_nothing(services: Services, zoe: str) -> None:
    with pytest.raises(PersonRequired):
        require_person(caller_of(services, None))
    assert require_person(caller_of(services, zoe)) == zoe


def test_a_wrong_passphrase_moves_nothing_and_is_on_record(services: Services, zoe: str) -> None:
    row = version(services)
    before = stored(services.database)
    for unknown in (zoe, "f" * 16):
        assert isinstance(refusal(services, unknown, row, "approved", passphrase=PASSPHRASE.upper()), SignatureRefused)
    entries = stored(services.database).since(before)
    assert [(one.kind, one.actor, one.record) for one in entries] == [
        ("access.denied", "system:cli", zoe),
        ("access.denied", "system:cli", None),
    ]
    caller = caller_of(services, zoe)
    with pytest.raises(SignatureRefused):
        asyncio.run(transition_model(services, zoe, PGD, "1.1.0", asked("approved", passphrase="x"), caller))
    assert stored(services.database).entries[-1].actor == caller.actor
    for _ in range(3):
        refusal(services, zoe, row, "approved", passphrase="x")
    waiting = refusal(services, zoe, row, "approved")
    assert isinstance(waiting, TooManyAttempts)
    assert waiting.retry_after > 800
    assert stored(services.database).rows == before.rows


POSSIBLE = {
    "registered": {"rejected"},
    "verified": {"rejected", "approved"},
    "approved": {"retired", "production"},
    "retired": set[str](),
    "rejected": set[str](),
}
WAYS: dict[str, tuple[str, ...]] = {
    "verified": (),
    "approved": ("approved",),
    "retired": ("approved", "retired"),
    "rejected": ("rejected",),
}
ASKED = ("approved", "rejected", "retired", "withdrawn", "production")


@pytest.mark.parametrize("state", WAYS)
def test_what_its_state_does_not_let_it_is_a_conflict(services: Services, zoe: str, state: str) -> None:
    assert set(POSSIBLE) == set(STATES)
    row = version(services, "1.1.0", *WAYS[state])
    before = stored(services.database)
    for to in set(ASKED) - POSSIBLE[state]:
        refused = refusal(services, zoe, row, to)
        assert type(refused) is Conflict, to
        assert refused.http_status == 409
        assert to == "withdrawn" or state in refused.message
    assert stored(services.database) == before


@pytest.mark.parametrize("to", ["registered", "verified", "-x", "a--b"])
def test_what_is_neither_a_state_nor_an_alias_is_refused(services: Services, zoe: str, to: str) -> None:
    refused = refusal(services, zoe, version(services, "1.1.0", "approved"), to)
    assert isinstance(refused, InputRejected)
    assert [problem.pointer for problem in refused.problems] == ["/to"]


def test_an_unknown_model_or_version_is_not_found(services: Services, zoe: str) -> None:
    row = version(services)
    for other in (replace(row, name="marker"), replace(row, version="marker")):
        refused = refusal(services, zoe, other, "approved")
        assert isinstance(refused, ModelNotFound)
        assert "marker" not in refused.message + refused.remedy


def test_an_alias_goes_forth_and_back(services: Services, zoe: str) -> None:
    first, second = version(services, "1.9.0", "approved"), version(services, "1.10.0", "approved")
    moves = [sign(services, zoe, row, "production").move for row in (first, second, first)]
    assert [(move.before, move.after) for move in moves] == [
        (None, "1.9.0"),
        ("1.9.0", "1.10.0"),
        ("1.10.0", "1.9.0"),
    ]
    assert isinstance(refusal(services, zoe, first, "production"), Conflict)
    assert services.registry.load_all().resolve(PGD).version == "1.9.0"


def test_what_is_retired_or_withdrawn_leaves_the_bare_name_without_an_answer(services: Services, zoe: str) -> None:
    row, other = version(services, "1.1.0", "approved"), version(services, "1.2.0", "approved")
    caller = caller_of(services, zoe)

    async def move(to: str) -> Moved:
        return await transition_model(services, zoe, PGD, row.version, asked(to), caller)

    async def main() -> None:
        registry = services.registry
        for to in ("production", "withdrawn", "production", "retired"):
            await move(to)
            await registry.settled()
            if to == "production":
                assert registry.current.resolve(PGD).version == "1.1.0"
                continue
            with pytest.raises(NoActiveModel):
                registry.current.resolve(PGD)
            if to == "withdrawn":
                assert registry.current.resolve(f"{PGD}@1.1.0").version == "1.1.0"
        with pytest.raises(VersionNotInForce, match="retired"):
            registry.current.resolve(f"{PGD}@1.1.0")
        assert registry.current.resolve(f"{PGD}@{other.version}").version == "1.2.0"

    asyncio.run(main())


def meeting(services: Services, barrier: Barrier) -> Services:
    """The services of a process that makes its move when the other one does: both have planned by then."""

    def clock() -> datetime:
        barrier.wait(30)
        return services.clock()

    return replace(services, clock=clock)


def moved_at_once(
    services: Services, replica: Services, *moves: tuple[str, VersionRow, str]
) -> list[Moved | ServiceError]:
    """What a server and a command make of two moves (person, version, where to) that begin at the same time."""
    barrier = Barrier(2)
    (first, row, to), (second, other_row, other_to) = moves
    caller = caller_of(services, first)
    asking = transition_model(meeting(services, barrier), first, PGD, row.version, asked(to), caller)
    command = transition_model(meeting(replica, barrier), second, PGD, other_row.version, asked(other_to))
    return at_once([lambda: asyncio.run(asking), lambda: asyncio.run(command)])


RACES: dict[str, tuple[tuple[str, ...], tuple[str, str]]] = {
    "approved by both": ((), ("approved", "approved")),
    "approved and rejected": ((), ("approved", "rejected")),
    "promoted by both": (("approved",), ("production", "production")),
    "promoted and retired": (("approved",), ("production", "retired")),
    "withdrawn and retired": (("approved", "production"), ("withdrawn", "retired")),
    "retired by both": (("approved", "shadow"), ("retired", "retired")),
}


@pytest.mark.parametrize(("places", "targets"), RACES.values(), ids=RACES.keys())
def test_of_two_moves_at_once_one_is_made(
    services: Services, replica: Services, zoe: str, kimura: str,
    places: tuple[str, ...], targets: tuple[str, str],
) -> None:  # fmt: skip
    row = version(services, "1.1.0", *places)
    before = stored(services.database)
    done = moved_at_once(services, replica, (zoe, row, targets[0]), (kimura, row, targets[1]))
    assert sorted(type(one).__name__ for one in done) == ["Conflict", "Moved"], done
    assert stored(services.database).generation == before.generation + 1


def test_of_two_versions_for_one_alias_at_once_one_gets_it(
    services: Services, replica: Services, zoe: str, kimura: str
) -> None:
    rows = [version(services, number, "approved") for number in ("1.1.0", "1.2.0")]
    done = moved_at_once(services, replica, (zoe, rows[0], "production"), (kimura, rows[1], "production"))
    assert sorted(type(one).__name__ for one in done) == ["Conflict", "Moved"]
    (made,) = (one for one in done if isinstance(one, Moved))
    assert find_history(services.database, PGD).aliases == {"production": made.version.version}


def test_moves_of_different_versions_do_not_disturb_each_other(
    services: Services, replica: Services, zoe: str, kimura: str
) -> None:
    rows = [version(services, number) for number in ("1.1.0", "1.2.0")]
    done = moved_at_once(services, replica, (zoe, rows[0], "approved"), (kimura, rows[1], "rejected"))
    assert [type(one) for one in done] == [Moved, Moved]


@pytest.mark.parametrize("by_key", [True, False], ids=["key", "command"])
def test_whoever_is_revoked_between_signature_and_record_has_signed_nothing(
    services: Services, replica: Services, zoe: str, by_key: bool
) -> None:
    row, calls = version(services), iter(range(1))
    caller = caller_of(services, zoe) if by_key else None

    def clock() -> datetime:
        if next(calls, None) is not None:
            revoke_person(replica, person_id=zoe, actor="system:cli")
        return services.clock()

    late = replace(services, clock=clock)
    with pytest.raises(Unauthenticated if by_key else SignatureRefused):
        asyncio.run(transition_model(late, zoe, PGD, row.version, asked("approved"), caller))
    assert find_history(services.database, PGD).states == {"1.1.0": "verified"}


def alter(services: Services, content: bytes) -> Callable[[bytes], None]:
    """Change the stored bytes of a file, in SQL; takes the bytes to put there."""

    def change(to: bytes) -> None:
        with services.database.write() as connection:
            place = artifact_part.c.digest == digest(content)
            connection.execute(update(artifact_part).where(place).values(content=to))

    return change


@pytest.mark.parametrize(
    ("file", "places", "to"),
    [
        ("manifest.json", (), "approved"),
        ("signature", (), "approved"),
        ("golden.json", ("approved",), "production"),
        ("manifest.json", ("approved",), "shadow"),
    ],
)
def test_a_version_whose_bytes_were_altered_goes_nowhere_and_what_was_in_force_stays(
    services: Services, zoe: str, file: str, places: tuple[str, ...], to: str
) -> None:
    version(services, "1.0.0", "approved", "production")
    files = release(PGD, "1.1.0", summary="Another summary.")
    row = admit(services, files)
    acknowledge_open(services, row, SIGNATORY)
    services.registry.load_all()
    for place in places:
        sign(services, zoe, row, place)
    change, before = alter(services, files[file]), stored(services.database)
    change(files[file][:-1] + b" ")
    refused = refusal(services, zoe, row, to)
    assert isinstance(refused, ArtifactRejected)
    assert refused.message == ALTERED
    assert stored(services.database) == before
    assert services.registry.current.resolve(PGD).version == "1.0.0"
    change(files[file])
    sign(services, zoe, row, to)


def test_a_version_whose_values_have_moved_is_not_approved(services: Services, zoe: str) -> None:
    version(services, "1.0.0", "approved", "production")
    row = admit(services, misjudged(PGD, "1.1.0"))
    services.registry.load_all()
    refused = refusal(services, zoe, row, "approved")
    assert isinstance(refused, ArtifactRejected)
    assert "values differ" in refused.message
    assert find_history(services.database, PGD).states["1.1.0"] == "verified"
    assert services.registry.current.resolve(PGD).version == "1.0.0"
    assert sign(services, zoe, row, "rejected").version.state == "rejected"


def test_what_cannot_be_used_any_more_can_be_withdrawn_and_retired(services: Services, zoe: str) -> None:
    row = admit(services, misjudged(PGD, "1.1.0"))
    bring(services, row, "approved", "production")
    assert isinstance(refusal(services, zoe, row, "shadow"), ArtifactRejected)
    sign(services, zoe, row, "withdrawn", "retired")
