import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from service.training.cohort import CohortRejected, read_cohort
from service.training.tb_exosomal_mirna import LAYOUT

Rows = list[dict[str, str]]
Write = Callable[[Rows], Path]


def test_a_sound_cohort_is_read_in_panel_order(cohort_rows: Rows, write_cohort: Write) -> None:
    reordered = [dict(reversed(row.items())) for row in cohort_rows]
    cohort = read_cohort(write_cohort(reordered), LAYOUT)
    assert cohort.values.shape == (140, 6)
    assert cohort.values[3, 4] == float(cohort_rows[3]["miR-191"])
    assert cohort.positive.sum() == 70
    assert cohort.train.sum() == 98
    assert cohort.digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("miR-20a", "", "is not a finite number"),
        ("miR-20a", "nan", "is not a finite number"),
        ("miR-20a", "1e999", "is not a finite number"),
        ("miR-486", "n.d.", "is not a finite number"),
        ("group", "other", "is neither pulmonary_tuberculosis nor healthy"),
        ("split", "validation", "is neither train nor test"),
        ("sample_id", "X001", "is empty or was used before"),
        ("sample_id", "", "is empty or was used before"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(
    cohort_rows: Rows, write_cohort: Write, column: str, value: str, code: str
) -> None:
    rows = copy.deepcopy(cohort_rows)
    rows[4][column] = value
    with pytest.raises(CohortRejected) as caught:
        read_cohort(write_cohort(rows), LAYOUT)
    assert [p.message for p in caught.value.problems] == [f"Line 6: {column} {code}."]


def test_too_few_people_of_a_class_are_refused(cohort_rows: Rows, write_cohort: Write) -> None:
    rows = [r for r in cohort_rows if (r["group"], r["split"]) != ("healthy", "test")]
    with pytest.raises(CohortRejected, match="test has fewer than 10 of healthy"):
        read_cohort(write_cohort(rows), LAYOUT)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "header"),
        (b"sample_id,group\n", "header"),
        (b"\xff\xfe", "UTF-8"),
        (b"sample_id,group,split,miR-20a,miR-20b,miR-26a,miR-106a,miR-191,miR-486\nX,healthy\n", "cells"),
    ],
    ids=["empty", "columns missing", "not UTF-8", "short line"],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(CohortRejected, match=said):
        read_cohort(tmp_path / "x.csv", LAYOUT)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortRejected, match="cannot be read"):
        read_cohort(tmp_path / "none.csv", LAYOUT)
