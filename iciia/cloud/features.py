"""Feature stores: the backbone's output, computed once an image and read by everyone.

A stream carries image numbers; a store turns them into features and logits. Stores hold only NumPy arrays, so that Ray shares
them between processes without a copy.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor


class FeatureStore(Protocol):
    """Features, logits and labels of M images."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image, [M], or its attributes, [M, C]; see `iciia.cloud.labels`."""
        ...

    @property
    def feature_dim(self) -> int:
        """D."""
        ...

    @property
    def classes(self) -> int:
        """C."""
        ...

    def gather(self, images: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Features [..., D] and logits [..., C] of images, [...], float32."""
        ...


def take(rows: NDArray[np.float32], indices: NDArray[np.integer]) -> Tensor:
    """Rows of an array, [R, D], as a new tensor [..., D].

    The memory comes from torch: a matrix product may round differently on memory that is aligned differently, and NumPy does
    not align.
    """
    taken = torch.empty((*indices.shape, rows.shape[1]), dtype=torch.float32)
    np.take(rows, indices, axis=0, out=taken.numpy(), mode="clip")
    return taken


@dataclass(frozen=True)
class ArrayStore:
    """A store of arrays in memory or memory-mapped.

    Args:
        features: float32 [M, D].
        logits: float32 [M, C].
        labels: int64 [M], or attributes, [M, C].
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def feature_dim(self) -> int:
        return self.features.shape[1]

    @property
    def classes(self) -> int:
        return self.logits.shape[1]

    def gather(self, images: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        return take(self.features, images), take(self.logits, images)

    @staticmethod
    def create(folder: Path, labels: NDArray[np.int64], feature_dim: int, classes: int) -> "ArrayStore":
        """A new store in a folder, with features and logits to be filled in."""
        features = open_memmap(folder / "features.npy", "w+", np.dtype(np.float32), (len(labels), feature_dim))
        logits = open_memmap(folder / "logits.npy", "w+", np.dtype(np.float32), (len(labels), classes))
        np.save(folder / "labels.npy", labels)
        return ArrayStore(features, logits, labels)

    @staticmethod
    def open(folder: Path) -> "ArrayStore":
        """Maps a store's arrays into memory, read-only."""
        # plain arrays over the mapping: np.memmap itself does not travel without a copy
        features, logits, labels = (
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)
            for name in ("features", "logits", "labels")
        )
        return ArrayStore(features, logits, labels)
