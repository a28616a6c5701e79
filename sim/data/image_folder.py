"""Any folder of class folders: `path/CLASS/*.jpg`, with train and test apart or cut here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.preprocessing import Preprocessing
from sim.data.base import Classes, Images
from sim.data.files import FileImages, Scan, Scanner
from sim.data.folders import check_same_classes, class_folders, files_in_classes, shown_name
from sim.data.groups import read_superclasses
from sim.data.keys import array_digest
from sim.data.people import By, Origin, cut, read_clients
from sim.errors import DataError


@dataclass(frozen=True)
class _Folder:
    """A folder of class folders.

    Args:
        folder: Where it is.
        scan: Its readable files.
        labels: Class of each of them, int64 [M].
        passed_over: Its files that are no images.
    """

    folder: Path
    scan: Scan
    labels: NDArray[np.int64]
    passed_over: list[str]


def open_image_folder(
    train: Path,
    test: Path | None,
    test_share: float,
    superclasses: Path | None,
    preprocessing: Preprocessing,
    seed: int,
    scanner: Scanner,
    clients: Path | None = None,
    by: By | None = None,
) -> Images:
    """Reads a folder of class folders.

    Args:
        train: Folder of class folders; classes are numbered in the order of their names.
        test: Another folder with the same classes; None cuts it from `train`.
        test_share: Share that is cut for the clients if `test` is None.
        superclasses: CSV file of superclasses, or None.
        preprocessing: How images are resized and cut.
        seed: Which images are cut for the clients.
        scanner: Opens the files.
        clients: CSV file that says whose each image is, or None.
        by: As `sim.data.people.cut` takes it.

    Raises:
        DataError: A folder is missing or has no images, a class is in one part only, or too many images are unreadable.
    """
    classes = class_folders(train)
    places = [train] if test is None else [train, test]
    if test is not None:
        check_same_classes(train, classes, test, class_folders(test))
    found = [_read(folder, classes, scanner) for folder in places]
    missing, unreadable = scanner.check(train, [one.scan for one in found])
    names = [shown_name(name) for name in classes]
    notes: list[str] = []
    origins = [Origin() for _ in found]
    if clients is not None:
        origins, notes = read_clients(clients, places, [one.scan.names for one in found])
    if test is None:
        parts = cut(found[0].labels, origins[0].clients, by, test_share, seed, "image_folder")
        halves = [_images(found[0], part, preprocessing) for part in parts]
        shapes = found[0].scan.shapes[np.concatenate(parts)]
        origins = [origins[0].of(part) for part in parts]
    else:
        halves = [_images(one, np.arange(len(one.labels)), preprocessing) for one in found]
        shapes = np.concatenate([one.scan.shapes for one in found])
    apart = clients is None or test is not None
    _check_classes(train, names, [half.labels for half in halves], sides=2 if apart else 1)
    key = {
        "kind": "image_folder", "content": [one.scan.content for one in found], "read": preprocessing.key,
        "test_share": test_share if test is None else None, "seed": seed,
        **({} if clients is None else {"by": by, "clients": [array_digest(one.clients, one.times) for one in origins]}),
    }  # fmt: skip
    groups = read_superclasses(superclasses, names) if superclasses else (None, ())
    return Images(
        key,
        Classes(names, *groups),
        halves[0],
        halves[1],
        unreadable,
        missing,
        [name for one in found for name in one.passed_over],
        notes,
        shapes,
        train_clients=origins[0].clients,
        test_clients=origins[1].clients,
        train_times=origins[0].times,
        test_times=origins[1].times,
    )


def _read(folder: Path, classes: Sequence[str], scanner: Scanner) -> _Folder:
    listing = files_in_classes(folder, classes)
    scan = scanner.scan(folder, listing.names)
    return _Folder(folder, scan, listing.labels[scan.kept], listing.passed_over)


def _images(of: _Folder, chosen: NDArray[np.int64], preprocessing: Preprocessing) -> FileImages:
    return FileImages(of.folder, [of.scan.names[i] for i in chosen], of.labels[chosen], preprocessing)


def _check_classes(train: Path, names: Sequence[str], labels: Sequence[NDArray[np.int64]], sides: int) -> None:
    """Checks that the cloud has an image of every class, and so have the clients unless whole clients were cut."""
    for half, place in list(zip(labels, ("train", "test"), strict=True))[:sides]:
        empty = np.flatnonzero(np.bincount(half, minlength=len(names)) == 0)
        if len(empty):
            advice = "; set data.split: image" if sides == 1 else ""
            raise DataError(f"{train}: class {names[empty[0]]!r} has no readable image for the {place} part{advice}")
