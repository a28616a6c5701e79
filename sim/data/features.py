"""The user's own features: two `.npz` files, `train` and `test`."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.features import ArrayStore
from sim.data.base import Classes, Features, read_superclasses
from sim.errors import DataError


def open_features(train: Path, test: Path, superclasses: Path | None) -> Features:
    """Reads features, logits and labels from `.npz` files.

    Args:
        train: For the cloud. The backbone must not have been trained on these images: its logits would be overconfident there.
        test: For the clients' streams.
        superclasses: CSV file of superclasses, or None.

    Raises:
        DataError: A file or an array is missing, of the wrong shape or type, or holds NaN or infinity.
    """
    (train_store, train_clients), (test_store, test_clients) = _read(train), _read(test)
    stores = [train_store, test_store]
    for name in ("features", "logits"):
        a, b = (getattr(store, name).shape[1] for store in stores)
        if a != b:
            raise DataError(f"{test}: {name} has {b} columns, and {a} in {train}; they must agree")
    num_classes = stores[0].classes
    if stores[0].labels.ndim != stores[1].labels.ndim:
        raise DataError(f"{test}: labels are classes in one file and attributes in the other; give the same in both")
    for path, store in zip((train, test), stores, strict=True):
        if store.labels.ndim == 1 and store.labels.max() >= num_classes:
            raise DataError(f"{path}: labels go up to {store.labels.max()}, and logits have {num_classes} columns")
    names = [str(c) for c in range(num_classes)]
    groups = read_superclasses(superclasses, num_classes) if superclasses else (None, ())
    key = {"kind": "features", "train": _digest(train), "test": _digest(test)}
    if (train_clients is None) != (test_clients is None):
        without = train if train_clients is None else test
        raise DataError(f"{without}: has no array 'clients', and the other file has; give it in both or in none")
    classifier = _read_classifier(train, stores[0].feature_dim, num_classes)
    return Features(key, Classes(names, *groups), train_store, test_store, train_clients, test_clients, classifier)


def _read(path: Path) -> tuple[ArrayStore, NDArray[np.int64] | None]:
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in ("features", "logits", "labels"):
                if name not in file.files:
                    raise DataError(f"{path}: has no array {name!r}, only {', '.join(file.files) or 'nothing'}")
                arrays[name] = file[name]
            clients = file["clients"] if "clients" in file.files else None
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path}: cannot be read as an .npz file of plain arrays: {error}") from error
    features, logits, labels = arrays["features"], arrays["logits"], arrays["labels"]
    if (labels.ndim != 1 and labels.shape != logits.shape) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{path}: labels is {labels.dtype} {list(labels.shape)}; expected integers, classes [M] or attributes of 0 and 1 as "
            f"logits, {list(logits.shape)}"
        )
    if len(labels) == 0 or labels.min() < 0:
        raise DataError(f"{path}: labels must hold at least one image and no negative number")
    if labels.ndim == 2 and labels.max() > 1:
        raise DataError(f"{path}: labels has attributes up to {labels.max()}; expected 0 and 1")
    for name, array in (("features", features), ("logits", logits)):
        if array.ndim != 2 or array.dtype not in (np.float16, np.float32) or len(array) != len(labels):
            raise DataError(
                f"{path}: {name} is {array.dtype} {list(array.shape)}; expected float16 or float32 [{len(labels)}, .], "
                "a row for each label"
            )
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(bad):
            raise DataError(f"{path}: {name} has NaN or infinity in {len(bad)} rows, the first is row {bad[0]}")
    if clients is not None:
        if clients.shape != labels.shape[:1] or not np.issubdtype(clients.dtype, np.integer) or clients.min() < 0:
            raise DataError(
                f"{path}: clients is {clients.dtype} {list(clients.shape)}; expected integers [{len(labels)}] of 0 or more, "
                "the natural client of each image"
            )
        clients = clients.astype(np.int64)
    return ArrayStore(features.astype(np.float32), logits.astype(np.float32), labels.astype(np.int64)), clients


def _read_classifier(
    path: Path, features: int, classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None] | None:
    """The backbone's classifier, if the file holds it."""
    with np.load(path, allow_pickle=False) as file:
        found = {name: file[name] for name in ("classifier_weight", "classifier_bias") if name in file.files}
    for name, shape in (("classifier_weight", (classes, features)), ("classifier_bias", (classes,))):
        array = found.get(name)
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
