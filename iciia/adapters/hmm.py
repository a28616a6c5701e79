"""hmm: a hidden Markov filter over classes: the next image is of the same class, or drawn anew from the client's class prior.

Ours. `em_prior` knows which classes a client meets and forgets which it just met; here a run of one class counts too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, log_scores
from iciia.adapters.em_prior import EmPriorAdapter
from iciia.adapters.source import Source
from iciia.adapters.window import Window
from iciia.overhead import Cost

CHOICES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""What `choose_persistence` chooses from."""


@dataclass(frozen=True)
class Belief:
    """What K clients know.

    Args:
        window: Their latest probabilities.
        classes: a, how likely the latest image is to be of each class, [K, C].
    """

    window: Window
    classes: Tensor


class HmmAdapter(Adapter):
    """a- = rho a + (1 - rho) q with q the EM prior of the window, as in `em_prior`; a = normalise(a- * p / pi). a is emitted and
    starts at pi; p is calibrated.

    Args:
        source: Temperature, source prior and, unless it is given, rho.
        capacity: N.
        persistence: rho, how likely the next image is to be of the same class; None takes the cloud's choice.

    Raises:
        ValueError: A number is out of range, or nothing says what rho is.
    """

    kind = "hmm"

    def __init__(self, source: Source, capacity: int = 64, persistence: float | None = None) -> None:
        chosen = source.persistence if persistence is None else persistence
        if chosen is None:
            raise ValueError("needs a persistence, and the cloud has chosen none")
        if isinstance(chosen, bool) or not isinstance(chosen, int | float) or not 0 <= chosen <= 1:
            raise ValueError(f"got a persistence of {chosen!r}; expected a number from 0 to 1")
        self.source, self.persistence = source, float(chosen)
        self.em = EmPriorAdapter(source, capacity)
        self.capacity: int = capacity

    def start(self, clients: NDArray[np.int64], seed: int) -> Belief:
        return Belief(self.em.start(clients, seed), self.em.prior.float().repeat(len(clients), 1))

    def predict(self, state: Belief, chunk: Chunk) -> tuple[Tensor, Belief]:
        p = self.source.probabilities(chunk.logits)
        q, window = self.em.estimate(state.window, p)
        found = filtered(q, p / self.em.prior, state.classes, self.persistence)
        return log_scores(found), Belief(window, found[:, -1].float())

    def cost(self) -> Cost:
        """em_prior's, 2 C for the mixture and the product, and C numbers more."""
        c, em = self.source.classes, self.em.cost()
        macs = em.macs_per_image + 2 * c
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=em.state_bytes + 4 * c)


def filtered(q: Tensor, ratio: Tensor, start: Tensor, persistence: float) -> Tensor:
    """a at each step, float64 [K, T, C].

    Args:
        q: Class prior at each step, float64 [K, T, C].
        ratio: p / pi, [K, T, C].
        start: a before the first, [K, C].
        persistence: rho.
    """
    found, belief = torch.empty_like(q), start.double()
    for t in range(q.shape[1]):
        belief = (persistence * belief + (1 - persistence) * q[:, t]) * ratio[:, t]
        belief = belief / belief.sum(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        found[:, t] = belief
    return found


def choose_persistence(
    logits: Tensor, labels: Tensor, source: Source, capacity: int = 64, choices: Sequence[float] = CHOICES
) -> float:
    """The rho that gives the labels of validation streams the highest likelihood.

    Args:
        logits: The backbone's, [B, T, C], of B simulated clients.
        labels: [B, T].
        source: Temperature and source prior.
        capacity: N.
        choices: What to choose from.
    """
    em = EmPriorAdapter(source, capacity)
    p = source.probabilities(logits)
    q, _ = em.estimate(em.start(np.arange(len(p)), 0), p)
    start = em.prior.repeat(len(p), 1)

    def likelihood(persistence: float) -> float:
        found = log_scores(filtered(q, p / em.prior, start, persistence))
        return float(found.gather(2, labels.unsqueeze(2)).mean())

    return max(choices, key=likelihood)
