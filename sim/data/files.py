"""Image files: opened once to see whether they can be read, remembered, and read when they are asked for."""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data.decode import READER, decode, missing_reader, probe
from sim.data.folders import shown_name
from sim.errors import DataError
from sim.stage import StageProgress

UNREADABLE = (OSError, ValueError)
"""What reading a broken file raises."""

MISSING, BROKEN = (-1, 0, 0), (-2, 0, 0)
"""Shapes of files that cannot be read."""

AT_A_TIME = 1024
"""Files that are handed to threads together."""

Probe = Callable[[Path, bytes], tuple[int, int, int]]
"""(file, its bytes) -> frames, height and width; raises one of `UNREADABLE` if the file is broken."""


def probe_image(path: Path, content: bytes) -> tuple[int, int, int]:
    """Decodes an image to its end, at the lowest resolution that its format offers."""
    height, width = probe(content)
    return 1, height, width


@dataclass(frozen=True)
class FileImages:
    """Image files, read by as many threads as torch may use.

    Args:
        folder: Where they are.
        names: File names in it, [M].
        labels: int64 [M], or [M, C] of several attributes.
        preprocessing: How they are resized and cut.
    """

    folder: Path
    names: Sequence[str]
    labels: NDArray[np.int64]
    preprocessing: Preprocessing
    channels: int = 3

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.stack(in_threads(self._read, indices.tolist()))

    def _read(self, number: int) -> Tensor:
        path = self.folder / self.names[number]
        try:
            image = decode(path)
        except UNREADABLE as error:
            raise DataError(f"{path}: was readable when the folder was scanned and is no longer: {error}") from error
        return self.preprocessing(image)


T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Sequence[T], threads: int | None = None) -> list[R]:
    """What a function gives for each item, in order; by torch's number of threads unless given."""
    threads = min(threads or torch.get_num_threads(), len(items))
    if threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


@dataclass(frozen=True)
class Scan:
    """What was found in files.

    Args:
        names: The files that can be read, by their path in the folder, in the given order.
        kept: Their places in the given order, int64 [M].
        shapes: Frames, height and width of each of them, int64 [M, 3].
        missing: Files that are not there, by names that can be shown.
        unreadable: Files that are broken, likewise.
        content: Digest of all names and bytes, and of the version of the reader.
    """

    names: list[str]
    kept: NDArray[np.int64]
    shapes: NDArray[np.int64]
    missing: list[str]
    unreadable: list[str]
    content: str


class Scanner:
    """Opens files once; what it finds stays in the cache until a file's name, size or date changes.

    Args:
        cache: Where findings are kept.
        unreadable_share: Missing and broken files are left out up to this share of all.
        stage: Told how far a scan is.
    """

    def __init__(self, cache: Cache, unreadable_share: float, stage: StageProgress) -> None:
        self.cache = cache
        self.unreadable_share = unreadable_share
        self.stage = stage

    def scan(self, folder: Path, names: Sequence[str], probe: Probe = probe_image) -> Scan:
        """Opens every file.

        Args:
            folder: Where the files are.
            names: Their names in it.
            probe: Decodes one.

        Raises:
            DataError: There are none.
        """
        if not names:
            raise DataError(f"{folder}: has no files to read")
        listing = hashlib.sha256(f"{probe.__name__} {READER}".encode())
        for name in names:
            listing.update(os.fsencode(f"{name}\0{_stamp(os.path.join(folder, name))}\0"))

        def build(target: Path) -> None:
            content, shapes = hashlib.sha256(f"reader {READER}".encode()), []
            with self.stage(f"scanning {folder}") as progress:
                for start in range(0, len(names), AT_A_TIME):
                    part = names[start : start + AT_A_TIME]
                    found = in_threads(lambda name: _open(folder / name, probe), part, os.cpu_count())
                    for name, (digest, shape) in zip(part, found, strict=True):
                        content.update(os.fsencode(f"{name}\0") + digest)
                        shapes.append(shape)
                    progress(len(shapes), len(names))
            np.save(target / "shapes.npy", np.array(shapes, dtype=np.int64))
            (target / "scan.json").write_text(json.dumps({"content": content.hexdigest()}))

        key = {"folder": str(folder.resolve()), "files": listing.hexdigest()}
        place = self.cache.get("scan", key, build)
        shapes = np.load(place / "shapes.npy")
        frames = shapes[:, 0]
        kept = np.flatnonzero(frames > 0)
        missing, broken = (np.flatnonzero(frames == kind[0]).tolist() for kind in (MISSING, BROKEN))
        return Scan(
            [names[i] for i in kept.tolist()],
            kept,
            shapes[kept],
            [shown_name(names[i]) for i in missing],
            [shown_name(names[i]) for i in broken],
            json.loads((place / "scan.json").read_text())["content"],
        )

    def check(self, folder: Path, scans: Iterable[Scan]) -> tuple[list[str], list[str]]:
        """The missing and the broken files of several scans.

        Raises:
            DataError: They are more than the allowed share.
        """
        scans = list(scans)
        missing = [name for scan in scans for name in scan.missing]
        unreadable = [name for scan in scans for name in scan.unreadable]
        bad = missing + unreadable
        total = sum(len(scan.names) for scan in scans) + len(bad)
        if len(bad) > self.unreadable_share * total:
            raise DataError(
                f"{folder}: {len(bad):,} of {total:,} files cannot be read ({len(missing):,} missing, {len(unreadable):,} broken), "
                f"more than the allowed share of {self.unreadable_share:g} (data.unreadable_share); for example "
                f"{', '.join(bad[:3])}{missing_reader(unreadable)}"
            )
        return missing, unreadable


def _stamp(path: str) -> str:
    """Size and date of a file; nothing if it is not there. Called for each of a million files, which paths as text make faster."""
    try:
        stat = os.stat(path)
    except OSError:
        return ""
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _open(path: Path, probe: Probe) -> tuple[bytes, tuple[int, int, int]]:
    """Digest of a file and its shape."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe or a device would never end
            return b"", BROKEN
        content = path.read_bytes()
    except FileNotFoundError:
        return b"", MISSING
    except OSError:
        return b"", BROKEN
    digest = hashlib.sha256(content).digest()
    try:
        return digest, probe(path, content)
    except UNREADABLE:
        return digest, BROKEN
