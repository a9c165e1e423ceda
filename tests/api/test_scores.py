"""`POST /v1/scores` and what reads its rows, over real HTTP against a real server process, on both databases."""

import json
import math
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Server = Any
Request = dict[str, Any]


def inverse_logit(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.fixture
def client(server: Server) -> httpx.Client:
    with server.client() as client:
        yield client


def test_a_panel_is_scored_stored_and_read_back(client: httpx.Client, tb_request: Request) -> None:
    response = client.post("/v1/scores", json=tb_request)
    assert response.status_code == 201, response.text
    answer = response.json()
    assert response.headers["location"] == f"/v1/scores/{answer['id']}"
    assert uuid.UUID(answer["id"]).version == 7
    assert answer["status"] == "final"
    assert answer["model"]["name"] == "tb-exosomal-mirna"
    assert answer["model"]["status_claim"] == "research_use_only"
    origin, size, *_ = answer["audit"]["checkpoint"].split("\n")
    assert int(size) > answer["audit"]["index"]
    assert origin.startswith("exoscore/")
    assert (answer["supersedes"], answer["superseded_by"], answer["retracted"]) == (None, None, None)
    assert answer["score"]["category"]["code"] in ("elevated", "not_elevated")
    stored = client.get(response.headers["location"])
    assert stored.status_code == 200
    assert stored.json() == answer
    assert stored.headers["cache-control"] == "private, no-cache"


def test_the_answer_re_derives_its_own_score(client: httpx.Client, tb_request: Request) -> None:
    answer = client.post("/v1/scores", json=tb_request).json()
    total = answer["score"]["baseline"]
    for contribution in answer["contributions"]:
        total += contribution["term"]
    assert inverse_logit(total) == pytest.approx(answer["score"]["value"], abs=1e-12)
    category = answer["score"]["category"]
    holds = {
        ">=": answer["score"]["value"] >= category["cut_point"],
        "<": answer["score"]["value"] < category["cut_point"],
    }
    assert holds[category["comparator"]]


def test_each_entry_takes_the_next_place_in_the_log(client: httpx.Client, tb_request: Request) -> None:
    indices = [client.post("/v1/scores", json=tb_request).json()["audit"]["index"] for _ in range(3)]
    assert indices == [indices[0], indices[0] + 1, indices[0] + 2]
    assert indices[0] > 0


def test_names_accessions_and_order_do_not_change_the_number(client: httpx.Client, tb_request: Request) -> None:
    first = client.post("/v1/scores", json=tb_request).json()
    by_accession = {c["name"]: c["code"] for c in first["contributions"]}
    for measurement in tb_request["measurements"]:
        measurement["analyte"] = by_accession[measurement["analyte"]]
    tb_request["measurements"].reverse()
    second = client.post("/v1/scores", json=tb_request).json()
    assert second["score"]["value"] == first["score"]["value"]


def test_the_published_equation_answers_an_index_without_category(client: httpx.Client, pgd_request: Request) -> None:
    answer = client.post("/v1/scores", json=pgd_request).json()
    # Published weights: -0.9946 for inotrope therapy, -2.140 for normalised KLKB1, no intercept.
    assert answer["score"]["value"] == pytest.approx(inverse_logit(-0.9946 - 2.14 * 0.5), abs=1e-12)
    assert (answer["score"]["kind"], answer["score"]["category"], answer["score"]["baseline"]) == ("index", None, 0.0)
    assert answer["status"] == "final"


def test_a_failed_gate_is_stored_without_a_number(client: httpx.Client, tb_request: Request) -> None:
    tb_request["quality"] = [
        {"code": "cq", "analyte": "hsa-miR-23a-3p", "value": 30.0, "unit": "{Cq}"},
        {"code": "cq", "analyte": "hsa-miR-451a", "value": 20.0, "unit": "{Cq}"},
    ]
    response = client.post("/v1/scores", json=tb_request)
    answer = response.json()
    assert response.status_code == 201
    assert (answer["status"], answer["score"], answer["contributions"]) == ("not_reportable", None, None)
    (haemolysis,) = [check for check in answer["quality"]["checks"] if check["code"] == "haemolysis"]
    assert (haemolysis["verdict"], haemolysis["observed"], haemolysis["limit"]) == ("fail", 10.0, 7.0)
    assert client.get(response.headers["location"]).json() == answer


def drop(path: str) -> Callable[[Request], None]:
    def change(request: Request) -> None:
        *parents, last = path.split(".")
        place: Any = request
        for part in parents:
            place = place[int(part) if part.isdigit() else part]
        del place[int(last) if last.isdigit() else last]

    return change


def put(path: str, value: Any) -> Callable[[Request], None]:
    def change(request: Request) -> None:
        *parents, last = path.split(".")
        place: Any = request
        for part in parents:
            place = place[int(part) if part.isdigit() else part]
        place[int(last) if last.isdigit() else last] = value

    return change


def append(measurement: Request) -> Callable[[Request], None]:
    return lambda request: request["measurements"].append(measurement)


REFUSED = {
    "missing analyte": (drop("measurements.2"), 422, "/measurements"),
    "unknown analyte": (put("measurements.0.analyte", "hsa-miR-marker"), 422, "/measurements/0/analyte"),
    "legacy name": (put("measurements.0.analyte", "miR-20a"), 422, "/measurements/0/analyte"),
    "ambiguous symbol": (append({"analyte": "GNAS", "value": 1, "unit": "ng/mL"}), 422, "/measurements/6/analyte"),
    "analyte outside the panel": (
        append({"analyte": "CD63", "value": 1, "unit": "ng/mL"}),
        422,
        "/measurements/6/analyte",
    ),
    "duplicate under another name": (
        append({"analyte": "MIMAT0000075", "value": 1.0, "unit": "{zscore}"}),
        422,
        "/measurements/6/analyte",
    ),
    "wrong unit": (put("measurements.1.unit", "{Cq}"), 422, "/measurements/1/unit"),
    "absent unit": (drop("measurements.1.unit"), 422, "/measurements/1/unit"),
    "number as string": (put("measurements.0.value", "1.5"), 422, "/measurements/0/value"),
    "boolean as number": (put("measurements.0.value", True), 422, "/measurements/0/value"),
    "unknown field": (put("marker_field", 1), 422, ""),
    "wrong type": (put("specimen", []), 422, "/specimen"),
    "empty list": (put("measurements", []), 422, "/measurements"),
    "empty optional list": (put("quality", []), 422, "/quality"),
    "above the range": (put("measurements.0.value", 10.5), 422, "/measurements/0/value"),
    "specimen type": (put("specimen.type", "urine"), 422, "/specimen/type"),
    "anticoagulant": (put("specimen.anticoagulant", "heparin"), 422, "/specimen/anticoagulant"),
    "isolation": (put("specimen.isolation", "none"), 422, "/specimen/isolation"),
    "age": (put("subject.age_years", 12), 422, "/subject/age_years"),
    "sex": (put("subject.sex", "marker"), 422, "/subject/sex"),
    "collected in the future": (put("specimen.collected_at", "2126-01-01T00:00:00Z"), 422, "/specimen/collected_at"),
    "time without a zone": (put("specimen.collected_at", "2026-01-01T00:00:00"), 422, "/specimen/collected_at"),
    "unknown model": (put("model", "marker-model"), 404, "/model"),
    "unknown version": (put("model", "tb-exosomal-mirna@9.9.9"), 404, "/model"),
    "unknown alias": (put("model", "tb-exosomal-mirna@marker"), 404, "/model"),
    "undeclared covariate": (
        put("covariates", [{"name": "marker", "value": 1, "unit": "1"}]),
        422,
        "/covariates/0/name",
    ),
    "unknown predecessor": (put("replaces", "0190b0c0-0000-7000-8000-000000000000"), 404, "/replaces"),
}


@pytest.mark.parametrize(("change", "status", "pointer"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_input_is_refused_with_its_place_and_stores_nothing(
    client: httpx.Client, tb_request: Request, change: Callable[[Request], None], status: int, pointer: str
) -> None:
    subject = f"marker-{uuid.uuid4()}"
    tb_request["subject"]["id"] = subject
    change(tb_request)
    if "replaces" in tb_request:
        tb_request["reason"] = "other"
    before = count_scores(client)
    response = client.post("/v1/scores", json=tb_request)
    problem = response.json()
    assert response.status_code == status, problem
    assert response.headers["content-type"] == "application/problem+json"
    assert pointer in [item["pointer"] for item in problem["errors"]]
    assert all(item["message"] and item["remedy"] and item["code"] for item in problem["errors"])
    assert "marker" not in response.text
    assert client.post("/v1/scores/search", json={"subject": subject}).json()["items"] == []
    assert count_scores(client) == before


def count_scores(client: httpx.Client) -> int:
    """How many scores there are."""
    count, cursor = 0, None
    while True:
        page = client.get("/v1/scores", params={"limit": 500} | ({"cursor": cursor} if cursor else {})).json()
        count, cursor = count + len(page["items"]), page["next_cursor"]
        if cursor is None:
            return count


def test_all_problems_come_at_once(client: httpx.Client, tb_request: Request) -> None:
    tb_request["specimen"]["type"] = "urine"
    tb_request["subject"]["age_years"] = 5
    tb_request["measurements"][0]["unit"] = "{Cq}"
    del tb_request["measurements"][5]
    tb_request["marker"] = None
    problem = client.post("/v1/scores", json=tb_request).json()
    pointers = {item["pointer"] for item in problem["errors"]}
    assert pointers == {"/specimen/type", "/subject/age_years", "/measurements/0/unit", "/measurements", ""}
    assert problem["status"] == 422


MALFORMED = {
    "NaN": b'{"model": NaN}',
    "Infinity": b'{"model": -Infinity}',
    "overflow": b'{"model": 1e999}',
    "duplicate key": b'{"model": "a", "model": "b"}',
    "not JSON": b'{"model": ',
    "not UTF-8": b'{"model": "\xff"}',
    "empty": b"",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_an_unreadable_body_is_refused(client: httpx.Client, body: bytes) -> None:
    response = client.post("/v1/scores", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    assert response.json()["code"] == "malformed_body"


def test_a_body_over_one_mebibyte_is_refused(client: httpx.Client) -> None:
    body = b" " * (1024 * 1024 + 1)
    headers = {"content-type": "application/json"}
    assert client.post("/v1/scores", content=body, headers=headers).status_code == 413
    chunked = client.post("/v1/scores", content=iter([body[:600_000], body[600_000:]]), headers=headers)
    assert chunked.status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {},
    ],
    ids=["text", "latin-1", "gzip", "absent"],
)
def test_another_content_type_is_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    assert client.post("/v1/scores", content=b"{}", headers=headers).status_code == 415


def test_the_same_key_and_body_replay_the_stored_answer(client: httpx.Client, tb_request: Request) -> None:
    headers = {"idempotency-key": str(uuid.uuid4()), "content-type": "application/json"}
    body = json.dumps(tb_request).encode()
    first = client.post("/v1/scores", content=body, headers=headers)
    quoted = headers | {"idempotency-key": f'"{headers["idempotency-key"]}"'}
    again = client.post("/v1/scores", content=body, headers=quoted)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


def test_the_same_key_with_another_body_is_refused(client: httpx.Client, tb_request: Request) -> None:
    headers = {"idempotency-key": str(uuid.uuid4())}
    assert client.post("/v1/scores", json=tb_request, headers=headers).status_code == 201
    tb_request["subject"]["age_years"] = 48
    response = client.post("/v1/scores", json=tb_request, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_mismatch")


def test_a_refused_request_does_not_use_up_its_key(client: httpx.Client, tb_request: Request) -> None:
    headers = {"idempotency-key": str(uuid.uuid4())}
    wrong = tb_request | {"measurements": []}
    assert client.post("/v1/scores", json=wrong, headers=headers).status_code == 422
    assert client.post("/v1/scores", json=tb_request, headers=headers).status_code == 201


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"\xe9"], ids=["empty", "long", "not ASCII"])
def test_an_invalid_idempotency_key_is_refused(client: httpx.Client, tb_request: Request, key: bytes) -> None:
    response = client.post("/v1/scores", json=tb_request, headers={"idempotency-key": key})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "invalid_idempotency_key")


def test_two_idempotency_keys_are_refused(client: httpx.Client, tb_request: Request) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    assert client.post("/v1/scores", json=tb_request, headers=headers).status_code == 422


def test_a_list_walks_all_scores_in_order_without_identifiers(client: httpx.Client, tb_request: Request) -> None:
    created = [client.post("/v1/scores", json=tb_request).json()["id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        response = client.get("/v1/scores", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        assert tb_request["subject"]["id"] not in response.text
        page = response.json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [item["id"] for item in seen][-5:] == created
    assert set(seen[-1]) == {"id", "status", "model", "score", "created_at", "superseded_by", "retracted"}


def test_a_search_finds_by_subject_and_specimen(client: httpx.Client, tb_request: Request) -> None:
    tb_request["subject"]["id"], tb_request["specimen"]["id"] = f"S-{uuid.uuid4()}", f"A-{uuid.uuid4()}"
    created = client.post("/v1/scores", json=tb_request).json()["id"]
    for body in ({"subject": tb_request["subject"]["id"]}, {"specimen": tb_request["specimen"]["id"]}):
        found = client.post("/v1/scores/search", json=body).json()["items"]
        assert [item["id"] for item in found] == [created]
    both = {"subject": tb_request["subject"]["id"], "specimen": "another"}
    assert client.post("/v1/scores/search", json=both).json()["items"] == []


def test_a_list_narrows_by_model_and_time(client: httpx.Client, tb_request: Request, pgd_request: Request) -> None:
    client.post("/v1/scores", json=tb_request)
    at = client.post("/v1/scores", json=pgd_request).json()["created_at"]
    found = client.get("/v1/scores", params={"model": "pgd-klkb1-inotrope@1.0.0", "since": at}).json()["items"]
    assert {item["model"]["name"] for item in found} == {"pgd-klkb1-inotrope"}
    assert client.get("/v1/scores", params={"since": "2126-01-01T00:00:00Z"}).json()["items"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"model": "marker\0"},
        {"limit": 0},
        {"limit": 501},
        {"limit": "9" * 5000},
        {"limit": "1.5"},
        {"limit": ["1", "2"]},
        {"cursor": "marker"},
        {"since": "2026-01-01T00:00:00"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"since": "17"},
        {"subject": "marker"},
    ],
    ids=[
        "control character",
        "no limit",
        "large limit",
        "huge limit",
        "fraction",
        "twice",
        "foreign cursor",
        "no zone",
        "before all time",
        "a number as time",
        "identifier in a URL",
    ],
)
def test_a_wrong_query_is_refused_without_echo(client: httpx.Client, params: dict[str, Any]) -> None:
    response = client.get("/v1/scores", params=params)
    assert response.status_code == 422
    assert "marker" not in response.text


def test_an_entity_tag_answers_304(client: httpx.Client, tb_request: Request) -> None:
    location = client.post("/v1/scores", json=tb_request).headers["location"]
    tag = client.get(location).headers["etag"]
    unchanged = client.get(location, headers={"if-none-match": f'"other", W/{tag}'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert client.get(location, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["0190b0c0-0000-7000-8000-000000000000", "marker", "%00"])
def test_an_unknown_score_is_404(client: httpx.Client, path: str) -> None:
    response = client.get(f"/v1/scores/{path}")
    assert response.status_code == 404
    assert "marker" not in response.text


def test_text_in_any_script_survives_byte_for_byte(client: httpx.Client, tb_request: Request) -> None:
    tb_request["subject"]["id"] = "患者-ø-🧬"
    answer = client.post("/v1/scores", json=tb_request).json()
    assert answer["subject"]["id"] == "患者-ø-🧬"
    assert client.get(f"/v1/scores/{answer['id']}").json() == answer


@pytest.mark.parametrize("text", ["", "x" * 129, "marker\0", "\ud800marker"], ids=["empty", "long", "NUL", "surrogate"])
def test_a_wrong_search_is_refused_without_echo(client: httpx.Client, text: str) -> None:
    body = json.dumps({"subject": text}).encode()
    response = client.post("/v1/scores/search", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/subject"
    assert "marker" not in response.text
