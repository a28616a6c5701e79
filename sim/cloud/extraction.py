"""Features of many images, written to a folder as they come: what is there when the work is cut short is not computed again."""

import json
import os
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from iciia.cloud.backbone import Backbone, Progress
from iciia.cloud.features import ArrayStore
from iciia.cloud.images import ImageSource
from sim.files import DISK, commit

DONE = "done.json"
"""Beside unfinished features: of how many images they are."""

FILES = ("features.npy", "logits.npy", "labels.npy")
"""What a store is made of."""

BATCHES = 16
"""So many batches are made to last together."""


def extract_into(
    folder: Path, scratch: Path, backbone: Backbone, source: ImageSource, images: NDArray[np.int64], progress: Progress
) -> None:
    """Writes the store of some images' features into a folder.

    Args:
        folder: Empty, on the same disk as `scratch`.
        scratch: Where the work is begun, and taken up again.
        backbone: Run once over every image. Its batches are the same however often the work was cut short.
        source: Where the images are.
        images: Which of them, [M].
        progress: Told how many images are done.
    """
    store, before = _begin(scratch, source.labels[images], backbone)
    step = BATCHES * backbone.batch

    def write(first: int, features: torch.Tensor, logits: torch.Tensor) -> None:
        place = before + first
        store.features[place : place + len(features)] = features.numpy()
        store.logits[place : place + len(logits)] = logits.numpy()
        done = place + len(features)
        if done % step == 0:
            _keep(scratch, store, done)

    progress(before, len(images))
    backbone.extract(source, images[before:], write, lambda done, _: progress(before + done, len(images)))
    _keep(scratch, store, len(images))
    for name in FILES:
        os.replace(scratch / name, folder / name)


def _begin(scratch: Path, labels: NDArray[np.int64], backbone: Backbone) -> tuple[ArrayStore, int]:
    """A store to be filled in, and of how many images it holds features."""
    if not all((scratch / name).is_file() for name in (DONE, *FILES)):
        return ArrayStore.create(scratch, labels, backbone.feature_dim, backbone.classes), 0
    features, logits = (open_memmap(scratch / f"{name}.npy", "r+") for name in ("features", "logits"))
    return ArrayStore(features, logits, labels), int(json.loads((scratch / DONE).read_text()))


def _keep(scratch: Path, store: ArrayStore, done: int) -> None:
    """Makes the features of so many images last, and then says so."""
    for array in (store.features, store.logits):
        assert isinstance(array, np.memmap)
        array.flush()
    commit(DISK, scratch / DONE, json.dumps(done).encode())
