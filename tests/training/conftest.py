"""A synthetic cohort in the layout of the TB cohort: six correlated z-scores that carry a modest signal."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

COLUMNS = ["miR-20a", "miR-20b", "miR-26a", "miR-106a", "miR-191", "miR-486"]


@pytest.fixture(scope="session")
def cohort_rows() -> list[dict[str, str]]:
    generator = np.random.default_rng(11)
    rows = []
    for number in range(140):
        positive = number % 2 == 0
        shared = generator.normal()
        values = 0.6 * shared + generator.normal(size=6) + (0.8 if positive else 0.0) * np.array([1, 0, 0, 0, 1, 0])
        row = {
            "sample_id": f"X{number:03}",
            "group": "pulmonary_tuberculosis" if positive else "healthy",
            "split": "test" if number % 10 < 3 else "train",
        }
        rows.append(row | {name: f"{value:.6f}" for name, value in zip(COLUMNS, values, strict=True)})
    return rows


@pytest.fixture
def write_cohort(tmp_path: Path) -> Callable[[list[dict[str, str]]], Path]:
    def write(rows: list[dict[str, str]]) -> Path:
        path = tmp_path / "cohort.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write
