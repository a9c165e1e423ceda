"""Formats of the log: every byte by hand, because another language has to be able to write the same ones."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audit import entry as module
from service.audit.entry import (
    DETAILED,
    KINDS,
    MAX_INTEGER,
    REASONS,
    Entry,
    Prior,
    canonical_json,
    commitment,
    leaf_hash,
    parse_timestamp,
    timestamp,
)

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
SALT = b"\x01" * 32
IN = "bbeb8fdc439a5e3035f1fdbe3b398e01ad326745c362319d436c120693116a3b"
OUT = "bdbf8894b61469906d9153860b36f6be006147ca0a4d2404d4c3d28a93e62253"
LEAF = "0c19ea0d0f1993422dd3bdec5ebc4540d4167240c86c55bcafa774a02c9c00e6"
ENCODED = (
    f'{{"actor":"key:k1","at":"2026-11-23T05:51:19.123456Z","in":"{IN}","kind":"score.reported",'
    f'"model":"tb-exosomal-mirna@1.0.0","model_digest":"sha256:{"0" * 64}","out":"{OUT}","prior":null,"reason":null,'
    '"record":"018f0000-0000-7000-8000-000000000001","site":"default","v":1}'
).encode()
EXAMPLE = Entry(
    "score.reported",
    AT,
    "key:k1",
    "default",
    record="018f0000-0000-7000-8000-000000000001",
    model="tb-exosomal-mirna@1.0.0",
    model_digest="sha256:" + "0" * 64,
    in_=IN,
    out=OUT,
)


def test_an_entry_is_these_bytes() -> None:
    assert EXAMPLE.encode() == ENCODED


def test_an_amendment_names_what_it_amends() -> None:
    amended = replace(EXAMPLE, kind="score.amended", prior=Prior("exoscore/0a", 3), reason="other")
    assert b'"prior":{"index":3,"origin":"exoscore/0a"},"reason":"other"' in amended.encode()


def test_the_leaf_hash_is_domain_separated() -> None:
    assert leaf_hash(ENCODED).hex() == LEAF
    assert leaf_hash(b"") == sha256(b"\x00").digest()


def test_commitments_are_salted() -> None:
    assert commitment(SALT, b"{}") == IN
    assert commitment(SALT, b'{"id":1}') == OUT
    assert commitment(b"\x02" * 32, b"{}") != IN


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_salt_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="salt"):
        commitment(b"s" * length, b"{}")


def test_the_worked_example_of_the_docstring_is_the_one_tested() -> None:
    text = "".join(line.strip() for line in (module.__doc__ or "").splitlines())
    assert ENCODED.decode() in text
    assert LEAF in text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "score.guessed"}, "kind"),
        ({"actor": "Ada"}, "actor"),
        ({"actor": "key:"}, "actor"),
        ({"actor": "key:two words"}, "actor"),
        ({"actor": "system:other"}, "actor"),
        ({"reason": "free text"}, "reason"),
        ({"model_digest": "0" * 64}, "model_digest"),
        ({"in_": "A" * 64}, "in"),
        ({"out": "0" * 63}, "out"),
        ({"out": "0" * 64 + "\n"}, "out"),
        ({"detail": {"count": 1}}, "detail"),
    ],
    ids=lambda case: repr(case)[:40],
)
def test_fields_outside_the_format_are_refused(change: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"its {field} is not"):
        replace(EXAMPLE, **change)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"site": "Zürich"}, "text"),
        ({"site": "a\x7fb"}, "text"),
        ({"site": "a\n"}, "text"),
        ({"prior": Prior("o", 2**53)}, "integer"),
        ({"record": "r" * 65_536}, "length"),
        ({"at": datetime(2026, 1, 1)}, "at"),  # noqa: DTZ001 - a time without a zone is the case
    ],
    ids=["letter", "delete", "newline", "integer", "length", "zone"],
)
def test_what_cannot_be_encoded_is_refused(change: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"its {field} is not"):
        replace(EXAMPLE, **change).encode()


@pytest.mark.parametrize(
    ("kind", "reason", "detail", "encoded"),
    [
        ("subject.erased", "legal_order", {"ranges": [[3, 5], [9, 9]], "origin": "exoscore/0a"},
         b'{"origin":"exoscore/0a","ranges":[[3,5],[9,9]]}'),
        ("access.denied", "scope_missing", {"count": 7}, b'{"count":7}'),
        ("access.denied", "unauthenticated", {"count": 7}, b'{"count":7}'),
        ("clock.regressed", None, {"behind_us": 2_000_000}, b'{"behind_us":2000000}'),
        ("config.changed", None, {"b": True, "a": {"d": None, "c": 'x"'}}, b'{"a":{"c":"x\\"","d":null},"b":true}'),
        ("log.opened", None, {}, b"{}"),
    ],
    ids=lambda case: str(case)[:40],
)  # fmt: skip
def test_a_detail_stands_between_at_and_in(
    kind: str, reason: str | None, detail: dict[str, object], encoded: bytes
) -> None:
    entry = Entry(kind, AT, "system:service", "default", reason=reason, detail=detail)
    assert b'Z","detail":' + encoded + b',"in":null' in entry.encode()
    assert Entry.parse(entry.encode()) == entry


@pytest.mark.parametrize("detail", [{"share": 0.5}, {"name": "Zo\xeb"}, {"n": 2**53}, {"at": AT}], ids=repr)
def test_a_detail_outside_the_alphabet_is_refused(detail: dict[str, object]) -> None:
    entry = Entry("config.changed", AT, "system:cli", "default", detail=detail)
    with pytest.raises(ValueError, match="cannot be an audit entry"):
        entry.encode()


def test_an_entry_may_fill_16_bits_of_length() -> None:
    room = 65_535 - len(replace(EXAMPLE, record="").encode())
    assert len(replace(EXAMPLE, record="r" * room).encode()) == 65_535
    with pytest.raises(ValueError, match="length"):
        replace(EXAMPLE, record="r" * (room + 1)).encode()


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (AT, "2026-11-23T05:51:19.123456Z"),
        (AT.replace(microsecond=0), "2026-11-23T05:51:19.000000Z"),
        (AT.astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-11-23T05:51:19.123456Z"),
        (datetime(33, 1, 2, tzinfo=UTC), "0033-01-02T00:00:00.000000Z"),
    ],
    ids=["utc", "whole second", "other zone", "early year"],
)
def test_timestamps_have_one_form(at: datetime, text: str) -> None:
    assert timestamp(at) == text
    assert parse_timestamp(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T05:51:19Z",
        "2026-11-23T05:51:19.1Z",
        "2026-11-23T05:51:19.123456+00:00",
        "2026-11-23 05:51:19.123456Z",
        "2026-11-23T05:51:19,123456Z",
        "2026-11-31T05:51:19.123456Z",
        "2026-11-23T05:51:19.123456+",
        "2026-11-23T05:51:19.1234567",
        "2026-W48-1T05:51:19.1234567Z",
        "",
    ],
)
def test_other_forms_of_a_time_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="its at is not"):
        parse_timestamp(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_timestamp_is_the_iso_form(at: datetime) -> None:
    assert timestamp(at) == at.isoformat(timespec="microseconds").replace("+00:00", "Z")


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_timestamps_sort_as_times(one: datetime, other: datetime) -> None:
    assert (timestamp(one) < timestamp(other)) == (one < other)
    assert len(timestamp(one)) == 27


text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
leaves = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | text
documents = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(text, inner))


@given(documents)
def test_canonical_json_is_what_the_standard_library_writes_sorted(document: object) -> None:
    assert canonical_json(document) == json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


INDIA = timezone(timedelta(hours=5, minutes=30))
hexes = st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex)
plain = st.builds(
    Entry,
    st.sampled_from(sorted(KINDS)),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.sampled_from([UTC, INDIA])),  # noqa: DTZ001
    text.map(lambda word: "key:k" + word.replace(" ", "")),
    text,
    record=st.none() | text,
    model=st.none() | text,
    model_digest=hexes.map(lambda found: found and f"sha256:{found}"),
    in_=hexes,
    out=hexes,
    prior=st.none() | st.builds(Prior, text, st.integers(-MAX_INTEGER, MAX_INTEGER)),
    reason=st.none() | st.sampled_from(sorted(REASONS)),
)
detailed = st.builds(
    lambda entry, kind, detail: replace(entry, kind=kind, detail=detail),
    plain,
    st.sampled_from(sorted(DETAILED)),
    st.dictionaries(text, documents),
)


@given(plain | detailed)
def test_an_entry_is_written_as_the_canonical_json_of_its_rule_and_read_back(entry: Entry) -> None:
    document = asdict(entry) | {"v": 1, "at": timestamp(entry.at), "in": entry.in_}
    del document["in_"]
    if entry.detail is None:
        del document["detail"]
    assert entry.encode() == canonical_json(document)
    assert Entry.parse(entry.encode()) == entry


def test_the_example_is_read_back() -> None:
    assert Entry.parse(ENCODED) == EXAMPLE


AMENDED = replace(EXAMPLE, kind="score.amended", prior=Prior("exoscore/0a", 3)).encode()
DENIED = Entry("access.denied", AT, "system:service", "default", reason="scope_missing", detail={"n": 1}).encode()


@pytest.mark.parametrize(
    ("valid", "old", "new"),
    [
        (ENCODED, b',"at"', b', "at"'),
        (ENCODED, b'"v":1}', b'"v":1}\n'),
        (ENCODED, b'"v":1}', b'"v":2}'),
        (ENCODED, b'"v":1}', b'"v":1.0}'),
        (ENCODED, b'"v":1}', b'"v":true}'),
        (ENCODED, b'"v":1}', b'"v":1,"w":null}'),
        (ENCODED, b'"v":1}', b'"v":1,"v":1}'),
        (ENCODED, b'"v":1}', b'"v":1'),
        (ENCODED, b',"v":1}', b"}"),
        (ENCODED, b'"site":"default","v":1', b'"v":1,"site":"default"'),
        (ENCODED, b'"default"', b'"d\\u0065fault"'),
        (ENCODED, b'"default"', b'"d\xc3\xa9fault"'),
        (ENCODED, b'"default"', b"5"),
        (ENCODED, b'"default"', b"null"),
        (ENCODED, b'"record":"', b'"record":"\\u0001'),
        (ENCODED, b'"prior":null', b'"prior":[]'),
        (ENCODED, b'"prior":null', b'"prior":{"index":1}'),
        (ENCODED, b',"in":', b',"detail":null,"in":'),
        (ENCODED, b',"in":', b',"detail":{"n":1},"in":'),
        (ENCODED, b"score.reported", b"score.guessed"),
        (ENCODED, b"19.123456Z", b"19Z"),
        (AMENDED, b'"index":3', b'"index":3.0'),
        (AMENDED, b'"index":3', b'"index":true'),
        (AMENDED, b'"index":3', b'"index":9007199254740992'),
        (AMENDED, b'"index":3', b'"index":3,"more":1'),
        (DENIED, b'{"n":1}', b'{"n":1e0}'),
        (DENIED, b'{"n":1}', b'{"n":NaN}'),
        (DENIED, b'{"n":1}', b"[1]"),
        (DENIED, b'{"n":1}', b'{"n":' + b"9" * 5000 + b"}"),
        (DENIED, b'{"n":1}', b'{"n":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        (DENIED, b'{"n":1}', b'{"n":' + b"[" * 900 + b"]" * 900 + b"}"),
        (DENIED, b'{"n":1}', b'{"n":"' + b"n" * 65_536 + b'"}'),
    ],
    ids=lambda case: str(case)[:30],
)  # fmt: skip
def test_other_bytes_are_no_entry(valid: bytes, old: bytes, new: bytes) -> None:
    assert Entry.parse(valid).encode() == valid
    assert valid.count(old) == 1
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own refusals and ours alike
        Entry.parse(valid.replace(old, new))


@given(st.binary() | text.map(str.encode) | documents.map(canonical_json))
def test_whatever_is_not_an_entry_raises_nothing_but_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own refusals and ours alike
        Entry.parse(data)


@given(documents)
def test_canonical_json_is_ascii_sorted_and_parses_back(document: object) -> None:
    encoded = canonical_json(document)
    assert encoded.isascii()
    pairs: list[list[str]] = []
    parsed = json.loads(encoded, object_pairs_hook=lambda found: pairs.append([key for key, _ in found]) or dict(found))
    assert parsed == document
    assert all(keys == sorted(keys) for keys in pairs)
    assert canonical_json(parsed) == encoded


@given(st.characters(exclude_characters=[chr(code) for code in range(0x20, 0x7F)]))
def test_text_outside_printable_ascii_is_refused(letter: str) -> None:
    for document in (letter, {letter: 1}, ["a" + letter]):
        with pytest.raises(ValueError, match="text"):
            canonical_json(document)


@pytest.mark.parametrize(
    "document",
    [1.0, float("nan"), {"a": [0.5]}, b"bytes", {1: "a"}, 2**53, -(2**53), {"set"}],
    ids=["float", "nan", "nested float", "bytes", "integer key", "large", "small", "set"],
)
def test_values_outside_the_alphabet_are_refused(document: object) -> None:
    with pytest.raises(ValueError, match="This cannot be an audit entry"):
        canonical_json(document)


def test_tuples_are_lists() -> None:
    assert canonical_json((1, True, None)) == b"[1,true,null]"
