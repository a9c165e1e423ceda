"""Two versions of a model side by side, as one reads them before putting the one in the place of the other.

Rules:
1. What changed stands first and in plain words; what changes the meaning of an input or an answer stands before all.
2. Nothing that the two manifests state differently is missing: the list is made by a diff of the whole documents, and
   the words are found afterwards.
3. Numbers are compared in full; whether a difference matters is for the reader to judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.acknowledgement import Acknowledgement
from service.domain.signature import Signature
from service.registry import compare_words as say
from service.registry.compare_diff import Kind, differences
from service.registry.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions: its manifest, the digest of its bytes, and what the registry knows beside them.

    `publisher` is the name of the key that signed the artifact, None where none did.
    """

    manifest: Manifest
    digest: str
    signatures: tuple[Signature, ...] = ()
    publisher: str | None = None
    acknowledgements: tuple[Acknowledgement, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `old` and `new` are JSON values; None, as the pointers, where the entry is missing on that side.

    `text` says it in words; `difference` is new minus old where both are numbers. For `reordered`, old and new are the
    identities of the entries that both lists hold.
    """

    kind: Kind
    what: str
    text: str
    changes_meaning: bool
    old: Any
    new: Any
    difference: float | None
    old_pointer: str | None
    new_pointer: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions and every change from `old` to `new`, those first that change the meaning."""

    old: Side
    new: Side
    changes: tuple[Change, ...]

    @property
    def of_meaning(self) -> tuple[Change, ...]:
        """The changes that change what an input or an answer means."""
        return tuple(change for change in self.changes if change.changes_meaning)

    @property
    def labels(self) -> tuple[str, str]:
        """What the two are called: their versions, told apart where they are the same."""
        old, new = self.old.manifest.version, self.new.manifest.version
        return (old, new) if old != new else (f"{old} (first)", f"{new} (second)")


def compare(
    old: Manifest,
    old_digest: str,
    new: Manifest,
    new_digest: str,
    *,
    signatures: tuple[Sequence[Signature], Sequence[Signature]] = ((), ()),
    publishers: tuple[str | None, str | None] = (None, None),
    acknowledgements: tuple[Sequence[Acknowledgement], Sequence[Acknowledgement]] = ((), ()),
) -> Comparison:
    """The comparison of two versions; `signatures`, `publishers` and `acknowledgements` are those of the old and of the
    new one."""
    found = differences(_document(old), _document(new), say.IDENTITIES)
    called = _called(old, new)
    changes = [
        Change(
            kind=one.kind,
            what=say.what(one, called),
            text=say.sentence(one, called),
            changes_meaning=say.changes_meaning(one),
            old=one.old,
            new=one.new,
            difference=say.difference_of(one.old, one.new),
            old_pointer=one.old_pointer,
            new_pointer=one.new_pointer,
        )
        for one in found
    ]
    return Comparison(
        Side(old, old_digest, tuple(signatures[0]), publishers[0], tuple(acknowledgements[0])),
        Side(new, new_digest, tuple(signatures[1]), publishers[1], tuple(acknowledgements[1])),
        tuple(sorted(changes, key=lambda change: not change.changes_meaning)),
    )


def _document(manifest: Manifest) -> dict[str, Any]:
    # Fields that were left out stand in it with their defaults: leaving one out says the same as writing it.
    return manifest.model_dump(mode="json", by_alias=True)


def _called(old: Manifest, new: Manifest) -> dict[str, str]:
    """A name for each code of an input: the published one where both versions use it, and for this input alone."""
    before, after = _names(old), _names(new)
    names: dict[str, set[str]] = {}
    for code, name in [*before.items(), *after.items()]:
        names.setdefault(name, set()).add(code)
    called = {}
    for code in {**before, **after}:
        name = after.get(code, before.get(code, code))
        same = before.get(code, name) == name and len(names[name]) == 1
        called[code] = name if same else f"{name} ({code})"
    return called


def _names(manifest: Manifest) -> dict[str, str]:
    return {a.analyte: a.name for a in manifest.analytes} | {c.name: c.name for c in manifest.covariates}
