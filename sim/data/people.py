"""Whose an image is and when it was taken, and which images the cloud gets and which the clients."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.data.base import split_by_class
from sim.data.folders import shown_name
from sim.data.table import Table, read_table
from sim.data.times import BadTimeError, read_times
from sim.errors import DataError

LARGEST = 10_000_000
"""Clients whose names are all whole numbers below this keep them."""


@dataclass(frozen=True)
class Origin:
    """Where images are from.

    Args:
        clients: Natural client of each image, int64 [M], numbered from 0; None if nobody says.
        times: When each was taken, float64 [M]; None if nobody says.
    """

    clients: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None

    def of(self, images: NDArray[np.int64]) -> "Origin":
        """That of some of the images."""
        return Origin(
            None if self.clients is None else self.clients[images], None if self.times is None else self.times[images]
        )


def number_names(names: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Numbers for names, in their order; whole numbers are in the order of their size.

    Returns:
        Number of each, int64 [M], and the names by number.
    """
    distinct = set(names)
    ordered = sorted(distinct, key=int) if all(map(_is_whole, distinct)) else sorted(distinct)
    number = {name: place for place, name in enumerate(ordered)}
    return np.array([number[name] for name in names], dtype=np.int64), ordered


def number_clients(names: Sequence[str]) -> NDArray[np.int64]:
    """Number of each client, int64 [M]: its name if all are whole numbers below 10 million, or else its place in order."""
    numbers, ordered = number_names(names)
    if all(_is_whole(name) and int(name) < LARGEST for name in ordered):
        return np.array([int(name) for name in ordered], dtype=np.int64)[numbers]
    return numbers


def _is_whole(name: str) -> bool:
    return name.isascii() and name.isdigit() and str(int(name)) == name


def check_filled(table: Table, column: str, asked: str, advice: str) -> None:
    """Checks that a column has no empty cell.

    Raises:
        DataError: It has; the message says how many, the first and what to do.
    """
    empty = [place for place, cell in enumerate(table.columns[column]) if not cell]
    if empty:
        raise DataError(
            f"{table.file}: column {column!r} ({asked}) is empty in {len(empty):,} of {len(table):,} rows, the first is "
            f"{table.where(empty[0])}; {advice}"
        )


def times_of(table: Table, column: str, asked: str) -> NDArray[np.float64]:
    """The times of a column, [M].

    Raises:
        DataError: One does not parse.
    """
    try:
        return read_times(table.columns[column])
    except BadTimeError as error:
        raise DataError(f"{table.file}: {table.where(error.place)}, column {column!r} ({asked}): {error}") from error


def read_clients(path: Path, folders: Sequence[Path], names: Sequence[Sequence[str]]) -> tuple[list[Origin], list[str]]:
    """Reads a CSV or Parquet file with the columns `file`, `client` and, if wanted, `time`.

    Args:
        path: The file. `file` is an image's path in its folder of class folders, or from the file itself.
        folders: Folders of class folders.
        names: The images in each, by their paths in it.

    Returns:
        Where the images of each folder are from, and notes.

    Raises:
        DataError: A column is missing, a cell is empty or no time, or an image has no row; the message says which.
    """
    table = read_table(path, {"the image": "file", "whose it is": "client"}, "a list of clients", optional=["time"])
    for column, asked in (("client", "whose it is"), ("time", "when it was taken")):
        if column in table.columns:
            check_filled(table, column, asked, "fill it, or remove those images")
    times = times_of(table, "time", "when it was taken") if "time" in table.columns else None
    row_of = {_posix(file): place for place, file in enumerate(table.columns["file"])}
    places = [_rows_of(path, folder, inside, row_of) for folder, inside in zip(folders, names, strict=True)]
    everybody = Origin(number_clients(table.columns["client"]), times)
    used = {int(place) for part in places for place in part}
    left = len(table) - len(used)
    notes = [f"{path.name}: {left:,} of {len(table):,} rows name no image that was read"] if left else []
    return [everybody.of(part) for part in places], notes


def _posix(path: str) -> str:
    return os.path.normpath(path.replace("\\", "/"))


def _rows_of(path: Path, folder: Path, names: Sequence[str], row_of: Mapping[str, int]) -> NDArray[np.int64]:
    """The row of each image."""
    start = os.path.relpath(folder, path.parent)
    found = []
    for name in names:
        row = row_of.get(_posix(shown_name(name)))
        found.append(row_of.get(_posix(os.path.join(start, shown_name(name))), -1) if row is None else row)
    without = [name for name, row in zip(names, found, strict=True) if row < 0]
    if without:
        raise DataError(
            f"{path}: has no row for {len(without):,} of the {len(names):,} images in {folder}, the first is "
            f"{shown_name(without[0])}; column file takes paths in that folder, or from the list's own"
        )
    return np.array(found, dtype=np.int64)


By = Literal["client", "image"]


def cut(
    labels: NDArray[np.int64],
    clients: NDArray[np.int64] | None,
    by: By | None,
    test_share: float,
    seed: int,
    purpose: str,
) -> list[NDArray[np.int64]]:
    """Cuts images in two: for the cloud, and for the clients.

    Args:
        labels: Class of each image, int64 [M].
        clients: Whose each is, int64 [M]; None if nobody says.
        by: client: nobody is on both sides. image: the images of every class are cut. None: by client where there are clients.
        test_share: Share of the images that the clients get; by client as nearly as whole clients allow.
        seed: Which.
        purpose: Names the draw.

    Returns:
        Image numbers of each part, ascending.

    Raises:
        DataError: There are too few clients, so that one side has none.
    """
    if clients is None or by == "image":
        return split_by_class(labels, [1 - test_share, test_share], seed, purpose)
    parts = split_by_class(np.zeros_like(labels), [1 - test_share, test_share], seed, purpose, clients)
    if any(len(part) == 0 for part in parts):
        raise DataError(
            f"the images of {len(np.unique(clients))} clients cannot be cut by client with test_share {test_share:g}: one side "
            "gets none; set data.split: image"
        )
    return parts
