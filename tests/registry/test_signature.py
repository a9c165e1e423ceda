"""The signature of an artifact: by whom, over what, and what is not taken for one."""

import json
from pathlib import Path

import pytest

from service.audit.note import Signer
from service.errors import ArtifactRejected, InputRejected
from service.registry.artifact import read_artifact
from service.registry.publishers import PUBLISHERS, trusted_publishers
from service.registry.signature import SIGNATURE_MAX_BYTES, read_signer, sign, signed_text, verify_signature
from service.registry.signing import examine_unsigned, sign_folder
from tests.registry.artifacts import PGD, TB, bundled_files, rebuilt, write

DIGEST = "sha256:" + "0a" * 32
VERSION = {"name": "a-model", "version": "1.0.0", "digest": DIGEST}
ONE, OTHER, STRANGER = (Signer.generate() for _ in range(3))
TRUSTED = [ONE.vkey("one"), OTHER.vkey("other")]


def note(signer: Signer = ONE, key_name: str = "one", **changed: str) -> bytes:
    version = VERSION | changed
    return sign(signer, key_name, version["name"], version["version"], version["digest"])


def together(*notes: bytes) -> bytes:
    """One note with the signatures of all, which are over the same text."""
    head, lines = notes[0].rpartition(b"\n\n")[0], [text.rpartition(b"\n\n")[2] for text in notes]
    return head + b"\n\n" + b"".join(lines)


def refusal(data: bytes) -> str:
    with pytest.raises(ArtifactRejected) as caught:
        verify_signature(data, **VERSION, trusted=TRUSTED)
    (reason,) = caught.value.reasons
    return reason


def test_what_is_signed_is_three_lines() -> None:
    assert signed_text("a-model", "1.0.0", DIGEST) == f"exoscore-artifact/v1\na-model@1.0.0\n{DIGEST}\n"


def test_the_publisher_is_the_trusted_key_that_signed() -> None:
    assert verify_signature(note(), **VERSION, trusted=TRUSTED) == "one"
    assert verify_signature(note(OTHER, "other"), **VERSION, trusted=TRUSTED) == "other"
    assert verify_signature(together(note(STRANGER, "who"), note()), **VERSION, trusted=TRUSTED) == "one"
    assert verify_signature(together(note(OTHER, "other"), note()), **VERSION, trusted=TRUSTED) == "one"


@pytest.mark.parametrize(
    "changed",
    [{"name": "b-model"}, {"version": "1.0.1"}, {"digest": "sha256:" + "0b" * 32}],
    ids=["name", "version", "digest"],
)
def test_a_signature_over_something_else_is_refused(changed: dict[str, str]) -> None:
    assert refusal(note(**changed)) == "signature_mismatch"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (note(STRANGER, "stranger"), "unknown_publisher"),
        (note(STRANGER, "one"), "unknown_publisher"),
        (note(ONE, "two"), "unknown_publisher"),
        (note().replace(b"\n\n", b"\nmore\n\n"), "signature_mismatch"),
        (b"x" + note(), "signature_mismatch"),
        (note()[:-1], "signature_malformed"),
        (note().partition(b"\n\n")[0] + b"\n", "signature_malformed"),
        (note() + b"\n", "signature_malformed"),
        (note().replace(b"\n", b"\r\n"), "signature_malformed"),
        (together(note(), note()), "signature_malformed"),
        (b"", "signature_malformed"),
        (b"\xff\xfe", "signature_malformed"),
        (note() + b"x" * SIGNATURE_MAX_BYTES, "signature_malformed"),
    ],
    ids=[
        "unknown key",
        "another key under a trusted name",
        "a trusted key under another name",
        "one line more",
        "another header",
        "cut off",
        "no signature",
        "one line behind",
        "CRLF",
        "twice by one key",
        "empty",
        "not text",
        "too long",
    ],
)
def test_what_is_no_signature_of_this_version_is_refused(data: bytes, reason: str) -> None:
    assert refusal(data) == reason


def test_of_two_trusted_signatures_both_have_to_be_valid() -> None:
    good, bad = note(), note(OTHER, "other", version="9.9.9")
    assert refusal(together(good, bad)) == "signature_invalid"


def test_the_release_keys_stand_before_those_of_the_operator() -> None:
    assert trusted_publishers(["x"]) == (*PUBLISHERS, "x")
    assert len(set(PUBLISHERS)) == len(PUBLISHERS)


def test_a_signed_folder_is_taken_by_who_trusts_the_key(tmp_path: Path) -> None:
    folder = write(tmp_path / TB / "1.0.0", rebuilt(bundled_files(TB), signed=False))
    signed = sign_folder(folder, pem=ONE.pem(), key_name="one")
    assert signed.vkey == ONE.vkey("one")
    assert read_artifact(folder, trusted=[signed.vkey]) == signed.artifact
    assert signed.artifact.publisher == "one"
    assert (folder / "signature").read_bytes() == signed.artifact.signature
    again = sign_folder(folder, pem=OTHER.pem(), key_name="other")
    assert read_artifact(folder, trusted=[again.vkey]).publisher == "other"


def test_an_unsigned_folder_is_examined_as_if_it_were_signed(tmp_path: Path) -> None:
    folder = write(tmp_path / TB / "1.0.0", rebuilt(bundled_files(TB), signed=False))
    artifact = examine_unsigned(folder)
    assert (artifact.publisher, artifact.signature) == (None, None)
    assert not (folder / "signature").exists()


def test_nobody_signs_what_no_server_takes(tmp_path: Path) -> None:
    files = rebuilt(bundled_files(PGD), signed=False)
    cases = {
        "another_version": write(tmp_path / "a/1.0.0", files),
        "unlisted_file": write(tmp_path / f"b/{PGD}/1.0.0", files | {"x": b""}),
        "digest_mismatch": write(tmp_path / f"c/{PGD}/1.0.0", files | {"golden.json": b"{}"}),
        "missing_file": write(tmp_path / f"d/{PGD}/1.0.0", {"golden.json": b"{}"}),
    }
    for reason, folder in cases.items():
        with pytest.raises(ArtifactRejected) as caught:
            sign_folder(folder, pem=ONE.pem(), key_name="one")
        assert caught.value.reasons == (reason,)
        assert not (folder / "signature").exists()


def test_a_key_that_is_none_is_refused_without_its_text() -> None:
    with pytest.raises(InputRejected) as caught:
        read_signer(b"sesame")
    assert "sesame" not in json.dumps([caught.value.message, caught.value.remedy])
    for name in ("", "a b", "a+b", "a\n"):
        with pytest.raises(InputRejected):
            note(ONE, name)
