"""The published way of working, to measure against: the whole set is computed anew for every image, and partitioned products are
broadcast multiplications and sums. Correct, and never used for a result.

Source: Yan et al., arXiv 2211.06276; the way of working is read from the authors' code.
"""

import torch
from torch import Tensor

from iciia.contexts.encoder import EncoderLayer
from iciia.contexts.iciia import ICIIA
from iciia.contexts.partition import PartitionedLinear, feature_shuffle


@torch.inference_mode()
def predict_set(module: ICIIA, features: Tensor) -> Tensor:
    """Logits of every image of one set.

    Args:
        module: Set context, replaced head, shuffled.
        features: [n, D].

    Returns:
        [n, C].
    """
    x = features
    for layer in module.layers:
        assert isinstance(layer, EncoderLayer)
        q, k, v = (
            part.unflatten(-1, (layer.heads, -1)).transpose(0, 1) for part in _project(layer.qkv, x).chunk(3, -1)
        )
        weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, dim=-1)
        x = layer.norm1(x + _project(layer.out, (weights @ v).transpose(0, 1).flatten(1)))
        x = layer.norm2(x + _project(layer.linear2, torch.relu(_project(layer.linear1, x))))
    return module.classifier(torch.relu(x))


def _project(linear: PartitionedLinear, x: Tensor) -> Tensor:
    if linear.partitions == 1:
        return torch.nn.functional.linear(x, linear.weight[0], linear.bias)
    blocks = x.unflatten(-1, (linear.partitions, 1, -1))  # [n, P, 1, D/P]
    y = (blocks * linear.weight).sum(dim=-1)  # [n, P, D_out/P]
    return feature_shuffle(y.flatten(1), linear.partitions) + linear.bias
