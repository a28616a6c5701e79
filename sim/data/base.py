"""The two shapes that data come in: images to run a backbone over, or features that somebody has already computed."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.features import FeatureStore
from iciia.cloud.images import ImageSource
from iciia.counter import generator
from sim.errors import DataError


@dataclass(frozen=True)
class Classes:
    """The classes of a data set.

    Args:
        names: Name of each class, [C].
        superclass: Superclass of each class, int64 [C]; None where classes are not grouped.
        superclass_names: Name of each superclass, [S].
    """

    names: Sequence[str]
    superclass: NDArray[np.int64] | None = None
    superclass_names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Images:
    """Images, split into what the cloud may learn from and what clients see.

    Args:
        key: Identifies the content: equal keys mean equal images.
        classes: The classes.
        train: Images for the cloud.
        test: Images for the clients' streams.
        skipped: Unreadable files that were left out.
        missing: Files that a list names and that are not there, left out as well.
        shapes: Frames, height and width of each file as it is stored, int64 [M, 3], training files first; None where images are not
            files.
        train_groups: Training images with equal numbers, int64 [M], never come into different parts; all of one group are of one
            class. None if every image stands for itself.
        train_clients: Natural client of each training image, int64 [M], numbered from 0; None if the data have none.
        test_clients: Natural client of each test image; one and the same client may be on both sides.
    """

    key: Mapping[str, Any]
    classes: Classes
    train: ImageSource
    test: ImageSource
    skipped: Sequence[str] = ()
    missing: Sequence[str] = ()
    shapes: NDArray[np.int64] | None = None
    train_groups: NDArray[np.int64] | None = None
    train_clients: NDArray[np.int64] | None = None
    test_clients: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Features:
    """Features and logits that need no backbone of ours.

    Args:
        key: Identifies the content.
        classes: The classes.
        train: For the cloud; the backbone has not been trained on it.
        test: For the clients' streams.
        train_clients: Natural client of each training image, int64 [M], numbered from 0; None if the data have none.
        test_clients: Natural client of each test image; one and the same client may be on both sides.
        classifier: Weight [C, D] and bias [C] of the backbone's classifier, float32; None if it is unknown.
    """

    key: Mapping[str, Any]
    classes: Classes
    train: FeatureStore
    test: FeatureStore
    train_clients: NDArray[np.int64] | None = None
    test_clients: NDArray[np.int64] | None = None
    classifier: tuple[NDArray[np.float32], NDArray[np.float32] | None] | None = None


def read_superclasses(path: Path, num_classes: int) -> tuple[NDArray[np.int64], list[str]]:
    """Reads a CSV file with the columns `class_index,superclass` (a number or a name) and, optionally, `superclass_name`.

    Returns:
        Superclass of each class, int64 [C], numbered in order of appearance, and their names.

    Raises:
        DataError: The file, a column, a class or a number is missing or wrong; the message says which.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a CSV file of superclasses: {error}") from error
    found: dict[int, str] = {}
    names: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        try:
            index, group = int(row["class_index"]), row["superclass"].strip()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{path}: line {line} got {dict(row)}; expected the columns class_index (an integer) and superclass"
            ) from error
        if not 0 <= index < num_classes:
            raise DataError(f"{path}: line {line} got class_index {index}; expected 0 to {num_classes - 1}")
        found[index] = group
        names.setdefault(group, row.get("superclass_name") or group)
    missing = sorted(set(range(num_classes)) - set(found))
    if missing:
        raise DataError(f"{path}: no superclass for {len(missing)} of {num_classes} classes, the first is {missing[0]}")
    numbers = {group: number for number, group in enumerate(names)}
    return np.array([numbers[found[c]] for c in range(num_classes)], dtype=np.int64), list(names.values())


def split_by_class(
    labels: NDArray[np.integer],
    shares: Sequence[float],
    seed: int,
    purpose: str,
    groups: NDArray[np.integer] | None = None,
) -> list[NDArray[np.int64]]:
    """Cuts images into disjoint parts that hold the given shares of every class.

    Args:
        labels: Class of each image, int [M].
        shares: Share of each part; they sum to 1.
        seed: Which images go where.
        purpose: Names the draw, so that two cuts with one seed are independent.
        groups: Images with equal numbers, int [M], stay together; all of one group are of one class. None cuts between any two.

    Returns:
        Image numbers of each part, ascending.
    """
    if groups is None:
        groups = np.arange(len(labels))
    _, first_of, group, size = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    label = np.asarray(labels)[first_of]
    order = generator(seed, purpose).permutation(len(size))
    order = order[np.argsort(label[order], kind="stable")]
    count = np.bincount(labels)
    before = np.concatenate([[0], np.cumsum(size[order])[:-1]])  # images before each group, all classes in a row
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    middle = np.empty(len(size))
    middle[order] = (before - first[label[order]] + 0.5 * size[order]) / count[label[order]]
    part = np.searchsorted(np.cumsum(shares)[:-1], middle)[group]
    return [np.flatnonzero(part == number) for number in range(len(shares))]
