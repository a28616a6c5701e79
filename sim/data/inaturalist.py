"""iNaturalist 2019: species by observer, with FedScale's mapping of images to clients.

Source: the iNaturalist 2019 competition (FGVC6) for the images; Lai et al., FedScale, arXiv 2105.11367, for
`client_data_mapping/*.csv` with the columns `client_id`, `data_path` and `label_id`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.preprocessing import Preprocessing
from sim.data.base import Classes, Images
from sim.data.files import FileImages, Scanner
from sim.errors import DataError
from sim.texts import read_rows

COLUMNS = ("client_id", "data_path", "label_id")
MAPPING = "client_data_mapping"
IMAGES = ("", "train_val2019")
"""Folders below the data set's that `data_path` may start in."""


@dataclass(frozen=True)
class _Mapping:
    """One file: client, image and class of each line; names of classes where it has them."""

    file: Path
    clients: NDArray[np.int64]
    paths: list[str]
    labels: NDArray[np.int64]
    names: dict[int, str]


def open_inaturalist(path: Path, preprocessing: Preprocessing, scanner: Scanner) -> Images:
    """Reads iNaturalist 2019. Its observers are natural clients, by FedScale's numbers.

    Args:
        path: Folder with `client_data_mapping`, in it `train.csv` and `test.csv` or `val.csv`, and the images that these name.
        preprocessing: How images are resized and cut.
        scanner: Opens the files.

    Raises:
        DataError: A file is missing or a line is wrong, or too many images are unreadable.
    """
    train = _read(path / MAPPING / "train.csv")
    test = _read(next((file for file in _tests(path) if file.is_file()), _tests(path)[0]))
    num_classes = _count_classes(train, test)
    folder = _image_folder(path, train.paths)
    scans = [scanner.scan(folder, half.paths) for half in (train, test)]
    missing, unreadable = scanner.check(folder, scans)
    pairs = list(zip((train, test), scans, strict=True))
    images = [FileImages(folder, scan.names, half.labels[scan.kept], preprocessing) for half, scan in pairs]
    names = test.names | train.names
    key = {
        "kind": "inaturalist", "content": [scan.content for scan in scans], "read": preprocessing.key,
        "labels": [hashlib.sha256(half.labels.tobytes()).hexdigest() for half in images],
    }  # fmt: skip
    return Images(
        key,
        Classes([names.get(c, str(c)) for c in range(num_classes)]),
        images[0],
        images[1],
        unreadable,
        missing,
        shapes=np.concatenate([scan.shapes for scan in scans]),
        train_clients=train.clients[scans[0].kept],
        test_clients=test.clients[scans[1].kept],
    )


def _tests(path: Path) -> list[Path]:
    return [path / MAPPING / "test.csv", path / MAPPING / "val.csv"]


def _read(file: Path) -> _Mapping:
    try:
        rows = read_rows(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as FedScale's client mapping: {error}") from error
    header = rows.cells[0] if rows.cells else []
    if not set(COLUMNS) <= set(header):
        raise DataError(f"{file}: has the columns {', '.join(header)}; expected {', '.join(COLUMNS)}")
    client, path, label = (header.index(name) for name in COLUMNS)
    clients, paths, labels = [], [], []
    names: dict[int, str] = {}
    for number, row in zip(rows.lines[1:], rows.cells[1:], strict=True):
        if len(row) != len(header):
            raise DataError(f"{file}: line {number} has {len(row)} columns; expected {len(header)}")
        if not row[client].isdecimal():
            raise DataError(f"{file}: line {number} has client_id {row[client]!r}; expected an integer of 0 or more")
        if not row[label].isdecimal():
            raise DataError(f"{file}: line {number} has label_id {row[label]!r}; expected an integer of 0 or more")
        clients.append(int(row[client]))
        paths.append(row[path])
        labels.append(int(row[label]))
        if "label_name" in header:
            names[labels[-1]] = row[header.index("label_name")]
    if not paths:
        raise DataError(f"{file}: has no images")
    return _Mapping(file, np.array(clients, dtype=np.int64), paths, np.array(labels, dtype=np.int64), names)


def _count_classes(train: _Mapping, test: _Mapping) -> int:
    """C; every class must be among the training images."""
    count = np.bincount(train.labels)
    empty = np.flatnonzero(count == 0)
    if len(empty):
        raise DataError(f"{train.file}: has no image of class {empty[0]}, and label_id goes up to {len(count) - 1}")
    unknown = np.flatnonzero(test.labels >= len(count))
    if len(unknown):
        label = test.labels[unknown[0]]
        raise DataError(f"{test.file}: has label_id {label}, and {train.file.name} has 0 to {len(count) - 1} only")
    return len(count)


def _image_folder(path: Path, names: Sequence[str]) -> Path:
    """Where `data_path` starts."""
    for name in names[:100]:
        for place in IMAGES:
            if (path / place / name).is_file():
                return path / place
    raise DataError(f"{path}: {names[0]}, which the mapping names, is neither there nor in {IMAGES[1]}")
