"""The user's own features: two `.npz` files, `train` and `test`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.features import ArrayStore
from sim.data.base import Classes, Features
from sim.data.groups import read_superclasses
from sim.data.npz import Converter, read_npz
from sim.errors import DataError

OPTIONAL = ("clients", "times", "classifier_weight", "classifier_bias")
Classifier = tuple[NDArray[np.float32], NDArray[np.float32] | None]


@dataclass(frozen=True)
class _Half:
    """What one file holds."""

    store: ArrayStore
    clients: NDArray[np.int64] | None
    times: NDArray[np.float64] | None
    classifier: Classifier | None
    notes: list[str]


def open_features(train: Path, test: Path, superclasses: Path | None) -> Features:
    """Reads features, logits and labels from `.npz` files.

    Args:
        train: For the cloud. The backbone must not have been trained on these images: its logits would be overconfident there.
        test: For the clients' streams.
        superclasses: CSV file of superclasses, or None.

    Raises:
        DataError: A file or an array is missing, of the wrong shape or type, or holds NaN or infinity.
    """
    paths, halves = (train, test), [_read(train), _read(test)]
    stores = [half.store for half in halves]
    for name in ("features", "logits"):
        a, b = (getattr(store, name).shape[1] for store in stores)
        if a != b:
            raise DataError(f"{test}: {name} has {b} columns, and {a} in {train}; they must agree")
    num_classes = stores[0].classes
    if stores[0].labels.ndim != stores[1].labels.ndim:
        raise DataError(f"{test}: labels are classes in one file and attributes in the other; give the same in both")
    for path, store in zip(paths, stores, strict=True):
        if store.labels.ndim == 1 and store.labels.max() >= num_classes:
            raise DataError(f"{path}: labels go up to {store.labels.max()}, and logits have {num_classes} columns")
    for name in ("clients", "times"):
        without = [path for path, half in zip(paths, halves, strict=True) if getattr(half, name) is None]
        if len(without) == 1:
            raise DataError(f"{without[0]}: has no array {name!r}, and the other file has; give it in both or in none")
    names = [str(c) for c in range(num_classes)]
    groups = read_superclasses(superclasses, names) if superclasses else (None, ())
    return Features(
        key={"kind": "features", "train": _digest(train), "test": _digest(test)},
        classes=Classes(names, *groups),
        train=stores[0],
        test=stores[1],
        train_clients=halves[0].clients,
        test_clients=halves[1].clients,
        train_times=halves[0].times,
        test_times=halves[1].times,
        classifier=halves[0].classifier,
        notes=[note for half in halves for note in half.notes],
    )


def _read(path: Path) -> _Half:
    arrays = read_npz(path, ("features", "logits", "labels"), OPTIONAL)
    convert = Converter(path)
    shape = arrays["logits"].shape
    labels = _labels(path, convert, arrays["labels"], shape)
    found = {name: _matrix(path, convert, name, arrays[name], len(labels)) for name in ("features", "logits")}
    clients = _clients(path, convert, arrays.get("clients"), len(labels))
    times = _times(path, arrays.get("times"), len(labels))
    classifier = _classifier(path, arrays, found["features"].shape[1], shape[1])
    return _Half(ArrayStore(found["features"], found["logits"], labels), clients, times, classifier, convert.notes)


def _labels(path: Path, convert: Converter, labels: NDArray[Any], logits: tuple[int, ...]) -> NDArray[np.int64]:
    what = f"integers, classes [M] or attributes of 0 and 1 as logits, {list(logits)}"
    if labels.ndim != 1 and labels.shape != logits:
        raise DataError(f"{path}: labels is {labels.dtype} {list(labels.shape)}; expected {what}")
    found = convert.whole("labels", labels, what)
    if len(found) == 0 or found.min() < 0:
        raise DataError(f"{path}: labels must hold at least one image and no negative number")
    if found.ndim == 2 and found.max() > 1:
        raise DataError(f"{path}: labels has attributes up to {found.max()}; expected 0 and 1")
    return found


def _matrix(path: Path, convert: Converter, name: str, array: NDArray[Any], images: int) -> NDArray[np.float32]:
    if array.ndim != 2 or len(array) != images:
        raise DataError(
            f"{path}: {name} is {array.dtype} {list(array.shape)}; expected floats [{images}, .], a row for each label"
        )
    found = convert.numbers(name, array)
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(bad):
        raise DataError(f"{path}: {name} has NaN or infinity in {len(bad)} rows, the first is row {bad[0]}")
    return found


def _clients(path: Path, convert: Converter, clients: NDArray[Any] | None, images: int) -> NDArray[np.int64] | None:
    if clients is None:
        return None
    what = f"integers [{images}] of 0 or more, the natural client of each image"
    if clients.shape != (images,):
        raise DataError(f"{path}: clients is {clients.dtype} {list(clients.shape)}; expected {what}")
    found = convert.whole("clients", clients, what)
    if found.min() < 0:
        raise DataError(f"{path}: clients holds {found.min()}; expected {what}")
    return found


def _times(path: Path, times: NDArray[Any] | None, images: int) -> NDArray[np.float64] | None:
    """Numbers as they are, dates of numpy as seconds since 1970."""
    if times is None:
        return None
    if times.shape != (images,) or times.dtype.kind not in "fiuM":
        raise DataError(
            f"{path}: times is {times.dtype} {list(times.shape)}; expected numbers or datetime64 [{images}]"
        )
    if times.dtype.kind == "M":
        times = np.where(np.isnat(times), np.nan, times.astype("M8[us]").astype(np.float64) / 1e6)
    if not np.isfinite(times).all():
        raise DataError(
            f"{path}: times has {int((~np.isfinite(times)).sum())} that are missing or infinite; give one for each image"
        )
    return times.astype(np.float64)


def _classifier(path: Path, arrays: dict[str, NDArray[Any]], features: int, classes: int) -> Classifier | None:
    """The backbone's classifier, if the file holds it."""
    found = {}
    for name, shape in (("classifier_weight", (classes, features)), ("classifier_bias", (classes,))):
        array = arrays.get(name)
        if array is None:
            continue
        if array.shape != shape or not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
            raise DataError(
                f"{path}: {name} is {array.dtype} {list(array.shape)}; expected finite floats {list(shape)}, the backbone's own"
            )
        found[name] = array.astype(np.float32)
    if "classifier_weight" not in found:
        if found:
            raise DataError(f"{path}: has classifier_bias and no classifier_weight; give both, or the weight alone")
        return None
    return found["classifier_weight"], found.get("classifier_bias")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
