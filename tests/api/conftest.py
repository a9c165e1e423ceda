"""Servers with a registry that a test may change, beside the one that all tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.served_registry import Registry, served

Serve = Callable[[str, Path], Registry]


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Starts a server with a registry of its own on the database at a URL; all end with the module."""
    with ExitStack() as running:
        yield lambda url, home: running.enter_context(served(url, home))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One server per kind of database for the tests of a module, with two people who may sign."""
    backend = request.getfixturevalue(f"{request.param}_backend")
    url = backend.migrated()
    with served(url, tmp_path_factory.mktemp(request.param) / "home") as registry:
        scopes = ("models:register", "models:approve", "models:read", "scores:write", "scores:read")
        registry.people += [registry.person("Zoë Müller", *scopes), registry.person("木村 拓哉", *scopes)]
        yield registry
    backend.remove(url)
