"""What is measured once in the cloud, on images that nothing was trained on: a temperature and a confusion matrix."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax, softmax


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The temperature by which dividing the logits makes the labels likeliest.

    As if there were one more image, which could be of any class: without it the temperature of a few images that are all predicted
    rightly would be as low as allowed, and probabilities would be 0 and 1.

    Args:
        logits: [M, C].
        labels: [M], or attributes, [M, C].

    Returns:
        Between 0.05 and 20. Logits that are twice too large give 2.

    Source:
        Guo et al., arXiv 1706.04599. The additional image is ours.
    """
    rows = np.arange(len(labels))
    unknown = 1 / (len(labels) + 1)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        if labels.ndim == 2:
            there = log_expit(np.where(labels > 0, scaled, -scaled)).mean()
            anything = (log_expit(scaled) + log_expit(-scaled)).mean() / 2
        else:
            log_p = log_softmax(scaled, axis=1)
            there, anything = log_p[rows, labels].mean(), log_p.mean()
        return -float((1 - unknown) * there + unknown * anything)

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def confusion_matrix(
    logits: NDArray[np.floating], labels: NDArray[np.integer], temperature: float
) -> NDArray[np.float64]:
    """The joint distribution of what is predicted and what is true.

    Args:
        logits: [M, C].
        labels: [M].
        temperature: Divides the logits.

    Returns:
        float64 [C, C], entry [i, j] the mean over images of p_i where the label is j; sums to 1.

    Source:
        Lipton et al., arXiv 1802.03916 (BBSE), with soft predictions.
    """
    probabilities = softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    joint = np.zeros((logits.shape[1], logits.shape[1]))
    np.add.at(joint.T, labels, probabilities)
    return joint / len(labels)


def within_class_covariance(features: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """How unit-length features lie around the mean of their class, pooled over classes.

    Args:
        features: [M, D].
        labels: [M].

    Returns:
        float32 [D, D], the mean over images of (z - m)(z - m)' with m the mean z of the image's class.
    """
    z = np.asarray(features, dtype=np.float64)
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    _, group, size = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(size), z.shape[1]))
    np.add.at(means, group, z)
    z -= (means / size[:, None])[group]
    return np.asarray(z.T @ z / len(z), dtype=np.float32)
