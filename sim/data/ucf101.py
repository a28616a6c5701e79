"""UCF101: videos of 101 actions, in the two archives that its authors publish, with the superclasses of the paper.

Source: Soomro et al., UCF101, arXiv 1212.0402. `superclasses/ucf101.csv` holds the authors' five types of action, as Yan et al.,
arXiv 2211.06276, use them. Videos of one group (`g07` in `v_Archery_g07_c02.avi`) show the same people and place, so that no group
may be on both sides of a cut.
"""

import csv
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.preprocessing import Preprocessing
from sim.data.base import Classes, Images
from sim.data.files import Scanner
from sim.data.video import VideoClips, probe_video
from sim.errors import DataError
from sim.texts import read_text

SUPERCLASSES = Path(__file__).parent / "superclasses" / "ucf101.csv"
VIDEOS, LISTS = "UCF-101", "ucfTrainTestlist"
NAME = re.compile(r"v_\w+_g(\d+)_c\d+\.avi")


@dataclass(frozen=True)
class _List:
    """One list: videos, their classes and their groups, [M]."""

    file: Path
    names: list[str]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]


def open_ucf101(path: Path, fold: int, preprocessing: Preprocessing, scanner: Scanner) -> Images:
    """Reads UCF101.

    Args:
        path: Folder with `UCF-101/CLASS/v_CLASS_gXX_cXX.avi`, and with `ucfTrainTestlist/classInd.txt`, `trainlist0F.txt` and
            `testlist0F.txt`.
        fold: Which of the three pairs of lists, F.
        preprocessing: How frames are resized and cut.
        scanner: Opens the files.

    Raises:
        DataError: A list is missing or wrong, a class is unknown, a group is on both sides, or too many videos are unreadable.
    """
    videos, lists = path / VIDEOS, path / LISTS
    if not videos.is_dir():
        raise DataError(f"{videos}: no such folder; expected the folders of classes of UCF101.rar")
    names = _read_classes(lists / "classInd.txt")
    superclass, groups = _superclasses(names, lists / "classInd.txt")
    halves = [_read_list(lists / f"{half}list{fold:02d}.txt", names) for half in ("train", "test")]
    _check_groups(*halves)
    scans = [scanner.scan(videos, half.names, probe_video) for half in halves]
    missing, unreadable = scanner.check(videos, scans)
    clips = []
    for half, scan in zip(halves, scans, strict=True):
        labels = half.labels[scan.kept]
        empty = np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)
        if len(empty):
            raise DataError(f"{half.file}: class {names[empty[0]]} has no readable video")
        clips.append(VideoClips(videos, scan.names, labels, scan.shapes[:, 0], preprocessing))
    key = {
        "kind": "ucf101", "content": [scan.content for scan in scans], "classes": names, "read": preprocessing.key,
        "labels": [hashlib.sha256(half.labels.tobytes()).hexdigest() for half in clips],
    }  # fmt: skip
    return Images(
        key,
        Classes(names, superclass, groups),
        clips[0],
        clips[1],
        unreadable,
        missing,
        shapes=np.concatenate([scan.shapes for scan in scans]),
        train_groups=halves[0].groups[scans[0].kept],
    )


def _lines(file: Path) -> list[tuple[int, list[str]]]:
    """Line numbers and columns of a list."""
    try:
        lines = read_text(file).splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}; expected the lists of UCF101TrainTestSplits") from error
    return [(number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]


def _read_classes(file: Path) -> list[str]:
    """Names of the classes, in order."""
    names: list[str] = []
    for number, columns in _lines(file):
        if len(columns) != 2 or columns[0] != str(len(names) + 1):
            raise DataError(f"{file}: line {number} is {' '.join(columns)!r}; expected '{len(names) + 1} CLASS'")
        names.append(columns[1])
    return names


def _superclasses(names: list[str], file: Path) -> tuple[NDArray[np.int64], list[str]]:
    with SUPERCLASSES.open(newline="", encoding="utf-8") as stream:
        of = {row["class_name"]: row["superclass_name"] for row in csv.DictReader(stream)}
    for name in names:
        if name not in of:
            raise DataError(f"{file}: {name} is none of the 101 classes of UCF101, such as {next(iter(of))}")
    groups = list(dict.fromkeys(of[name] for name in names))
    return np.array([groups.index(of[name]) for name in names], dtype=np.int64), groups


def _read_list(file: Path, classes: list[str]) -> _List:
    """The videos of a list: `CLASS/VIDEO.avi`, in training lists followed by the number of the class."""
    names, labels, groups = [], [], []
    for number, columns in _lines(file):
        folder, _, video = columns[0].partition("/")
        found = NAME.fullmatch(video)
        if len(columns) > 2 or found is None:
            got = " ".join(columns)
            raise DataError(
                f"{file}: line {number} is {got!r}; expected CLASS/v_CLASS_gXX_cXX.avi and at most the number of its class"
            )
        if folder not in classes:
            raise DataError(f"{file}: line {number} names the class {folder}, which classInd.txt does not")
        label = classes.index(folder)
        if len(columns) == 2 and columns[1] != str(label + 1):
            raise DataError(f"{file}: line {number} numbers {folder} {columns[1]}, and classInd.txt {label + 1}")
        names.append(columns[0])
        labels.append(label)
        groups.append(int(found[1]) * len(classes) + label)
    if not names:
        raise DataError(f"{file}: names no videos")
    return _List(file, names, np.array(labels, dtype=np.int64), np.array(groups, dtype=np.int64))


def _check_groups(train: _List, test: _List) -> None:
    """No group on both sides: the same people would be recognised, not the action."""
    both = np.flatnonzero(np.isin(test.groups, train.groups))
    if len(both):
        name = test.names[both[0]]
        other = train.names[int(np.flatnonzero(train.groups == test.groups[both[0]])[0])]
        raise DataError(f"{test.file}: {name} is of the same group as {other} in {train.file.name}")
