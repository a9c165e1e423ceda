"""What commands print: text for people, one JSON document for programs."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from service.domain.score import display
from service.errors import ServiceError

RESEARCH_USE = "Research use only. Not for use in diagnostic procedures."


def prepare() -> None:
    """Make standard output able to print any text, whatever the terminal's encoding; a closed one swallows all."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """One text for the person at the terminal, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_exactly(text: str) -> None:
    """A text that is a file of its own, such as a signed note, in UTF-8 whatever the terminal's encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    sys.stdout.write(text)
    sys.stdout.flush()


def announce(text: str) -> None:
    """As `say`, for a server: nobody reading is no reason to stop serving."""
    with suppress(OSError):
        say(text)


def warn(text: str) -> None:
    """One text for the person at the terminal, beside a result that a program may read."""
    with suppress(OSError):
        sys.stderr.write(text + "\n")


def show(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    """A result: `document` for programs, `text` for people."""
    say(json.dumps(document) if as_json else text)


def report(error: ServiceError, *, as_json: bool) -> None:
    """An error with every problem it holds."""
    detail = f"{error.message} {error.remedy}".strip()
    if as_json:
        say(json.dumps({"code": error.code, "detail": detail, "errors": [asdict(p) for p in error.problems]}))
        return
    say(_line(f"{error.code}: {detail}"))
    for problem in error.problems:
        place = f"{problem.pointer}: " if problem.pointer else ""
        say("  " + _line(f"{place}{problem.message} {problem.remedy}"))


def _line(text: str) -> str:
    # A pointer may hold the key of an object in a stranger's file, which must not move the cursor.
    shown = " ".join(text.split())
    return "".join(one if one.isprintable() else f"<U+{ord(one):04X}>" for one in shown)


def answer_text(answer: dict[str, Any]) -> str:
    """A previewed answer for people."""
    model, score = answer["model"], answer["score"]
    lines = [f"PREVIEW, not stored. {RESEARCH_USE}", f"{model['name']}@{model['version']}  {answer['status']}"]
    if score is not None:
        label = score["category"]["label"] if score["category"] else "no category"
        lines.append(f"{score['kind']} {display(score['value'])}  {label}")
    terms = answer["contributions"] or ()
    lines += [f"  {term['name']}: {term['value']} {term['unit']} adds {display(term['term'])}" for term in terms]
    lines.append(f"quality: {answer['quality']['verdict']}")
    lines += [f"  {check['code']}: {check['verdict']}" for check in answer["quality"]["checks"]]
    return "\n".join(lines)
