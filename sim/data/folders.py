"""Folders of class folders as people have them: what in them is an image, what is not, and what was probably meant."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.data.decode import looks_like_image
from sim.errors import DataError

EXTENSIONS = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pcx", ".pgm", ".png", ".pnm", ".ppm",
    ".tga", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""A file with one of these is an image, and a broken one if it cannot be read. Of others their beginning decides."""

RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2")
"""Cameras' own formats are passed over: they lie beside the JPEG of the same photograph, and begin like a TIFF of its thumbnail."""

SYSTEM = ("$recycle.bin", "__macosx", "@eadir", "desktop.ini", "ehthumbs.db", "icon\r", "lost+found", "thumbs.db")
"""What systems and archives leave in folders, in lower case, beside what begins with a dot."""

SPLITS = ("dev", "eval", "test", "testing", "train", "training", "val", "valid", "validation")


@dataclass(frozen=True)
class Listing:
    """The files of class folders.

    Args:
        names: Images, by their path in the folder, [M].
        labels: Class of each, int64 [M].
        passed_over: Files that are no images, by their path as it can be shown.
    """

    names: list[str]
    labels: NDArray[np.int64]
    passed_over: list[str]


def is_hidden(name: str) -> bool:
    """Whether a file or folder is the system's and not the user's: `._photo.jpg`, `Thumbs.db`, `__MACOSX`."""
    return name.startswith(".") or name.lower() in SYSTEM


def is_image(path: str) -> bool:
    """Whether a file is an image, by its extension, or by its beginning where that says nothing."""
    extension = os.path.splitext(path)[1].lower()
    return extension in EXTENSIONS or (extension not in RAW and looks_like_image(Path(path)))


def shown_name(name: str) -> str:
    """A name as text. One that is no UTF-8, as old archives unpack it, is read as Latin-1: `b'caf\\xe9'` is `café`."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("latin-1")
    return name


def walk_files(folder: str) -> Iterator[str]:
    """Paths of all files below a folder that are not hidden, in the order of their parts."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        found += [os.path.join(place, name) for name in files if not is_hidden(name)]
    yield from sorted(found, key=lambda path: path.split(os.sep))


def class_folders(folder: Path) -> list[str]:
    """Names of a folder's class folders, in order.

    Raises:
        DataError: The folder is missing, or has fewer than two, or its folders are parts of a data set; the message says what was
            probably meant.
    """
    try:
        names = _folders_in(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read as a folder of class folders: {error.strerror}") from error
    parts = [name for name in names if name.lower() in SPLITS]
    if len(parts) > 1 and all(len(_folders_in(folder / name)) > 1 for name in parts):
        meant = " and ".join(f"data.{side}: {folder / name}" for side, name in _sides(parts))
        raise DataError(
            f"{folder}: holds {' and '.join(parts)}, which hold the class folders; probably {meant} was meant"
        )
    if len(names) < 2:
        raise DataError(
            f"{folder}: has {len(names)} class folders; expected 2 or more, each with its images inside{_advice(folder, names)}"
        )
    return names


def _folders_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_hidden(entry.name))


def _sides(parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Which of some folders of parts is for the cloud, and which for the clients."""
    train = next((name for name in parts if name.lower().startswith("train")), parts[0])
    others = [name for name in parts if name != train]
    yield "train", train
    yield "test", next((name for name in others if name.lower().startswith("test")), others[0])


def _advice(folder: Path, names: Sequence[str]) -> str:
    """What was probably meant by a folder that is one level off."""
    if len(names) == 1:
        inside = _folders_in(folder / names[0])
        if len(inside) > 1:
            return f"; {shown_name(names[0])} has {len(inside)}: probably {folder / names[0]} was meant"
        return ""
    beside = _folders_in(folder.resolve().parent)
    images = sum(is_image(path) for path in _files_in(folder))
    if images and len(beside) > 1:
        return (
            f"; it holds {images:,} images itself, beside other folders: probably {folder.resolve().parent} was meant"
        )
    if images:
        advice = "put those of each class into a folder, or list them in a table (data.kind: image_table)"
        return f"; it holds {images:,} images itself: {advice}"
    return ""


def _files_in(folder: Path) -> list[str]:
    return [entry.path for entry in os.scandir(folder) if entry.is_file() and not is_hidden(entry.name)]


def check_same_classes(first: Path, names: Sequence[str], other: Path, others: Sequence[str]) -> None:
    """Checks that two folders have the same class folders.

    Raises:
        DataError: They differ; the message says which lacks which.
    """
    lacks = [
        f"{place} lacks {_few(missing)}"
        for place, missing in ((other, set(names) - set(others)), (first, set(others) - set(names)))
        if missing
    ]
    if lacks:
        raise DataError(f"{other}: its class folders differ from those of {first}: {'; '.join(lacks)}")


def _few(names: set[str], most: int = 5) -> str:
    shown = ", ".join(shown_name(name) for name in sorted(names)[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def files_in_classes(folder: Path, classes: Sequence[str]) -> Listing:
    """All files below class folders.

    Raises:
        DataError: There are no images among them.
    """
    names: list[str] = []
    labels: list[int] = []
    passed_over: list[str] = []
    for label, name in enumerate(classes):
        for path in walk_files(str(folder / name)):
            inside = os.path.relpath(path, folder)
            if is_image(path):
                names.append(inside)
                labels.append(label)
            else:
                passed_over.append(shown_name(inside))
    if not names:
        raise DataError(f"{folder}: has no images in its class folders ({', '.join(EXTENSIONS)})")
    return Listing(names, np.array(labels, dtype=np.int64), passed_over)
