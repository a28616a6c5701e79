"""From an adapter's scores to what reports count: the prediction, its confidence, the label's likelihood."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from iciia.adapters import Gives

Scored = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]


def score(scores: torch.Tensor, labels: torch.Tensor, gives: Gives = "probabilities") -> Scored:
    """Scores predictions.

    Args:
        scores: What an adapter gave, [K, T, C].
        labels: Class of each image, int64 [K, T]; or for each attribute whether it is there, 0 or 1, int64 [K, T, C].
        gives: What the scores are.

    Returns:
        The prediction, like the labels; the probability that the adapter gave it, likewise; the labels' negative
        log-likelihood in nats, a mean over attributes, [K, T]; and how many classes are ranked before the label, [K, T]. What the
        scores do not tell is NaN; of ranks, and for attributes, -1.

    Raises:
        ValueError: Scores are not numbers.
    """
    with torch.inference_mode():
        if labels.ndim == scores.ndim:
            probability = torch.sigmoid(scores)
            prediction, confidence = scores > 0, torch.maximum(probability, 1 - probability)
            loss = F.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype), reduction="none").mean(dim=-1)
            rank = torch.full_like(loss, -1, dtype=torch.int32)
        else:
            best, prediction = scores.max(dim=-1)
            normaliser = torch.logsumexp(scores, dim=-1)
            confidence = torch.exp(best - normaliser)
            of_label = scores.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
            loss = normaliser - of_label
            rank = (scores > of_label.unsqueeze(-1)).sum(dim=-1, dtype=torch.int32)
            rank = torch.maximum(rank, (prediction != labels).to(torch.int32))  # of equal scores one is predicted
        if confidence.isnan().any():
            raise ValueError("scores that are not numbers")
        if gives != "probabilities":
            confidence, loss = torch.full_like(confidence, float("nan")), torch.full_like(loss, float("nan"))
        if gives == "label":
            rank = torch.full_like(rank, -1)
        return prediction.to(torch.int32).numpy(), confidence.numpy(), loss.numpy(), rank.numpy()
