"""Passphrases: what one may be, what is kept of it, and how it is compared.

The rules:

1. A passphrase is normalised to NFKC and hashed as UTF-8, so that it is the same one on every keyboard (NIST
   SP 800-63B, 5.1.1.2; Unicode Standard Annex 15, section 12.1). Controls and lone surrogates are refused, and what
   Unicode has not assigned, because a later release could normalise it otherwise.
2. It has at least 12 characters, counted as code points after normalisation, and at most 1024 bytes. It is a second
   component beside an API key or a person's id (21 CFR 11.200(a)(1)), for which NIST asks for eight. No kinds of
   characters are asked for: NIST advises against it.
3. It is not the name of the person, however it is written.
4. What is kept is scrypt (RFC 7914) over a salt of 32 random bytes, with one of the sets of parameters that OWASP's
   Password Storage Cheat Sheet calls equal: N = 2**15, r = 8, p = 3. One hash takes 32 MiB and about a quarter of a
   second on a quiet machine; Python's lock is released meanwhile. It runs with the priority of everything else: a bad
   version has to be withdrawn under load too. Other parameters would need a column that says which a row has.
5. Hashes are compared in constant time. What could never have been accepted is hashed and compared all the same.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from typing import Final

from service.errors import Problem

MIN_CHARACTERS: Final = 12
MAX_BYTES: Final = 1024
HASH_BYTES: Final = 32

_N, _R, _P = 2**15, 8, 3
_MAX_MEMORY: Final = 64 * 1024**2
"""OpenSSL wants a limit above 128 * r * (N + p + 2) bytes, which is a little more than 32 MiB."""

_UNSTABLE: Final = frozenset({"Cc", "Cn", "Cs"})
"""Unicode's categories of controls, unassigned characters and surrogates."""


def problems_of(passphrase: str, *, name: str) -> list[Problem]:
    """Why a passphrase may not be that of the person called `name`; none where it may."""
    normal = _normal(passphrase)
    if normal is None:
        usable = f"Use at most {MAX_BYTES} bytes of characters that can be typed."
        return [_problem("invalid_passphrase", "The passphrase is too long or holds a character of no text.", usable)]
    problems = []
    if len(normal) < MIN_CHARACTERS:
        longer = f"Use at least {MIN_CHARACTERS} characters; a few words are easy to remember."
        problems.append(_problem("short_passphrase", "The passphrase is too short.", longer))
    if _folded(normal) == _folded(name):
        problems.append(_problem("name_as_passphrase", "The passphrase is the person's name.", "Use another one."))
    return problems


def hash_passphrase(passphrase: str, salt: bytes) -> bytes:
    """The 32 bytes that are kept of a passphrase; takes a quarter of a second. Raises ValueError for what rule 1 or the
    limit of bytes refuses."""
    normal = _normal(passphrase)
    if normal is None:
        raise ValueError("This is no passphrase: it is too long or holds a character of no text.")
    return _scrypt(normal, salt)


def matches(presented: str, salt: bytes, stored_hash: bytes) -> bool:
    """Whether what was presented is the passphrase; takes the same quarter of a second whatever it is."""
    normal = _normal(presented)
    equal = hmac.compare_digest(_scrypt(normal or "", salt), stored_hash)
    return equal and normal is not None


def _scrypt(normal: str, salt: bytes) -> bytes:
    return hashlib.scrypt(normal.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=_MAX_MEMORY, dklen=HASH_BYTES)


def _normal(passphrase: str) -> str | None:
    """The passphrase in the form that is hashed; None for what can never be one."""
    # Normalising makes a text up to 18 times longer, so what is too long already is not normalised at all.
    if len(passphrase) > MAX_BYTES or any(unicodedata.category(one) in _UNSTABLE for one in passphrase):
        return None
    normal = unicodedata.normalize("NFKC", passphrase)
    return normal if len(normal.encode()) <= MAX_BYTES else None


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _problem(code: str, message: str, remedy: str) -> Problem:
    return Problem("/passphrase", code, message, remedy)
