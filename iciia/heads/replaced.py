"""The replaced head, the paper's: a new classifier in place of the backbone's."""

from torch import Tensor, nn


def replace(classifier: nn.Linear, y: Tensor, like: Tensor) -> Tensor:
    """Logits of what the context made of the images.

    Args:
        classifier: D -> C.
        y: [K * T, D].
        like: A tensor of the logits' shape, [K, T, C].

    Returns:
        Logits [K, T, C], float32.
    """
    return classifier(y).float().view(like.shape)
