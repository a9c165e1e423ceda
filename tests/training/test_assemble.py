"""Cohorts of several tables: what is read, what is left out with a note, and what is refused with its reason."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.training.assemble import assemble
from service.training.cohort import CohortRejected
from service.training.dataset import Dataset
from service.training.read_spec import parse_spec
from service.training.tables import read_table
from tests.training.simulated import AGE, NAMES, Cohort, all_proteins, simulate, spec_document


def assembled(tmp_path: Path, people: Cohort, **changes: Any) -> Dataset:
    table = read_table(people.write(tmp_path / "cohort.csv"))
    return assemble(parse_spec(spec_document(**changes)), [table])


def refused(tmp_path: Path, people: Cohort, **changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(CohortRejected) as caught:
        assembled(tmp_path, people, **changes)
    return [(p.code, p.message) for p in caught.value.problems] or [("", caught.value.message)]


def with_cohort(**changes: Any) -> dict[str, Any]:
    return {"cohort": spec_document()["cohort"] | changes}


def test_a_sound_cohort_is_read_on_the_normalised_scale(tmp_path: Path) -> None:
    cohort = simulate(1)
    dataset = assembled(tmp_path, cohort)
    assert dataset.fit.count == dataset.fit.people == 80
    assert [a.accession for a in dataset.analytes] == NAMES["protein"][:60]
    assert np.abs(dataset.fit.design.values + dataset.centre - cohort.values).max() < 1e-4
    assert np.abs(dataset.fit.design.values.mean(axis=0)).max() < 1e-9
    assert dataset.classes == {"case": 40, "control": 40}
    assert set(dataset.fit.covariates[:, 1]) == {0.0, 1.0}
    assert dataset.technical_names == ("total signal (protein)",)


def test_tables_join_on_the_sample_id_in_any_order(tmp_path: Path) -> None:
    one, other = simulate(1, analytes=6), simulate(2, analytes=6)
    other.names = NAMES["protein"][6:12]
    first = one.write(tmp_path / "a.csv")
    lines = other.write(tmp_path / "b.csv").read_text().splitlines()
    lines = [",".join(cell for place, cell in enumerate(line.split(",")) if place not in {2, 3}) for line in lines]
    (tmp_path / "b.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    groups = [all_proteins(table="protein"), all_proteins(table="second")]
    spec = parse_spec(spec_document(analytes=groups, **with_cohort(tables=["protein", "second"])))
    dataset = assemble(spec, [read_table(first), read_table(tmp_path / "b.csv")])
    expected = np.concatenate([one.values, other.values], axis=1)
    assert np.abs(dataset.fit.design.values + dataset.centre - expected).max() < 1e-4
    assert dataset.digest not in {read_table(first).digest, read_table(tmp_path / "b.csv").digest}
    (tmp_path / "b.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(CohortRejected, match="not in every table"):
        assemble(spec, [read_table(first), read_table(tmp_path / "b.csv")])
    common = parse_spec(spec_document(analytes=groups, **with_cohort(tables=["protein", "second"], join="common")))
    partly = assemble(common, [read_table(first), read_table(tmp_path / "b.csv")])
    assert partly.fit.count == 79
    assert "1 samples of table protein are in no other table" in partly.notes
    (tmp_path / "b.csv").write_text("\n".join([lines[0], lines[1].replace("case", "control"), *lines[2:]]) + "\n")
    with pytest.raises(CohortRejected, match="column group differs between the tables"):
        assemble(spec, [read_table(first), read_table(tmp_path / "b.csv")])


def test_gzip_is_read_and_counts_by_the_bytes_as_they_came(tmp_path: Path) -> None:
    path = simulate(1).write(tmp_path / "cohort.csv")
    (tmp_path / "cohort.csv.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    plain, packed = read_table(path), read_table(tmp_path / "cohort.csv.gz")
    assert plain.columns == packed.columns
    assert plain.digest != packed.digest
    (tmp_path / "cohort.csv.gz").write_bytes((tmp_path / "cohort.csv.gz").read_bytes()[:100])
    with pytest.raises(CohortRejected, match="damaged gzip"):
        read_table(tmp_path / "cohort.csv.gz")


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    from pyarrow import csv, parquet

    cohort = simulate(1)
    cohort.values[0, 0] = np.nan
    path = cohort.write(tmp_path / "cohort.csv")
    source = csv.read_csv(path)
    parquet.write_table(source, tmp_path / "cohort.parquet")
    one, other = read_table(path), read_table(tmp_path / "cohort.parquet")
    assert one.columns == other.columns
    assert one.texts("group") == other.texts("group")
    for column in one.columns[2:]:
        if column != "sex":
            assert np.array_equal(one.numbers(column)[0], other.numbers(column)[0], equal_nan=True)
    spoilt = source.set_column(4, source.column_names[4], pyarrow.array([float("nan")] * 80))
    parquet.write_table(spoilt, tmp_path / "cohort.parquet")
    assert len(read_table(tmp_path / "cohort.parquet").numbers(source.column_names[4])[1]) == 80
    assert len(read_table(tmp_path / "cohort.parquet").numbers("sex")[1]) == 80
    (tmp_path / "cohort.parquet").write_bytes((tmp_path / "cohort.parquet").read_bytes()[:200])
    with pytest.raises(CohortRejected, match="damaged Parquet"):
        read_table(tmp_path / "cohort.parquet")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\xff\xfe\x00", "neither UTF-8 text nor Parquet"),
        (b"a,b\n1\n", "more or fewer cells"),
        (b"a,a\n1,2\n", "names a column twice"),
        (b"a,\n1,2\n", "names a column twice or not at all"),
        (b'a,b\n"1,2\n', "is not CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(CohortRejected, match=said):
        read_table(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (0, "n.d.", "is not a finite number"),
        (0, "nan", "is not a finite number"),
        (0, "1e999", "is not a finite number"),
        (0, "1e307", "is too large or too near zero"),
        (0, "1e-200", "is too large or too near zero"),
        (0, "0.1e-400", "is too large or too near zero"),
        (0, "1_000", "is not a finite number"),
        (0, "-1", "is outside the plausible range"),
        (0, "", "is missing"),
        ("age", "old", "is not a finite number"),
        ("age", "-5", "is outside the plausible range"),
        ("sex", "robot", "has a value without a code"),
        ("group", "other", "is neither a positive nor a negative value"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column_without_its_value(
    tmp_path: Path, column: str | int, value: str, said: str
) -> None:
    path = simulate(1, analytes=8).write(tmp_path / "cohort.csv")
    lines = path.read_text().splitlines()
    name = NAMES["protein"][column] if isinstance(column, int) else column
    cells = lines[7].split(",")
    cells[lines[0].split(",").index(name)] = value
    path.write_text("\n".join([*lines[:7], ",".join(cells), *lines[8:]]) + "\n")
    with pytest.raises(CohortRejected) as caught:
        assemble(parse_spec(spec_document()), [read_table(path)])
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"Table protein, line 8: column {name} {said}")
    assert not value or value == "-1" or value not in problem.message


def test_all_problems_of_the_cells_are_found_at_once(tmp_path: Path) -> None:
    cohort = simulate(1, analytes=8)
    cohort.values[0, 0], cohort.values[1, 1], cohort.values[2, 2] = np.nan, -1.0, 99.0
    assert len(refused(tmp_path, cohort)) == 3


def test_one_class_and_too_few_are_refused_with_the_number_that_would_do(tmp_path: Path) -> None:
    cohort = simulate(1)
    cohort.positive[:] = False
    assert refused(tmp_path, cohort) == [("single_class", "Nobody to fit on is case.")]
    cohort.positive[:7] = True
    assert refused(tmp_path, cohort) == [("too_few", "7 people to fit on are case; 10 would do.")]


def test_people_count_not_samples(tmp_path: Path) -> None:
    cohort = simulate(1)
    cohort.columns["person"] = [f"P{row // 10}" for row in range(80)]
    cohort.positive = (np.arange(80) // 10) % 2 == 0
    found = refused(tmp_path, cohort, **with_cohort(person="person"))
    assert found == [
        ("too_few", "4 people to fit on are case; 10 would do."),
        ("too_few", "4 people to fit on are control; 10 would do."),
    ]


def test_a_person_in_both_classes_or_on_both_sides_is_refused(tmp_path: Path) -> None:
    cohort = simulate(1)
    cohort.columns["person"] = ["P0", "P0", *(f"P{row}" for row in range(2, 80))]
    split = {"column": "split", "fit_on": ["a"], "judge_on": ["b"], "title": "t", "external": False}
    cohort.columns["split"] = ["a", *("b" if row % 3 == 0 else "a" for row in range(1, 80))]
    cohort.columns["split"][1] = "b"
    found = refused(tmp_path, cohort, **with_cohort(person="person", held_out=split))
    assert found == [
        ("duplicated_person", "1 people are in both classes."),
        ("duplicated_person", "1 people are on both sides of the held-out split."),
    ]


def test_ids_that_differ_in_case_or_blanks_only_are_refused(tmp_path: Path) -> None:
    cohort = simulate(1)
    cohort.columns["person"] = ["p0", "p1", "P0", "p1 ", *(f"P{row}" for row in range(4, 80))]
    message = "2 ids of people differ from another one in case or blanks only."
    assert refused(tmp_path, cohort, **with_cohort(person="person"))[0] == ("duplicated_person", message)


def test_a_sample_twice_is_refused(tmp_path: Path) -> None:
    path = simulate(1).write(tmp_path / "cohort.csv")
    path.write_text(path.read_text().replace("S0003", "S0002"))
    with pytest.raises(CohortRejected, match="line 5: the sample id is empty or was used before"):
        assemble(parse_spec(spec_document()), [read_table(path)])


def test_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    listed = all_proteins(choose=[{"column": "x", "analyte": "P02768"}], chosen_on="elsewhere", limit=None)
    found = refused(tmp_path, simulate(1), analytes=[listed], covariates=[AGE | {"column": "years"}])
    assert [message for _, message in found] == ["No table has the column years.", "Table protein has no column x."]


def test_constant_analytes_are_left_out_or_refused(tmp_path: Path) -> None:
    cohort = simulate(1, analytes=8)
    cohort.values[:, 3] = 20.0
    dataset = assembled(tmp_path, cohort)
    assert len(dataset.analytes) == 7
    assert "1 analytes never vary and are left out" in dataset.notes
    name = NAMES["protein"][3]
    columns = [{"column": c, "analyte": c} for c in NAMES["protein"][2:5]]
    listed = all_proteins(choose=columns, chosen_on="elsewhere", limit=None)
    found = refused(tmp_path, cohort, analytes=[listed], estimator={"kind": "ridge_logistic", "penalties": [1]})
    assert found == [("constant", f"{name} has one value for everybody.")]
    cohort.values[:] = 20.0
    assert refused(tmp_path, cohort)[0][0] == "constant"


def test_exclusions_and_unknown_columns_are_noted(tmp_path: Path) -> None:
    cohort = simulate(1, analytes=8)
    cohort.names = [*NAMES["protein"][:7], "not-a-protein"]
    exclude = [{"column": "age", "values": [cohort.columns["age"][5]], "reason": "withdrawn"}]
    dataset = assembled(tmp_path, cohort, **with_cohort(exclude=exclude))
    assert dataset.fit.count < 80
    assert "1 columns of table protein name no protein of the catalogue" in dataset.notes
    assert any(note.endswith("samples excluded: withdrawn") for note in dataset.notes)


def test_counts_become_shares_of_their_own_library(tmp_path: Path) -> None:
    cohort = simulate(1, analytes=8)
    generator = np.random.default_rng(2)
    cohort.values = generator.integers(1, 100, size=(80, 8)).astype(np.float64)
    cohort.columns["reads"] = [str(v) for v in generator.integers(1000, 9999, size=80)]
    counts = {"unit": "{CPM}", "range": {"low": 0, "high": 1e6}}
    log2 = {"step": "log2", "offset": 1}
    for total, divisor in (
        ("reads", np.array([float(v) for v in cohort.columns["reads"]])),
        (None, cohort.values.sum(axis=1)),
    ):
        group = all_proteins(normalisation=[{"step": "per_million", "total": total}, log2], **counts)
        exclude = [{"column": "reads", "values": ["none"], "reason": "no reads"}]
        dataset = assembled(tmp_path, cohort, analytes=[group], **with_cohort(exclude=exclude))
        expected = np.log2(cohort.values / divisor[:, np.newaxis] * 1e6 + 1)
        assert np.abs(dataset.fit.design.values + dataset.centre - expected).max() < 1e-9
    cohort.columns["reads"][4] = "0"
    group = all_proteins(normalisation=[{"step": "per_million", "total": "reads"}, log2], **counts)
    assert "is not a library total above 0" in refused(tmp_path, cohort, analytes=[group])[0][1]


def test_held_out_people_stand_apart(tmp_path: Path) -> None:
    cohort = simulate(1)
    cohort.columns["split"] = ["b" if row % 3 == 0 else "a" for row in range(80)]
    split = {"column": "split", "fit_on": ["a"], "judge_on": ["b"], "title": "t", "external": False}
    dataset = assembled(tmp_path, cohort, **with_cohort(held_out=split))
    assert dataset.held_out is not None
    assert (dataset.fit.count, dataset.held_out.count) == (53, 27)
    assert dataset.classes == {"case_fit": 26, "control_fit": 27, "case_held_out": 14, "control_held_out": 13}
    cohort.columns["split"][0] = "c"
    assert "is on neither side of the split" in refused(tmp_path, cohort, **with_cohort(held_out=split))[0][1]
