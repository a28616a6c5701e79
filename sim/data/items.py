"""Data sets of other libraries: numbered pictures with labels, looked at once and read when they are asked for."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data.base import Classes, Images
from sim.data.decode import READER, as_seen
from sim.data.files import UNREADABLE, in_threads
from sim.data.groups import read_superclasses
from sim.errors import DataError
from sim.stage import StageProgress

GREY = ("1", "L")


class Items(Protocol):
    """What another library gives."""

    def __len__(self) -> int: ...

    def item(self, number: int) -> tuple[Any, Any]:
        """A picture and its label."""
        ...


@dataclass(frozen=True)
class ItemImages:
    """Pictures that another library reads.

    Args:
        items: Where they are.
        labels: int64 [M].
        shapes: Frames, height and width of each, int64 [M, 3].
        preprocessing: How they are resized and cut. A picture of the very size that is wanted is left as it is.
        channels: 1 if all are grey.
    """

    items: Items
    labels: NDArray[np.int64]
    shapes: NDArray[np.int64]
    preprocessing: Preprocessing
    channels: int

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.stack(in_threads(self._read, indices.tolist(), threads=1))

    def _read(self, number: int) -> Tensor:
        picture, _ = self.items.item(number)
        seen = as_seen(picture)
        picture = seen if self.channels == 3 else seen.convert("L")
        size = self.preprocessing.size
        return pil_to_tensor(picture) if picture.size == (size, size) else self.preprocessing(picture)


@dataclass(frozen=True)
class Look:
    """What the first look at a data set's items found.

    Args:
        labels: int64 [M].
        shapes: Frames, height and width of each, int64 [M, 3].
        grey: Whether all pictures are.
        content: Digest of all pixels and labels, and of the version of the reader.
    """

    labels: NDArray[np.int64]
    shapes: NDArray[np.int64]
    grey: bool
    content: str


def look_at(items: Items, title: str, key: Mapping[str, Any], cache: Cache, stage: StageProgress) -> Look:
    """Decodes every picture once.

    Args:
        items: The pictures.
        title: What messages call them.
        key: What their content depends on; the look is repeated when it changes.
        cache: Where findings are kept.
        stage: Told how far the look is.

    Raises:
        DataError: A picture cannot be decoded, or is none, or its label is no number of a class.
    """

    def build(target: Path) -> None:
        content = hashlib.sha256(f"reader {READER}".encode())
        labels, shapes, grey = [], [], True
        with stage(f"looking at {title}") as progress:
            for number in range(len(items)):
                try:
                    picture, label = items.item(number)
                    seen = as_seen(picture) if isinstance(picture, Image.Image) else None
                except UNREADABLE as error:
                    raise DataError(f"{title}: picture {number} cannot be read: {error}") from error
                if seen is None:
                    raise DataError(f"{title}: item {number} holds a {type(picture).__name__}; expected a picture")
                if isinstance(label, bool) or not isinstance(label, int | np.integer) or label < 0:
                    raise DataError(f"{title}: picture {number} has label {label!r}; expected the number of a class")
                content.update(f"{seen.size} {label}\0".encode() + seen.tobytes())
                labels.append(int(label))
                shapes.append((1, seen.height, seen.width))
                grey = grey and picture.mode in GREY
                if (number + 1) % 1024 == 0 or number + 1 == len(items):
                    progress(number + 1, len(items))
        np.save(target / "labels.npy", np.array(labels, dtype=np.int64))
        np.save(target / "shapes.npy", np.array(shapes, dtype=np.int64))
        (target / "look.json").write_text(json.dumps({"grey": grey, "content": content.hexdigest()}))

    if len(items) == 0:
        raise DataError(f"{title}: holds no pictures")
    place = cache.get("look", {**key, "reader": READER}, build)
    labels, shapes = (np.load(place / f"{name}.npy") for name in ("labels", "shapes"))
    return Look(labels, shapes, **json.loads((place / "look.json").read_text()))


def open_items(
    halves: Sequence[Items],
    titles: Sequence[str],
    keys: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    superclasses: Path | None,
    preprocessing: Preprocessing,
    kind: Mapping[str, Any],
    cache: Cache,
    stage: StageProgress,
    clients: tuple[NDArray[np.int64] | None, NDArray[np.int64] | None] = (None, None),
) -> Images:
    """Pictures for the cloud and for the clients, of two halves that another library gives.

    Args:
        halves: The two.
        titles: What messages call each.
        keys: What the content of each depends on.
        names: Names of the classes; without any, classes are as many as the labels of the first half say.
        superclasses: CSV file of superclasses, or None.
        preprocessing: How pictures are resized and cut.
        kind: What identifies the data set beside its content.
        cache: Where the first look at the pictures is kept.
        stage: Told how far that look is.
        clients: Natural client of each picture of each half, if there are any.

    Raises:
        DataError: A picture, a label or the superclasses are not what they should be.
    """
    looks = [look_at(half, title, key, cache, stage) for half, title, key in zip(halves, titles, keys, strict=True)]
    classes = names or [str(c) for c in range(1 + int(looks[0].labels.max()))]
    for look, title in zip(looks, titles, strict=True):
        check_classes(title, look.labels, len(classes))
    groups = read_superclasses(superclasses, classes) if superclasses else (None, ())
    channels = 1 if all(look.grey for look in looks) else 3
    train, test = (
        ItemImages(half, look.labels, look.shapes, preprocessing, channels)
        for half, look in zip(halves, looks, strict=True)
    )
    return Images(
        {**kind, "content": [look.content for look in looks], "read": preprocessing.key},
        Classes(classes, *groups),
        train,
        test,
        shapes=np.concatenate([look.shapes for look in looks]),
        train_clients=clients[0],
        test_clients=clients[1],
    )


def check_classes(title: str, labels: NDArray[np.int64], num_classes: int) -> None:
    """Checks that labels are numbers of classes.

    Raises:
        DataError: One is beyond them.
    """
    if labels.max() >= num_classes:
        raise DataError(f"{title}: labels go up to {labels.max()}, and there are {num_classes} classes")
