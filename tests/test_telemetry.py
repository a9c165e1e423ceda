import asyncio
import inspect
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from service.telemetry import FIELDS, GATHER_SECONDS, LINES, LOGGER, Lines, configure_logging, log_event, log_request

REQUEST: dict[str, Any] = {
    "request_id": "r",
    "method": "POST",
    "route": "/v1/scores",
    "status": 201,
    "duration_ms": 1.5,
    "actor": None,
    "code": None,
}


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    LINES.flush()
    root.handlers[:] = handlers
    root.setLevel(level)
    LOGGER.setLevel(logging.NOTSET)


def test_an_event_is_one_line_of_json_with_allowed_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    log_event("request", route="/v1/scores/{score_id}", status=201)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["route"], line["status"]) == ("request", "/v1/scores/{score_id}", 201)


def test_a_field_outside_the_allow_list_is_refused() -> None:
    with pytest.raises(ValueError, match="subject"):
        log_event("request", subject="S-104")


def test_a_request_has_no_other_fields_than_allowed_ones() -> None:
    assert set(inspect.signature(log_request).parameters) <= FIELDS
    with pytest.raises(TypeError, match="subject"):
        log_request(**REQUEST, subject="S-104")


def test_foreign_libraries_lose_their_text_but_the_server_keeps_its_notices(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logging.getLogger("sqlalchemy").error("parameters: S-104")
    logging.getLogger("uvicorn.error").error("address already in use")
    try:
        raise ValueError("S-104")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    err = capsys.readouterr().err
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["event"] for line in lines] == ["library.sqlalchemy", "library.uvicorn.error", "library.uvicorn.error"]
    assert lines[1]["text"] == "address already in use"
    assert "S-104" not in err


def test_requests_are_written_together_a_moment_later(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")

    async def two() -> str:
        for status in (200, 201):
            log_request(**REQUEST | {"status": status})
        waiting = capsys.readouterr().err
        await asyncio.sleep(4 * GATHER_SECONDS)
        return waiting

    # Twice, because a loop that ends before its time must not silence the next.
    for _ in range(2):
        assert asyncio.run(two()) == ""
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [line["status"] for line in lines] == [200, 201]
        at, level, event = (lines[0].pop(name) for name in ("at", "level", "event"))
        assert lines[0] == REQUEST | {"status": 200}
        assert (level, event) == ("info", "request")
        assert abs((datetime.fromisoformat(at) - datetime.now(tz=UTC)).total_seconds()) < 60
        asyncio.run(one_that_ends_early())
        LINES.flush()
        assert capsys.readouterr().err.count("\n") == 1


async def one_that_ends_early() -> None:
    log_request(**REQUEST)


def test_an_error_goes_out_at_once_behind_what_waited(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")

    async def both() -> str:
        log_request(**REQUEST)
        log_event("commit_failed", level=logging.ERROR)
        return capsys.readouterr().err

    lines = [json.loads(line) for line in asyncio.run(both()).splitlines()]
    assert [line["event"] for line in lines] == ["request", "commit_failed"]


def test_requests_are_not_logged_below_their_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("WARNING")
    asyncio.run(one_that_ends_early())
    LINES.flush()
    assert capsys.readouterr().err == ""


def test_what_a_caller_may_have_typed_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    typed = 'a"\\\n\x7f\u2028ø'

    async def ask() -> None:
        log_request(**REQUEST | {"method": typed})

    asyncio.run(ask())
    LINES.flush()
    (line,) = capsys.readouterr().err.rstrip("\n").split("\n")
    assert json.loads(line)["method"] == typed


def test_once_told_so_lines_wait_no_longer(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()

    async def both() -> list[str]:
        lines.gather("1")
        lines.write_at_once()
        lines.gather("2")
        return capsys.readouterr().err.split()

    assert asyncio.run(both()) == ["1", "2"]


ENDS_EARLY = """
import asyncio, sys
from service.telemetry import configure_logging, log_request
configure_logging("INFO")
async def main():
    log_request(request_id="r", method="GET", route="/", status=200, duration_ms=1.0, actor=None, code=None)
    {end}
asyncio.run(main())
"""


@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "1 / 0"])
def test_a_process_that_ends_writes_what_waits(end: str) -> None:
    command = [sys.executable, "-c", ENDS_EARLY.format(end=end)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert sum('"event":"request"' in line for line in done.stderr.splitlines()) == 1


def test_a_full_disk_under_the_log_costs_no_request() -> None:
    program = ENDS_EARLY.format(end="await asyncio.sleep(0.1); print('alive')")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=full, text=True)
    assert done.stdout == "alive\n"
