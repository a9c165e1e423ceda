"""A skops file, walked before skops sees it.

It is a zip of `schema.json`, a tree of nodes that says how to build the estimator, and one `.npy` for each array.
Several ways around skops's own check were found in its past, so it is not relied on:
1. every node is of a kind, and of a type, on the list of `skops_types`, and has exactly the fields of its kind;
2. a node's number stands for one content throughout, because skops takes the first node with a number for all of them;
3. the arrays are those that are named, each exactly as long as its header says;
4. a tree has one output, because scikit-learn reads as many class counts as a tree says it has outputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from typing import Any

from service.errors import ArtifactRejected
from service.registry.archive import Limits, read_zip
from service.registry.manifest_decode import decode_object
from service.registry.npy_header import NpyHeader, parse_npy
from service.registry.skops_types import COMMON_FIELDS, ESTIMATORS, FIELDS, PROTOCOL, TYPES

_LIMITS = Limits(files=8192)
_SCHEMA = "schema.json"
_SCHEMA_MAX_BYTES = 24 << 20
_MAX_DEPTH = 100

_Above = tuple[int, ...]
"""The numbers of the nodes that a node lies in."""


def verify_skops(data: bytes) -> Mapping[str, bytes]:
    """The members of the skops file `data`, which holds only what the list allows.

    Raises ArtifactRejected: `not_skops`, `untrusted_type`, `malformed_skops`.
    """
    try:
        files = read_zip(data, _LIMITS)
    except ArtifactRejected as error:
        raise _refused("not_skops", f"The skops file is no safe archive. {error.message}") from None
    raw = files.get(_SCHEMA)
    if raw is None or len(raw) > _SCHEMA_MAX_BYTES:
        raise _refused("not_skops", "The skops file has no schema, or one that is too large.")
    schema = decode_object(raw, what=f"{_SCHEMA} of the skops file")
    _Walk({name: content for name, content in files.items() if name != _SCHEMA}).verify(schema)
    return files


class _Walk:
    """One pass over all nodes. Contents are numbered in `_contents`, so that two are compared by comparing numbers."""

    def __init__(self, arrays: Mapping[str, bytes]) -> None:
        self._headers = {name: _header(data) for name, data in arrays.items()}
        self._digests = {name: hashlib.sha256(data).digest() for name, data in arrays.items()}
        self._named: set[str] = set()
        self._contents: dict[Hashable, int] = {}
        self._numbers: dict[int, int] = {}

    def verify(self, schema: dict[str, Any]) -> None:
        root = dict(schema)
        if root.pop("protocol", None) != PROTOCOL or not isinstance(root.pop("_skops_version", None), str):
            raise _malformed(f"is not of protocol {PROTOCOL}")
        self._node(root, (), "ObjectNode")
        if self._named != set(self._headers):
            raise _malformed("holds an array that it does not name")

    def _node(self, node: Any, above: _Above, *kinds: str) -> int:
        """Checks a node, of one of `kinds` where given; answers with the number of its content."""
        if not isinstance(node, dict) or len(above) > _MAX_DEPTH:
            raise _malformed("has something else in the place of a node, or is nested too deeply")
        kind, module, name = (node.get(field) for field in ("__loader__", "__module__", "__class__"))
        if not (isinstance(kind, str) and isinstance(module, str) and isinstance(name, str)):
            raise _malformed("has a node without a type")
        if f"{module}.{name}" not in TYPES.get(kind, ()):
            raise _untrusted()
        number = node.get("__id__")
        if set(node) - COMMON_FIELDS not in FIELDS[kind] or (kinds and kind not in kinds):
            raise _malformed("has a node with other fields than its kind, or in a wrong place")
        if type(number) is not int or number in above:
            raise _malformed("has a node without a number, or inside itself")
        inside = self._inside(kind, node, (*above, number))
        content = self._contents.setdefault((kind, module, name, inside), len(self._contents))
        if self._numbers.setdefault(number, content) != content:
            raise _malformed("uses the number of a node for another one")
        return content

    def _inside(self, kind: str, node: dict[str, Any], above: _Above) -> Hashable:
        inside: Hashable = ()
        match kind:
            case "JsonNode":
                inside = _json_text(node)
            case "ListNode" | "TupleNode":
                inside = self._list(node["content"], above)
            case "DictNode":
                inside = self._dict(node, above)
            case "NdArrayNode":
                inside = self._array(node, above)
            case "DTypeNode":
                inside = self._node(node["content"], above, "NdArrayNode")
            case "TreeNode":
                inside = self._tree(node, above)
            case "ObjectNode":
                inside = self._node(node["content"], above, "DictNode")
        return inside

    def _list(self, content: Any, above: _Above, *kinds: str) -> Hashable:
        if not isinstance(content, list):
            raise _malformed("has something else in the place of a list")
        return tuple([self._node(item, above, *kinds) for item in content])

    def _dict(self, node: dict[str, Any], above: _Above) -> Hashable:
        content, types = node["content"], node["key_types"]
        inside = [self._node(types, above, "ListNode")]
        self._list(types["content"], (*above, types["__id__"]), "TypeNode")
        if not isinstance(content, dict) or len(content) != len(types["content"]):
            raise _malformed("has a mapping without a type for each key")
        inside += [self._contents.setdefault(key, len(self._contents)) for key in content]
        return tuple(inside + [self._node(value, above) for value in content.values()])

    def _array(self, node: dict[str, Any], above: _Above) -> Hashable:
        file = node.get("file")
        if node["type"] == "numpy" and isinstance(file, str) and file in self._headers:
            self._named.add(file)
            return self._digests[file]
        if node["type"] == "json" and "shape" in node:
            return self._list(node["content"], above), self._node(node["shape"], above, "TupleNode")
        raise _malformed("names an array that is not there, or one of another form")

    def _tree(self, node: dict[str, Any], above: _Above) -> Hashable:
        reduce = node["__reduce__"]
        if not isinstance(reduce, dict) or set(reduce) != {"args"}:
            raise _malformed("has a tree of another form")
        inside = self._node(reduce["args"], above, "TupleNode"), self._node(node["content"], above, "DictNode")
        match reduce["args"]["content"]:
            case [{"__loader__": "JsonNode"}, {"file": file}, {"__loader__": "JsonNode", "content": "1"}]:
                if self._headers[file] == NpyHeader((1,), "<i8"):
                    return inside
        raise _malformed("has a tree with other than one output")


def _header(data: bytes) -> NpyHeader:
    try:
        return parse_npy(data)
    except ValueError as error:
        raise _malformed(f"has an array that cannot be read: {error}") from None


def _json_text(node: dict[str, Any]) -> str:
    text = node["content"]
    try:
        value = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        value = {}
    if isinstance(value, dict | list) or node["is_json"] is not True:
        raise _malformed("has a value that is no plain one")
    return str(text)


def _untrusted() -> ArtifactRejected:
    names = sorted(name.rpartition(".")[2] for name in ESTIMATORS)
    names = [name for name in names if not name.startswith("_")]
    return _refused(
        "untrusted_type",
        "The skops file holds a type that is not on the list of this service.",
        f"Build it from {', '.join(names)}; or have a trusted publisher sign it as joblib.",
    )


def _malformed(what: str) -> ArtifactRejected:
    return _refused("malformed_skops", f"The skops file {what}.")


def _refused(reason: str, message: str, remedy: str = "Write it with skops.io.dump again.") -> ArtifactRejected:
    return ArtifactRejected.because(reason, message, remedy)
