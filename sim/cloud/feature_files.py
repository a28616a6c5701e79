"""Features written as files that `data: {kind: features}` reads."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.backbone import Progress
from iciia.cloud.features import FeatureStore
from sim.cloud.features import CloudFeatures
from sim.data import Classes, Features, Images
from sim.data.npz import Rows, write_npz
from sim.outputs import replacing
from sim.stage import StageProgress

AT_ONCE = 4096
"""Images whose features are in memory together."""


def write_feature_files(
    folder: Path, data: Images | Features, cloud: CloudFeatures, stage: StageProgress
) -> dict[str, Path]:
    """Writes `train.npz`, `test.npz` and, where classes are grouped, `superclasses.csv`, each completely or not at all.

    Args:
        folder: Where to; files of these names are replaced.
        data: The data that the features are of.
        cloud: Their features. The images that a backbone was trained on are not among them.
        stage: Told how many images are written.

    Returns:
        The files, by the names of the settings that read them.

    Raises:
        ReportError: They cannot be written.
    """
    classifier = dict(zip(("classifier_weight", "classifier_bias"), cloud.classifier or (), strict=False))
    told: dict[str, dict[str, NDArray[Any] | None]] = {
        "train": {"clients": cloud.train_clients, "times": cloud.train_times, **classifier},
        "test": {"clients": data.test_clients, "times": data.test_times},
    }
    for name in ("clients", "times"):
        if any(arrays[name] is None for arrays in told.values()):  # of one half alone they say nothing
            for arrays in told.values():
                arrays[name] = None
    written = {}
    for half, store in (("train", cloud.train), ("test", cloud.test)):
        written[half] = folder / f"{half}.npz"
        beside = {name: array for name, array in told[half].items() if array is not None}
        with replacing(written[half]) as temporary, stage(f"writing {written[half].name}") as progress:
            write_npz(temporary, {**_arrays(store, progress), **beside})
    if cloud.classes.superclass is not None:
        written["superclasses"] = _write_superclasses(folder / "superclasses.csv", cloud.classes)
    return written


def _arrays(store: FeatureStore, progress: Progress) -> dict[str, Any]:
    labels = np.asarray(store.labels)
    sizes = (store.feature_dim, store.classes)
    features, logits = (
        Rows((len(labels), size), np.dtype(np.float32), _rows(store, which, progress))
        for which, size in enumerate(sizes)
    )
    return {"features": features, "logits": logits, "labels": labels}


def _rows(store: FeatureStore, which: int, progress: Progress) -> Iterator[NDArray[np.float32]]:
    """A store's features (0) or logits (1), a few images at a time."""
    images = len(store.labels)
    for first in range(0, images, AT_ONCE):
        some = np.arange(first, min(first + AT_ONCE, images))
        yield store.gather(some)[which].numpy()
        progress(which * images + first + len(some), 2 * images)


def _write_superclasses(path: Path, classes: Classes) -> Path:
    """In the order of the superclasses, by which a reader numbers them."""
    assert classes.superclass is not None
    names = classes.superclass_names
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["class_index", "superclass", "superclass_name"])
        for c in np.argsort(classes.superclass, kind="stable").tolist():
            group = int(classes.superclass[c])
            writer.writerow([c, group, names[group] if names else group])
    return path
