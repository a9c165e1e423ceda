"""Only what is on the service's own list passes, whatever skops itself would trust."""

import copy
import io
import json
import operator
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skops.io import dumps, loads

from service.errors import ArtifactRejected
from service.registry.npy_header import parse_npy
from service.registry.skops_file import verify_skops
from service.registry.skops_types import PROTOCOL

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(80, 3))
Y = (X[:, 0] > 0).astype(int)

Schema = dict[str, Any]


def fitted() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


SOUND = dumps(fitted())
TREE = dumps(DecisionTreeClassifier(random_state=0).fit(X, Y))


def opened(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def closed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def changed(data: bytes, change: Callable[[Schema], object]) -> bytes:
    files = opened(data)
    schema = json.loads(files["schema.json"])
    change(schema)
    return closed(files | {"schema.json": json.dumps(schema).encode()})


def refusal(data: bytes) -> str:
    with pytest.raises(ArtifactRejected) as caught:
        verify_skops(data)
    (reason,) = caught.value.reasons
    return reason


def test_the_schema_is_that_of_the_protocol_the_list_was_read_from() -> None:
    assert json.loads(opened(SOUND)["schema.json"])["protocol"] == PROTOCOL
    assert verify_skops(SOUND) == opened(SOUND)


@pytest.mark.parametrize(
    "model",
    [
        SGDClassifier(loss="log_loss").fit(X, Y),
        SelectKBest(k=2).fit(X, Y),
        GradientBoostingClassifier(n_estimators=2).fit(X, Y),
        make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(np.abs(X), Y),
        partial(int, 1),
        operator.methodcaller("read"),
        LogisticRegression().predict_proba,
        np.random.default_rng(0),
        {1, 2},
        b"bytes",
        print,
    ],
    ids=[
        "another estimator",
        "a function of scikit-learn",
        "losses and random states",
        "a function of numpy",
        "a partial",
        "an operator",
        "a method",
        "a generator",
        "a set",
        "bytes",
        "print",
    ],
)
def test_what_skops_writes_and_the_list_does_not_hold_is_refused(model: Any) -> None:
    assert refusal(dumps(model)) in {"untrusted_type", "malformed_skops"}
    assert refusal(dumps(LogisticRegression(C=model))) in {"untrusted_type", "malformed_skops"}


def test_what_is_no_archive_is_no_skops_file() -> None:
    for data in (pickle.dumps(fitted()), b"", b"PK\x03\x04", SOUND + b"x", closed({"a.npy": b""})):
        assert refusal(data) == "not_skops"
    assert refusal(closed({"schema.json": b" " * (25 << 20)})) == "not_skops"


def nodes(node: Any) -> Iterator[Schema]:
    if isinstance(node, dict):
        if "__loader__" in node:
            yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def of_kind(schema: Schema, kind: str, place: int = 0) -> Schema:
    return [node for node in nodes(schema) if node["__loader__"] == kind][place]


def become(kind: str, **fields: Any) -> Callable[[Schema], object]:
    return lambda schema: of_kind(schema, kind).update(fields)


def lose(kind: str, field: str) -> Callable[[Schema], object]:
    return lambda schema: of_kind(schema, kind).pop(field)


def a_function(schema: Schema) -> None:
    node = of_kind(schema, "JsonNode")
    node.clear()
    node.update({"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "__id__": 1})


def a_call_of_a_type(schema: Schema) -> None:
    of_kind(schema, "JsonNode").update(
        {"__class__": "float64", "__module__": "numpy", "__loader__": "ConstructorFromReduceNode"}
    )


def inside_itself(schema: Schema) -> None:
    of_kind(schema, "DictNode")["__id__"] = schema["__id__"]


def a_number_twice(schema: Schema) -> None:
    first, second = of_kind(schema, "NdArrayNode"), of_kind(schema, "NdArrayNode", -1)
    second["__id__"] = first["__id__"]


def a_container_s_number_twice(schema: Schema) -> None:
    of_kind(schema, "ListNode", -1)["__id__"] = of_kind(schema, "ListNode", 1)["__id__"]


def too_deep(schema: Schema) -> None:
    node = copy.deepcopy(of_kind(schema, "JsonNode"))
    for number in range(200):
        node = {
            "__class__": "list",
            "__module__": "builtins",
            "__loader__": "ListNode",
            "__id__": -number - 1,
            "content": [node],
        }
    place = of_kind(schema, "JsonNode")
    place.clear()
    place.update(node)


CHANGES = {
    "an older protocol": lambda schema: schema.update(protocol=1),
    "a protocol that is true": lambda schema: schema.update(protocol=True),
    "no protocol": lambda schema: schema.pop("protocol"),
    "no version": lambda schema: schema.pop("_skops_version"),
    "another field at the root": lambda schema: schema.update(trusted=["os.system"]),
    "a list at the root": lambda schema: schema.update({"__loader__": "ListNode"}),
    "an unknown kind": become("JsonNode", __loader__="SystemNode"),
    "a cached node": become("JsonNode", __loader__="CachedNode"),
    "a function": a_function,
    "a call": a_call_of_a_type,
    "a type with a path": become("TypeNode", __class__="system", __module__="os"),
    "a type with a dot": become("TypeNode", __class__="system", __module__="builtins.os"),
    "an estimator as an array": become("ObjectNode", __loader__="NdArrayNode"),
    "a type that is no text": become("TypeNode", __class__=["str"]),
    "a field more": become("JsonNode", more=1),
    "a field less": lose("JsonNode", "is_json"),
    "no content": lose("ObjectNode", "content"),
    "no type": lose("JsonNode", "__class__"),
    "no number": lose("JsonNode", "__id__"),
    "a number that is a text": become("JsonNode", __id__="1"),
    "a number that is true": become("JsonNode", __id__=True),
    "a node inside itself": inside_itself,
    "a number for two arrays": a_number_twice,
    "a number for two lists": a_container_s_number_twice,
    "a value that is a list": become("JsonNode", content="[1]"),
    "a value that is no JSON": become("JsonNode", content="{"),
    "a value that is no text": become("JsonNode", content=1),
    "a value that is not marked": become("JsonNode", is_json=1),
    "a value of another place": become("ListNode", content="abc"),
    "a node that is a text": become("ListNode", content=["abc"]),
    "keys without types": lambda schema: of_kind(schema, "DictNode")["key_types"]["content"].pop(),
    "types that are no types": lambda schema: of_kind(schema, "DictNode")["key_types"].update(
        content=[copy.deepcopy(of_kind(schema, "JsonNode"))]
    ),
    "a mapping that is a list": become("DictNode", content=[]),
    "an array that is not there": become("NdArrayNode", file="0.npy"),
    "an array with a path": become("NdArrayNode", file="../../etc/passwd"),
    "an array of another form": become("NdArrayNode", type="pickle"),
    "an array that is a list without a list": become("NdArrayNode", type="json"),
    "a depth no estimator has": too_deep,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_schema_is_refused(change: Callable[[Schema], object]) -> None:
    assert refusal(changed(SOUND, change)) in {"untrusted_type", "malformed_skops"}


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a document and a key of it."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield node, key
        if isinstance(value, dict | list):
            yield from places(value)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(data=st.data(), junk=JUNK)
@settings(max_examples=200)
def test_junk_anywhere_is_refused_or_harmless(data: st.DataObject, junk: Any) -> None:
    source = data.draw(st.sampled_from([SOUND, TREE]))

    def spoil(schema: Schema) -> None:
        where = list(places(schema))
        node, key = where[data.draw(st.integers(0, len(where) - 1))]
        node[key] = junk

    with suppress(ArtifactRejected):
        verify_skops(changed(source, spoil))


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["__reduce__"]["args"]["content"].pop(),
        lambda tree: tree["__reduce__"]["args"]["content"][2].update(content="5"),
        lambda tree: tree["__reduce__"]["args"]["content"][2].update(content="1.0"),
        lambda tree: tree.update(__reduce__=[]),
        lambda tree: tree["__reduce__"].update(more=tree["content"]),
        lambda tree: tree["__reduce__"]["args"]["content"].reverse(),
    ],
    ids=["no number of outputs", "five outputs", "one and a bit", "no reduce", "more in reduce", "another order"],
)
def test_a_tree_has_one_output(change: Callable[[Schema], object]) -> None:
    assert verify_skops(TREE)
    assert refusal(changed(TREE, lambda schema: change(of_kind(schema, "TreeNode")))) == "malformed_skops"


def test_the_class_counts_of_a_tree_are_exactly_one() -> None:
    def change(counts: np.ndarray[Any, Any]) -> bytes:
        files = opened(TREE)
        tree = of_kind(json.loads(files["schema.json"]), "TreeNode")
        buffer = io.BytesIO()
        np.save(buffer, counts)
        return closed(files | {tree["__reduce__"]["args"]["content"][1]["file"]: buffer.getvalue()})

    assert verify_skops(change(np.array([2])))
    for counts in (np.array([2, 2]), np.array([], dtype=int), np.array([2.0]), np.array(2)):
        assert refusal(change(counts)) == "malformed_skops"


def test_a_text_that_says_two_things_is_refused() -> None:
    files = opened(SOUND)
    twice = files["schema.json"].replace(b'"protocol": 2', b'"protocol": 1, "protocol": 2')
    with pytest.raises(ArtifactRejected, match="repeats a key"):
        verify_skops(closed(files | {"schema.json": twice}))


def test_an_array_nobody_names_is_refused() -> None:
    files = opened(SOUND)
    (array, *_) = (name for name in files if name.endswith(".npy"))
    assert refusal(closed(files | {"extra.npy": files[array]})) == "malformed_skops"
    assert refusal(closed(files | {"code.py": b"print()"})) == "malformed_skops"


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text + data


PLAIN = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}"


def test_headers_of_arrays_are_read_as_numpy_reads_them() -> None:
    for array in (
        np.zeros((2, 3)),
        np.array(1.5),
        np.array([], dtype="<i8"),
        np.array(["ab", "c"]),
        np.zeros(3, dtype=[("a", "<i8"), ("b", "u1")]),
        np.asfortranarray(np.ones((2, 2), dtype=bool)),
    ):
        buffer = io.BytesIO()
        np.save(buffer, array)
        assert parse_npy(buffer.getvalue()).shape == array.shape
    assert parse_npy(npy(PLAIN, bytes(16), b"\x02\x00")).descr == "<f8"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY\x03\x00",
        pickle.dumps(1),
        npy(PLAIN, bytes(15)),
        npy(PLAIN, bytes(17)),
        npy(PLAIN.replace("(2,)", "(10**15,)"), bytes(16)),
        npy(PLAIN.replace("(2,)", "(1000000000000000,)"), bytes(16)),
        npy(PLAIN.replace("(2,)", "(-1, -2)"), bytes(16)),
        npy(PLAIN.replace("(2,)", "(True, 2)"), bytes(16)),
        npy(PLAIN.replace("(2,)", "[2]"), bytes(16)),
        npy(PLAIN.replace("<f8", "|O"), bytes(16)),
        npy(PLAIN.replace("<f8", "|V8"), bytes(16)),
        npy(PLAIN.replace("<f8", "<M8[s]"), bytes(16)),
        npy(PLAIN.replace("'<f8'", "[('a', '|O')]"), bytes(16)),
        npy(PLAIN.replace("'<f8'", "[('a', '<f8', (2,))]"), bytes(32)),
        npy(PLAIN.replace("'<f8'", "8"), bytes(16)),
        npy(PLAIN.replace("False", "0"), bytes(16)),
        npy(PLAIN.replace("'shape'", "'form'"), bytes(16)),
        npy("__import__('os')"),
        npy("[" * 500),
        npy("{" + " " * 11_000 + PLAIN[1:], bytes(16)),
        npy(PLAIN)[:9],
    ],
)
def test_a_header_that_promises_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"array|header|type"):
        parse_npy(data)
    files = opened(SOUND)
    (array, *_) = (name for name in files if name.endswith(".npy"))
    assert refusal(closed(files | {array: data})) == "malformed_skops"


def test_a_forest_of_many_trees_passes_in_reasonable_time() -> None:
    forest = RandomForestClassifier(60, random_state=1).fit(X, Y)
    data = dumps(forest, compression=zipfile.ZIP_DEFLATED)
    files = verify_skops(data)
    assert len(files) > 180
    assert np.array_equal(
        loads(closed(dict(files)), trusted=["sklearn.tree._tree.Tree"]).predict_proba(X), forest.predict_proba(X)
    )
