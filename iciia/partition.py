"""Partitioned linear projection with feature shuffle, the cheap replacement for a dense linear layer.

Source: Yan et al., arXiv 2211.06276, section 3. The bias is added after the shuffle, as the authors' code does; the paper
does not say.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def feature_shuffle(x: Tensor, num_partitions: int) -> Tensor:
    """Interleave features so that neighbours come from different partitions.

    With D=6 and P=2, [a0 a1 a2 b0 b1 b2] becomes [a0 b0 a1 b1 a2 b2].

    Args:
        x: Features, [..., D], partitions contiguous.
        num_partitions: P; must divide D.

    Returns:
        [..., D], same dtype and device.

    Raises:
        ValueError: P does not divide D; the message names both.
    """
    check_partitions(x.shape[-1], num_partitions)
    return x.unflatten(-1, (num_partitions, -1)).transpose(-1, -2).flatten(-2)


def check_partitions(features: int, partitions: int) -> None:
    """Refuses a number of partitions that does not divide the features.

    Raises:
        ValueError: The message names the nearest numbers that do divide.
    """
    if partitions < 1 or features % partitions:
        divisors = [n for n in range(1, features + 1) if features % n == 0]
        near = sorted(sorted(divisors, key=lambda n: abs(n - partitions))[:3])
        raise ValueError(
            f"got {partitions} partitions, which does not divide the feature dimension {features}; "
            f"{', '.join(map(str, near))} do"
        )


class PartitionedLinear(nn.Module):
    """P independent linear blocks whose outputs are shuffled: D_in * D_out / P multiply-adds.

    Block p reads features [p * D_in/P, (p+1) * D_in/P); its output j lands at index j * P + p. With P=1 this is
    `nn.Linear`. With D_in=1280, D_out=3840 and P=256 one vector costs 19,200 multiply-adds instead of 4,915,200.

    Args:
        in_features: D_in.
        out_features: D_out.
        partitions: P; must divide both.

    Raises:
        ValueError: P does not divide both.
    """

    def __init__(self, in_features: int, out_features: int, partitions: int = 1) -> None:
        super().__init__()
        check_partitions(in_features, partitions)
        check_partitions(out_features, partitions)
        self.partitions = partitions
        self.weight = nn.Parameter(torch.empty(partitions, out_features // partitions, in_features // partitions))
        self.bias = nn.Parameter(torch.zeros(out_features))
        # Xavier over each block, as for a dense layer of the block's size
        bound = math.sqrt(6.0 / (self.weight.shape[1] + self.weight.shape[2]))
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D_in] -> [..., D_out]."""
        if self.partitions == 1:
            return F.linear(x, self.weight[0], self.bias)
        blocks = x.reshape(-1, self.partitions, self.weight.shape[2]).transpose(0, 1)  # [P, B, D_in/P]
        y = torch.bmm(blocks, self.weight.transpose(1, 2))  # [P, B, D_out/P]
        shuffled = y.permute(1, 2, 0).reshape(*x.shape[:-1], -1)  # [..., D_out], index j * P + p
        return shuffled + self.bias
