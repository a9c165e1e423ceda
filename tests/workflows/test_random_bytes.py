import os
from concurrent.futures import ThreadPoolExecutor

from service.workflows.random_bytes import BLOCK_BYTES, random_block


def test_no_block_is_given_out_twice_to_any_thread() -> None:
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda _: random_block(), range(5000)))
    assert {len(block) for block in blocks} == {BLOCK_BYTES}
    assert len(set(blocks)) == len(blocks)


def test_a_forked_process_shares_no_block_with_its_parent() -> None:
    random_block()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, b"".join(random_block() for _ in range(200)))
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        theirs = pipe.read()
    os.waitpid(child, 0)
    ours = {random_block() for _ in range(200)}
    assert ours.isdisjoint(theirs[at : at + BLOCK_BYTES] for at in range(0, len(theirs), BLOCK_BYTES))
    assert len(theirs) == 200 * BLOCK_BYTES
