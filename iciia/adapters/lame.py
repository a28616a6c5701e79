"""LAME: predictions of a window that agree with the backbone and with their neighbours' predictions.

Source: Boudiaf et al., arXiv 2201.05718. Theirs takes a batch of a stream; this one takes, for each image, the images before it and
the image itself, and emits the image's own row.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity, log_scores
from iciia.adapters.source import Source
from iciia.adapters.window import Window
from iciia.overhead import Cost

MOST_IMAGES = 64
MOST_ITERATIONS = 100
SMALLEST_MOVE = 1e-8
NEIGHBOUR = 5


class LameAdapter(Adapter):
    """Minimises sum_i Y_i.log(Y_i / p_i) - lambda sum_ij w_ij Y_i.Y_j over the last N images and the image itself, by
    Y_i <- softmax(log p_i + lambda sum_j w_ij Y_j) from Y = p, until the sum moves by 1e-8 of itself or less, or 100 times.

    w_ij = exp(-d_ij^2 / 2 sigma^2) with d the distance of unit-length features and sigma its mean to the 5th neighbour, the image
    itself counted. float64 throughout, so that every problem stops at the same iteration however many are solved together.

    Args:
        source: D and C.
        capacity: N, at most 64: all pairs are computed anew for each image.
        affinity: lambda. 0 gives the backbone.

    Raises:
        ValueError: A number is out of range.
    """

    kind = "lame"

    def __init__(self, source: Source, capacity: int = 64, affinity: float = 1.0) -> None:
        self.source = source
        self.capacity: int = checked_capacity(capacity)
        self.affinity = affinity
        if capacity > MOST_IMAGES:
            raise ValueError(
                f"got a capacity of {capacity}: LAME multiplies all pairs of its bank for each image, up to "
                f"{MOST_ITERATIONS * (capacity + 1) ** 2:,} multiply-adds for each class; {MOST_IMAGES} or less"
            )
        if not affinity >= 0:
            raise ValueError(f"got an affinity of {affinity!r}; expected 0 or more")

    def start(self, clients: NDArray[np.int64], seed: int) -> tuple[Window, Window]:
        sizes = self.source.features, self.source.classes
        features, probabilities = (Window.empty(len(clients), self.capacity, size) for size in sizes)
        return features, probabilities

    def predict(self, state: tuple[Window, Window], chunk: Chunk) -> tuple[Tensor, tuple[Window, Window]]:
        clients, targets = chunk.features.shape[:2]
        held = state[0].rows.shape[1]
        bank, features = state[0].join(F.normalize(chunk.features, dim=-1))
        p, probabilities = state[1].join(torch.softmax(chunk.logits, dim=-1))
        # the images of each target's window, the target last; what lies before the stream is left out
        size = min(self.capacity + 1, held + targets)
        member = held + torch.arange(targets).unsqueeze(1) - torch.arange(size - 1, -1, -1)  # [T, n]
        used, member = member >= 0, member.clamp_min(0)
        found = torch.stack([self._solve(bank[k].double(), p[k].double(), member, used) for k in range(clients)])
        return log_scores(found), (features, probabilities)

    def predict_last(self, clients: NDArray[np.int64], seed: int, chunk: Chunk) -> Tensor:
        size = chunk.features.shape[1]
        member = torch.arange(max(0, size - self.capacity - 1), size).unsqueeze(0)
        bank, p = F.normalize(chunk.features, dim=-1).double(), torch.softmax(chunk.logits, dim=-1).double()
        used = torch.ones_like(member, dtype=torch.bool)
        return log_scores(torch.cat([self._solve(*one, member, used) for one in zip(bank, p, strict=True)]))

    def _solve(self, bank: Tensor, p: Tensor, member: Tensor, used: Tensor) -> Tensor:
        """Each target's row of Y, float64 [T, C], for one client's images, [S, D] and [S, C]."""
        weights = self.affinity * _affinities(bank, member, used)  # [T, n, n]
        p = p[member] * used.unsqueeze(2)  # [T, n, C]
        found = p[:, -1].clone()
        going = torch.arange(len(member))
        pull = weights @ p  # lambda sum_j w_ij Y_j
        energy = -(p * pull).sum(dim=(1, 2))
        for _ in range(MOST_ITERATIONS):
            highest = pull.amax(dim=2, keepdim=True)
            y = torch.sub(pull, highest).exp_().mul_(p)
            total = y.sum(dim=2, keepdim=True).clamp_min_(torch.finfo(torch.float64).tiny)
            y /= total
            found[going] = y[:, -1]
            after = weights @ y
            # log Y_i / p_i is the pull on i without its normaliser
            normaliser = (total.log_() + highest).squeeze(2) * used[going]
            moved = (y * pull.sub_(after)).sum(dim=(1, 2)) - normaliser.sum(dim=1)
            stay = (moved - energy).abs() > SMALLEST_MOVE * energy.abs()
            if not stay.any():
                break
            if not stay.all():
                going, weights, p, after, moved = (x[stay] for x in (going, weights, p, after, moved))
            pull, energy = after, moved
        return found

    def cost(self) -> Cost:
        """At most: (N + 1)^2 D for the distances, and (N + 1)^2 C in each of 100 iterations."""
        n, d, c = self.capacity + 1, self.source.features, self.source.classes
        macs = n * n * d + MOST_ITERATIONS * n * n * c
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=4 * self.capacity * (d + c))


def _affinities(bank: Tensor, member: Tensor, used: Tensor) -> Tensor:
    """w of each window, [T, n, n]; 0 where there is no image."""
    squared = (2.0 - 2.0 * bank @ bank.t()).clamp_min(0.0).fill_diagonal_(0.0)
    squared = squared[member.unsqueeze(2), member.unsqueeze(1)]  # [T, n, n]
    pair = used.unsqueeze(2) & used.unsqueeze(1)
    ordered = squared.sqrt().masked_fill(~pair, float("inf")).sort(dim=2).values
    count = used.sum(dim=1)
    place = count.clamp_max(NEIGHBOUR) - 1
    distance = ordered.gather(2, place.view(-1, 1, 1).expand(-1, ordered.shape[1], 1)).squeeze(2)
    sigma = distance.masked_fill(~used, 0.0).sum(dim=1) / count
    width = (2.0 * sigma.square()).clamp_min(torch.finfo(torch.float64).tiny)
    return torch.exp(-squared / width.view(-1, 1, 1)) * pair
