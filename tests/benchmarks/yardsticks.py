"""What the product is measured against, each as a process of its own: `python -m tests.benchmarks.yardsticks NAME`.

echo         FastAPI on uvicorn with uvloop and httptools. Parses the product's example request with pydantic and sends
             bytes of the size of the product's real answer, made beforehand. Nothing else: no key, no model, no
             database, no access log. It is the strictest reading of an echo, since FastAPI need not serialise.
echo-model   The same, but the answer is built and checked from a pydantic model, as a FastAPI tutorial has it.
afternoon    What can be written in an afternoon: FastAPI, pydantic, `predict_proba` of the very estimator behind the
             bundled model, one SQLAlchemy INSERT and COMMIT per request. A plain `def`, as FastAPI advises for calls
             that block; SQLite in WAL mode with synchronous=FULL.
forest       One `predict_proba` of the given estimator per request and nothing stored, in a plain `def`.
"""

from __future__ import annotations

import argparse
import json
import socket
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import joblib
import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Column, Double, Engine, LargeBinary, MetaData, Table, Text, create_engine, event, insert

from service.settings import shipped

NAMES = ("echo", "echo-model", "afternoon", "forest")
ESTIMATOR = shipped("model_artifacts") / "tb-exosomal-mirna" / "1.1.0" / "estimator.joblib"

table = Table(
    "afternoon",
    MetaData(),
    Column("score_id", Text, primary_key=True),
    Column("subject_id", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("request", LargeBinary, nullable=False),
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Subject(_Strict):
    id: str
    age_years: float
    sex: Literal["female", "male", "other", "unknown"]


class Specimen(_Strict):
    id: str
    type: str
    collected_at: datetime
    received_at: datetime | None = None
    anticoagulant: str | None = None
    isolation: str | None = None
    processing_delay_minutes: float | None = None
    freeze_thaw_cycles: int | None = None
    volume_ul: float | None = None


class Measurement(_Strict):
    analyte: str
    value: float
    unit: str


class ScoreRequest(_Strict):
    model: str
    subject: Subject
    specimen: Specimen
    measurements: list[Measurement]


class Answer(BaseModel):
    """The product's answer, as loosely typed as an afternoon allows."""

    id: str
    status: str
    model: dict[str, str]
    subject: dict[str, str]
    specimen: dict[str, str]
    score: dict[str, Any]
    contributions: list[dict[str, Any]] | None
    quality: dict[str, Any]
    supersedes: str | None
    superseded_by: str | None
    retracted: None
    created_at: str
    audit: dict[str, Any]


def echo_app(answer: bytes) -> FastAPI:
    """Sends `answer`, ready made."""
    app = FastAPI()

    @app.post("/v1/scores", status_code=201)
    async def echo(body: ScoreRequest) -> Response:
        return Response(answer, status_code=201, media_type="application/json")

    return app


def echo_model_app(answer: bytes) -> FastAPI:
    """Builds an answer like `answer` from a model on each request."""
    app = FastAPI()
    fields = json.loads(answer)

    @app.post("/v1/scores", status_code=201)
    async def echo(body: ScoreRequest) -> Answer:
        return Answer(**fields)

    return app


def afternoon_app(answer: bytes, database_url: str) -> FastAPI:
    """Scores, stores and commits per request, then answers like `answer`."""
    app = FastAPI()
    engine = afternoon_engine(database_url)
    table.metadata.create_all(engine)
    estimator = joblib.load(ESTIMATOR)
    fields = json.loads(answer)

    @app.post("/v1/scores", status_code=201)
    def score(body: ScoreRequest) -> Answer:
        value = float(estimator.predict_proba([[item.value for item in body.measurements]])[0, 1])
        score_id, now = str(uuid.uuid4()), datetime.now(tz=UTC).isoformat()
        row = {
            "score_id": score_id,
            "subject_id": body.subject.id,
            "created_at": now,
            "value": value,
            "request": body.model_dump_json().encode(),
        }
        with engine.begin() as connection:
            connection.execute(insert(table).values(row))
        return Answer(**fields | {"id": score_id, "created_at": now, "score": fields["score"] | {"value": value}})

    return app


def forest_app(answer: bytes, estimator_file: Path) -> FastAPI:
    """Scores with the estimator, then answers like `answer`."""
    app = FastAPI()
    estimator = joblib.load(estimator_file)
    fields = json.loads(answer)

    @app.post("/v1/scores", status_code=201)
    def score(body: ScoreRequest) -> Answer:
        value = float(estimator.predict_proba([[item.value for item in body.measurements]])[0, 1])
        return Answer(**fields | {"score": fields["score"] | {"value": value}})

    return app


def afternoon_engine(database_url: str) -> Engine:
    """An engine as anybody makes it, but as durable as the product's."""
    if not database_url.startswith("sqlite"):
        return create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    engine = create_engine(database_url, connect_args={"timeout": 30})

    def on_connect(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    event.listen(engine, "connect", on_connect)
    return engine


def main() -> None:
    """Serve one yardstick on a free port; prints its address when the socket is open."""
    parser = argparse.ArgumentParser(prog="yardsticks")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--answer", type=Path, required=True, help="a real answer of the product")
    parser.add_argument("--database-url", default="")
    parser.add_argument("--estimator", type=Path)
    given = parser.parse_args()
    answer = given.answer.read_bytes()
    if given.name == "afternoon":
        app = afternoon_app(answer, given.database_url)
    elif given.name == "forest":
        app = forest_app(answer, given.estimator)
    else:
        app = (echo_app if given.name == "echo" else echo_model_app)(answer)
    opened = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"{given.name} answers at http://127.0.0.1:{opened.getsockname()[1]}\nReady.", flush=True)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[opened])


if __name__ == "__main__":
    main()
