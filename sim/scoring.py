"""From an adapter's scores to what reports count: the prediction, its confidence, the label's likelihood."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Scored = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]


def score(scores: torch.Tensor, labels: torch.Tensor) -> Scored:
    """Scores predictions.

    Args:
        scores: What an adapter gave, [K, T, C].
        labels: Class of each image, int64 [K, T]; or for each attribute whether it is there, 0 or 1, int64 [K, T, C].

    Returns:
        The prediction, like the labels; the probability that the adapter gave it, likewise; and the labels' negative
        log-likelihood in nats, a mean over attributes, [K, T].

    Raises:
        ValueError: Scores are not numbers.
    """
    with torch.inference_mode():
        if labels.ndim == scores.ndim:
            probability = torch.sigmoid(scores)
            prediction, confidence = scores > 0, torch.maximum(probability, 1 - probability)
            loss = F.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype), reduction="none").mean(dim=-1)
        else:
            best, prediction = scores.max(dim=-1)
            normaliser = torch.logsumexp(scores, dim=-1)
            confidence = torch.exp(best - normaliser)
            loss = normaliser - scores.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        if confidence.isnan().any():
            raise ValueError("scores that are not numbers")
        return prediction.to(torch.int32).numpy(), confidence.numpy(), loss.numpy()
