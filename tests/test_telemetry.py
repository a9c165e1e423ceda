import json
import logging

import pytest

from service.telemetry import configure_logging, log_event


@pytest.fixture(autouse=True)
def _restored_logging() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_an_event_is_one_line_of_json_with_allowed_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    log_event("request", route="/v1/scores/{score_id}", status=201)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["route"], line["status"]) == ("request", "/v1/scores/{score_id}", 201)


def test_a_field_outside_the_allow_list_is_refused() -> None:
    with pytest.raises(ValueError, match="subject"):
        log_event("request", subject="S-104")


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
