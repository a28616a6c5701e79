"""A linear probe: a classifier of the data's classes, fitted in the cloud to a frozen backbone's features."""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from iciia.cloud.labels import loss_of
from sim.errors import DataError

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""scikit-learn's C, the inverse of the penalty, from the strongest penalty on for as long as validation images say so."""

ITERATIONS = 300
"""Of L-BFGS at most; the validation images say whether more would have helped."""

Images = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Features [M, D] and labels, [M] or [M, C] of attributes."""

Progress = Callable[[int, int], None]


def fit_probe(
    fitted: Images, validation: Images, classes: int, progress: Progress = lambda done, total: None
) -> nn.Linear:
    """Logistic regression on standardised features, its ridge penalty chosen by the loss of validation images; each attribute by
    itself. Standardising is folded into the weights.

    Args:
        fitted: Images to fit.
        validation: Images to choose the penalty by.
        classes: C.
        progress: Told how many penalties are done.

    Returns:
        A linear layer [C, D]. A class without an image to fit is never the likeliest.

    Raises:
        DataError: All images are of one class.
    """
    features, labels = fitted
    if labels.ndim == 1 and len(np.unique(labels)) < 2:
        raise DataError("backbone.head: a probe needs images of two classes or more, and all are of one")
    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    scaled = (features - mean) / deviation
    best, least = _linear(np.zeros((classes, len(mean))), np.zeros(classes)), np.inf
    for number, strength in enumerate(PENALTIES):
        weight, bias = (
            _of_attributes(scaled, labels, strength)
            if labels.ndim == 2
            else _of_classes(scaled, labels, classes, strength)
        )
        weight = weight / deviation
        probe = _linear(weight, bias - weight @ mean)
        loss = _loss(probe, validation)
        progress(number + 1, len(PENALTIES))
        if number > 0 and not loss < least:  # without validation images the strongest stays
            break
        best, least = probe, loss
    return best


def _of_classes(
    features: NDArray[np.float32], labels: NDArray[np.int64], classes: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight [C, D] and bias [C]."""
    found = _fitted(features, labels, strength)
    weight, bias = found.coef_, found.intercept_
    if len(weight) == 1:  # two classes: the second's logit against the first's
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    whole, offsets = np.zeros((classes, features.shape[1])), np.full(classes, bias.min())
    whole[found.classes_], offsets[found.classes_] = weight, bias
    return whole, offsets


def _of_attributes(
    features: NDArray[np.float32], labels: NDArray[np.int64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight [C, D] and bias [C]; an attribute that all images or none have is told by its share alone."""
    weight, bias = np.zeros((labels.shape[1], features.shape[1])), np.zeros(labels.shape[1])
    for attribute, there in enumerate(labels.T):
        if len(np.unique(there)) == 2:
            found = _fitted(features, there, strength)
            weight[attribute], bias[attribute] = found.coef_[0], found.intercept_[0]
        else:
            bias[attribute] = np.log(len(there) + 1) * (1 if there[0] else -1)
    return weight, bias


def _fitted(features: NDArray[np.float32], labels: NDArray[np.int64], strength: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=ITERATIONS).fit(features, labels)


def _linear(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": torch.from_numpy(weight).float(), "bias": torch.from_numpy(bias).float()})
    return layer


@torch.inference_mode()
def _loss(probe: nn.Linear, images: Images) -> float:
    features, labels = (torch.from_numpy(part) for part in images)
    return float(loss_of(probe(features), labels))
