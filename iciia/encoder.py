"""The transformer layer of ICIIA: post-norm, partitioned projections, attention over a client's images.

Source: Yan et al., arXiv 2211.06276. In the stream context a layer's keys and values are computed once, when an
image arrives, and kept in the bank; the authors recompute them for every target.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from iciia.partition import PartitionedLinear


class EncoderLayer(nn.Module):
    """One post-norm layer with feed-forward width D and ReLU.

    Args:
        features: D.
        heads: H; must divide D.
        partitions: P; must divide D.
        dropout: Dropout after attention and inside and after the feed-forward part.

    Raises:
        ValueError: H or P does not divide D.
    """

    def __init__(self, features: int, heads: int, partitions: int, dropout: float) -> None:
        super().__init__()
        if features % heads:
            raise ValueError(f"got {heads} heads, which does not divide the feature dimension {features}")
        self.heads = heads
        self.qkv = PartitionedLinear(features, 3 * features, partitions)
        self.out = PartitionedLinear(features, features, partitions)
        self.linear1 = PartitionedLinear(features, features, partitions)
        self.linear2 = PartitionedLinear(features, features, partitions)
        self.norm1 = nn.LayerNorm(features)
        self.norm2 = nn.LayerNorm(features)
        self.dropout = nn.Dropout(dropout)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [K, T, D], of x, [K, T, D]."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return q, k, v

    def forward(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, visible: Tensor) -> Tensor:
        """Calibrates each target by the images it may attend to.

        Args:
            x: Targets, [K, T, D].
            q: Their queries, [K, T, D].
            k: Keys of everything that some target may attend to, [K, S, D].
            v: Values, [K, S, D].
            visible: Whether target t may attend to image s, bool, broadcasts to [K, T, S].

        Returns:
            [K, T, D].
        """
        attended = F.scaled_dot_product_attention(
            self._split(q), self._split(k), self._split(v), attn_mask=visible.unsqueeze(-3)
        )
        x = self.norm1(x + self.dropout(self.out(attended.transpose(1, 2).flatten(-2))))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [K, H, ., D/H]
