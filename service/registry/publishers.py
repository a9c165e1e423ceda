"""Whose artifacts this release trusts, beside those the operator names in EXOSCORE_TRUSTED_PUBLISHERS.

The list only grows: a version that was trusted when it was registered has to verify for ever. Whoever signs a release
makes a key for it, adds the public half here, signs, and destroys the private half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

PUBLISHERS: Final = (
    "exoscore-release-2026+4e652459+AZE8R/J+suWrNoQUHMCHQ4g2KlIIbdxJnjxEGxRf/7E9",
    "exoscore-release-2026-11+b85c6b1c+AUPzdshoA6L/XR3R2lyUBlwKObljqDS53Hsia/Ri3gom",
)
"""Verifier keys (C2SP signed-note) of the releases of this product, oldest first."""


def trusted_publishers(named: Sequence[str]) -> tuple[str, ...]:
    """The release keys, and those that the operator named."""
    return (*PUBLISHERS, *named)
