"""A table from a file: CSV (UTF-8, also gzipped) or Parquet, columns by name, read as it is and never repaired.

An empty cell is a missing value; any other cell of a number column must be a finite number. Parquet needs pyarrow,
which the extra `parquet` of the distribution installs.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from service.errors import Problem
from service.training.cohort import CohortRejected, Floats

TABLE_MAX_BYTES = 2 << 30
"""Largest table, unpacked: what one machine of the size the product is made for can hold beside the fit."""

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_ZERO = re.compile(r"[-+.0]*[1-9]")
_REMEDY = "Correct the file at its source."


class Table(Protocol):
    """Rows in file order, columns by name."""

    @property
    def digest(self) -> str:
        """Of the file's bytes as they came, `sha256:` and hex digits."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The header, in file order."""
        ...

    @property
    def rows(self) -> int:
        """How many rows there are."""
        ...

    def texts(self, column: str) -> list[str]:
        """The cells of a column as text, "" where missing."""
        ...

    def numbers(self, column: str) -> tuple[Floats, list[int]]:
        """The cells of a column, NaN where missing, and the rows (from 0) whose cell is no finite number."""
        ...


def read_table(path: Path) -> Table:
    """The table in `path`. Raises CohortRejected where it cannot be read as a table at all."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CohortRejected(f"A cohort file cannot be read ({error.strerror}).", "Name an existing file.") from None
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    if raw[:4] == b"PAR1":
        return _parquet(raw, digest)
    return _csv(_unpacked(raw), digest)


def _unpacked(raw: bytes) -> bytes:
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            data = file.read(TABLE_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise CohortRejected("A cohort file is damaged gzip.", _REMEDY) from None
    if len(data) > TABLE_MAX_BYTES:
        raise CohortRejected("A cohort file is larger than 2 GiB.", "Leave out what is not needed.")
    return data


@dataclass(frozen=True, slots=True, eq=False)
class _CsvTable:
    digest: str
    columns: tuple[str, ...]
    rows: int
    cells: dict[str, tuple[str, ...]]

    def texts(self, column: str) -> list[str]:
        return list(self.cells[column])

    def numbers(self, column: str) -> tuple[Floats, list[int]]:
        cells = self.cells[column]
        bad = [row for row, cell in enumerate(cells) if cell and _NUMBER.fullmatch(cell) is None]
        spoilt = set(bad)
        values = np.array(
            [_read(cell) if cell and row not in spoilt else np.nan for row, cell in enumerate(cells)], dtype=np.float64
        )
        infinite = np.flatnonzero(np.isinf(values)).tolist()
        values[infinite] = np.nan
        return values, sorted(bad + infinite)


def _read(cell: str) -> float:
    """The number in a cell; the least double where it is not zero, and too near zero for a double."""
    value = float(cell)
    return math.ulp(0.0) if value == 0 and _NOT_ZERO.match(cell) else value


def _csv(data: bytes, digest: str) -> Table:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CohortRejected("A cohort file is neither UTF-8 text nor Parquet.", "Save it as UTF-8 CSV.") from None
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        raise CohortRejected("A cohort file is not CSV.", _REMEDY) from None
    if not lines:
        raise CohortRejected("A cohort file is empty.", _REMEDY)
    header, body = lines[0], [line for line in lines[1:] if line]
    uneven = [number for number, line in enumerate(body, start=2) if len(line) != len(header)]
    if uneven:
        problems = [
            Problem(f"/{n}", "cells", f"Line {n} has not as many cells as the header.", _REMEDY) for n in uneven
        ]
        raise CohortRejected("Some lines have more or fewer cells than the header.", _REMEDY, problems[:20])
    _verify_header(header)
    columns = list(zip(*body, strict=True)) if body else [() for _ in header]
    return _CsvTable(digest, tuple(header), len(body), dict(zip(header, columns, strict=True)))


def _verify_header(header: Sequence[str]) -> None:
    if len(set(header)) != len(header) or "" in header:
        raise CohortRejected("A header names a column twice or not at all.", "Name each column once.")


@dataclass(frozen=True, slots=True, eq=False)
class _ParquetTable:
    digest: str
    columns: tuple[str, ...]
    rows: int
    source: Any

    def texts(self, column: str) -> list[str]:
        return ["" if cell is None else str(cell) for cell in self.source.column(column).to_pylist()]

    def numbers(self, column: str) -> tuple[Floats, list[int]]:
        cells = self.source.column(column).to_pylist()
        bad = [
            i for i, c in enumerate(cells) if c is not None and (isinstance(c, bool) or not isinstance(c, int | float))
        ]
        spoilt = set(bad)
        values = np.array(
            [np.nan if c is None or i in spoilt else float(c) for i, c in enumerate(cells)], dtype=np.float64
        )
        # A NaN that was written as a number is not a missing value: the file has its own word for that.
        given = {i for i, c in enumerate(cells) if c is not None} - spoilt
        wrong = [i for i in sorted(given) if not np.isfinite(values[i])]
        values[wrong] = np.nan
        return values, sorted(bad + wrong)


def _parquet(raw: bytes, digest: str) -> Table:
    try:
        import pyarrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise CohortRejected("Parquet cannot be read here.", "Install exoscore[parquet], or send CSV.") from None
    try:
        source = parquet.read_table(io.BytesIO(raw))
    except (pyarrow.ArrowException, OSError):
        raise CohortRejected("A cohort file is damaged Parquet.", _REMEDY) from None
    _verify_header(source.column_names)
    return _ParquetTable(digest, tuple(source.column_names), source.num_rows, source)
