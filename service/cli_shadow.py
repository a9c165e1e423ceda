"""The `exoscore model shadow` command: how a model's shadows agree with the versions that answered."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from service.settings import Settings
from service.terminal import show

DONE = 0

Add = Callable[..., argparse.ArgumentParser]


def add_shadow_command(group: Any, add: Add) -> None:
    """Add the command to the parser's group `model`."""
    add(group, "shadow", model_shadow, "compare shadows with what was answered").add_argument("name", metavar="NAME")


def model_shadow(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model shadow NAME`: reads the database alone, and disturbs no server that runs beside it."""
    from service.store.migrate import open_current
    from service.workflows.read_shadow import read_shadow

    with open_current(settings.resolved_database_url()) as database:
        found = read_shadow(database, options.name)
    lines = [f"shadow {found['shadow'] or 'none'}"]
    for item in found["items"]:
        lines += ["", *lines_of(item)]
    show(found, "\n".join(lines), as_json=options.json)
    return DONE


def lines_of(item: dict[str, Any]) -> list[str]:
    """One comparison as text for people."""
    lines = [f"{item['shadow']} beside {item['production']}, {item['first']} to {item['last']}"]
    lines.append("  " + ", ".join(f"{status} {n}" for status, n in item["statuses"].items() if n))
    lines.append(f"  compared {item['n']}")
    if item["n"]:
        mean, absolute = item["mean_difference"], item["mean_abs_difference"]
        lines.append(f"  difference: mean {mean:+.6g}, mean absolute {absolute:.6g}")
        lines[-1] += f", largest absolute {item['max_abs_difference']:.6g}"
        changes = [f"{one['from'] or '-'} -> {one['to'] or '-'}: {one['n']}" for one in item["category_changes"]]
        lines.append("  category changes: " + (", ".join(changes) or "none"))
    return lines
