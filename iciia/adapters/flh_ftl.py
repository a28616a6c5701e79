"""flh_ftl: BBSE with as long a history as has paid: experts that began at different times, weighed by how well they foretold.

Source: Baby et al., arXiv 2305.19570 (following the leading history, with follow the leader as experts). As everywhere here the
image itself counts: an expert is judged before it sees the image and asked after. Their number is a setting; which to
give up is ours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.bbse import bbse_solution, weighted_scores
from iciia.adapters.source import Source
from iciia.overhead import Cost


@dataclass(frozen=True)
class Experts:
    """The experts of K clients that have all seen the same number of images, the eldest first.

    Args:
        means: What each says, [K, k, C].
        weights: How far it is believed, [K, k].
        ages: Images that each has seen.
        seen: Images that the clients have seen.
    """

    means: Tensor
    weights: Tensor
    ages: tuple[int, ...]
    seen: int


class FlhFtlAdapter(Adapter):
    """With s the class prior that BBSE solves from p of the image alone: each expert's weight v_k *= exp(-|e_k - s|^2 / C), its
    e_k becomes the mean of the s since it began, and a newcomer, e = s, gets 1 / (t + 1) of the weight. Scores are (q / pi) p
    with q = sum v_k e_k, clipped at 0, as in `bbse`. p is calibrated.

    When there is one expert too many, the one goes whose absence leaves the smallest gap in the ages, as a ratio; never the
    eldest or the youngest. So ages stay spread from one image to the whole stream, and some ten of them are enough for any
    stream. With one expert it is `fth`, and `bbse` with a window that never ends.

    Args:
        source: Temperature, source prior and confusion matrix.
        experts: The most there are.

    Raises:
        ValueError: `experts` is not a positive integer.
    """

    kind = "flh_ftl"

    def __init__(self, source: Source, experts: int = 12) -> None:
        if isinstance(experts, bool) or not isinstance(experts, int) or experts < 1:
            raise ValueError(f"got {experts!r} experts; expected an integer of 1 or more")
        self.source, self.experts = source, experts
        self.prior = torch.from_numpy(np.array(source.prior))
        self.solution = bbse_solution(source)

    def start(self, clients: NDArray[np.int64], seed: int) -> Experts:
        nobody = torch.zeros(len(clients), 0)
        return Experts(torch.zeros(len(clients), 0, self.source.classes), nobody, (), 0)

    def predict(self, state: Experts, chunk: Chunk) -> tuple[Tensor, Experts]:
        p = self.source.probabilities(chunk.logits)
        alone = (p.double() @ self.solution.t() * self.prior).float()  # s of each image, [K, T, C]
        found = torch.empty_like(p)
        for t in range(p.shape[1]):
            state = self._see(state, alone[:, t])
            found[:, t] = torch.bmm(state.weights.unsqueeze(1), state.means).squeeze(1)
        return weighted_scores(found / self.prior, p), state

    def _see(self, state: Experts, alone: Tensor) -> Experts:
        """The experts after an image."""
        seen = state.seen + 1
        off = (state.means - alone.unsqueeze(1)).square().sum(dim=2) / self.source.classes
        weights = torch.softmax(state.weights.log() - off, dim=1)
        ages = torch.tensor(state.ages, dtype=torch.float32) + 1
        means = state.means + (alone.unsqueeze(1) - state.means) / ages.view(1, -1, 1)
        if state.ages and self.experts == 1:
            return Experts(means, weights, (seen,), seen)
        newcomer = torch.full_like(alone[:, :1], 1 / seen)
        weights = torch.cat([weights * (1 - 1 / seen), newcomer], dim=1)
        means = torch.cat([means, alone.unsqueeze(1)], dim=1)
        kept = _spread([*(age + 1 for age in state.ages), 1], self.experts)
        weights = weights[:, [place for place, _ in kept]]
        weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        return Experts(means[:, [place for place, _ in kept]], weights, tuple(age for _, age in kept), seen)

    def cost(self) -> Cost:
        """C^2 for s, C for the product with p; for each of E experts C to judge it, C to move it and C to ask it."""
        c, e = self.source.classes, self.experts
        macs = c * c + 3 * e * c + c
        state_bytes = 4 * e * (c + 1)
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=state_bytes, parameters=self.solution.numel())


def _spread(ages: list[int], most: int) -> list[tuple[int, int]]:
    """Places and ages of the experts that stay, of ages that fall."""
    places = [*enumerate(ages)]
    if len(places) > most:
        gaps = [places[i - 1][1] / places[i + 1][1] for i in range(1, len(places) - 1)]
        del places[1 + int(np.argmin(gaps))]
    return places
