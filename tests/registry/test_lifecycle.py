"""Every move from every state, and that nothing else is possible."""

from __future__ import annotations

import pytest

from service.errors import Conflict, InputRejected
from service.registry.lifecycle import STATES, Move, Standing, plan, require_second_person, verify

ALIASES = {"production": "1.0.0", "candidate": "1.1.0"}

POSSIBLE = {
    ("registered", "rejected"): Move("model.rejected", "1.1.0", "registered", "rejected"),
    ("verified", "rejected"): Move("model.rejected", "1.1.0", "verified", "rejected"),
    ("verified", "approved"): Move("model.approved", "1.1.0", "verified", "approved"),
    ("approved", "retired"): Move("model.retired", "1.1.0", "approved", "retired", dropped=("candidate",)),
    ("approved", "production"): Move("model.promoted", "1.1.0", "1.0.0", "1.1.0", alias="production"),
    ("approved", "shadow"): Move("model.promoted", "1.1.0", None, "1.1.0", alias="shadow"),
    ("approved", "withdrawn"): Move("model.promoted", "1.1.0", dropped=("candidate",)),
}


@pytest.mark.parametrize("to", ["approved", "rejected", "retired", "withdrawn", "production", "shadow"])
@pytest.mark.parametrize("state", STATES)
def test_a_move_is_possible_from_its_states_only(state: str, to: str) -> None:
    standing = Standing(state, ALIASES if state == "approved" else {"production": "1.0.0"})
    if (state, to) in POSSIBLE:
        assert plan("1.1.0", to, standing) == POSSIBLE[state, to]
    else:
        with pytest.raises(Conflict):
            plan("1.1.0", to, standing)


@pytest.mark.parametrize("to", ["candidate", "withdrawn"])
def test_what_is_done_already_is_a_conflict(to: str) -> None:
    aliases = {"candidate": "1.1.0"} if to == "candidate" else {"candidate": "1.0.0"}
    with pytest.raises(Conflict):
        plan("1.1.0", to, Standing("approved", aliases))


@pytest.mark.parametrize("to", ["registered", "verified", "Production", "produc\u0442ion", "", "a b", "x" * 65])
def test_a_person_brings_a_version_to_no_other_place(to: str) -> None:
    with pytest.raises(InputRejected) as refused:
        plan("1.1.0", to, Standing("approved", {}))
    assert refused.value.problems[0].pointer == "/to"


@pytest.mark.parametrize("state", STATES)
def test_the_service_verifies_what_is_registered_and_nothing_else(state: str) -> None:
    if state == "registered":
        assert verify("1.1.0", Standing(state, {})) == Move("model.verified", "1.1.0", "registered", "verified")
    else:
        with pytest.raises(Conflict):
            verify("1.1.0", Standing(state, {}))


def test_who_registered_a_version_does_not_approve_it() -> None:
    require_second_person(None, "a" * 16)
    require_second_person("b" * 16, "a" * 16)
    with pytest.raises(Conflict):
        require_second_person("a" * 16, "a" * 16)
