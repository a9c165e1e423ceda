"""Errors as answers: one form for all, nothing submitted in it, and a trace of those nobody expected."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect

from service.api.access_log import AccessLog
from service.api.problems import MAX_PROBLEMS, install_problem_handlers
from service.errors import InputRejected, Overloaded, Problem, ServiceError, TooManyAttempts, Unauthenticated
from service.telemetry import LINES, LOGGER, configure_logging


def answer_to(raised: Exception) -> httpx.Response:
    """What a caller gets where a route raises."""
    app = FastAPI()

    @app.get("/raises")
    async def raises() -> None:
        raise raised

    install_problem_handlers(app)
    app.add_middleware(AccessLog)
    return asyncio.run(get(app))


async def get(app: FastAPI) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/raises")


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A function that gives all lines logged so far."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("INFO")
    text = ""

    def lines() -> list[dict[str, Any]]:
        nonlocal text
        LINES.flush()
        text += capsys.readouterr().err
        return [json.loads(line) for line in text.splitlines()]

    yield lines
    root.handlers[:] = handlers
    root.setLevel(level)
    LOGGER.setLevel(logging.NOTSET)


def test_a_defect_is_500_without_a_word_of_what_was_sent(logged: Callable[[], list[dict[str, Any]]]) -> None:
    response = answer_to(RuntimeError("patient S-104"))
    problem = response.json()
    assert (response.status_code, problem["code"]) == (500, "internal_error")
    assert "S-104" not in response.text + json.dumps(logged())
    assert problem["instance"] == f"urn:uuid:{response.headers['x-request-id']}"
    (defect,) = [line for line in logged() if line["event"] == "internal_error"]
    assert (defect["error_type"], defect["request_id"]) == ("RuntimeError", response.headers["x-request-id"])
    assert defect["location"].rpartition(":")[2].isdigit()


def test_a_caller_that_goes_away_is_no_defect(logged: Callable[[], list[dict[str, Any]]]) -> None:
    assert answer_to(ClientDisconnect()).content == b""
    assert [(line["event"], line["status"]) for line in logged()] == [("request", 499)]


@pytest.mark.parametrize(
    ("error", "header"),
    [(Unauthenticated("No key.", "Send one."), "www-authenticate"), (Overloaded("Full.", "Wait."), "retry-after")],
)
def test_an_error_brings_its_header(error: ServiceError, header: str) -> None:
    assert header in answer_to(error).headers


def test_an_error_without_single_problems_is_one_itself() -> None:
    assert answer_to(Overloaded("Full.", "Wait.")).json()["errors"] == [
        {"pointer": "", "code": "overloaded", "message": "Full.", "remedy": "Wait."}
    ]


def test_thousands_of_problems_are_cut_and_counted() -> None:
    problems = [Problem(f"/{number}", "x", "Wrong.", "Mend.") for number in range(MAX_PROBLEMS + 7)]
    shown = answer_to(InputRejected("Many.", "Mend.", problems)).json()["errors"]
    assert len(shown) == MAX_PROBLEMS + 1
    assert "7 more" in shown[-1]["message"]


def test_a_route_that_the_framework_checks_does_not_echo_either() -> None:
    app = FastAPI()

    @app.get("/raises")
    async def checked(number: int, marker: int) -> None:
        raise AssertionError((number, marker))

    install_problem_handlers(app)
    app.add_middleware(AccessLog)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
            return await client.get("/raises", params={"number": "S-104"})

    response = asyncio.run(ask())
    problems = {(item["pointer"], item["code"]) for item in response.json()["errors"]}
    assert (response.status_code, problems) == (422, {("/number", "invalid_value"), ("/marker", "missing_field")})
    assert "S-104" not in response.text


def test_too_many_attempts_say_how_long_to_wait() -> None:
    response = answer_to(TooManyAttempts("Too many wrong passphrases.", "Wait.", retry_after=840))
    assert (response.status_code, response.json()["code"]) == (429, "too_many_attempts")
    assert response.headers["retry-after"] == "840"
