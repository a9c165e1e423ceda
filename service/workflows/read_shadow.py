"""How a model's shadows agree with the versions that answered, summed up for people who decide about a promotion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from service.errors import ModelNotFound
from service.registry.semver import is_name
from service.store.engine import Database
from service.store.shadows import ShadowGroup, find_standing, list_groups

STATUSES = ("final", "indeterminate", "not_reportable", "refused", "failed")


def read_shadow(database: Database, name: str) -> dict[str, Any]:
    """The model's shadow of now (None where it has none), and a comparison for each pair of versions that was ever
    compared, the oldest first. Raises ModelNotFound where no such model is registered."""
    if not is_name(name):  # it may hold what PostgreSQL does not take as a text
        raise _unknown()
    with database.read() as connection:
        standing = find_standing(connection, name)
        groups = list_groups(connection, name) if standing.known else ()
    if not standing.known:
        raise _unknown()
    ordered = sorted(groups, key=_pair)
    items = [_compared(*pair, list(shared)) for pair, shared in groupby(ordered, key=_pair)]
    items.sort(key=lambda item: (item["first"], item["production"], item["shadow"]))
    return {"name": name, "shadow": standing.shadow, "items": items, "next_cursor": None}


def _unknown() -> ModelNotFound:
    return ModelNotFound("No model has this name.", "List the models with GET /v1/models.")


def _pair(group: ShadowGroup) -> tuple[str, str]:
    return group.production, group.shadow


def _compared(production: str, shadow: str, groups: Sequence[ShadowGroup]) -> dict[str, Any]:
    n = sum(group.compared for group in groups)
    return {
        "production": production,
        "shadow": shadow,
        "n": n,
        "mean_difference": sum(group.sum_difference for group in groups) / n if n else None,
        "mean_abs_difference": sum(group.sum_abs_difference for group in groups) / n if n else None,
        "max_abs_difference": max(group.max_abs_difference for group in groups) if n else None,
        "category_changes": _changes(groups),
        "statuses": {status: sum(one.n for one in groups if one.shadow_status == status) for status in STATUSES},
        "first": min(group.first for group in groups),
        "last": max(group.last for group in groups),
    }


def _changes(groups: Sequence[ShadowGroup]) -> list[dict[str, Any]]:
    """Categories that differ where both have a value, the most frequent first."""
    counted: dict[tuple[str | None, str | None], int] = {}
    for group in groups:
        if group.compared and group.category != group.shadow_category:
            change = (group.category, group.shadow_category)
            counted[change] = counted.get(change, 0) + group.compared
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0][0] is None, str(item[0])))
    return [{"from": before, "to": after, "n": n} for (before, after), n in ordered]
