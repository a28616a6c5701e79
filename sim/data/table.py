"""Tables with a header: CSV or Parquet, read as columns of text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sim.errors import DataError, did_you_mean
from sim.texts import read_rows

MOST_ROWS = 100_000_000
"""A Parquet file may state any number of rows in a few bytes."""

LISTED = 12
"""Columns that an error names."""


@dataclass(frozen=True)
class Table:
    """Some columns of a file.

    Args:
        file: Where they are from.
        columns: Text of each cell by column; empty where there is nothing.
        lines: What messages call each row, [M]: its line in a CSV file, its number from 1 in a Parquet file.
        row: `line` or `row`.
    """

    file: Path
    columns: Mapping[str, list[str]]
    lines: Sequence[int]
    row: str = "line"

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, place: int) -> str:
        """What messages call a row: `line 17`."""
        return f"{self.row} {self.lines[place]}"

    def kept(self, places: NDArray[np.int64]) -> "Table":
        """Some of the rows."""
        chosen = places.tolist()
        columns = {name: [cells[place] for place in chosen] for name, cells in self.columns.items()}
        return Table(self.file, columns, [self.lines[place] for place in chosen], self.row)


def read_table(path: Path, wanted: Mapping[str, str | None], what: str, optional: Sequence[str] = ()) -> Table:
    """Reads columns of a CSV file, or of a Parquet file if its name ends in `.parquet`.

    Args:
        path: The file.
        wanted: Column by what asks for it: `data.label` -> `kind`. None asks for nothing.
        what: What the file is for, for messages.
        optional: Columns that are read if they are there.

    Raises:
        DataError: It cannot be read, has no such column or none of a row; the message says which and what there is.
    """
    try:
        return (_parquet if path.suffix.lower() in (".parquet", ".pq") else _csv)(path, wanted, optional)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # of a broken file pyarrow raises whatever comes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: cannot be read as {what}: {reason}") from error


def _chosen(path: Path, header: Sequence[str], wanted: Mapping[str, str | None], optional: Sequence[str]) -> list[str]:
    """The columns to read, each once.

    Raises:
        DataError: One that is wanted is not there, or several have its name.
    """
    for asked, name in wanted.items():
        if name is None or name in header:
            continue
        more = f" and {len(header) - LISTED} more" if len(header) > LISTED else ""
        there = f"(it has {', '.join(header[:LISTED])}{more})" if header else "(it is empty)"
        meant = did_you_mean(name, header)
        raise DataError(f"{path}: has no column {name!r} ({asked}){f'; {meant}' if meant else ''} {there}")
    names = [name for name in dict.fromkeys(wanted.values()) if name is not None]
    names += [name for name in optional if name in header and name not in names]
    for name in names:
        if header.count(name) > 1:
            raise DataError(f"{path}: has {header.count(name)} columns {name!r}; rename all but one")
    return names


def _csv(path: Path, wanted: Mapping[str, str | None], optional: Sequence[str]) -> Table:
    rows = read_rows(path)
    header = rows.cells[0] if rows.cells else []
    names = _chosen(path, header, wanted, optional)
    for line, row in zip(rows.lines, rows.cells, strict=True):
        if len(row) != len(header):
            raise DataError(f"{path}: line {line} has {len(row)} columns; expected {len(header)}")
    columns = {name: [row[header.index(name)] for row in rows.cells[1:]] for name in names}
    return Table(path, columns, rows.lines[1:])


def _parquet(path: Path, wanted: Mapping[str, str | None], optional: Sequence[str]) -> Table:
    with pq.ParquetFile(path) as file:
        names = _chosen(path, file.schema_arrow.names, wanted, optional)
        if file.metadata.num_rows > MOST_ROWS:
            raise ValueError(f"it states {file.metadata.num_rows:,} rows; expected at most {MOST_ROWS:,}")
        found = file.read(columns=names)
    columns = {name: _text(found[name]) for name in names}
    return Table(path, columns, range(1, found.num_rows + 1), "row")


def _text(column: pa.ChunkedArray) -> list[str]:
    """Cells as text: whole numbers without a point, times as ISO 8601, nothing as nothing."""
    if pa.types.is_floating(column.type):
        whole = pc.all(pc.or_kleene(pc.is_null(column, nan_is_null=True), pc.equal(column, pc.floor(column)))).as_py()
        column = pc.if_else(pc.is_nan(column), None, column)
        if whole:
            column = column.cast(pa.int64(), safe=False)
    return ["" if cell is None else str(cell).strip() for cell in column.to_pylist()]
