"""ImageNet-1K in the layouts that people have, with the 85 superclasses of the paper.

Source: Russakovsky et al., ILSVRC, arXiv 1409.0575. `superclasses/imagenet.csv` is the grouping that Yan et al., arXiv 2211.06276,
publish with their code: classes in the order of their WordNet numbers, each with one of 85 superclasses.
"""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from iciia.cloud.preprocessing import Preprocessing
from sim.data.base import Classes, Images
from sim.data.files import FileImages, Scanner
from sim.data.folders import (
    Listing,
    check_same_classes,
    class_folders,
    files_in_classes,
    is_hidden,
    is_image,
    shown_name,
)
from sim.data.table import read_table
from sim.errors import DataError

SUPERCLASSES = Path(__file__).parent / "superclasses" / "imagenet.csv"
SOLUTION = "LOC_val_solution.csv"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
DEVKIT = ("", "ILSVRC2012_devkit_t12/data")
UP = 3
"""Kaggle's archive has its list so many folders above `train` and `val`."""


def open_imagenet(path: Path, preprocessing: Preprocessing, scanner: Scanner) -> Images:
    """Reads ImageNet-1K, or those of its classes that have a folder in `train`.

    Args:
        path: Folder with `train/WNID/*.JPEG` and `val`: likewise in folders of classes, or flat as published, with
            `LOC_val_solution.csv` (Kaggle's archive, there or up to three folders above) or with the development kit of 2012.
        preprocessing: How images are resized and cut.
        scanner: Opens the files.

    Raises:
        DataError: A folder, a list or a class is missing, or too many images are unreadable.
    """
    known = _known_classes()
    train, val = path / "train", path / "val"
    wnids = class_folders(train)
    _check_known(train, wnids, known)
    listed = [files_in_classes(train, wnids), _val_files(path, val, wnids)]
    scans = [scanner.scan(folder, half.names) for folder, half in zip((train, val), listed, strict=True)]
    missing, unreadable = scanner.check(path, scans)
    labels = [half.labels[scan.kept] for half, scan in zip(listed, scans, strict=True)]
    for half, of in zip((train, val), labels, strict=True):
        empty = np.flatnonzero(np.bincount(of, minlength=len(wnids)) == 0)
        if len(empty):
            raise DataError(f"{half}: class {wnids[empty[0]]} ({known[wnids[empty[0]]][0]}) has no readable image")
    groups = list(dict.fromkeys(known[wnid][1] for wnid in wnids))
    superclass = np.array([groups.index(known[wnid][1]) for wnid in wnids], dtype=np.int64)
    key = {
        "kind": "imagenet", "content": [scan.content for scan in scans], "read": preprocessing.key,
        "labels": [hashlib.sha256(of.tobytes()).hexdigest() for of in labels],
    }  # fmt: skip
    return Images(
        key,
        Classes([known[wnid][0] for wnid in wnids], superclass, groups),
        FileImages(train, scans[0].names, labels[0], preprocessing),
        FileImages(val, scans[1].names, labels[1], preprocessing),
        unreadable,
        missing,
        [name for half in listed for name in half.passed_over],
        shapes=np.concatenate([scan.shapes for scan in scans]),
    )


def _known_classes() -> dict[str, tuple[str, str]]:
    """Name and superclass of each of the 1,000 classes by WordNet number, in order."""
    with SUPERCLASSES.open(newline="", encoding="utf-8") as file:
        return {row["wnid"]: (row["class_name"], row["superclass_name"]) for row in csv.DictReader(file)}


def _check_known(folder: Path, wnids: list[str], known: Mapping[str, object]) -> None:
    unknown = [wnid for wnid in wnids if wnid not in known]
    if unknown:
        raise DataError(f"{folder}: {unknown[0]} is none of the 1,000 classes of ImageNet-1K, such as n01440764")


def _val_files(path: Path, val: Path, wnids: list[str]) -> Listing:
    """The validation images of the given classes."""
    if not val.is_dir():
        raise DataError(f"{val}: no such folder; expected the validation images")
    if any(entry.is_dir() and not is_hidden(entry.name) for entry in val.iterdir()):
        check_same_classes(path / "train", wnids, val, class_folders(val))
        return files_in_classes(val, wnids)
    wnid_of = _val_classes(path)
    files = sorted(str(file) for file in val.iterdir() if not is_hidden(file.name))
    names = [Path(file).name for file in files if is_image(file)]
    for name in names:
        if Path(name).stem not in wnid_of:
            raise DataError(f"{val}: {name} has no class in the list of validation images")
    number = {wnid: label for label, wnid in enumerate(wnids)}
    pairs = [(name, number[wnid_of[Path(name).stem]]) for name in names if wnid_of[Path(name).stem] in number]
    passed_over = [shown_name(Path(file).name) for file in files if not is_image(file)]
    return Listing([name for name, _ in pairs], np.array([label for _, label in pairs], dtype=np.int64), passed_over)


def _val_classes(path: Path) -> dict[str, str]:
    """WordNet number of each validation image, by its name without suffix."""
    for folder in [path.resolve(), *path.resolve().parents[:UP]]:
        if (folder / SOLUTION).is_file():
            return _read_solution(folder / SOLUTION)
    for place in DEVKIT:
        if (path / place / TRUTH).is_file():
            return _read_devkit(path / place)
    raise DataError(
        f"{path}: its val has no class folders, and there is neither {SOLUTION} (there or up to {UP} folders above) nor {TRUTH} "
        f"with {META} (there or in {DEVKIT[1]}) to say what the images show"
    )


def _read_solution(file: Path) -> dict[str, str]:
    """Kaggle's list: ImageId, and a PredictionString that begins with the class."""
    wanted = {"the image": "ImageId", "its class": "PredictionString"}
    table = read_table(file, wanted, "Kaggle's list of validation images")
    classes = [text.split() for text in table.columns["PredictionString"]]
    for place, words in enumerate(classes):
        if not words:
            raise DataError(f"{file}: {table.where(place)} has no PredictionString")
    return {image: words[0] for image, words in zip(table.columns["ImageId"], classes, strict=True)}


def _read_devkit(folder: Path) -> dict[str, str]:
    """The development kit's numbers, in the order of the images, and what they mean."""
    try:
        synsets = loadmat(folder / META, squeeze_me=True)["synsets"]
        wnids = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
        numbers = [int(line) for line in (folder / TRUTH).read_text().split()]
        return {f"ILSVRC2012_val_{place:08d}": wnids[number] for place, number in enumerate(numbers, start=1)}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{folder}: {TRUTH} and {META} cannot be read together: {error}") from error
