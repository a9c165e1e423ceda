"""YAML read so that it can only mean one thing.

Refused: a repeated key, aliases and anchors (a spec says what it means where it means it), tags, several documents.
Only `true` and `false` are truth values, so that `no`, `yes`, `on` and `off` stay texts; a number may be written
`1e-3`; a day stays a text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from service.errors import InputRejected, Problem

_BOOLEAN, _INTEGER, _FLOAT, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null"))


class SpecRejected(InputRejected):
    """The spec of a build cannot be used; `problems` says where and why."""

    code = "spec_rejected"
    title = "The spec was refused"


def load_yaml(text: str) -> dict[str, Any]:
    """The mapping in `text`. Raises SpecRejected for the first fault, with its line."""
    try:
        document = yaml.load(text, Loader=_Strict)  # noqa: S506 - a loader of plain values only
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        reason = _OWN.get(str(error.problem), "is not YAML as a spec may use it")
        raise _refused(f"Line {line} {reason}.") from None
    except (yaml.YAMLError, RecursionError, ValueError):  # an integer may be longer than Python reads
        raise _refused("The file is not YAML.") from None
    if not isinstance(document, dict):
        raise _refused("The file does not hold a mapping.")
    return document


def _refused(message: str) -> SpecRejected:
    remedy = "Write one YAML mapping with each key once, without anchors and tags."
    return SpecRejected(message, remedy, (Problem("", "yaml", message, remedy),))


class _Strict(yaml.SafeLoader):  # type: ignore[misc]
    """Plain values only."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "alias", self.peek_event().start_mark)
        event = self.peek_event()
        if getattr(event, "anchor", None) is not None:
            raise yaml.constructor.ConstructorError(None, None, "alias", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise yaml.constructor.ConstructorError(None, None, "tag", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: ARG002
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "key", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, "repeated", key.start_mark)
            seen.add(key.value)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


_OWN = {
    "alias": "holds an anchor or an alias",
    "tag": "holds a tag",
    "key": "has a key that is not a text",
    "repeated": "repeats a key",
}
_Strict.yaml_implicit_resolvers = {}
_RESOLVERS: tuple[tuple[str, str, str], ...] = (
    (_BOOLEAN, r"true|false", "tf"),
    (_INTEGER, r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (_FLOAT, r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
    (_NULL, r"null|~|", "n~"),
)
for _tag, _pattern, _first in _RESOLVERS:
    _Strict.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), [*_first, ""] if _tag == _NULL else [*_first])


def _float(loader: Any, node: Any) -> float:
    return float(loader.construct_scalar(node))


_Strict.add_constructor(_FLOAT, _float)
