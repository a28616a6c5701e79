"""A table of photographs: a row an image, with its class and perhaps whose it is and when it was taken."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.preprocessing import Preprocessing
from sim.data.base import Classes, Images
from sim.data.files import FileImages, Scan, Scanner
from sim.data.groups import read_superclasses
from sim.data.keys import array_digest
from sim.data.people import By, Origin, check_filled, cut, number_clients, number_names, times_of
from sim.data.table import Table, read_table
from sim.errors import DataError

FIELD = re.compile(r"\{([^{}]*)\}")
"""A column's name in the pattern of file names."""


@dataclass(frozen=True)
class Columns:
    """What a table's columns mean.

    Args:
        file: Where an image is: a column, or a pattern with columns in braces, `images/{image}.jpg`.
        label: Its class.
        client: Whose it is, if anybody says.
        time: When it was taken, likewise.
        drop: Cells that leave a row out, by column.
    """

    file: str
    label: str
    client: str | None
    time: str | None
    drop: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Cut:
    """Which rows are for the cloud and which for the clients.

    Args:
        by: As `sim.data.people.cut` takes it.
        test_share: Likewise.
        seed: Likewise.
        column: The column that says it, in place of all that.
        train: Its cells that are for the cloud.
        test: Its cells that are for the clients.
    """

    by: By | None
    test_share: float
    seed: int
    column: str | None = None
    train: Sequence[str] = ()
    test: Sequence[str] = ()


def open_image_table(
    path: Path,
    table: Path,
    columns: Columns,
    how: Cut,
    superclasses: Path | None,
    preprocessing: Preprocessing,
    scanner: Scanner,
) -> Images:
    """Reads the images that a table lists. Classes are numbered in the order of their names.

    Args:
        path: Folder that file names start in.
        table: CSV or Parquet file.
        columns: What its columns mean.
        how: Which rows are for the cloud and which for the clients.
        superclasses: CSV file of superclasses, or None.
        preprocessing: How images are resized and cut.
        scanner: Opens the files.

    Raises:
        DataError: A column is not there or has empty cells, a time does not parse, files are missing or listed twice, or a class
            has no image for the cloud; the message says which, where and what to do.
    """
    rows, notes = _read(table, columns, how)
    files = _file_names(rows, columns.file)
    scan = scanner.scan(path, files)
    _check_any(path, files, scan)
    missing, unreadable = scanner.check(path, [scan])
    rows = rows.kept(scan.kept)
    labels, names = number_names(rows.columns[columns.label])
    if len(names) < 2:
        raise DataError(
            f"{table}: column {columns.label!r} (data.label) holds the class {names[0]!r} only; expected 2 or more"
        )
    origin = Origin(
        number_clients(rows.columns[columns.client]) if columns.client else None,
        times_of(rows, columns.time, "data.time") if columns.time else None,
    )
    parts = (
        _by_column(rows, how) if how.column else cut(labels, origin.clients, how.by, how.test_share, how.seed, "table")
    )
    _check_train(table, columns.label, names, labels[parts[0]])
    train, test = (FileImages(path, [scan.names[i] for i in part], labels[part], preprocessing) for part in parts)
    key = {
        "kind": "image_table", "content": scan.content, "read": preprocessing.key,
        "rows": array_digest(*parts, labels, origin.clients, origin.times),
    }  # fmt: skip
    groups = read_superclasses(superclasses, names) if superclasses else (None, ())
    whose = [origin.of(part) for part in parts]
    return Images(
        key,
        Classes(names, *groups),
        train,
        test,
        unreadable,
        missing,
        notes=notes,
        shapes=scan.shapes[np.concatenate(parts)],
        train_clients=whose[0].clients,
        test_clients=whose[1].clients,
        train_times=whose[0].times,
        test_times=whose[1].times,
    )


def _read(file: Path, columns: Columns, how: Cut) -> tuple[Table, list[str]]:
    """The rows that are not left out, every cell that is needed filled, and notes on what was left out."""
    named = FIELD.findall(columns.file) or [columns.file]
    wanted = {f"data.file, {name}": name for name in named} | {f"data.drop, {name}": name for name in columns.drop}
    asked = {
        "data.label": columns.label, "data.client": columns.client, "data.time": columns.time, "data.split.column": how.column,
    }  # fmt: skip
    table = read_table(file, asked | wanted, "a table of images")
    table, notes = _without(table, columns.drop)
    if len(table) == 0:
        raise DataError(f"{file}: has no rows" + (" but those that data.drop leaves out" if columns.drop else ""))
    needed = {
        name: asks for asks, name in (asked | wanted).items() if name is not None and not asks.startswith("data.drop")
    }
    for name, asks in needed.items():
        check_filled(table, name, asks, f'fill it, or leave those rows out: data.drop: {{{name}: [""]}}')
    return table, notes


def _without(table: Table, drop: Mapping[str, Sequence[str]]) -> tuple[Table, list[str]]:
    """The table without the rows that hold certain cells, and how many held which."""
    keep = np.ones(len(table), dtype=bool)
    notes = []
    for column, values in drop.items():
        cells = table.columns[column]
        held = Counter(cells)
        notes += [f"left out {held[value]:,} rows with {column} {value!r} (data.drop)" for value in values]
        keep &= np.array([cell not in values for cell in cells], dtype=bool)
    return table.kept(np.flatnonzero(keep)), notes


def _file_names(table: Table, pattern: str) -> list[str]:
    """The file of each row.

    Raises:
        DataError: Two rows have the same.
    """
    if not FIELD.search(pattern):
        names = [cell.replace("\\", "/") for cell in table.columns[pattern]]
    else:
        names = [
            FIELD.sub(lambda field, place=place: table.columns[field[1]][place], pattern)  # type: ignore[misc]
            for place in range(len(table))
        ]
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        earlier = first.setdefault(name, place)
        if earlier != place:
            both = f"{table.where(earlier)} and {table.where(place)}"
            raise DataError(f"{table.file}: {both} name the same file, {name}; expected a row for each image")
    return names


def _check_any(path: Path, files: Sequence[str], scan: Scan) -> None:
    """Checks that not all files are missing."""
    if scan.names or len(scan.missing) < len(files):
        return
    first = path / files[0]
    if not first.parent.is_dir():
        found = f"there is no folder {first.parent}"
    else:
        other = next(iter(sorted(one.name for one in first.parent.glob(f"{escape(first.stem)}.*"))), None)
        found = f"there is a {other}" if other else f"{first.parent} holds no file of that name"
    raise DataError(
        f"{path}: none of the {len(files):,} files that data.file names is there; the first is {files[0]}, and {found}"
    )


def _by_column(rows: Table, how: Cut) -> list[NDArray[np.int64]]:
    """The two sides as a column says.

    Raises:
        DataError: It holds something else, or one side has none.
    """
    cells = np.array(rows.columns[str(how.column)])
    known = [*how.train, *how.test]
    for place, cell in enumerate(cells):
        if cell not in known:
            held = ", ".join(f"{value} ({count:,})" for value, count in Counter(cells.tolist()).most_common(6))
            raise DataError(
                f"{rows.file}: {rows.where(place)} has {how.column} {str(cell)!r}, which is neither in data.split.train nor in "
                f"data.split.test; the column holds {held}: add it there, or leave it out with data.drop"
            )
    parts = [np.flatnonzero(np.isin(cells, list(side))) for side in (how.train, how.test)]
    for part, side in zip(parts, ("train", "test"), strict=True):
        if len(part) == 0:
            raise DataError(
                f"{rows.file}: no row has a {how.column} of data.split.{side}: {', '.join(getattr(how, side))}"
            )
    return parts


def _check_train(table: Path, column: str, names: Sequence[str], labels: NDArray[np.int64]) -> None:
    """Checks that the cloud sees every class."""
    empty = np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)
    if len(empty):
        name = names[empty[0]]
        raise DataError(
            f"{table}: no image of {column} {name!r} falls to the cloud's side ({len(empty)} of {len(names)} classes have none); "
            f"cut by image (data.split: image), or leave them out: data.drop: {{{column}: [{name}]}}"
        )
