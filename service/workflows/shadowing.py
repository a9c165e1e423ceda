"""Shadow scoring: a version in `shadow` scores what others are answered, and nobody waits for it.

A score is offered after its COMMIT, so what a shadow does can neither fail nor delay an answer. Each shadow has a line
and a process of its own (`shadow_line`), with limited memory, behind everybody else for the processor. Where no model
has a shadow, nothing of this runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from service.registry.active import ActiveModels, ModelVersion
from service.registry.lifecycle import SHADOW
from service.store.engine import Database
from service.store.shadows import ShadowRow, insert_shadow_scores
from service.workflows.shadow_child import ShadowInput, ShadowLimits
from service.workflows.shadow_line import ShadowLine

_NO_ALIASES: Mapping[str, str] = {}

FilesOf = Callable[[ModelVersion], Mapping[str, bytes]]
"""The files of a version, its manifest among them. Raises ArtifactRejected or a SystemFault."""


class Shadowing(Protocol):
    """Who is told of every new score."""

    def offer(self, answered: ModelVersion, score_id: str, body: bytes, at: datetime) -> None:
        """A score is durable: `answered` made it of `body`, which came at `at`. Returns at once and never raises."""
        ...

    def close(self) -> None:
        """Nothing more will be offered."""
        ...


class NoShadows:
    """For commands, which answer nobody."""

    def offer(self, answered: ModelVersion, score_id: str, body: bytes, at: datetime) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Shadows:
    """The shadows of all models; `models` gives the snapshot in force, `trusted` are the verifier keys of publishers.
    `offer` belongs to the event loop."""

    def __init__(
        self,
        database: Database,
        *,
        models: Callable[[], ActiveModels],
        files_of: FilesOf,
        trusted: Sequence[str],
        now: Callable[[], datetime],
        limits: ShadowLimits | None = None,
    ) -> None:
        self._database, self._models, self._now = database, models, now
        self._files_of, self._trusted = files_of, trusted
        self._limits = ShadowLimits() if limits is None else limits
        self._lines: dict[str, ShadowLine] = {}

    @property
    def lines(self) -> Mapping[str, ShadowLine]:
        """The lines by the digests of their versions."""
        return self._lines

    def offer(self, answered: ModelVersion, score_id: str, body: bytes, at: datetime) -> None:
        """As `Shadowing.offer`; what the shadow itself answered, because it was named, it does not score again."""
        models = self._models()
        target = models.aliases.get(answered.name, _NO_ALIASES).get(SHADOW)
        if target is None:
            return
        shadow = models.find(answered.name, target)
        if shadow is None or shadow.digest == answered.digest:
            return
        self._line(shadow).offer(ShadowInput(score_id, body, at))

    def close(self) -> None:
        """Drop what waits and end everything; takes seconds at most."""
        for line in self._lines.values():
            line.close()

    def _line(self, shadow: ModelVersion) -> ShadowLine:
        line = self._lines.get(shadow.digest)
        if line is None:
            # A version that is no shadow any more needs no line, once that has come to rest.
            self._lines = {digest: known for digest, known in self._lines.items() if not known.idle}
            line = self._lines[shadow.digest] = ShadowLine(
                shadow,
                files=lambda: self._files_of(shadow),
                trusted=self._trusted,
                store=self._store,
                wanted=lambda: self._is_shadow(shadow),
                limits=self._limits,
                now=self._now,
            )
        return line

    def _is_shadow(self, version: ModelVersion) -> bool:
        return self._models().aliases.get(version.name, _NO_ALIASES).get(SHADOW) == version.version

    def _store(self, rows: Sequence[ShadowRow]) -> None:
        with self._database.write() as connection:
            insert_shadow_scores(connection, rows)
