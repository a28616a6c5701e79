"""Data sets of torchvision by name, as far as they are on this machine: nothing is downloaded."""

import hashlib
import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchvision import datasets

from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data.base import Images
from sim.data.items import open_items
from sim.errors import DataError
from sim.stage import StageProgress


@dataclass(frozen=True)
class _Items:
    """A data set of torchvision."""

    dataset: Any

    def __len__(self) -> int:
        return len(self.dataset)

    def item(self, number: int) -> tuple[Any, Any]:
        picture, label = self.dataset[number]
        return picture, label


def open_torchvision(
    name: str,
    path: Path,
    splits: tuple[str, str],
    superclasses: Path | None,
    preprocessing: Preprocessing,
    cache: Cache,
    stage: StageProgress,
) -> Images:
    """Opens a data set of pictures with one label each.

    Args:
        name: A class in `torchvision.datasets` with an argument `train` or `split`.
        path: What torchvision calls root.
        splits: Values of `split` for the cloud and for the clients; where the class has `train` in its place, that is set.
        superclasses: CSV file of superclasses, or None.
        preprocessing: How pictures are resized and cut.
        cache: Where the first look at the pictures is kept.
        stage: Told how far that look is.

    Raises:
        DataError: There is no such data set, or it is not there, or is not of this kind.
    """
    made = getattr(datasets, name, None) if name in datasets.__all__ else None
    parameters = inspect.signature(made.__init__).parameters if made is not None else {}
    if "root" not in parameters or not {"train", "split"} & set(parameters):
        raise DataError(
            f"torchvision.datasets has no {name!r} with a train and a test half; expected one such as CIFAR10, CIFAR100, MNIST, "
            "SVHN, Food101, Flowers102"
        )
    halves = []
    for train, split in zip((True, False), splits, strict=True):
        options: dict[str, Any] = {"train": train} if "train" in parameters else {"split": split}
        if "download" in parameters:
            options["download"] = False
        try:
            halves.append(_Items(made(root=str(path), **options)))  # type: ignore[misc]
        except (RuntimeError, OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{path.absolute()}: torchvision finds no {name} there, and iciia downloads nothing: {error}"
            ) from error
    files = _listing(path)
    return open_items(
        halves,
        [f"{name} ({part})" for part in splits],
        [{"torchvision": name, "split": part, "files": files} for part in splits],
        [str(one) for one in getattr(halves[0].dataset, "classes", ())],
        superclasses,
        preprocessing,
        {"kind": "torchvision", "dataset": name},
        cache,
        stage,
    )


def _listing(folder: Path) -> str:
    """Digest of names, sizes and dates of all files below a folder."""
    found = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            stat = (Path(place) / name).stat()
            found.update(f"{place}/{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return found.hexdigest()
