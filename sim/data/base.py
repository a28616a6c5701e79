"""The two shapes that data come in: images to run a backbone over, or features that somebody has already computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.features import FeatureStore
from iciia.cloud.images import ImageSource
from iciia.counter import generator


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
        passed_over: Files among the images that are none.
        notes: What was done to the data that their owner may not expect.
        shapes: Frames, height and width of each file, int64 [M, 3], training files first; None where images are not files.
        train_groups: Training images with equal numbers, int64 [M], never come into different parts; all of one group are of one
            class. None if every image stands for itself.
        train_clients: Natural client of each training image, int64 [M], numbered from 0; None if the data have none.
        test_clients: Natural client of each test image; one and the same client may be on both sides.
        train_times: When each training image was taken, float64 [M], seconds since 1970 or any other number that grows with time;
            None if the data do not say.
        test_times: When each test image was taken.
    """

    key: Mapping[str, Any]
    classes: Classes
    train: ImageSource
    test: ImageSource
    skipped: Sequence[str] = ()
    missing: Sequence[str] = ()
    passed_over: Sequence[str] = ()
    notes: Sequence[str] = ()
    shapes: NDArray[np.int64] | None = None
    train_groups: NDArray[np.int64] | None = None
    train_clients: NDArray[np.int64] | None = None
    test_clients: NDArray[np.int64] | None = None
    train_times: NDArray[np.float64] | None = None
    test_times: NDArray[np.float64] | None = None


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
        train_times: When each training image was taken, float64 [M]; None if the data do not say.
        test_times: When each test image was taken.
        classifier: Weight [C, D] and bias [C] of the backbone's classifier, float32; None if it is unknown.
        notes: What was done to the data that their owner may not expect.
    """

    key: Mapping[str, Any]
    classes: Classes
    train: FeatureStore
    test: FeatureStore
    train_clients: NDArray[np.int64] | None = None
    test_clients: NDArray[np.int64] | None = None
    train_times: NDArray[np.float64] | None = None
    test_times: NDArray[np.float64] | None = None
    classifier: tuple[NDArray[np.float32], NDArray[np.float32] | None] | None = None
    notes: Sequence[str] = ()


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
