"""scikit-learn's 1,797 real handwritten digits, 8 x 8 pixels."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

from sim.data.base import Classes, Images, split_by_class

TEST_SHARE = 0.4


@dataclass(frozen=True)
class DigitImages:
    """Some of the digits, uint8 [M, 8, 8]."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    channels: int = 1

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.pixels[indices][:, None])


def open_digits(seed: int) -> Images:
    """The digits, four in ten of every class for the clients; `seed` says which."""
    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)
    labels = data.target.astype(np.int64)
    train, test = split_by_class(labels, [1 - TEST_SHARE, TEST_SHARE], seed, "digits")
    return Images(
        key={"kind": "digits", "seed": seed, "test_share": TEST_SHARE},
        classes=Classes([str(digit) for digit in range(10)]),
        train=DigitImages(pixels[train], labels[train]),
        test=DigitImages(pixels[test], labels[test]),
    )
