"""The versions that ship with the product: what a start does with them, and what an upgrade leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from service.errors import NoActiveModel, StorageUnavailable
from service.registry.active import ModelVersion
from service.store.log_reader import LogOpener
from service.store.models import VersionRow, find_version
from service.workflows.bundled_models import register_bundled
from service.workflows.describe import describe
from service.workflows.live_registry import LiveRegistry, loader
from service.workflows.model_history import find_history
from service.workflows.score_specimen import preview
from service.workflows.services import Services
from service.workflows.verify_log import verify_all
from tests.registry.artifacts import PGD, TB, TRUSTED, first_shipped, misjudged, release, write
from tests.workflows.registering import admit, at_once, bring, person, register, sign, stored


@pytest.fixture(autouse=True)
def sound(services: Services, database_url: str) -> Iterator[None]:
    """Whatever a test did, the deep verification agrees with it."""
    yield
    assert verify_all(LogOpener(database_url), deep=True).lines() == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of two versions that ship with the product."""
    return first_shipped(tmp_path / "model_artifacts")


def ship(folder: Path, version: str, name: str = PGD) -> None:
    """Put another version beside what ships."""
    write(folder / name / version, release(name, version))


def shipped(services: Services) -> VersionRow:
    """The version that really ships, as it is registered."""
    with services.database.read() as connection:
        row = find_version(connection, PGD, "1.0.0")
    assert row is not None
    return row


def test_in_development_the_newest_release_is_put_in_production(services: Services, folder: Path) -> None:
    for version in ("1.10.0", "1.9.0", "2.0.0-rc.1"):
        ship(folder, version)
    assert register_bundled(services, folder, in_force=True) == ()
    history = find_history(services.database, PGD)
    assert history.aliases == {"production": "1.10.0"}
    assert set(history.states.values()) == {"approved"}
    assert {one.said["actor"] for one in history.happened} == {"system:bundled"}
    models = services.registry.load_all()
    assert (models.resolve(PGD).version, models.resolve(TB).version) == ("1.10.0", "1.0.0")
    described = describe(models, PGD, "1.10.0", services.database)
    assert described.signatures == ()
    # What it warns of is acknowledged in the same name, in one entry for each version.
    assert {(one.actor, one.printed_name, one.person_id) for one in described.acknowledgements} == {
        ("system:bundled", None, None)
    }
    assert (len(described.acknowledgements), described.open_warnings) == (3, ())
    assert len(history.acknowledged) == 4


def test_another_start_records_nothing(services: Services, folder: Path) -> None:
    for in_force in (True, False):
        register_bundled(services, folder, in_force=True)
        before = stored(services.database)
        assert register_bundled(services, folder, in_force=in_force) == ()
        assert stored(services.database) == before


def test_in_production_people_decide_and_one_of_them_is_enough(
    services: Services, folder: Path, clock: Any, pgd_request: dict[str, Any]
) -> None:
    assert register_bundled(services, folder, in_force=False) == ()
    models = services.registry.load_all()
    assert {(one.version, one.state) for one in models.versions} == {("1.0.0", "verified")}
    assert find_history(services.database, PGD).acknowledged == ()
    body = json.dumps(pgd_request | {"model": PGD}).encode()
    with pytest.raises(NoActiveModel):
        preview(models, body, clock.now)
    # The product registered it: whoever approves is the second one.
    zoe, row = person(services, "Zoë Müller"), register(services, release(PGD, "1.1.0"))
    sign(services, zoe, shipped(services), "approved", "production")
    models = services.registry.load_all()
    assert preview(models, body, clock.now)["model"]["version"] == "1.0.0"
    assert (row.state, models.get(PGD, "1.1.0").state, models.get(TB, "1.0.0").state) == (("verified",) * 3)


@pytest.mark.parametrize("in_force", [True, False], ids=["development", "production"])
def test_an_upgrade_brings_a_version_and_moves_no_alias(services: Services, folder: Path, in_force: bool) -> None:
    register_bundled(services, folder, in_force=in_force)
    if not in_force:
        bring(services, shipped(services), "approved", "production")
    ship(folder, "1.1.0")
    register_bundled(services, folder, in_force=in_force)
    history = find_history(services.database, PGD)
    assert history.aliases == {"production": "1.0.0"}
    assert history.states == {"1.0.0": "approved", "1.1.0": "approved" if in_force else "verified"}


@pytest.mark.parametrize("to", ["withdrawn", "retired"])
def test_what_people_took_out_of_production_stays_out_of_it(services: Services, folder: Path, to: str) -> None:
    register_bundled(services, folder, in_force=True)
    bring(services, shipped(services), to)
    ship(folder, "1.1.0")
    register_bundled(services, folder, in_force=True)
    history = find_history(services.database, PGD)
    assert history.aliases == {}
    assert history.states["1.0.0"] == ("approved" if to == "withdrawn" else "retired")


def test_a_spoilt_version_is_on_show_with_the_reason_and_leaves_no_row(services: Services, folder: Path) -> None:
    golden = folder / TB / "1.0.0" / "golden.json"
    golden.write_bytes(golden.read_bytes()[:-1])
    before = stored(services.database)
    (stray,) = register_bundled(services, folder, in_force=True)
    assert (stray.name, stray.version, stray.state) == (TB, "1.0.0", "rejected")
    assert "golden.json" in (stray.reason or "")
    models = services.registry.load_all((stray,))
    assert isinstance(models.get(TB, "1.0.0"), ModelVersion)
    assert models.resolve(PGD).version == "1.0.0"
    assert all(entry.model != f"{TB}@1.0.0" for entry in stored(services.database).since(before))


def test_a_version_that_is_registered_with_other_bytes_stands_as_it_is(services: Services, folder: Path) -> None:
    row = register(services, release(PGD, "1.0.0", title="Another title"))
    twin = register(services, release(TB, "1.0.0+build.2"))
    assert register_bundled(services, folder, in_force=True) == ()
    history = find_history(services.database, PGD)
    # A development server approves what is there under the name it ships.
    assert (history.states, history.happened[0].said["digest"]) == ({"1.0.0": "approved"}, row.digest)
    assert find_history(services.database, TB).states == {twin.version: "verified"}


def test_what_a_start_was_interrupted_in_the_next_one_completes(
    services: Services, folder: Path, database_url: str,
    break_commit: Callable[[str], None], mend_commit: Callable[[str], None],
) -> None:  # fmt: skip
    break_commit(database_url)
    with pytest.raises(StorageUnavailable):
        register_bundled(services, folder, in_force=True)
    mend_commit(database_url)
    admit(services, release(PGD, "0.9.0"))
    register_bundled(services, folder, in_force=True)
    assert services.registry.load_all().resolve(PGD).version == "1.0.0"


def test_a_rejected_version_is_not_tried_again(services: Services, folder: Path) -> None:
    files = misjudged(PGD, "1.1.0")
    assert register(services, files).state == "rejected"
    write(folder / PGD / "1.1.0", files)
    before = stored(services.database)
    assert register_bundled(services, folder, in_force=False) == ()
    assert f"{PGD}@1.1.0" not in {entry.model for entry in stored(services.database).since(before)}


@pytest.mark.parametrize("number", range(3))
def test_two_servers_that_start_at_once_register_everything_once(
    services: Services, replica: Services, folder: Path, number: int
) -> None:
    ship(folder, "1.1.0")
    barrier = Barrier(2)

    def start(one: Services) -> tuple[ModelVersion, ...]:
        barrier.wait(30)
        return register_bundled(one, folder, in_force=True)

    assert at_once([lambda: start(services), lambda: start(replica)]) == [(), ()]
    for name, newest in ((PGD, "1.1.0"), (TB, "1.0.0")):
        history = find_history(services.database, name)
        assert history.aliases == {"production": newest}
        assert set(history.states.values()) == {"approved"}
        moves = [(one.said["version"], one.said["to"]) for one in history.happened]
        assert len(moves) == len(set(moves))


def test_the_trust_in_a_publisher_may_end(services: Services, folder: Path) -> None:
    ship(folder, "1.1.0")
    register_bundled(services, folder, in_force=True)
    strict = LiveRegistry(services.database, loader(TRUSTED[:-1])).load_all()
    assert strict.get(PGD, "1.1.0").scorer is None
    assert "publisher" in (strict.get(PGD, "1.1.0").reason or "")
    assert strict.get(PGD, "1.0.0").scorer is not None
