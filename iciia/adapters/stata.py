"""stata: Gaussians of each class, held to the source the more the fewer images there are, and labels that neighbours share.

Source: Zanella et al., arXiv 2501.03729, CVPR 2025 (StatA). Theirs takes a batch; this one takes, for each image, the images
before it and the image itself, and emits the image's own row. A class that no image of the window is best explained by is
exactly the source's there (beta = 0), so its Gaussian is not estimated: the same numbers for n^2 D instead of n C D in each
step. p is calibrated, where CLIP's is as it comes.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity, log_scores
from iciia.adapters.source import Source
from iciia.adapters.window import Window
from iciia.overhead import Cost

OUTER, INNER = 10, 5
"""Estimates of the Gaussians, and of y with each."""

NEIGHBOURS = 3

TOGETHER = 2**18
"""Numbers of one kind that go through the steps at once: more would not stay in a core's cache."""


@dataclass(frozen=True)
class Problems:
    """Windows of B targets, n images each, the target last.

    Args:
        x: Unit-length features, [B, n, D].
        p: Probabilities, [B, n, C]; 0 where there is no image.
        used: Where there is one, bool [B, n].
    """

    x: Tensor
    p: Tensor
    used: Tensor


class StataAdapter(Adapter):
    """Labels y of all of the last N images and the image itself, and diagonal Gaussians (mu, v) of the classes:

        f_ic = -sum_d (x_id - mu_cd)^2 / (2 v_cd)
        y_i = normalise(p_i exp((f_i + 50 / 6 ((W + W') y)_i) / 50)), five times, with W the cosines to the 3 nearest images
        beta_c = n_c / (n_c + alpha), n_c images whose y is highest at c
        mu_c = unit(beta_c unit(mean of x weighted by y_c) + (1 - beta_c) w_c)
        v_c = beta_c (mean of (x - mu_c)^2 weighted by y_c) + (1 - beta_c) (v_0 + (w_c - mu_c)^2)

    ten times, and y once more; from y = p, mu_c = w_c, the classifier's row of unit length, and v_c = v_0, the mean of (x - w_c)^2
    weighted by p.

    Args:
        source: Temperature and classifier.
        capacity: N.
        anchor: alpha.
        softness: What log-likelihoods are divided by; theirs is 50.

    Raises:
        ValueError: A number is out of range, or the classifier is unknown.
    """

    kind = "stata"

    def __init__(self, source: Source, capacity: int = 64, anchor: float = 1.0, softness: float = 50.0) -> None:
        for name, value in (("an anchor", anchor), ("a softness", softness)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"got {name} of {value!r}; expected a number above 0")
        self.source, self.anchor, self.softness = source, anchor, softness
        self.capacity: int = checked_capacity(capacity)
        self.rows = F.normalize(source.classifier()[0], dim=1)  # w, [C, D]

    def start(self, clients: NDArray[np.int64], seed: int) -> tuple[Window, Window]:
        sizes = self.source.features, self.source.classes
        features, probabilities = (Window.empty(len(clients), self.capacity, size) for size in sizes)
        return features, probabilities

    def predict(self, state: tuple[Window, Window], chunk: Chunk) -> tuple[Tensor, tuple[Window, Window]]:
        clients, targets, classes = chunk.logits.shape
        held = state[0].rows.shape[1]
        bank, features = state[0].join(F.normalize(chunk.features, dim=-1))
        p, probabilities = state[1].join(self.source.probabilities(chunk.logits))
        size = min(self.capacity + 1, held + targets)
        member = held + torch.arange(targets).unsqueeze(1) - torch.arange(size - 1, -1, -1)  # [T, n]
        client = torch.arange(clients).repeat_interleave(targets)
        member = member.repeat(clients, 1)
        together = max(1, TOGETHER // (size * max(classes, self.source.features)))
        found = []
        for k, some in zip(client.split(together), member.split(together), strict=True):
            used, places = some >= 0, some.clamp_min(0)
            x, y = (rows[k.unsqueeze(1), places] * used.unsqueeze(2) for rows in (bank, p))
            found.append(self._solve(Problems(x, y, used))[:, -1])
        return log_scores(torch.cat(found).view(clients, targets, classes)), (features, probabilities)

    def predict_last(self, clients: NDArray[np.int64], seed: int, chunk: Chunk) -> Tensor:
        size = chunk.features.shape[1]
        return self._of_set(chunk.at(np.arange(max(0, size - self.capacity - 1), size)))[:, -1]

    def predict_set(self, clients: NDArray[np.int64], seed: int, chunk: Chunk) -> Tensor:
        if chunk.features.shape[1] > self.capacity + 1:
            return super().predict_set(clients, seed, chunk)
        return self._of_set(chunk)

    def _of_set(self, chunk: Chunk) -> Tensor:
        """Scores [K, n, C] of sets as in the paper: one problem says what every image is, whichever came last."""
        used = torch.ones(chunk.features.shape[:2], dtype=torch.bool)
        p = self.source.probabilities(chunk.logits)
        return log_scores(self._solve(Problems(F.normalize(chunk.features, dim=-1), p, used)))

    def _solve(self, problems: Problems) -> Tensor:
        """y, [B, n, C]."""
        variance, source = self._source(problems)
        links = _links(problems)
        likelihood, y = source, problems.p
        for step in range(OUTER + 1):
            likelihood = likelihood - likelihood.amax(dim=2, keepdim=True)
            pull = problems.p * (likelihood / self.softness).exp_()
            for _ in range(INNER):
                y = pull * torch.bmm(links, y).exp_()
                y /= y.sum(dim=2, keepdim=True).clamp_min_(torch.finfo(torch.float32).tiny)
            if step < OUTER:
                likelihood = self._likelihood(problems, y, variance, source)
        return y

    def _source(self, problems: Problems) -> tuple[Tensor, Tensor]:
        """v_0, [B, D], and log-likelihoods by the source's Gaussians, [B, n, C]."""
        x, p = problems.x, problems.p
        squares = self.rows.square()
        total = x.square() - 2 * x * (p @ self.rows) + p @ squares
        variance = total.sum(dim=1) / problems.used.sum(dim=1, keepdim=True)
        inverse = 1 / variance.clamp_min(torch.finfo(torch.float32).eps)
        lengths = (x.square() @ inverse.unsqueeze(2)) + (inverse @ squares.t()).unsqueeze(1)
        return variance, (x * inverse.unsqueeze(1)) @ self.rows.t() - lengths / 2

    def _likelihood(self, problems: Problems, y: Tensor, variance: Tensor, source: Tensor) -> Tensor:
        """Log-likelihoods, [B, n, C]: of each class that is the best of an image anew, at that image's place."""
        x, used = problems.x, problems.used
        best = y.argmax(dim=2)  # [B, n]
        best = torch.where(used, best, best[:, -1:])
        share = y.gather(
            2, best.unsqueeze(1).expand(-1, y.shape[1], -1)
        )  # y of each image at each place's class, [B, n, n]
        share = (share / share.sum(dim=1, keepdim=True)).transpose(1, 2)
        count = ((best.unsqueeze(2) == best.unsqueeze(1)) & used.unsqueeze(1)).sum(dim=2)
        beta = (count / (count + self.anchor)).unsqueeze(2)
        row, mean = self.rows[best], share @ x
        mu = F.normalize(beta * F.normalize(mean, dim=2) + (1 - beta) * row, dim=2)
        spread = share @ x.square() - 2 * mu * mean + mu.square()
        v = beta * spread + (1 - beta) * (variance.unsqueeze(1) + (row - mu).square())
        inverse = 1 / v.clamp_min(torch.finfo(torch.float32).eps)
        lengths = x.square() @ inverse.transpose(1, 2) + (mu.square() * inverse).sum(dim=2).unsqueeze(1)
        found = x @ (mu * inverse).transpose(1, 2) - lengths / 2  # [B, n, n]
        return source.scatter(2, best.unsqueeze(1).expand_as(found), found)

    def cost(self) -> Cost:
        """With n = N + 1 images and at most m = min(n, C) classes among them: 2 n C D for the source's Gaussians, n^2 D for
        neighbours, 4 n m D for the others in each of 10 steps, and 6 n C for the neighbours' y in each of 55."""
        n, d, c = self.capacity + 1, self.source.features, self.source.classes
        links = 2 * min(NEIGHBOURS, self.capacity) * n
        macs = 2 * n * c * d + n * n * d + OUTER * 4 * n * min(n, c) * d + (OUTER + 1) * INNER * links * c
        state_bytes = 4 * self.capacity * (d + c)
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=state_bytes, parameters=c * d)


def _links(problems: Problems) -> Tensor:
    """(W + W') / 6, [B, n, n]."""
    x, used = problems.x, problems.used
    size = x.shape[1]
    cosine = x @ x.transpose(1, 2)
    other = (used.unsqueeze(1) & used.unsqueeze(2)) & ~torch.eye(size, dtype=torch.bool)
    nearest = cosine.masked_fill(~other, float("-inf")).topk(min(NEIGHBOURS, size - 1), dim=2)
    values = nearest.values.masked_fill(nearest.values.isinf(), 0.0)
    weights = torch.zeros_like(cosine).scatter(2, nearest.indices, values)
    return (weights + weights.transpose(1, 2)) / (2 * NEIGHBOURS)
