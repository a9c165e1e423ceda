"""Cross-checks on quality gates: what a gate would read wrongly, or not read at all, is refused."""

from __future__ import annotations

from collections.abc import Iterator

from service.domain.analytes import catalogue
from service.domain.quality import GATES, Direction
from service.errors import Problem
from service.registry.manifest_panel import GateSpec
from service.registry.manifest_schema import Manifest


def check_gates(manifest: Manifest) -> Iterator[Problem]:
    """Problems of the gates: no limit, a flag that can never be raised, and what belongs to window gates alone."""
    for code, gate in manifest.gates.items():
        pointer = f"/gates/{code}"
        yield from _limits(pointer, gate, GATES[code].direction)
        if GATES[code].direction is Direction.WINDOW:
            yield from _window(pointer, gate)
        else:
            yield from _no_window(pointer, gate)


def _limits(pointer: str, gate: GateSpec, direction: Direction) -> Iterator[Problem]:
    if gate.flag is None and gate.fail is None:
        yield Problem(pointer, "limits", "The gate has no limit.", "Give flag, fail or both.")
    if gate.flag is None or gate.fail is None:
        return
    # A flag at the fail limit or past it is dead: the gate fails first.
    milder, side = (gate.flag > gate.fail, "above") if direction is Direction.LOW else (gate.flag < gate.fail, "below")
    if not milder:
        yield Problem(pointer, "limits", "The gate fails before it flags.", f"Set flag {side} fail.")


def _window(pointer: str, gate: GateSpec) -> Iterator[Problem]:
    if gate.expected is None:
        yield Problem(f"{pointer}/expected", "limits", "A window has no centre.", "Give the expected value.")
    if any(limit is not None and limit < 0 for limit in (gate.flag, gate.fail)):
        yield Problem(pointer, "limits", "A distance from the centre is never negative.", "Give limits from 0 up.")
    if gate.analyte is None:
        return
    # Quality measures are compared by accession: a name would never match, and the gate would never be assessed.
    known = catalogue().find(gate.analyte)
    if known is None or known.accession != gate.analyte:
        yield Problem(f"{pointer}/analyte", "analyte", "Not an accession of the catalogue.", "Use MIMAT or UniProt.")


def _no_window(pointer: str, gate: GateSpec) -> Iterator[Problem]:
    for name in ("expected", "analyte"):
        if getattr(gate, name) is not None:
            yield Problem(f"{pointer}/{name}", "unused", "Only a window gate reads this field.", "Leave it out.")
