"""The life of a version: its states, its aliases, and which move is possible when. Pure rules, no storage.

    registered -> verified -> approved -> retired
    registered or verified -> rejected

Rules:
1. `registered`: the bytes are stored and their digests, and a signature where there is one, are right. `verified`: the
   golden vectors gave their values here too. The service itself makes both steps when an artifact is registered.
2. `approved`: a person says so who is not the one who registered the version (four eyes), with a meaning and a reason.
   Only an approved version answers.
3. An alias points to an approved version. `production` is what a bare model name means; what `shadow` points to
   scores the same inputs and answers nobody. To go back is a move like any other. What else an alias that serves asks
   for, `registry.promotion` says.
4. `retired` ends it and takes every alias away; `rejected` ends it before approval. A version is never deleted.
5. A person's move names the person, the meaning of the signature and the reason: 21 CFR 11.50(a) asks for the printed
   name, the date and time, and the meaning, such as review, approval, responsibility or authorship.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.errors import Conflict, InputRejected, Problem
from service.registry.semver import is_name

PRODUCTION = "production"
SHADOW = "shadow"
WITHDRAWN = "withdrawn"
STATES = ("registered", "verified", "approved", "retired", "rejected")
ENDED = ("retired", "rejected")
"""States that a version never leaves."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand before a move: the version's state, the model's aliases (alias -> version), and the codes of the
    version's warnings that were acknowledged."""

    state: str
    aliases: Mapping[str, str]
    acknowledged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Move:
    """One possible move of `version`: the kind of its entry, and what it does.

    A move of state goes from `before` to `after`; a move of an `alias` from version `before` (None where it pointed
    nowhere) to version `after`. `dropped` are aliases that are taken away.
    """

    kind: str
    version: str
    before: str | None = None
    after: str | None = None
    alias: str | None = None
    dropped: tuple[str, ...] = ()


def register(version: str) -> Move:
    """A version comes into being."""
    return Move("model.registered", version, None, "registered")


def verify(version: str, standing: Standing) -> Move:
    """The self-test of a registered version passed; raises Conflict for a version that is past it."""
    if standing.state != "registered":
        raise _impossible(standing, "Only a registered version can be verified.")
    return Move("model.verified", version, "registered", "verified")


def reject(version: str, standing: Standing) -> Move:
    """A version is turned down before it was approved; raises Conflict afterwards."""
    if standing.state not in ("registered", "verified"):
        raise _impossible(standing, "Only a version that is not approved yet can be rejected; retire an approved one.")
    return Move("model.rejected", version, standing.state, "rejected")


def plan(version: str, to: str, standing: Standing) -> Move:
    """The move that brings `version` to `to`: a state, an alias, or `withdrawn` (out of all its aliases).

    Raises Conflict where the present state does not let it, InputRejected for what is neither.
    """
    if to == "approved":
        return _approve(version, standing)
    if to == "rejected":
        return reject(version, standing)
    if to == "retired":
        return _retire(version, standing)
    if to == WITHDRAWN:
        return _withdraw(version, standing)
    if to in STATES or not is_name(to):
        raise _unknown_target()
    return _promote(version, to, standing)


def require_second_person(registrant: str | None, person: str) -> None:
    """Raise Conflict where the person who approves is the one who registered the version; None is a machine."""
    if registrant == person:
        raise Conflict(
            "The version was registered by the same person: somebody else has to approve it.",
            "Ask a second person to look at it and approve it.",
        )


def _approve(version: str, standing: Standing) -> Move:
    if standing.state != "verified":
        raise _impossible(standing, "Only a verified version can be approved.")
    return Move("model.approved", version, "verified", "approved")


def _retire(version: str, standing: Standing) -> Move:
    if standing.state != "approved":
        raise _impossible(standing, "Only an approved version can be retired; reject one that is not approved.")
    return Move("model.retired", version, "approved", "retired", dropped=_aliases_of(version, standing))


def _promote(version: str, alias: str, standing: Standing) -> Move:
    if standing.state != "approved":
        raise _impossible(standing, "Only an approved version can have an alias.")
    before = standing.aliases.get(alias)
    if before == version:
        raise Conflict("The alias points to this version already.", "There is nothing to do.")
    return Move("model.promoted", version, before, version, alias=alias)


def _withdraw(version: str, standing: Standing) -> Move:
    aliases = _aliases_of(version, standing)
    if not aliases:
        raise Conflict("No alias points to this version.", "There is nothing to do.")
    return Move("model.promoted", version, dropped=aliases)


def _aliases_of(version: str, standing: Standing) -> tuple[str, ...]:
    return tuple(sorted(alias for alias, target in standing.aliases.items() if target == version))


def _impossible(standing: Standing, remedy: str) -> Conflict:
    return Conflict(f"The version is {standing.state}.", remedy)


def _unknown_target() -> InputRejected:
    remedy = f"Use approved, rejected, retired, {WITHDRAWN}, {PRODUCTION}, {SHADOW} or another alias (a-z, 0-9, -)."
    message = "This is no state or alias that a person can bring a version to."
    return InputRejected(message, problems=[Problem("/to", "unknown_target", message, remedy)])
