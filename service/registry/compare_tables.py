"""What stands in two columns of a comparison: figures and coefficients with their differences, and whole cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from service.domain.score import display
from service.registry.card_tables import interval, number
from service.registry.compare import Comparison
from service.registry.compare_words import difference_of
from service.registry.manifest import Manifest
from service.registry.manifest_estimator import Equation
from service.registry.manifest_evidence import Performance
from service.registry.page import Section, Table

T = TypeVar("T")

ABSENT = "-"
BOTH = "both"


def paired(old: Sequence[T], new: Sequence[T], key: Callable[[T], Hashable]) -> Iterator[tuple[T, T | None, T | None]]:
    """Each item of the two lists beside the one with its key, behind whichever there is: first those of `old`.

    The second of several with one key stands beside the second of the other list, and so on.
    """
    before, after = _counted(old, key), _counted(new, key)
    yield from ((item, item, after.get(place)) for place, item in before.items())
    yield from ((item, None, item) for place, item in after.items() if place not in before)


def _counted(items: Sequence[T], key: Callable[[T], Hashable]) -> dict[tuple[Hashable, int], T]:
    seen: Counter[Hashable] = Counter()
    found = {}
    for item in items:
        seen[key(item)] += 1
        found[key(item), seen[key(item)]] = item
    return found


def figures(comparison: Comparison) -> list[dict[str, Any]]:
    """The figures of both versions, matched by metric, cohort and method; `difference` is new minus old."""
    return [
        {
            "metric": one.metric,
            "cohort": one.cohort,
            "method": one.method,
            "old": _figure(before),
            "new": _figure(after),
            "difference": _between(before, after),
        }
        for one, before, after in _figures(comparison)
    ]


def figures_table(comparison: Comparison) -> Table:
    """The figures for people."""
    rows = [
        (one.metric, one.cohort, one.method, _shown(before), _shown(after), _step(_between(before, after)))
        for one, before, after in _figures(comparison)
    ]
    return Table(("Metric", "On whom", "Method", *comparison.labels, "Difference"), tuple(rows))


def _figures(comparison: Comparison) -> Iterator[tuple[Performance, Performance | None, Performance | None]]:
    old, new = comparison.old.manifest.performance, comparison.new.manifest.performance
    return paired(old, new, lambda one: (one.metric, one.cohort, one.method))


def _figure(one: Performance | None) -> dict[str, Any] | None:
    return None if one is None else one.model_dump(mode="json", include={"value", "interval", "date"})


def _between(before: Performance | None, after: Performance | None) -> float | None:
    return None if before is None or after is None else difference_of(before.value, after.value)


def _shown(one: Performance | None) -> str:
    return ABSENT if one is None else f"{display(one.value)}{interval(one.interval)}, {one.date}"


def _step(step: float | None) -> str:
    if step is None:
        return ABSENT
    return f"{step:+.6g}" if step else "0"


def coefficients(comparison: Comparison) -> list[dict[str, Any]]:
    """Intercept and coefficients of both versions, matched by input; None where a version has none."""
    old, new = _terms(comparison.old.manifest), _terms(comparison.new.manifest)
    return [
        {
            "term": one.code,
            "name": one.name,
            "old": before and before.coefficient,
            "new": after and after.coefficient,
            "difference": difference_of(before and before.coefficient, after and after.coefficient),
        }
        for one, before, after in paired(old, new, lambda term: term.code)
    ]


class _Coefficient(NamedTuple):
    code: str
    name: str
    coefficient: float | None


def _terms(manifest: Manifest) -> list[_Coefficient]:
    estimator = manifest.estimator
    linear = estimator if isinstance(estimator, Equation) else estimator.lowered
    if linear is None:
        return []
    names = {a.analyte: a.name for a in manifest.analytes} | {c.name: c.title for c in manifest.covariates}
    terms = [_Coefficient(term.input, names.get(term.input, ""), term.coefficient) for term in linear.terms]
    return [_Coefficient("intercept", "", linear.intercept), *terms]


def coefficients_table(comparison: Comparison) -> Table:
    """The coefficients for people, in full."""
    rows = [
        (one["term"], one["name"], _full(one["old"]), _full(one["new"]), _step(one["difference"]))
        for one in coefficients(comparison)
    ]
    return Table(("Term", "Name", *comparison.labels, "Difference"), tuple(rows))


def _full(value: float | None) -> str:
    return ABSENT if value is None else number(value)


def merged(old: Section, new: Section, labels: tuple[str, str]) -> Section:
    """One section of two cards: what both say once, anything else one below the other, each with whose it is."""
    paragraphs = [f"{whose}: {text}" for whose, (text,) in _whose(_texts(old), _texts(new), labels)]
    rows = [(whose, *row) for whose, row in _whose(_rows(old), _rows(new), labels)]
    if not rows:
        return Section(new.title, tuple(paragraphs))
    head = next((section.table.head for section in (new, old) if section.table is not None), ("Text",))
    return Section(new.title, tuple(paragraphs), table=Table(("In", *head), tuple(rows)))


def _whose(
    old: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]], labels: tuple[str, str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for row, before, after in paired(old, new, lambda cells: cells[0]):
        if before == after:
            yield BOTH, row
        else:
            yield from (
                (label, cells) for label, cells in zip(labels, (before, after), strict=True) if cells is not None
            )


def _texts(section: Section) -> list[tuple[str, ...]]:
    # Pictures are not set side by side; what they show is.
    findings = [f"{figure.title} {figure.finding}" for figure in section.figures]
    return [(text,) for text in (*section.paragraphs, *findings)]


def _rows(section: Section) -> list[tuple[str, ...]]:
    return [(text,) for text in section.items] + list(section.table.rows if section.table is not None else ())
