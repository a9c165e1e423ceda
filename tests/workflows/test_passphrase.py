"""Passphrases: which are refused, what is kept of one, and what is taken for the same."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.workflows.passphrase import MAX_BYTES, hash_passphrase, matches, problems_of

SALT = b"s" * 32
REFUSED = {
    "empty": ("", "short_passphrase"),
    "eleven characters": ("elf Zeichen", "short_passphrase"),
    "eleven after normalising": ("é" * 5 + "e\N{COMBINING ACUTE ACCENT}" * 6, "short_passphrase"),
    "the name": ("Zoë Marie Müller", "name_as_passphrase"),
    "the name in other letters": ("ZOË  MARIE MU\N{COMBINING DIAERESIS}LLER", "name_as_passphrase"),
    "too long": ("x" * (MAX_BYTES + 1), "invalid_passphrase"),
    "too many bytes": ("é" * (MAX_BYTES // 2 + 1), "invalid_passphrase"),
    "too long when normalised": ("\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 100, "invalid_passphrase"),
    "a control": ("twelve letters\0", "invalid_passphrase"),
    "a line": ("twelve letters\n", "invalid_passphrase"),
    "a lone surrogate": ("twelve letters\ud800", "invalid_passphrase"),
    "not assigned": ("twelve letters\U000e0fff", "invalid_passphrase"),
}


@pytest.mark.parametrize(("passphrase", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_what_may_not_be_a_passphrase_is_named(passphrase: str, code: str) -> None:
    (problem,) = problems_of(passphrase, name="Zoë Marie Müller")
    assert (problem.pointer, problem.code) == ("/passphrase", code)


def test_every_problem_is_found() -> None:
    assert [one.code for one in problems_of("Ada", name="ada")] == ["short_passphrase", "name_as_passphrase"]


@pytest.mark.parametrize("passphrase", ["zwölf Zeiche", "x" * MAX_BYTES, "pass\N{NO-BREAK SPACE}phrase  x", "患者" * 6])
def test_anything_else_may_be_one(passphrase: str) -> None:
    assert problems_of(passphrase, name="Ada Lovelace") == []


@given(st.text(max_size=2 * MAX_BYTES), st.text(max_size=200))
def test_any_text_is_judged(passphrase: str, name: str) -> None:
    problems_of(passphrase, name=name)


def test_what_is_kept_is_scrypt_with_the_parameters_of_the_source() -> None:
    # By the independent implementation of the `cryptography` library: Scrypt(salt, 32, 2**15, 8, 3).
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    expected = Scrypt(SALT, 32, 2**15, 8, 3).derive("zwölf Zeichen".encode())
    assert hash_passphrase("zwo\N{COMBINING DIAERESIS}lf Zeichen", SALT) == expected


def test_only_the_passphrase_matches_however_it_was_typed() -> None:
    kept = hash_passphrase("ﬁnal zwölf Zeichen", SALT)
    assert matches("final zwo\N{COMBINING DIAERESIS}lf Zeichen", SALT, kept)
    assert not matches("final zwölf zeichen", SALT, kept)
    assert not matches("final zwölf Zeichen", b"t" * 32, kept)


def test_what_can_be_no_passphrase_never_matches_and_takes_as_long() -> None:
    with pytest.raises(ValueError, match="no passphrase"):
        hash_passphrase("\ud800", SALT)
    kept = hash_passphrase("", SALT)
    begun = time.process_time()
    assert not matches("\ud800" * 12, SALT, kept)
    refused = time.process_time() - begun
    begun = time.process_time()
    assert matches("", SALT, kept)
    assert refused > (time.process_time() - begun) / 3
