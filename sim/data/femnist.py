"""FEMNIST: handwritten characters by writer, as LEAF's `data/femnist` leaves them; 62 classes, 28 x 28 pixels, grey.

Source: Caldas et al., LEAF, arXiv 1812.01097. Digits are classes 0 to 9, upper case 10 to 35, lower case 36 to 61.
"""

import hashlib
import json
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.cache import Cache
from sim.data.base import Classes, Images, split_by_class
from sim.data.leaf import leaf_files, listing, read_users
from sim.errors import DataError
from sim.stage import StageProgress

NAMES = [*string.digits, *string.ascii_uppercase, *string.ascii_lowercase]
SIDE = 28


@dataclass(frozen=True)
class FemnistImages:
    """Some of the characters.

    Args:
        pixels: All of them, uint8 [A, 28, 28], memory-mapped; paper is 255, as LEAF has it.
        chosen: Which, int64 [M].
        labels: Their classes, int64 [M].
    """

    pixels: NDArray[np.uint8]
    chosen: NDArray[np.int64]
    labels: NDArray[np.int64]
    channels: int = 1

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.pixels[self.chosen[indices]][:, None])


def open_femnist(
    path: Path,
    split: Literal["leaf", "sample", "user"],
    test_share: float,
    seed: int,
    cache: Cache,
    stage: StageProgress,
) -> Images:
    """Reads LEAF's FEMNIST. Its writers are natural clients, numbered in the order of their names.

    Args:
        path: LEAF's folder `data/femnist/data`, with `train` and `test`, or with `all_data`.
        split: leaf: its own `train` and `test`, whatever they were split by. sample: cut every writer's images in `all_data`.
            user: cut the writers.
        test_share: Share that is cut for the clients, unless the split is LEAF's.
        seed: Which are cut.
        cache: Where the images are kept as arrays.
        stage: Told how many files have been read.

    Raises:
        DataError: A file is missing or damaged; the message says which user and what.
    """
    if split == "leaf":
        advice = "run LEAF's preprocess.sh with -t sample or -t user, or set data.split: sample to cut all_data here"
        folders = [path / "train", path / "test"]
    else:
        advice = "run LEAF's preprocess.sh, or set data.split: leaf to take its train and test"
        folders = [path / "all_data"]
    found = [_read(leaf_files(folder, advice), folder, cache, stage) for folder in folders]
    users = sorted({user for one in found for user in one.users})
    number = {user: place for place, user in enumerate(users)}
    clients = [np.array([number[user] for user in one.users])[one.owner] for one in found]
    if split == "leaf":
        halves = [FemnistImages(one.pixels, np.arange(len(one.labels)), one.labels) for one in found]
    else:
        parts = _cut(clients[0], split, test_share, seed)
        halves = [FemnistImages(found[0].pixels, part, found[0].labels[part]) for part in parts]
        clients = [clients[0][part] for part in parts]
    key: dict[str, Any] = {"kind": "femnist", "content": [one.content for one in found], "split": split}
    if split != "leaf":
        key |= {"test_share": test_share, "seed": seed}
    return Images(key, Classes(NAMES), halves[0], halves[1], train_clients=clients[0], test_clients=clients[1])


def _cut(clients: NDArray[np.int64], split: str, test_share: float, seed: int) -> list[NDArray[np.int64]]:
    """Images of the train and the test half."""
    shares = [1 - test_share, test_share]
    if split == "sample":
        return split_by_class(clients, shares, seed, "femnist")
    everyone = np.zeros(int(clients.max()) + 1, dtype=np.int64)
    train, _ = split_by_class(everyone, shares, seed, "femnist writers")
    in_train = np.isin(clients, train)
    return [np.flatnonzero(in_train), np.flatnonzero(~in_train)]


@dataclass(frozen=True)
class _Arrays:
    """A folder's images, and whose each is."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    owner: NDArray[np.int64]
    users: list[str]
    content: str


def _read(files: Sequence[Path], folder: Path, cache: Cache, stage: StageProgress) -> _Arrays:
    """The images of JSON files, read one file at a time, once."""

    def build(target: Path) -> None:
        users: dict[str, int] = {}
        labels, owner = [], []
        content = hashlib.sha256()
        with (target / "pixels.raw").open("wb") as out, stage(f"reading {folder}") as progress:
            for done, file in enumerate(files, start=1):
                for user, x, y in read_users(file):
                    pixels, classes = _images(file, user, x, y)
                    pixels.tofile(out)
                    content.update(f"{user}\0".encode() + pixels.tobytes() + classes.tobytes())
                    labels.append(classes)
                    owner.append(np.full(len(classes), users.setdefault(user, len(users))))
                progress(done, len(files))
        np.save(target / "labels.npy", np.concatenate(labels))
        np.save(target / "owner.npy", np.concatenate(owner))
        (target / "leaf.json").write_text(json.dumps({"users": list(users), "content": content.hexdigest()}))

    place = cache.get("leaf", {"kind": "femnist", "files": listing(files)}, build)
    labels, owner = (np.load(place / f"{name}.npy") for name in ("labels", "owner"))
    pixels = np.memmap(place / "pixels.raw", np.uint8, "r", shape=(len(labels), SIDE, SIDE)).view(np.ndarray)
    return _Arrays(pixels, labels, owner, **json.loads((place / "leaf.json").read_text()))


def _images(file: Path, user: str, x: list[object], y: list[object]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One user's images, uint8 [M, 28, 28], and their classes."""
    for place, image in enumerate(x):
        if not isinstance(image, list) or len(image) != SIDE**2:
            got = len(image) if isinstance(image, list) else type(image).__name__
            raise DataError(f"{file}: image {place} of user {user!r} has {got} pixels; expected {SIDE**2}")
    for label in y:
        if not isinstance(label, int) or not 0 <= label < len(NAMES):
            raise DataError(f"{file}: user {user!r} has class {label!r}; expected 0 to {len(NAMES) - 1}")
    try:
        pixels = np.array(x, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{file}: user {user!r} has pixels that are no numbers") from None
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise DataError(f"{file}: user {user!r} has pixels from {pixels.min():g} to {pixels.max():g}; expected 0 to 1")
    return np.rint(255 * pixels).astype(np.uint8).reshape(-1, SIDE, SIDE), np.array(y, dtype=np.int64)
