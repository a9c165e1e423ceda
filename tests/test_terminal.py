import json

import pytest

from service.errors import InputRejected, Problem
from service.terminal import answer_text, report, show

ANSWER = {
    "model": {"name": "m", "version": "1.0.0"},
    "status": "final",
    "score": {"kind": "probability", "value": 0.61239, "category": {"label": "Elevated"}},
    "contributions": [{"name": "hsa-miR-21-5p", "value": 1.5, "unit": "{zscore}", "term": 0.25}],
    "quality": {"verdict": "flag", "checks": [{"code": "haemolysis", "verdict": "flag"}]},
}


def test_a_preview_is_written_for_people() -> None:
    text = answer_text(ANSWER)
    assert text.startswith("PREVIEW, not stored. Research use only.")
    assert "probability 0.612  Elevated" in text
    assert "hsa-miR-21-5p: 1.5 {zscore} adds 0.250" in text
    assert text.endswith("quality: flag\n  haemolysis: flag")


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"score": None, "contributions": None, "status": "not_reportable"}, "probability"),
        ({"contributions": None}, "adds"),
        ({"score": {"kind": "index", "value": 0.25, "category": None}}, "Elevated"),
    ],
    ids=["withheld", "not additive", "without category"],
)
def test_what_an_answer_lacks_is_not_printed(change: dict[str, object], absent: str) -> None:
    assert absent not in answer_text(ANSWER | change)


def test_an_error_is_shown_with_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    error = InputRejected(
        "Two problems.", "Mend both.", [Problem("/a", "x", "Wrong.", "Mend."), Problem("", "y", "Odd.", "Drop.")]
    )
    report(error, as_json=False)
    assert capsys.readouterr().out == "input_rejected: Two problems. Mend both.\n  /a: Wrong. Mend.\n  Odd. Drop.\n"
    report(error, as_json=True)
    assert [item["code"] for item in json.loads(capsys.readouterr().out)["errors"]] == ["x", "y"]


def test_a_pointer_into_a_strangers_file_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    report(InputRejected("At /\x1b[2J.", problems=[Problem("/\r\x1b]0;x\x07", "x", "Wrong.", "")]), as_json=False)
    assert capsys.readouterr().out == "input_rejected: At /<U+001B>[2J.\n  / <U+001B>]0;x<U+0007>: Wrong.\n"


def test_a_result_is_text_or_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    show({"a": "ø"}, "text", as_json=False)
    show({"a": "ø"}, "text", as_json=True)
    assert capsys.readouterr().out == 'text\n{"a": "\\u00f8"}\n'
