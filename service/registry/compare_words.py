"""The differences between two manifests in plain words, and which of them change what an input or an answer means.

A difference changes the meaning where the same submitted number, or the same answered number, stands for something
else than before: an analyte or a covariate that comes or goes, a unit, what counts as not detected, the normalisation,
the classes, what the answer is of, its categories with their cut-points and comparators, the intended use and the
regulatory status. A coefficient, a limit or a figure changes numbers, not what they mean.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from service.registry.card_tables import number
from service.registry.compare_diff import Difference, Entry, Path, is_number, is_numbers, names_of

LISTS: Final[Mapping[tuple[str, ...], tuple[str, tuple[str, ...]]]] = {
    ("panel",): ("analyte", ("analyte",)),
    ("covariates",): ("covariate", ("name",)),
    ("estimator", "terms"): ("term", ("input",)),
    ("estimator", "lowered", "terms"): ("term", ("input",)),
    ("estimator", "lowered", "proof", "versions"): ("version of", ()),
    ("estimator", "calibration", "parameters"): ("calibration parameter", ()),
    ("estimator", "classes"): ("class", ()),
    ("output", "categories"): ("category", ("code",)),
    ("output", "cut_points"): ("cut-point", ()),
    ("normalisation",): ("normalisation step", ()),
    ("gates",): ("quality gate", ()),
    ("performance",): ("figure", ("metric", "cohort", "method")),
    ("negative_controls",): ("negative control", ("name", "metric")),
    ("curves",): ("curve", ("kind", "cohort")),
    ("training", "classes"): ("number of people in class", ()),
    ("intended_use", "cautioned_uses"): ("cautioned use", ()),
    ("intended_use", "specimen_types"): ("specimen type", ()),
    ("intended_use", "isolation_methods"): ("isolation method", ()),
    ("intended_use", "population", "sexes"): ("sex", ()),
    ("intended_use", "anticoagulants", "accepted"): ("accepted anticoagulant", ()),
    ("intended_use", "anticoagulants", "refused"): ("refused anticoagulant", ()),
    ("condition", "coding"): ("code of the condition", ("system", "code")),
    ("limitations",): ("limitation", ()),
    ("warnings",): ("warning", ("code",)),
    ("references",): ("reference", ("citation",)),
    ("contacts",): ("contact", ("role", "name")),
    ("files",): ("file", ()),
}
"""What an entry of each list is called, and the fields that identify it."""

IDENTITIES: Final = {path: fields for path, (_, fields) in LISTS.items()}

_CALLED_BY_NAME = frozenset({"analyte", "covariate", "term"})
_WORDS = {
    "lob": "LoB",
    "lod": "LoD",
    "loq": "LoQ",
    "doi": "DOI",
    "url": "address",
    "cv": "CV",
    "lowered": "served coefficients",
    "panel": "the panel",
}
_MEANING = (
    ("name",),
    ("status_claim",),
    ("condition",),
    ("intended_use",),
    ("normalisation",),
    ("estimator", "classes"),
    ("estimator", "positive_class"),
    ("estimator", "sign_convention"),
    ("output",),
)
_MEANING_OF_INPUTS = {
    "panel": frozenset({"analyte", "kind", "unit", "nondetect_codes"}),
    "covariates": frozenset({"name", "title", "unit", "type"}),
}
_SHORT, _FEW, _MANY_NUMBERS = 120, 20, 8


def changes_meaning(difference: Difference) -> bool:
    """Whether the same input or the same answer means something else than before."""
    names = difference.names
    if difference.kind == "reordered":
        # The first category that holds is the answer; everywhere else order says nothing.
        return names == ("output", "categories")
    if names[:2] == ("output", "cut_points"):
        # Their values stand in the categories, too; the rest is where they come from.
        return names[2:] in {(), ("value",)}
    fields = _MEANING_OF_INPUTS.get(names[0])
    if fields is not None:
        return difference.kind in {"added", "removed"} if len(names) == 1 else names[1] in fields
    return any(names[: len(prefix)] == prefix for prefix in _MEANING)


def what(difference: Difference, called: Mapping[str, str]) -> str:
    """What differs, in words: "Unit of hsa-miR-20a-5p". `called` gives names for the codes of inputs."""
    text = _what(difference.path, called)
    return text[:1].upper() + text[1:]


def _what(path: Path, called: Mapping[str, str]) -> str:
    entries = [(place, step) for place, step in enumerate(path) if isinstance(step, Entry)]
    if not entries:
        return ", ".join(_humane(name) for name in names_of(path))
    last, entry = entries[-1]
    noun, _ = LISTS.get(names_of(path[:last]), ("entry", ()))
    label = _label(entry, noun, called)
    field = ", ".join(_humane(name) for name in names_of(path[last + 1 :]))
    if not field:
        return f"{noun} {label}"
    return f"{field} of {label}" if noun in _CALLED_BY_NAME else f"{field} of {noun} {label}"


def _label(entry: Entry, noun: str, called: Mapping[str, str]) -> str:
    first, *rest = entry.key
    label = called.get(first, first) if noun in _CALLED_BY_NAME else first
    if rest:
        label += f" ({'; '.join(rest)})"
    if len(label) > _SHORT:
        label = label[:_SHORT] + "..."
    return label if entry.nth == 1 else f"{label}, number {entry.nth} of this name"


def _humane(name: str) -> str:
    return _WORDS.get(name) or " ".join(_WORDS.get(word, word) for word in name.split("_"))


def sentence(difference: Difference, called: Mapping[str, str]) -> str:
    """The whole difference in words: "Unit of hsa-miR-20a-5p: {zscore} -> {log2}"."""
    named, old, new = what(difference, called), difference.old, difference.new
    match difference.kind:
        case "added":
            return _whole(difference.path, named, "added", new)
        case "removed":
            return _whole(difference.path, named, "removed", old)
        case "reordered":
            first = next(i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b)
            moved = f"from place {first + 1} on, {_joined(old[first:])} -> {_joined(new[first:])}"
            return f"Order of {named[:1].lower()}{named[1:]}: {moved}"
    return f"{named}: {_change(old, new)}"


def _whole(path: Path, named: str, came: str, value: Any) -> str:
    noun, fields = LISTS.get(names_of(path), ("", ()))
    step = path[-1]
    if isinstance(step, Entry) and step.key == (value,):
        return f"{noun[:1].upper()}{noun[1:]} {came}: {value}"
    if isinstance(value, dict) and noun not in _CALLED_BY_NAME:
        value = {name: item for name, item in value.items() if name not in fields}
    return f"{named} {came}: {words(value)}"


def _joined(keys: list[list[str]]) -> str:
    shown = [" ".join(key) for key in keys[:_FEW]]
    return ", ".join(shown) + (f" and {len(keys) - _FEW} more" if len(keys) > _FEW else "")


def _change(old: Any, new: Any) -> str:
    if is_numbers(old) and is_numbers(new) and max(_count(old), _count(new)) > _MANY_NUMBERS:
        return _numbers_change(old, new)
    before, after = words(old), words(new)
    if before == after:
        before, after = json.dumps(old), json.dumps(new)
    step = difference_of(old, new)
    shown = f"{before} -> {after}"
    if step is not None:
        shown += f" ({step:+.6g})"
    return shown + _remark(old, new)


def difference_of(old: Any, new: Any) -> float | None:
    """New minus old, where both are numbers and it is one."""
    if not (is_number(old) and is_number(new)):
        return None
    step = float(new) - float(old)
    return step if math.isfinite(step) else None


def _numbers_change(old: list[Any], new: list[Any]) -> str:
    before, after = _flat(old), _flat(new)
    if len(before) != len(after):
        return f"{len(before)} numbers -> {len(after)} numbers"
    differ = [(a, b) for a, b in zip(before, after, strict=True) if repr(a) != repr(b)]
    if not differ:
        return "the same numbers in another shape"
    first, second = differ[0]
    return f"{len(differ)} of {len(before)} numbers differ, the first: {number(first)} -> {number(second)}"


def _flat(value: list[Any]) -> list[float]:
    return [one for item in value for one in (_flat(item) if isinstance(item, list) else [item])]


def _count(value: list[Any]) -> int:
    return len(_flat(value))


def _remark(old: Any, new: Any) -> str:
    """What tells two texts apart where the eye cannot."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return ""
    before, after = Counter(old), Counter(new)
    odd = sorted(c for c in before | after if before[c] != after[c] and not (c.isascii() and c.isprintable()))
    if odd:
        named = [f"U+{ord(c):04X} {unicodedata.name(c, 'without a name')}" for c in odd[:_FEW]]
        return f" (the number of these characters differs: {', '.join(named)})"
    return " (only white space differs)" if old.split() == new.split() else ""


def words(value: Any) -> str:
    """A value of a manifest for people; long lists are cut short."""
    if isinstance(value, dict):
        return "; ".join(f"{_humane(k)}: {_nested(v)}" for k, v in value.items() if v not in (None, [], {}))
    if isinstance(value, list):
        if is_numbers(value) and _count(value) > _MANY_NUMBERS:
            return f"{_count(value)} numbers"
        shown = ", ".join(_nested(item) for item in value[:_FEW])
        return (shown or "none") + (f" and {len(value) - _FEW} more" if len(value) > _FEW else "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else number(value)


def _nested(value: Any) -> str:
    return f"({words(value)})" if isinstance(value, (dict, list)) else words(value)
