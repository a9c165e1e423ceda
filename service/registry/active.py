"""The versions this process knows, as one immutable snapshot that is swapped whole.

A request resolves its model against one snapshot and keeps it to the end, so a swap never mixes two versions in one
answer. A version that failed to load is in the snapshot too, `rejected` and with the reason, so that people can see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from service.domain.panel import Panel
from service.errors import ModelNotFound, NoActiveModel, VersionLoading, VersionNotInForce, VersionUnusable
from service.registry.lifecycle import PRODUCTION, SHADOW
from service.registry.manifest import Manifest
from service.registry.scorer import Scorer
from service.registry.semver import version_order


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version and its state: `registered`, `verified`, `approved`, `retired` or `rejected`.

    All that was made from the artifact is None for a version that is not loaded: one that is not approved, one that is
    still being loaded, and one that could not be, which has the `reason`. `digest` is "" where no manifest could be
    read and none was expected. `example` holds typical inputs by panel code, in the panel's units.
    """

    name: str
    version: str
    digest: str
    state: str
    reason: str | None = None
    manifest: Manifest | None = None
    document: dict[str, Any] | None = None
    panel: Panel | None = None
    scorer: Scorer | None = None
    example: Mapping[str, float] | None = None


@dataclass(frozen=True)
class ActiveModels:
    """A snapshot: `versions` by name, then oldest to newest; `aliases` name -> alias -> version; the registry
    `generation` it is of."""

    versions: tuple[ModelVersion, ...]
    aliases: Mapping[str, Mapping[str, str]]
    generation: int = 0
    _index: Mapping[tuple[str, str], ModelVersion] = field(init=False, repr=False, compare=False)
    _by_name: Mapping[str, tuple[ModelVersion, ...]] = field(init=False, repr=False, compare=False)
    _in_force: dict[str, ModelVersion] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.versions, key=lambda version: (version.name, version_order(version.version))))
        frozen = {name: MappingProxyType(dict(targets)) for name, targets in self.aliases.items()}
        object.__setattr__(self, "versions", ordered)
        object.__setattr__(self, "aliases", MappingProxyType(frozen))
        object.__setattr__(self, "_index", MappingProxyType({(v.name, v.version): v for v in ordered}))
        by_name = {name: tuple(found) for name, found in groupby(ordered, attrgetter("name"))}
        object.__setattr__(self, "_by_name", MappingProxyType(by_name))
        object.__setattr__(self, "_in_force", {})
        for reference in self._references():
            with suppress(ModelNotFound, NoActiveModel, VersionNotInForce, VersionLoading, VersionUnusable):
                self._in_force[reference] = self.resolve(reference)

    def names(self) -> tuple[str, ...]:
        """Every model name, in order, rejected versions included."""
        return tuple(self._by_name)

    def versions_of(self, name: str) -> tuple[ModelVersion, ...]:
        """The versions of `name`, newest last; empty where the name is unknown."""
        return self._by_name.get(name, ())

    def find(self, name: str, version: str) -> ModelVersion | None:
        """The exact version, whatever its state."""
        return self._index.get((name, version))

    def get(self, name: str, version: str) -> ModelVersion:
        """As `find`; raises ModelNotFound."""
        found = self.find(name, version)
        if found is None:
            raise self._unknown(name)
        return found

    def resolve(self, reference: str) -> ModelVersion:
        """The version that answers for `name`, `name@version` or `name@alias`.

        Raises ModelNotFound for an unknown name, version or alias; NoActiveModel where a bare name has no production
        alias or no version of any model is in force; VersionNotInForce, naming the state, for any other version that
        may not answer; VersionLoading and VersionUnusable for one that may and cannot.
        """
        found = self._in_force.get(reference)
        if found is not None:
            return found
        name, _, target = reference.partition("@")
        if not self.versions_of(name) or reference.endswith("@"):
            raise self._unknown(name)
        version = self._target(name, target)
        if version.state != "approved":
            self._require_any()
            raise VersionNotInForce(
                f"The version is {version.state}; only an approved version answers.",
                "Name an approved version, or the model alone for the version in production.",
            )
        if version.scorer is None:
            raise _not_loaded(version)
        return version

    def alias_in(self, reference: str) -> str | None:
        """The alias by which a reference that `resolve` takes names a version; None for an exact version."""
        name, _, target = reference.partition("@")
        return (target or PRODUCTION) if self.find(name, target) is None else None

    def _references(self) -> Iterator[str]:
        """Every reference that may be answered for: requests name the same few again and again."""
        yield from self.names()
        yield from (f"{version.name}@{version.version}" for version in self.versions if version.scorer is not None)
        yield from (f"{name}@{alias}" for name, targets in self.aliases.items() for alias in targets)

    def _target(self, name: str, target: str) -> ModelVersion:
        exact = self.find(name, target)
        if exact is not None:
            return exact
        aliased = self.aliases.get(name, {}).get(target or PRODUCTION)
        if aliased is not None and target == SHADOW:
            raise VersionNotInForce(
                "A shadow scores beside the version in production and answers nobody.",
                "Name the model alone for the version in production.",
            )
        if aliased is not None:
            return self.get(name, aliased)
        if target in {"", PRODUCTION}:
            self._require_any()
            raise NoActiveModel("No version of the model is in production.", "Ask the laboratory to promote a version.")
        raise self._unknown(name)

    def _require_any(self) -> None:
        if not any(v.state == "approved" for v in self.versions):
            raise NoActiveModel("No version of any model is in force.", "Approve and promote a version first.")

    def _unknown(self, name: str) -> ModelNotFound:
        # Only what the registry itself holds may be named: the reference is the caller's text.
        known = self.versions_of(name)
        if known:
            aliases = [alias for alias in self.aliases.get(name, {}) if alias != SHADOW]
            options = ", ".join([*(v.version for v in known), *aliases])
            return ModelNotFound("The model has no such version or alias.", f"Use one of {options}.")
        return ModelNotFound(
            "No such model.", f"Use one of {', '.join(self.names()) or 'none: nothing is registered'}."
        )


def _not_loaded(version: ModelVersion) -> VersionLoading | VersionUnusable:
    if version.reason is None:
        return VersionLoading("The version is being loaded.", "Send the request again soon.")
    return VersionUnusable(
        f"The version does not pass its self-test on this machine: {version.reason}",
        "Ask the laboratory to put another version in production, or to restore the environment of this machine.",
    )
