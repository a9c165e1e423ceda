"""Registering artifacts over HTTP: the genuine one, and every known attack, refused before its code could run."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import stat
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from skops.io import dumps

from tests.registry.artifacts import (
    KEY_NAME,
    PGD,
    TB,
    bundled_files,
    digest,
    misjudged,
    rebuilt,
    release,
    signature_of,
    with_estimator,
)
from tests.registry.attacks import PACKINGS, STRANGER, Payload, zipped
from tests.served_registry import ZIP, Registry

Files = dict[str, bytes]
Attack = Callable[[Path], bytes]


@pytest.fixture
def client(registry: Registry) -> Iterator[httpx.Client]:
    with registry.client() as client:
        yield client


def upload(client: httpx.Client, data: bytes) -> httpx.Response:
    return client.post("/v1/models", content=data, headers=ZIP)


@pytest.mark.parametrize("name", [TB, PGD])
def test_a_genuine_artifact_is_registered_and_waits_for_a_person(registry: Registry, name: str) -> None:
    version = registry.version()
    before = registry.stored()
    answer = registry.register(name, version)
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/models/{name}/versions/{version}")
    body = answer.json()
    assert body["digest"] == digest(release(name, version)["manifest.json"])
    assert (body["state"], body["publisher"], body["fault"]) == ("verified", KEY_NAME, None)
    after = registry.stored()
    assert [entry.kind for entry in after.since(before)] == ["model.registered", "model.verified"]
    assert body["audit"]["index"] == len(after.entries) - 1
    assert body["audit"]["checkpoint"].split("\n")[1] == str(len(after.entries))
    with registry.client() as client:
        shown = client.get(answer.headers["location"]).json()
        assert (shown["state"], shown["digest"], shown["reason"]) == ("verified", body["digest"], None)
        assert shown["manifest"]["version"] == version
        assert client.get(f"{answer.headers['location']}/card").status_code == 200
        scored = client.post("/v1/scores", json={"model": f"{name}@{version}"})
        assert (scored.status_code, scored.json()["code"]) == (409, "version_not_in_force")
        again = registry.register(name, version)
        assert (again.status_code, again.headers["location"]) == (200, answer.headers["location"])
        assert again.json() == body | {"audit": None}
    assert registry.stored() == after


def test_one_that_does_not_give_its_own_values_is_on_show_with_the_reason(
    registry: Registry, client: httpx.Client
) -> None:
    version = registry.version()
    data = zipped(misjudged(PGD, version))
    answer = upload(client, data)
    assert (answer.status_code, answer.json()["state"]) == (201, "rejected")
    assert "values differ" in answer.json()["fault"]
    shown = client.get(answer.headers["location"]).json()
    assert (shown["state"], shown["reason"]) == ("rejected", answer.json()["fault"])
    assert upload(client, data).json() == answer.json() | {"audit": None}


def joblib(pack: Callable[[Any], bytes], canary: Path) -> Files:
    return with_estimator("estimator.joblib", pack(Payload(canary)), signed=False)


def skops(data: bytes) -> bytes:
    return zipped(with_estimator("estimator.skops", data, signed=False))


def changed(bundled: str, **changes: Any) -> bytes:
    """A bundled artifact with another manifest, signed by nobody who is trusted."""
    files = bundled_files(bundled)
    return zipped(files | {"manifest.json": json.dumps(json.loads(files["manifest.json"]) | changes).encode()})


def flipped(name: str, place: int) -> bytes:
    files = bundled_files(TB)
    data = bytearray(files[name])
    data[place] ^= 0x04
    return zipped(files | {name: bytes(data)})


def linked(_: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in bundled_files(TB).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = ((stat.S_IFLNK if name == "golden.json" else stat.S_IFREG) | 0o777) << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def declaring(size: int) -> bytes:
    data = bytearray(zipped(bundled_files(TB)))
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, size)
    return bytes(data)


def trusting(canary: Path) -> bytes:
    files = with_estimator("estimator.skops", dumps(FunctionTransformer(os.mkdir, kw_args={"path": str(canary)})))
    manifest = json.loads(files["manifest.json"])
    manifest["estimator"]["trusted"] = ["posix.mkdir"]
    return zipped(rebuilt(files, manifest))


def signed_by_a_stranger(canary: Path, key_name: str) -> bytes:
    files = joblib(PACKINGS["joblib"], canary)
    return zipped(files | {"signature": signature_of(files["manifest.json"], STRANGER, key_name)})


ATTACKS: dict[str, tuple[Attack, str]] = {
    **{
        f"an unsigned joblib, {name}": (lambda canary, pack=pack: zipped(joblib(pack, canary)), "unsigned_joblib")
        for name, pack in PACKINGS.items()
    },
    **{
        f"a pickle named skops, {name}": (lambda canary, pack=pack: skops(pack(Payload(canary))), "not_skops")
        for name, pack in PACKINGS.items()
    },
    "signed by a stranger": (lambda canary: signed_by_a_stranger(canary, "stranger"), "unknown_publisher"),
    "signed by a stranger of a known name": (
        lambda canary: signed_by_a_stranger(canary, KEY_NAME),
        "unknown_publisher",
    ),
    "a signature over another manifest": (
        lambda canary: zipped(
            joblib(PACKINGS["joblib"], canary) | {"signature": bundled_files(TB)["signature"]},
        ),
        "signature_mismatch",
    ),
    "an empty signature": (
        lambda canary: zipped(joblib(PACKINGS["joblib"], canary) | {"signature": b""}),
        "signature_malformed",
    ),
    "another estimator behind the genuine manifest": (
        lambda canary: zipped(bundled_files(TB) | {"estimator.joblib": PACKINGS["zlib"](Payload(canary))}),
        "digest_mismatch",
    ),
    "a flipped byte in the golden vectors": (lambda _: flipped("golden.json", 100), "digest_mismatch"),
    "a flipped byte in the estimator": (lambda _: flipped("estimator.joblib", 100), "digest_mismatch"),
    "a flipped byte in the manifest": (lambda _: changed(TB, summary="Another summary."), "signature_mismatch"),
    "a flipped byte in the signature": (lambda _: flipped("signature", 200), "signature_invalid"),
    "a pickle inside of a skops file": (
        lambda canary: skops(zipped({"schema.json": b"{}", "1.npy": PACKINGS["joblib"](Payload(canary))}, 0)),
        "malformed_skops",
    ),
    "a skops file with an untrusted type": (
        lambda canary: skops(dumps(FunctionTransformer(os.mkdir, kw_args={"path": str(canary)}))),
        "untrusted_type",
    ),
    "a skops file with an untrusted function": (
        lambda _: skops(dumps(LogisticRegression(C=os.system))),
        "untrusted_type",
    ),
    "a manifest that names its own trusted types": (trusting, "extra_forbidden"),
    "a file too many": (lambda _: zipped(bundled_files(TB) | {"conftest.py": b"x"}), "unlisted_file"),
    "a slip upwards": (lambda _: zipped(bundled_files(TB) | {"../../code-ran": b"x"}), "unsafe_archive"),
    "a slip to the root": (lambda canary: zipped(bundled_files(TB) | {str(canary): b"x"}), "unsafe_archive"),
    "a look-alike file name": (lambda _: zipped(bundled_files(TB) | {"gold\u0435n.json": b"x"}), "unsafe_archive"),
    "a look-alike model name": (lambda _: changed(TB, name="tb-ex\u043esomal-mirna"), "name"),
    "an upper-case model name": (lambda _: changed(TB, name="TB-exosomal-mirna"), "name"),
    "a look-alike version": (lambda _: changed(TB, version="\uff11.0.0"), "version"),
    "a bomb": (lambda _: zipped(bundled_files(TB) | {"estimator.joblib": bytes(60 << 20)}), "unsafe_archive"),
    "a file that is too large": (
        lambda _: zipped(bundled_files(TB) | {"estimator.joblib": bytes(100 << 20)}),
        "too_large",
    ),
    "five gigabytes declared": (lambda _: declaring(0xFFFFFFFE), "unsafe_archive"),
    "sizes that stand elsewhere": (lambda _: declaring(0xFFFFFFFF), "unsafe_archive"),
    "a link": (linked, "link"),
    "a second table of contents": (
        lambda canary: zipped(joblib(PACKINGS["zlib"], canary)) + zipped(bundled_files(TB)),
        "unsafe_archive",
    ),
    "no zip": (lambda _: b"x" * 1000, "unsafe_archive"),
    "nothing": (lambda _: b"", "unsafe_archive"),
}


@pytest.mark.parametrize(("attack", "code"), ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_refused_with_its_reason_and_leaves_an_entry_alone(
    registry: Registry, client: httpx.Client, tmp_path: Path, attack: Attack, code: str
) -> None:
    canary = tmp_path / "code-ran"
    data = attack(canary)
    before = registry.stored()
    answer = upload(client, data)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    problem = answer.json()
    assert (problem["code"], problem["errors"][0]["code"]) == ("artifact_rejected", code)
    assert problem["errors"][0]["remedy"]
    after = registry.stored()
    (entry,) = after.since(before)
    assert (entry.kind, entry.record, entry.detail) == ("model.rejected", None, {"refused": code})
    assert entry.actor.startswith("key:")
    assert (after.rows, after.generation) == (before.rows, before.generation)
    assert not canary.exists()
    for told in (answer.text, registry.server.log.read_text()):
        assert str(canary) not in told
        assert "code-ran" not in told


@pytest.mark.parametrize("version", ["1.0.0", "1.0.0+build.2"])
def test_other_bytes_under_a_registered_version_are_a_conflict(
    registry: Registry, client: httpx.Client, version: str
) -> None:
    before = registry.stored()
    answer = upload(client, zipped(release(PGD, version, title="Another title")))
    assert (answer.status_code, answer.json()["code"]) == (409, "version_exists")
    after = registry.stored()
    assert [entry.detail for entry in after.since(before)] == [{"refused": "version_exists"}]
    assert (after.rows, after.generation) == (before.rows, before.generation)
    shown = client.get(f"/v1/models/{PGD}/versions/1.0.0").json()
    assert (shown["state"], shown["manifest"]["title"]) != ("approved", "Another title")


def test_a_body_that_is_too_large_is_refused_unread(registry: Registry) -> None:
    before = registry.stored()
    connection = http.client.HTTPConnection(registry.server.origin.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", "/v1/models")
    for name, value in {"authorization": f"Bearer {registry.server.key}", **ZIP}.items():
        connection.putheader(name, value)
    connection.putheader("content-length", str(5 << 30))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "body_too_large")
    connection.close()
    assert registry.stored() == before


def test_few_artifacts_are_taken_in_at_once(registry: Registry, client: httpx.Client) -> None:
    def begun() -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(registry.server.origin.removeprefix("http://"), timeout=30)
        connection.putrequest("POST", "/v1/models")
        headers = {"authorization": f"Bearer {registry.server.key}", **ZIP, "content-length": "9999"}
        for name, value in (headers | {"expect": "100-continue"}).items():
            connection.putheader(name, value)
        connection.endheaders()
        # The service asks for the body once the artifact has its place, and not before.
        assert connection.sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        return connection

    with contextlib.closing(begun()), contextlib.closing(begun()):
        refused = upload(client, b"x")
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
    until(lambda: upload(client, b"x").json()["code"] == "artifact_rejected")


def until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)


@pytest.mark.parametrize(
    "headers",
    [{"content-type": "application/json"}, {"content-type": ""}, ZIP | {"content-encoding": "gzip"}],
    ids=["json", "nothing", "compressed"],
)
def test_another_media_type_is_refused(registry: Registry, client: httpx.Client, headers: dict[str, str]) -> None:
    before = registry.stored()
    answer = client.post("/v1/models", content=zipped(bundled_files(PGD)), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert registry.stored() == before


def test_a_key_that_may_not_register_is_refused_before_the_body_is_read(registry: Registry) -> None:
    before_it = registry.key("models:approve", "models:read")
    before = registry.stored()
    with registry.server.stranger() as stranger, registry.server.client(before_it) as other:
        assert upload(stranger, b"x").status_code == 401
        assert upload(other, b"x").status_code == 403
    assert registry.stored() == before


def test_versions_are_listed_in_their_order_and_not_in_that_of_their_letters(
    registry: Registry, client: httpx.Client
) -> None:
    numbers = ("7.10.0", "7.9.0", "7.10.0-rc.1", "7.2.0")
    for version in numbers:
        assert registry.register(PGD, version).status_code == 201
    ordered = ["7.2.0", "7.9.0", "7.10.0-rc.1", "7.10.0"]
    shown = [one["version"] for one in client.get(f"/v1/models/{PGD}").json()["versions"]]
    assert [version for version in shown if version in numbers] == ordered
    history = client.get(f"/v1/models/{PGD}/history").json()
    assert [one["version"] for one in history["versions"] if one["version"] in numbers] == ordered
    (item,) = (one for one in client.get("/v1/models").json()["items"] if one["name"] == PGD)
    assert (item["latest"], item["aliases"]) == ("7.10.0", {"production": "1.0.0"})


def test_what_was_done_is_sound(registry: Registry) -> None:
    verified = registry.command("audit", "verify", "--deep")
    assert (verified.returncode, verified.stderr) == (0, "")
