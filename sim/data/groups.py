"""Superclasses of the user's own, from a CSV file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.errors import DataError, did_you_mean
from sim.texts import read_rows

EXPECTED = "the columns class (a name) or class_index (a number from 0), and superclass"


def read_superclasses(path: Path, classes: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Reads a CSV file with the columns `class,superclass` or `class_index,superclass`.

    A class is given by its name, or by its place among the names in order, from 0. A superclass is a name or a number; a
    column `superclass_name` says what it is called. Names of classes that the data lack are passed over, so that one file does for
    a part of the classes.

    Args:
        path: The file.
        classes: Name of each class, [C].

    Returns:
        Superclass of each class, int64 [C], numbered in order of appearance, and their names.

    Raises:
        DataError: The file, a column, a class or a number is missing or wrong; the message says which.
    """
    try:
        rows = read_rows(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a CSV file of superclasses: {error}") from error
    header = rows.cells[0] if rows.cells else []
    if "superclass" not in header or not {"class", "class_index"} & set(header):
        raise DataError(f"{path}: has the columns {', '.join(header) or 'nothing'}; expected {EXPECTED}")
    number_of = {name: number for number, name in enumerate(classes)}
    found: dict[int, str] = {}
    names: dict[str, str] = {}
    unknown: list[str] = []
    for line, cells in zip(rows.lines[1:], rows.cells[1:], strict=True):
        row = dict(zip(header, cells, strict=False))
        if not row.get("superclass"):
            raise DataError(f"{path}: line {line} got {', '.join(cells)}; expected {EXPECTED}")
        if "class" not in header:
            number = _class_index(path, line, row["class_index"], len(classes))
        elif row["class"] in number_of:
            number = number_of[row["class"]]
        else:
            unknown.append(row["class"])
            continue
        found[number] = row["superclass"]
        names.setdefault(row["superclass"], row.get("superclass_name") or row["superclass"])
    _check_complete(path, classes, found, unknown)
    numbers = {group: number for number, group in enumerate(names)}
    return np.array([numbers[found[c]] for c in range(len(classes))], dtype=np.int64), list(names.values())


def _class_index(path: Path, line: int, text: str, num_classes: int) -> int:
    if not text.isdecimal() or int(text) >= num_classes:
        raise DataError(
            f"{path}: line {line} got class_index {text!r}; expected 0 to {num_classes - 1}, or a column class with names"
        )
    return int(text)


def _check_complete(path: Path, classes: Sequence[str], found: dict[int, str], unknown: Sequence[str]) -> None:
    missing = [number for number in range(len(classes)) if number not in found]
    if not missing:
        return
    first = classes[missing[0]]
    meant = did_you_mean(first, unknown)
    raise DataError(
        f"{path}: no superclass for {len(missing)} of {len(classes)} classes, the first is {first!r} (class_index {missing[0]})"
        + (f"; {meant}" if meant else "")
    )
