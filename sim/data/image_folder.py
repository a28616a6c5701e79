"""Any folder of class folders: `path/CLASS/*.jpg`, with train and test apart or split by ratio."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.data.base import Classes, Images, read_superclasses, split_by_class
from sim.data.files import FileImages, Scan, Scanner, class_folders, files_in_classes
from sim.errors import DataError


def open_image_folder(
    train: Path, test: Path | None, test_share: float, superclasses: Path | None, size: int, seed: int, scanner: Scanner
) -> Images:
    """Reads a folder of class folders.

    Args:
        train: Folder of class folders; classes are numbered in the order of their names.
        test: Another folder with the same classes; None cuts it from `train`.
        test_share: Share of every class that is cut for the clients if `test` is None.
        superclasses: CSV file of superclasses, or None.
        size: Height and width of the images to read.
        seed: Which images are cut for the clients.
        scanner: Opens the files.

    Raises:
        DataError: A folder is missing or has no images, a class is in one part only, or too many images are unreadable.
    """
    names = class_folders(train)
    scans = [_scan(train, names, scanner)]
    if test is not None:
        if class_folders(test) != names:
            differing = sorted(set(class_folders(test)) ^ set(names))
            raise DataError(f"{test}: its class folders differ from those of {train}: {', '.join(differing[:5])}")
        scans.append(_scan(test, names, scanner))
    missing, unreadable = scanner.check(train, (scan for scan, _ in scans))
    if test is None:
        scan, labels = scans[0]
        parts = split_by_class(labels, [1 - test_share, test_share], seed, "image_folder")
        halves = [FileImages(train, [scan.names[i] for i in part], labels[part], size) for part in parts]
        shapes = scan.shapes[np.concatenate(parts)]
    else:
        places = zip((train, test), scans, strict=True)
        halves = [FileImages(folder, scan.names, labels, size) for folder, (scan, labels) in places]
        shapes = np.concatenate([scan.shapes for scan, _ in scans])
    for half, place in zip(halves, ("train", "test"), strict=True):
        empty = np.flatnonzero(np.bincount(half.labels, minlength=len(names)) == 0)
        if len(empty):
            raise DataError(f"{train}: class {names[empty[0]]!r} has no readable image for the {place} part")
    groups = read_superclasses(superclasses, len(names)) if superclasses else (None, ())
    key = {
        "kind": "image_folder", "content": [scan.content for scan, _ in scans], "size": size,
        "test_share": test_share if test is None else None, "seed": seed,
    }  # fmt: skip
    return Images(key, Classes(names, *groups), halves[0], halves[1], unreadable, missing, shapes)


def _scan(folder: Path, names: list[str], scanner: Scanner) -> tuple[Scan, NDArray[np.int64]]:
    """The readable files of class folders, and the class of each."""
    files, labels = files_in_classes(folder, names)
    scan = scanner.scan(folder, files)
    return scan, labels[scan.kept]
