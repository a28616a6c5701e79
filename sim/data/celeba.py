"""CelebA: aligned faces with 40 attributes each, by person, in the files that its authors publish or with LEAF's split.

Source: Liu et al., Deep Learning Face Attributes in the Wild, arXiv 1411.7766; LEAF, arXiv 1812.01097.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.preprocessing import Preprocessing
from sim.data.base import Classes, Images
from sim.data.files import FileImages, Scanner
from sim.data.leaf import leaf_files, read_users
from sim.errors import DataError
from sim.texts import read_text

PLACES = ("", "Anno", "Eval", "Img", "raw")
"""Where the published files may lie below the data set's folder: all together, in the authors' folders, or in LEAF's."""

FOLDER = "img_align_celeba"
ATTRIBUTES = "list_attr_celeba.txt"
IDENTITIES = "identity_CelebA.txt"
PARTITION = "list_eval_partition.txt"


@dataclass(frozen=True)
class _Half:
    """Image names of one half, the person on each, int64 [M], and the file or folder that lists them."""

    names: list[str]
    people: NDArray[np.int64]
    source: Path


def open_celeba(
    path: Path,
    split: Literal["official", "leaf"],
    attribute: str | None,
    preprocessing: Preprocessing,
    scanner: Scanner,
) -> Images:
    """Reads CelebA. Its people are natural clients, by their published numbers.

    Args:
        path: Folder with `img_align_celeba`, `list_attr_celeba.txt`, `identity_CelebA.txt` and `list_eval_partition.txt`.
        split: official: partitions 0 and 1 for the cloud, 2 for the clients, no person on both sides. leaf: the images that LEAF's
            `train` and `test` name.
        attribute: One attribute, as two classes; None takes all of them, labels int64 [M, C] of 0 and 1.
        preprocessing: How images are resized and cut.
        scanner: Opens the files.

    Raises:
        DataError: A file is missing or a line is wrong, or too many images are unreadable.
    """
    folder, attributes = _find(path, FOLDER), _find(path, ATTRIBUTES)
    names, table = _read_attributes(attributes)
    if attribute is not None and attribute not in names:
        raise DataError(f"{attributes}: has no attribute {attribute!r}; it has {', '.join(names)}")
    if split == "leaf":
        halves = [_read_leaf(path / half) for half in ("train", "test")]
    else:
        halves = _read_official(_find(path, IDENTITIES), _find(path, PARTITION))
    for half in halves:
        for name in half.names:
            if name not in table:
                raise DataError(f"{attributes}: has no line for {name}, which {half.source} names")
    scans = [scanner.scan(folder, half.names) for half in halves]
    missing, unreadable = scanner.check(folder, scans)
    column = slice(None) if attribute is None else names.index(attribute)
    labels = [np.stack([table[name] for name in scan.names])[:, column].astype(np.int64) for scan in scans]
    images = [FileImages(folder, scan.names, of, preprocessing) for scan, of in zip(scans, labels, strict=True)]
    people = [half.people[scan.kept] for half, scan in zip(halves, scans, strict=True)]
    key = {
        "kind": "celeba", "content": [scan.content for scan in scans], "attribute": attribute, "read": preprocessing.key,
        "labels": [hashlib.sha256(of.tobytes()).hexdigest() for of in labels],
    }  # fmt: skip
    return Images(
        key,
        Classes(names if attribute is None else [f"not {attribute}", attribute]),
        images[0],
        images[1],
        unreadable,
        missing,
        shapes=np.concatenate([scan.shapes for scan in scans]),
        train_clients=people[0],
        test_clients=people[1],
    )


def _find(path: Path, name: str) -> Path:
    for place in PLACES:
        if (path / place / name).exists():
            return path / place / name
    raise DataError(f"{path}: has no {name}, neither there nor in {', '.join(PLACES[1:])}")


def _lines(file: Path, skip: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and columns of a file."""
    try:
        lines = read_text(file).splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    for number, line in enumerate(lines[skip:], start=skip + 1):
        if line.strip():
            yield number, line.split()


def _read_attributes(file: Path) -> tuple[list[str], dict[str, NDArray[np.int8]]]:
    """Names of the attributes, and for each image 0 or 1 of each, [C]."""
    names: list[str] = []
    table: dict[str, NDArray[np.int8]] = {}
    for number, (first, *rest) in _lines(file, skip=1):  # the first line is the number of images
        if not names:
            names = [first, *rest]
            continue
        if len(rest) != len(names):
            raise DataError(f"{file}: line {number} has {len(rest)} attributes; expected {len(names)}")
        values = np.array(rest)
        if not np.isin(values, ("1", "-1")).all():
            raise DataError(f"{file}: line {number} has attributes other than 1 and -1")
        table[first] = (values == "1").astype(np.int8)
    if not table:
        raise DataError(
            f"{file}: has no images; expected their number, the attributes' names and a line for each image"
        )
    return names, table


def _read_pairs(file: Path, meaning: str, allowed: Sequence[int] | None = None) -> dict[str, int]:
    """A number for each image."""
    found: dict[str, int] = {}
    for number, columns in _lines(file):
        if len(columns) != 2 or not columns[1].isdecimal() or (allowed is not None and int(columns[1]) not in allowed):
            raise DataError(f"{file}: line {number} is {' '.join(columns)!r}; expected an image and {meaning}")
        found[columns[0]] = int(columns[1])
    return found


def _read_official(identities: Path, partition: Path) -> list[_Half]:
    people = _read_pairs(identities, "the number of a person")
    parts = _read_pairs(partition, "0, 1 or 2", allowed=(0, 1, 2))
    for name in parts:
        if name not in people:
            raise DataError(f"{identities}: has no line for {name}, which {partition} names")
    halves = [[name for name, part in parts.items() if part in wanted] for wanted in ((0, 1), (2,))]
    return [_Half(names, np.array([people[name] for name in names], dtype=np.int64), partition) for names in halves]


def _read_leaf(folder: Path) -> _Half:
    names: list[str] = []
    people: list[int] = []
    advice = "run LEAF's preprocess.sh for celeba, or set data.split: official"
    for file in leaf_files(folder, advice):
        for person, images, _ in read_users(file):
            if not person.isdecimal():
                raise DataError(f"{file}: user {person!r} is no number of a person")
            names += [str(name) for name in images]
            people += [int(person)] * len(images)
    return _Half(names, np.array(people, dtype=np.int64), folder)
