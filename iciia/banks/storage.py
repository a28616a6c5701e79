"""How a bank keeps its numbers: as they are, rounded to 16 bits, or as bytes with a scale for each vector.

int8 keeps round(127 x / m) of a vector x whose largest absolute value is m, and m / 127 beside it in float32: the error of a number
is at most m / 254.
"""

import torch
from torch import Tensor

STORAGES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int8": torch.int8,
}

SCALE_BYTES = 4
"""Bytes of a vector's scale."""


def has_scale(storage: torch.dtype) -> bool:
    """Whether the storage keeps a scale for each vector."""
    return not storage.is_floating_point


def vector_bytes(features: int, storage: torch.dtype) -> int:
    """Bytes of one stored vector of D numbers. D=512: 2,048 in float32, 516 in int8."""
    return features * storage.itemsize + (SCALE_BYTES if has_scale(storage) else 0)


def encode(x: Tensor, storage: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """What is stored of vectors.

    Args:
        x: [..., D, S], S vectors in columns.
        storage: One of `STORAGES`.

    Returns:
        Numbers [..., D, S] of the storage's dtype, and scales [..., S] or None.
    """
    if not has_scale(storage):
        return x.to(storage), None
    y = x.float()
    scale = y.abs().amax(dim=-2) / 127
    # a vector of zeros has scale 0 and stays zero
    inverse = torch.where(scale > 0, 1 / scale, torch.zeros_like(scale))
    return (y * inverse.unsqueeze(-2)).round().to(storage), scale


def decode(numbers: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """What stored vectors are worth: [..., D, S] of the given dtype."""
    if scale is None:
        return numbers.to(dtype)
    return (numbers.to(torch.float32) * scale.unsqueeze(-2)).to(dtype)
