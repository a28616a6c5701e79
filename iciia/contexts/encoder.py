"""The transformer layer of ICIIA: post-norm, partitioned projections, attention over a client's images.

Features come first, [D, K, T], and clients first where attention multiplies, [K, D, T].

Source: Yan et al., arXiv 2211.06276.
"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from iciia.contexts.partition import PartitionedLinear

NORM_EPSILON = 1e-5


class EncoderLayer(nn.Module):
    """One post-norm layer with feed-forward width D and ReLU.

    Args:
        features: D.
        heads: H; must divide D.
        partitions: P; must divide D.
        dropout: Dropout after attention and inside and after the feed-forward part.
        shuffle: Whether partitioned projections shuffle their outputs.
        attention: False leaves the feed-forward part alone (the `ff` ablation).

    Raises:
        ValueError: H or P does not divide D.
    """

    def __init__(
        self, features: int, heads: int, partitions: int, dropout: float, shuffle: bool = True, attention: bool = True
    ) -> None:
        super().__init__()
        if features % heads:
            raise ValueError(f"got {heads} heads, which does not divide the feature dimension {features}")
        self.heads = heads
        if attention:
            self.qkv = PartitionedLinear(features, 3 * features, partitions, sections=3, shuffle=shuffle)
            self.out = PartitionedLinear(features, features, partitions, shuffle=shuffle)
            self.norm1 = nn.LayerNorm(features, NORM_EPSILON)
        self.linear1 = PartitionedLinear(features, features, partitions, shuffle=shuffle)
        self.linear2 = PartitionedLinear(features, features, partitions, shuffle=shuffle)
        self.norm2 = nn.LayerNorm(features, NORM_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def project(self, x: Tensor, first: int = 0, last: int = 3) -> tuple[Tensor, ...]:
        """Queries, keys and values (sections 0, 1 and 2), each [K, D, T], of x, [D, K, T]; or only some of them."""
        return self.qkv.columns(x.flatten(1), x.shape[1], first, last).chunk(last - first, dim=1)

    def forward(
        self,
        x: Tensor,
        q: Tensor,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        visible: Tensor,
        watched: list[Tensor] | None = None,
    ) -> Tensor:
        """Calibrates each target by the images it may attend to.

        Args:
            x: Targets, [D, K, T].
            q: Their queries, [K, D, T].
            keys: Keys of everything that some target may attend to, in parts [K, D, S_i]: joining them would cost more than the
                products.
            values: Values, in the same parts.
            visible: Whether target t may attend to image s, bool, broadcasts to [K, T, S], S the sum of the parts' sizes.
            watched: Takes the attention weights, means over heads, [K, T, S].

        Returns:
            [D, K, T].
        """
        query, *rest = (self._heads(part) for part in (q, *keys, *values))
        hidden = ~visible.expand(x.shape[1], x.shape[2], -1).transpose(1, 2).unsqueeze(1)  # [K, 1, S, T]
        scores = torch.cat([k.transpose(1, 2) @ query for k in rest[: len(keys)]], dim=1)  # [K * H, S, T]
        scores = scores.mul_(query.shape[1] ** -0.5).unflatten(0, (-1, self.heads))
        weights = scores.masked_fill_(hidden, float("-inf")).softmax(dim=-2).flatten(0, 1)
        if watched is not None:
            watched.append(weights.unflatten(0, (-1, self.heads)).mean(dim=1).transpose(1, 2))
        parts = zip(rest[len(keys) :], weights.split([v.shape[2] for v in values], dim=1), strict=True)
        attended = functools.reduce(torch.add, [torch.bmm(v, w) for v, w in parts])  # [K * H, D/H, T]
        columns = attended.view(x.shape[1], x.shape[0], -1).transpose(0, 1).reshape(x.shape[0], -1)
        y = self.out.columns(columns).view(x.shape)
        return self.feed_forward(_normalise(x + self.dropout(y), self.norm1))

    def _heads(self, x: Tensor) -> Tensor:
        """[K, D, S] -> [K * H, D/H, S]."""
        return x.reshape(x.shape[0] * self.heads, x.shape[1] // self.heads, x.shape[2])

    def feed_forward(self, x: Tensor) -> Tensor:
        """The feed-forward half of the layer, [D, K, T] -> [D, K, T]."""
        inner = self.dropout(self.linear1.columns(x.flatten(1)).relu_())
        return _normalise(x + self.dropout(self.linear2.columns(inner).view(x.shape)), self.norm2)


def _normalise(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Layer normalisation over the first dimension, in float32 at least."""
    y = x.float()
    y = y - y.mean(dim=0)
    y = y * torch.rsqrt(y.square().mean(dim=0) + norm.eps)
    shape = (-1, *[1] * (x.dim() - 1))
    return (y * norm.weight.view(shape).to(y)).add_(norm.bias.view(shape).to(y)).to(x.dtype)
