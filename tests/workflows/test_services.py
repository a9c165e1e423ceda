import asyncio
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.workflows.patience import in_thread
from service.workflows.services import new_uuid7, utc_now


@given(st.integers(0, 2**36), st.integers(0, 2**74 - 1))
def test_a_score_id_is_a_uuid_of_version_7_and_the_variant_of_the_standard(seconds: int, bits: int) -> None:
    now = datetime.fromtimestamp(seconds, tz=UTC)
    made = uuid.UUID(new_uuid7(now, bits))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert abs((made.int >> 80) - now.timestamp() * 1000) <= 1


def test_later_ids_sort_behind_earlier_ones_and_repeats_differ() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert new_uuid7(now) < new_uuid7(now + timedelta(milliseconds=1))
    assert new_uuid7(now) != new_uuid7(now)


def test_the_clock_is_aware() -> None:
    assert utc_now().utcoffset() == timedelta(0)


def test_what_is_done_in_time_is_answered() -> None:
    assert asyncio.run(in_thread(divmod, 7, 2)) == (3, 1)
