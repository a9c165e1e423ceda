"""`python -m service.training MODEL`: build a bundled model. Progress goes to stderr, the result's place to stdout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from service.errors import ServiceError
from service.registry.artifact import Verified
from service.training import pgd_klkb1_inotrope, tb_exosomal_mirna
from service.training.fit import Effort


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one build. Answers 0, or 1 where the data or the artifact was refused; the reason goes to stderr."""
    options = _parser().parse_args(arguments)
    day = options.date.isoformat()
    try:
        if options.model == "tb-exosomal-mirna":
            effort = Effort(options.repeats, options.resamples, options.permutations)
            built = tb_exosomal_mirna.build(options.data, options.out, day=day, effort=effort, say=_say)
        else:
            built = pgd_klkb1_inotrope.build(options.out, day=day, say=_say)
    except ServiceError as error:
        _refuse(error)
        return 1
    _report(options.out, built)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.training", description="Build a bundled model.")
    models = parser.add_subparsers(dest="model", required=True)
    tb = models.add_parser("tb-exosomal-mirna", help="fit on a cohort table")
    tb.add_argument("--data", type=Path, required=True, help="the cohort as CSV")
    defaults = Effort()
    for name in ("repeats", "resamples", "permutations"):
        tb.add_argument(f"--{name}", type=_count, default=getattr(defaults, name), help="default %(default)s")
    pgd = models.add_parser("pgd-klkb1-inotrope", help="write out the published equation")
    for model in (tb, pgd):
        model.add_argument("--out", type=Path, required=True, help="folder of all artifacts")
        model.add_argument("--date", type=date.fromisoformat, default=date.today(), help="default: today")  # noqa: DTZ011
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return count


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _refuse(error: ServiceError) -> None:
    _say(f"refused: {error.message}")
    for problem in error.problems:
        _say(f"  {problem.message} ({problem.remedy})")
    if error.remedy:
        _say(f"what to do: {error.remedy}")


def _report(out: Path, built: Verified) -> None:
    artifact = built.artifact
    _say(f"verified {len(built.golden)} golden vectors; manifest {artifact.digest}")
    _say("to have it trusted: exoscore model sign PATH --key FILE --name NAME")
    sys.stdout.write(f"{out / artifact.name / artifact.version}\n")


if __name__ == "__main__":
    sys.exit(main())
