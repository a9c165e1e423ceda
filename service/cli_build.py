"""`exoscore model build`: from cohort tables and a spec to an artifact that is not signed yet."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import InputRejected
from service.settings import Settings
from service.terminal import show, warn

if TYPE_CHECKING:
    from service.registry.artifact import Artifact
    from service.training.build import Built

DONE = 0

Add = Callable[..., argparse.ArgumentParser]

_WIDTH = 30
_EVERY_S = 0.1


def add_build_command(group: Any, add: Add) -> None:
    """Add the command to the parser's group `model`."""
    build = add(group, "build", model_build, "fit, evaluate and write an artifact from cohort tables and a spec")
    build.add_argument("cohort", metavar="COHORT", type=Path, nargs="*", help="CSV or Parquet, in the spec's order")
    build.add_argument("--spec", metavar="SPEC.yaml", type=Path, required=True)
    build.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of name/version folders")
    build.add_argument("--jobs", metavar="N", type=_jobs, default=os.cpu_count() or 1, help="processes; default: all")


def model_build(options: argparse.Namespace, _: Settings) -> int:
    """`exoscore model build COHORT... --spec SPEC.yaml --out DIR`; a published equation has no cohort."""
    from service.training.build import Order, build
    from service.training.equation import KIND, build_equation
    from service.training.read_spec import read_document

    document, _digest = read_document(options.spec)
    if document.get("kind") == KIND:
        if options.cohort:
            raise InputRejected("A published equation is not fitted.", "Leave out the cohort.")
        artifact = build_equation(document, options.out).artifact
        show(_identity(artifact), "\n".join(_heading(artifact)), as_json=options.json)
        return DONE
    order = Order(tuple(options.cohort), options.spec, options.out, jobs=options.jobs)
    bar = Bar(sys.stderr.isatty())
    try:
        built = build(order, progress=bar, say=bar.say)
    finally:
        bar.end()
    show(_document(built), _text(built), as_json=options.json)
    return DONE


def _document(built: Built) -> dict[str, Any]:
    artifact = built.verified.artifact
    return {
        **_identity(artifact),
        "performance": [p.model_dump(mode="json") for p in artifact.manifest.performance],
        "warnings": [{"code": code, "text": text} for code, text in built.findings],
    }


def _identity(artifact: Artifact) -> dict[str, Any]:
    found = {"name": artifact.name, "version": artifact.version, "digest": artifact.digest}
    return {**found, "golden": artifact.manifest.golden.count}


def _heading(artifact: Artifact) -> list[str]:
    return [f"{artifact.name}@{artifact.version} written and read back; it is not signed", artifact.digest]


def _text(built: Built) -> str:
    artifact = built.verified.artifact
    lines = _heading(artifact)
    for figure in artifact.manifest.performance:
        ends = "" if isinstance(figure.interval, str) else f" [{figure.interval.low:.3f}, {figure.interval.high:.3f}]"
        lines.append(f"  {figure.metric}: {figure.value:.3f}{ends}, {figure.cohort}")
    for code, text in built.findings:
        lines.append(f"WARNING {code}: {text}")
    if built.findings:
        lines.append("Each warning has to be acknowledged by name before the version can be promoted.")
    return "\n".join(lines)


def _jobs(text: str) -> int:
    jobs = int(text)
    if jobs < 1:
        raise argparse.ArgumentTypeError("at least one process is needed")
    return jobs


class Bar:
    """One line on standard error per stage, with the time left; nothing where nobody watches."""

    def __init__(self, watched: bool) -> None:
        self._watched = watched
        self._stage, self._total, self._done = "", 0, 0
        self._began = self._drawn = 0.0

    def begin(self, stage: str, total: int) -> None:
        """A stage of `total` tasks begins; the line of the one before stays."""
        self.end()
        self._stage, self._total, self._done = stage, total, 0
        self._began, self._drawn = time.monotonic(), 0.0
        self._draw()

    def advance(self, count: int) -> None:
        """`count` more of its tasks are done."""
        self._done += count
        if self._done >= self._total or time.monotonic() - self._drawn >= _EVERY_S:
            self._draw()

    def say(self, text: str) -> None:
        """A remark, between two bars."""
        self.end()
        warn(text)

    def end(self) -> None:
        """Leaves the line of the present stage, if there is one."""
        if self._watched and self._stage:
            sys.stderr.write("\n")
        self._stage = ""

    def _draw(self) -> None:
        if not self._watched:
            return
        now = time.monotonic()
        self._drawn = now
        spent = now - self._began
        if not self._done:
            told = ""
        elif self._done < self._total:
            told = f"{_clock(spent / self._done * (self._total - self._done))} left"
        else:
            told = f"{_clock(spent)}"
        filled = _WIDTH * self._done // max(1, self._total)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        sys.stderr.write(f"\r{self._stage:<32} [{bar}] {self._done}/{self._total} {told:<14}")
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
