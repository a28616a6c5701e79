"""Weights in int8: a scale for each row of a matrix or channel of a convolution, computed with in float32."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from iciia.banks.storage import STORAGES

WEIGHTS = ("float32", "int8")

SMALLEST = 10_000
"""Weights of fewer numbers stay as they are: ONNX's exporter would turn them into float32 again. What has no rows stays too:
biases, normalisation, the numbers of a mixture."""


class _Rows(nn.Module):
    """Weights as int8 with scales, in place of float32. Not for training: rounding has no gradient."""

    def forward(self, values: Tensor, scale: Tensor) -> Tensor:
        return values.to(torch.float32) * scale

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        axes = tuple(range(1, weight.ndim)) if weight.ndim > 3 else (-1,)
        scale = weight.abs().amax(axes, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / 127
        return (weight / scale).round().to(STORAGES["int8"]), scale


def to_int8(module: nn.Module) -> int:
    """Keeps a module's weights in int8, symmetric, rounded to the nearest. In place; it computes with the rounded ones from now on.

    With rows of largest magnitude m, a weight is off by m / 254 at most.

    Returns:
        How many of its weights, matrices and kernels, are in int8 now.
    """
    found = 0
    for part in list(module.modules()):
        for name, weight in list(part.named_parameters(recurse=False)):
            if weight.ndim > 1 and weight.numel() >= SMALLEST:
                weight.requires_grad_(False)
                parametrize.register_parametrization(part, name, _Rows(), unsafe=True)
                found += 1
    return found
