"""How often a passphrase may be wrong, and how many are checked at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from service.errors import Overloaded, TooManyAttempts
from service.workflows.attempts import AT_ONCE, CAPACITY, LIMIT, Attempts


class Seconds:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def attempts(seconds: Seconds) -> Attempts:
    return Attempts(seconds)


@pytest.fixture
def fail(attempts: Attempts) -> Callable[..., bool]:
    def fail(person_id: str = "a") -> bool:
        with attempts.turn(person_id):
            return attempts.failed(person_id)

    return fail


def refused(attempts: Attempts, person_id: str = "a") -> int | None:
    """For how many seconds a person is refused."""
    try:
        with attempts.turn(person_id):
            return None
    except TooManyAttempts as error:
        return error.retry_after


def test_after_five_wrong_ones_none_is_looked_at_until_the_first_is_a_quarter_of_an_hour_old(
    attempts: Attempts, seconds: Seconds, fail: Callable[..., bool]
) -> None:
    told = []
    for _ in range(LIMIT):
        told.append(fail())
        seconds.now += 10
    assert told == [False] * (LIMIT - 1) + [True]
    assert refused(attempts) == 850
    assert refused(attempts, "b") is None
    seconds.now += 849.5
    assert refused(attempts) == 1
    seconds.now += 0.5
    assert refused(attempts) is None
    assert fail()
    assert refused(attempts) == 10


def test_a_right_one_in_time_clears_the_account(attempts: Attempts, fail: Callable[..., bool]) -> None:
    for _ in range(3):
        for _ in range(LIMIT - 1):
            assert not fail()
        with attempts.turn("a"):
            attempts.succeeded("a")
    assert refused(attempts) is None


def test_memory_is_bounded_and_who_was_longest_without_an_attempt_is_forgotten(
    attempts: Attempts, fail: Callable[..., bool]
) -> None:
    for _ in range(LIMIT):
        fail("old")
    for _ in range(LIMIT):
        fail("new")
    for number in range(CAPACITY - 2):
        fail(str(number))
    assert refused(attempts, "old") is not None
    fail("one more")
    assert refused(attempts, "old") is None
    assert refused(attempts, "new") is not None


def test_one_is_checked_after_the_other_few_wait_and_the_rest_is_refused_at_once(attempts: Attempts) -> None:
    go, turned_away = threading.Event(), threading.Semaphore(0)
    at_work: list[int] = []
    seen: list[int] = []

    def check() -> None:
        try:
            with attempts.turn("a"):
                at_work.append(1)
                seen.append(len(at_work))
                go.wait(10)
                at_work.pop()
        except Overloaded:
            turned_away.release()

    threads = [threading.Thread(target=check) for _ in range(2 * AT_ONCE)]
    for thread in threads:
        thread.start()
    for _ in range(AT_ONCE):
        assert turned_away.acquire(timeout=10)
    go.set()
    for thread in threads:
        thread.join(10)
    assert seen == [1] * AT_ONCE
    assert refused(attempts) is None


def test_guesses_that_come_at_once_are_counted_before_the_next_is_looked_at(attempts: Attempts) -> None:
    looked_at = []

    def guess() -> None:
        while True:
            try:
                with attempts.turn("a"):
                    looked_at.append(1)
                    attempts.failed("a")
            except Overloaded:
                continue
            except TooManyAttempts:
                return

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(looked_at) == LIMIT
