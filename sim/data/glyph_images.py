"""`glyphs` as train and test images: as many of each class as wanted, every one drawn from its number."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.data.base import Classes, Images
from sim.data.glyphs import digest, draw, load


@dataclass(frozen=True)
class GlyphImages:
    """A range of numbered glyph images, `per_class` of each class, class by class.

    Args:
        classes: C.
        per_class: Images of each class.
        first: Number of the first image; two ranges that do not meet share no image.
        seed: Seed of faces, jitter, blur and noise.
    """

    classes: int
    per_class: int
    first: int
    seed: int
    channels: int = 1

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(self.classes), self.per_class)

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(draw(self.labels[indices], self.first + indices, self.seed)[:, None])


def open_glyphs(train_images: int, test_images: int, seed: int) -> Images:
    """The glyphs; train and test images are different draws.

    Args:
        train_images: Images of each class for the cloud.
        test_images: Images of each class for the clients.
        seed: Seed of all draws.
    """
    sheet = load()
    count = len(sheet.characters)
    names = [f"{character} {name}" for character, name in zip(sheet.characters, sheet.names, strict=True)]
    return Images(
        key={"kind": "glyphs", "sheet": digest(), "train": train_images, "test": test_images, "seed": seed},
        classes=Classes(names, sheet.superclass.astype(np.int64), [str(name) for name in sheet.superclass_names]),
        train=GlyphImages(count, train_images, 0, seed),
        test=GlyphImages(count, test_images, 2**31, seed),
    )
