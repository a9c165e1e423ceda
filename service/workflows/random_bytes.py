"""Random bytes for ids and salts, fetched from the operating system's generator many at a time.

A call of the operating system hands Python's lock over to another thread, and under load a request waits for it to come
back. Every byte is given out once: to one thread, and in one process, because a fork starts with nothing in stock.
"""

from __future__ import annotations

import os

BLOCK_BYTES = 32
_BLOCKS = 128

_stock: list[bytes] = []
os.register_at_fork(after_in_child=_stock.clear)


def random_block() -> bytes:
    """32 random bytes that nobody was given before. Safe to call from any thread."""
    try:
        return _stock.pop()
    except IndexError:
        fresh = os.urandom(BLOCK_BYTES * _BLOCKS)
        _stock.extend(fresh[start : start + BLOCK_BYTES] for start in range(BLOCK_BYTES, len(fresh), BLOCK_BYTES))
        return fresh[:BLOCK_BYTES]
