"""A recorded acknowledgement as it is shown: code by code."""

from __future__ import annotations

from typing import Any

from service.domain.acknowledgement import Acknowledgement


def acknowledgements(said: dict[str, Any], at: str) -> tuple[Acknowledgement, ...]:
    """What a statement of the time `at` says, code by code."""
    return tuple(
        Acknowledgement(
            code=code,
            actor=said["actor"],
            printed_name=said["printed_name"],
            person_id=said["person"],
            meaning=said["meaning"],
            reason=said["reason"],
            at=at,
        )
        for code in said["codes"]
    )
