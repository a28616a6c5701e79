"""Any folder of class folders: `path/CLASS/*.jpg`, with train and test apart or split by ratio."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, pil_to_tensor, resize

from sim.cache import Cache
from sim.data.base import Classes, Images, read_superclasses, split_by_class
from sim.errors import DataError

EXTENSIONS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
RESIZE = 256 / 224
"""The shorter side is resized to this multiple of the image size, then the middle is cut out."""


@dataclass(frozen=True)
class FolderImages:
    """Image files, read when they are asked for.

    Args:
        paths: Files, [M].
        labels: int64 [M].
        size: Height and width of what is read.
    """

    paths: Sequence[Path]
    labels: NDArray[np.int64]
    size: int
    channels: int = 3

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.stack([self._read(self.paths[i]) for i in indices])

    def _read(self, path: Path) -> Tensor:
        try:
            with Image.open(path) as image:
                pixels = pil_to_tensor(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: was readable when the folder was scanned and is no longer: {error}") from error
        pixels = resize(pixels, [round(self.size * RESIZE)], antialias=True)
        return center_crop(pixels, [self.size, self.size])


def open_image_folder(
    train: Path,
    test: Path | None,
    test_share: float,
    superclasses: Path | None,
    unreadable_share: float,
    size: int,
    seed: int,
    cache: Cache,
) -> Images:
    """Reads a folder of class folders.

    Args:
        train: Folder of class folders; classes are numbered in the order of their names.
        test: Another folder with the same classes; None cuts it from `train`.
        test_share: Share of every class that is cut for the clients if `test` is None.
        superclasses: CSV file of superclasses, or None.
        unreadable_share: Unreadable images are skipped up to this share of all.
        size: Height and width of the images to read.
        seed: Which images are cut for the clients.
        cache: Remembers which files could be read.

    Raises:
        DataError: A folder is missing or has no images, a class is in one part only, or too many images are unreadable.
    """
    names = _class_names(train)
    scans = [_scan(train, names, cache)]
    if test is not None:
        if _class_names(test) != names:
            differing = sorted(set(_class_names(test)) ^ set(names))
            raise DataError(f"{test}: its class folders differ from those of {train}: {', '.join(differing[:5])}")
        scans.append(_scan(test, names, cache))
    skipped = [name for scan in scans for name in scan.unreadable]
    total = sum(len(scan.labels) + len(scan.unreadable) for scan in scans)
    if len(skipped) > unreadable_share * total:
        raise DataError(
            f"{train}: {len(skipped)} of {total} images cannot be read, more than the allowed share of {unreadable_share:g} "
            f"(data.unreadable_share); for example {', '.join(skipped[:3])}"
        )
    if test is None:
        parts = split_by_class(scans[0].labels, [1 - test_share, test_share], seed, "image_folder")
        halves = [FolderImages([scans[0].paths[i] for i in part], scans[0].labels[part], size) for part in parts]
    else:
        halves = [FolderImages(scan.paths, scan.labels, size) for scan in scans]
    for half, place in zip(halves, ("train", "test"), strict=True):
        empty = np.flatnonzero(np.bincount(half.labels, minlength=len(names)) == 0)
        if len(empty):
            raise DataError(f"{train}: class {names[empty[0]]!r} has no readable image for the {place} part")
    groups = read_superclasses(superclasses, len(names)) if superclasses else (None, ())
    key = {
        "kind": "image_folder", "content": [scan.content for scan in scans], "size": size,
        "test_share": test_share if test is None else None, "seed": seed,
    }  # fmt: skip
    return Images(key, Classes(names, *groups), halves[0], halves[1], skipped)


@dataclass(frozen=True)
class _Scan:
    """What a folder holds: readable files and their classes, unreadable files, and a digest of all bytes."""

    paths: list[Path]
    labels: NDArray[np.int64]
    unreadable: list[str]
    content: str


def _class_names(folder: Path) -> list[str]:
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read as a folder of class folders: {error.strerror}") from error
    if len(names) < 2:
        raise DataError(f"{folder}: has {len(names)} class folders; expected 2 or more, each with its images inside")
    return names


def _scan(folder: Path, names: list[str], cache: Cache) -> _Scan:
    """Opens every file once. The outcome is kept in the cache until a file's name, size or date changes."""
    files = [
        (label, path)
        for label, name in enumerate(names)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in EXTENSIONS and path.is_file()
    ]
    if not files:
        raise DataError(f"{folder}: has no images in its class folders ({', '.join(sorted(EXTENSIONS))})")
    stats = [(path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for _, path in files]

    def build(target: Path) -> None:
        digest, unreadable = hashlib.sha256(), []
        for (_, path), (name, _, _) in zip(files, stats, strict=True):
            digest.update(f"{name}\0".encode())
            try:
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
                with Image.open(path) as image:
                    image.convert("RGB")
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                unreadable.append(name)
        (target / "scan.json").write_text(json.dumps({"content": digest.hexdigest(), "unreadable": unreadable}))

    listing = hashlib.sha256(json.dumps(stats).encode()).hexdigest()
    found = json.loads(
        (cache.get("scan", {"folder": str(folder.resolve()), "files": listing}, build) / "scan.json").read_text()
    )
    bad = set(found["unreadable"])
    good = [(label, path) for (label, path), (name, _, _) in zip(files, stats, strict=True) if name not in bad]
    labels = np.array([label for label, _ in good], dtype=np.int64)
    return _Scan([path for _, path in good], labels, found["unreadable"], found["content"])
