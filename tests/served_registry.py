"""A real server whose registry a test may change, and people who can sign."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from service.store.engine import Database
from tests.conftest import ROOT, RunningServer, clean_environment, end, launch
from tests.registry.artifacts import KEY_NAME, PUBLISHER, release
from tests.registry.attacks import zipped
from tests.workflows.registering import PASSPHRASE, REASON, Stored, answers, stored

NUMBERS = itertools.count(1)
ZIP = {"content-type": "application/zip"}


@dataclass
class Person:
    """Somebody who can sign: id, printed name, and a key of their own."""

    id: str
    name: str
    key: str


@dataclass
class Registry:
    """A server that trusts the publisher of the tests, its database, and people who can sign."""

    server: RunningServer
    database: Database
    people: list[Person] = field(default_factory=list)

    def stored(self) -> Stored:
        return stored(self.database)

    def client(self, person: Person | None = None) -> httpx.Client:
        """A client with the key of a person, or of the machine that may do anything."""
        return self.server.client(None if person is None else person.key)

    def command(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command beside the server."""
        return self.server.command(*arguments, stdin=stdin)

    def key(self, *scopes: str, person_id: str | None = None) -> str:
        """A new key."""
        owner = () if person_id is None else ("--person", person_id)
        made = self.server.command("key", "create", "--name", "n", *owner, "--scope", *scopes, "--json")
        return str(json.loads(made.stdout)["key"])

    def person(self, name: str, *scopes: str) -> Person:
        """A new person with a key of these scopes."""
        printed = f"{name} {next(NUMBERS)}"
        arguments = ("person", "add", printed, "--passphrase-stdin", "--json")
        made = self.server.command(*arguments, stdin=PASSPHRASE)
        person_id = json.loads(made.stdout)["id"]
        return Person(person_id, printed, self.key(*scopes, person_id=person_id))

    def version(self) -> str:
        """A version that nobody has used."""
        return f"1.{next(NUMBERS)}.0"

    def register(self, bundled: str, version: str, person: Person | None = None, **changes: Any) -> httpx.Response:
        """Send a bundled artifact as another version, or as another model where `changes` name one."""
        with self.client(person) as client:
            return client.post("/v1/models", content=zipped(release(bundled, version, **changes)), headers=ZIP)

    def sign(self, person: Person, name: str, version: str, to: str, **other: Any) -> httpx.Response:
        """Ask for a transition with a person's key and passphrase. For an approved version and an alias that answers
        callers, what the version warns of is acknowledged first."""
        if answers(to):
            self.acknowledge(person, name, version)
        body = {"to": to, "reason": REASON, "meaning": "approval", "passphrase": PASSPHRASE} | other
        with self.client(person) as client:
            return client.post(f"/v1/models/{name}/versions/{version}/transitions", json=body)

    def acknowledge(self, person: Person, name: str, version: str) -> None:
        """Have a person acknowledge what nobody has yet of an approved version's warnings."""
        place = f"/v1/models/{name}/versions/{version}"
        with self.client() as client:
            answer = client.get(place)
            shown = answer.json() if answer.is_success else {}
        if shown.get("state") == "approved" and shown["open_warnings"]:
            body = {"codes": shown["open_warnings"], "reason": REASON, "passphrase": PASSPHRASE}
            with self.client(person) as client:
                assert client.post(f"{place}/acknowledgements", json=body).status_code == 201


TRUSTING = {"EXOSCORE_TRUSTED_PUBLISHERS": PUBLISHER.vkey(KEY_NAME), "EXOSCORE_DENIED_SECONDS": "3600"}


@contextmanager
def served(url: str, home: Path) -> Iterator[Registry]:
    """A server on the database at a URL, stopped when the block ends."""
    environment = clean_environment(home, measured=True) | TRUSTING | {"EXOSCORE_DATABASE_URL": url}
    server = launch([sys.executable, "-m", "service.cli"], environment, ROOT, None)
    database = Database(url)
    try:
        yield Registry(server, database)
    finally:
        end(server)
        database.close()
