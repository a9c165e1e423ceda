"""A laboratory at work on a running service: a machine registers versions over HTTP, and a person signs for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.registry.artifacts import KEY_NAME, PUBLISHER
from tests.registry.successors import zipped
from tests.workflows.registering import answers

PASSPHRASE = "seventeen quiet herons"
TRUSTING = {"EXOSCORE_TRUSTED_PUBLISHERS": PUBLISHER.vkey(KEY_NAME)}
"""The setting of a service that trusts the publisher of the tests."""


@dataclass(frozen=True, slots=True)
class Laboratory:
    """The key of a person who may approve. Servers are given with every call: any replica will do."""

    key: str

    @classmethod
    def at(cls, server: Any) -> Laboratory:
        """A laboratory with a new person, made by commands beside a server."""
        arguments = ("person", "add", "Noor de Wit", "--passphrase-stdin", "--json")
        added = server.command(*arguments, stdin=PASSPHRASE)
        assert added.returncode == 0, added.stdout + added.stderr
        person, scopes = json.loads(added.stdout)["id"], ("models:approve", "models:read", "audit:read")
        made = server.command("key", "create", "--name", "desk", "--person", person, "--scope", *scopes, "--json")
        return cls(json.loads(made.stdout)["key"])

    def register(self, server: Any, files: Mapping[str, bytes]) -> str:
        """Register an artifact with the key of a machine; its digest."""
        with server.client() as client:
            answer = client.post("/v1/models", content=zipped(files), headers={"content-type": "application/zip"})
        assert (answer.status_code, answer.json().get("state")) == (201, "verified"), answer.text
        return str(answer.json()["digest"])

    def ask(self, server: Any, name: str, version: str, to: str) -> httpx.Response:
        """Sign for a transition; the answer, whatever it says."""
        signing = {"to": to, "reason": "As the script says.", "meaning": "approval", "passphrase": PASSPHRASE}
        with server.client(self.key) as client:
            return client.post(f"/v1/models/{name}/versions/{version}/transitions", json=signing)

    def acknowledge(self, server: Any, name: str, version: str) -> None:
        """Acknowledge every warning of a version that nobody has acknowledged yet."""
        place = f"/v1/models/{name}/versions/{version}"
        with server.client(self.key) as client:
            codes = client.get(place).json()["open_warnings"]
            if codes:
                signing = {"codes": codes, "reason": "They are known.", "passphrase": PASSPHRASE}
                answer = client.post(f"{place}/acknowledgements", json=signing)
                assert answer.status_code == 201, answer.text

    def sign(self, server: Any, name: str, version: str, *places: str) -> None:
        """Bring a version to states and aliases, one after the other; where one of them answers callers, acknowledge
        what the version warns of first."""
        for to in places:
            if answers(to):
                self.acknowledge(server, name, version)
            answer = self.ask(server, name, version, to)
            assert answer.status_code == 201, answer.text
