"""Look-ups that many ask for at once are made once; nobody's going away, and no failure, reaches the next one."""

import asyncio

import pytest

from service.errors import StorageUnavailable
from service.workflows.shared_looks import SharedLooks


class Looks:
    """Look-ups that end when they are let go, each with its number; they fail when told to."""

    def __init__(self) -> None:
        self.made = 0
        self.go = asyncio.Event()
        self.fails = False

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        await self.go.wait()
        if self.fails:
            raise StorageUnavailable("The database is away.")
        return number


def test_who_asks_meanwhile_shares_it_and_who_asks_later_does_not() -> None:
    async def main() -> None:
        shared, looks = SharedLooks[int](), Looks()
        asking = [asyncio.create_task(shared.find("k", looks)) for _ in range(16)]
        await asyncio.sleep(0)
        other = asyncio.create_task(shared.find("other", looks))
        await asyncio.sleep(0.01)
        looks.go.set()
        assert await asyncio.gather(*asking, other) == [1] * 16 + [2]
        assert await shared.find("k", looks) == 3

    asyncio.run(main())


def test_who_goes_away_leaves_the_others_their_outcome() -> None:
    async def main() -> None:
        shared, looks = SharedLooks[int](), Looks()
        first, second = (asyncio.create_task(shared.find("k", looks)) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        looks.go.set()
        assert await second == 1
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())


def test_a_failure_is_everybody_s_and_the_next_one_looks_again() -> None:
    async def main() -> None:
        shared, looks = SharedLooks[int](), Looks()
        looks.fails = True
        looks.go.set()
        found = await asyncio.gather(*(shared.find("k", looks) for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in found] == [StorageUnavailable] * 3
        looks.fails = False
        assert await shared.find("k", looks) == 2

    asyncio.run(main())


def test_a_failure_that_nobody_waits_for_any_more_is_nobody_s_trouble() -> None:
    async def main() -> list[str]:
        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
        shared, looks = SharedLooks[int](), Looks()
        looks.fails = True
        asking = asyncio.create_task(shared.find("k", looks))
        await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.sleep(0.01)
        looks.go.set()
        await asyncio.sleep(0.01)
        return told

    assert asyncio.run(main()) == []
