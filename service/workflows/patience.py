"""How long a caller waits for the database, and what asks it in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from service.errors import StorageUnavailable

T = TypeVar("T")

PATIENCE_SECONDS = 12.0
"""Longer than a submission may wait for its turn and its locks together, so that it is reached only by a hang."""


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """The result of a function that asks the database, called in a thread; StorageUnavailable where that takes long."""
    # Not `wait_for`: before Python 3.12 it loses a cancellation that comes in the moment of the result.
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.to_thread(function, *arguments)
    except TimeoutError:
        raise too_slow() from None


def too_slow() -> StorageUnavailable:
    """What a caller is told when the database does not answer."""
    return StorageUnavailable(
        "The database did not answer in time.", "Send the request again with the same Idempotency-Key."
    )
