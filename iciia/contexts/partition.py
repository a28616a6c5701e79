"""Partitioned linear projection with feature shuffle, the cheap replacement for a dense linear layer.

Inside this package features come first: a batch of B vectors is [D, B]. Then a partition is a block of whole rows, block products
read and write their data where it lies, and the shuffle moves whole rows. With P=256 the arithmetic is so little that
moving single numbers between layouts would cost more than computing.

Source: Yan et al., arXiv 2211.06276, section 3. The bias is added after the shuffle, as the authors' code does; the paper
does not say.
"""

import math

import torch
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
        partitions: P; must divide D_in and D_out / sections.
        sections: How many vectors the output holds one after the other (3 for queries, keys and values).
        shuffle: False concatenates the blocks' outputs instead, section by section (an ablation).

    Raises:
        ValueError: P does not divide them.
    """

    def __init__(
        self, in_features: int, out_features: int, partitions: int = 1, sections: int = 1, shuffle: bool = True
    ) -> None:
        super().__init__()
        check_partitions(in_features, partitions)
        check_partitions(out_features // sections, partitions)
        self.partitions = partitions
        self.sections = sections
        self.shuffle = shuffle
        self.weight = nn.Parameter(torch.empty(partitions, out_features // partitions, in_features // partitions))
        self.bias = nn.Parameter(torch.zeros(out_features))
        # Xavier over each block, as for a dense layer of the block's size
        bound = math.sqrt(6.0 / (self.weight.shape[1] + self.weight.shape[2]))
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D_in] -> [..., D_out]."""
        flat = x.reshape(-1, x.shape[-1])
        return self.columns(flat.t().contiguous()).t().reshape(*x.shape[:-1], -1)

    def columns(self, x: Tensor, clients: int | None = None, first: int = 0, last: int | None = None) -> Tensor:
        """Projects vectors that lie in columns.

        Args:
            x: [D_in, B], contiguous.
            clients: K, if the columns are K clients' one after the other and the output should have clients first; the
                shuffle then puts them there in the same copy.
            first: First section of the output that is wanted.
            last: One past the last; None for all from `first`.

        Returns:
            [R, B], or [K, R, B/K]; R = (last - first) * D_out / sections.
        """
        last = self.sections if last is None else last
        partitions, rows, _ = self.weight.shape
        width = rows // self.sections
        weight = self.weight[:, first * width : last * width]
        bias = self.bias[first * width * partitions : last * width * partitions]
        # bring the bias where each output comes from: [P, sections, D_out / sections / P]
        if self.shuffle:
            start = bias.view(last - first, width, partitions).permute(2, 0, 1)
        else:
            start = bias.view(last - first, partitions, width).transpose(0, 1)
        blocks = x.view(partitions, -1, x.shape[1])
        y = torch.baddbmm(start.reshape(partitions, -1, 1), weight, blocks)
        y = y.view(partitions, last - first, width, clients or 1, -1)
        order = (3, 1, 2, 0, 4) if self.shuffle else (3, 1, 0, 2, 4)
        shape = (-1, x.shape[1]) if clients is None else (clients, -1, x.shape[1] // clients)
        return y.permute(order).reshape(shape)
