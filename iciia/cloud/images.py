"""What the cloud needs of a set of images."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class ImageSource(Protocol):
    """Numbered, labelled images, or clips, of one size. A source of clips has an attribute `frames`, the frames of each."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image, int64 [M]."""
        ...

    @property
    def channels(self) -> int:
        """1 or 3."""
        ...

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        """The given images, [B], as uint8 [B, channels, height, width]; clips as [B, channels, frames, height, width]."""
        ...


def frames_of(source: ImageSource) -> int | None:
    """Frames of a source's clips; None if it holds images."""
    frames: int | None = getattr(source, "frames", None)
    return frames


def in_batches(indices: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cuts indices, [M], into batches of exactly `size`, the last filled up with its own last index.

    Fixed shapes keep a float product's last bits independent of how many images there are.
    """
    batches = [indices[start : start + size] for start in range(0, len(indices), size)]
    return [np.pad(batch, (0, size - len(batch)), mode="edge") for batch in batches]


def as_float(images: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1], of any shape."""
    return images.to(torch.float32) / 255.0
