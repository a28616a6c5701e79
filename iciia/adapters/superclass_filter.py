"""superclass_filter: a hidden Markov filter over the cloud's superclasses. The plainest use of a class list.

Ours. It knows which superclass each class is of, and that a client meets classes of one superclass at a time. What it gains where
that holds, and loses where it does not, is what a learned context is to be measured against.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.bbse import weighted_scores
from iciia.adapters.source import Source
from iciia.overhead import Cost


class SuperclassFilterAdapter(Adapter):
    """b-(s) = (1 - h) b(s) + h / S; score(c) = p(c) / pi_c * b-(s) / |s| with s the superclass of c; then
    b(s) = normalise(b-(s) * sum over c in s of p(c) / (pi_c |s|)). b starts at 1 / S, and p is calibrated.
    Where no superclass is possible, the score is p itself and b stays. An alarm says that another superclass is believed most.

    With h = 0 and one superclass it is the backbone, calibrated, with a uniform prior.

    Args:
        source: Temperature, source prior and superclasses.
        hazard: h, how likely the client is to change its superclass from one image to the next.

    Raises:
        ValueError: The hazard is no share, or classes are not grouped.
    """

    kind = "superclass_filter"
    knows = "superclasses"

    def __init__(self, source: Source, hazard: float = 0.01) -> None:
        if isinstance(hazard, bool) or not isinstance(hazard, int | float) or not 0 <= hazard <= 1:
            raise ValueError(f"got a hazard of {hazard!r}; expected a number from 0 to 1")
        if source.superclass is None:
            raise ValueError("needs the superclass of each class, and classes are not grouped")
        self.source, self.hazard = source, hazard
        self.prior = torch.from_numpy(np.array(source.prior, dtype=np.float32))
        group, size = np.unique(source.superclass, return_inverse=True, return_counts=True)[1:]
        self.group, self.size = torch.from_numpy(group), torch.from_numpy(size)

    def start(self, clients: NDArray[np.int64], seed: int) -> Tensor:
        return torch.full((len(clients), len(self.size)), 1 / len(self.size))

    def predict(self, state: Tensor, chunk: Chunk) -> tuple[Tensor, Tensor]:
        p = self.source.probabilities(chunk.logits)
        ratio = p / self.prior / self.size[self.group]
        likelihood = p.new_zeros(*ratio.shape[:2], len(self.size)).index_add_(2, self.group, ratio)
        expected, found = torch.empty_like(likelihood), [state]  # b- at each step; b before and after each
        for t, of_image in enumerate(likelihood.unbind(dim=1)):
            expected[:, t] = (1 - self.hazard) * found[-1] + self.hazard / len(self.size)
            after = expected[:, t] * of_image
            total = after.sum(dim=1, keepdim=True)
            found.append(torch.where(total > 0, after / total, expected[:, t]))
        self.alarms = _changes(torch.stack(found, dim=1))
        weights = expected.double()[..., self.group] / self.prior / self.size[self.group]
        return weighted_scores(weights, p), found[-1]

    def cost(self) -> Cost:
        """2 C for the scores, 2 S for the filter. S numbers are kept."""
        macs = 2 * self.source.classes + 2 * len(self.size)
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=4 * len(self.size))


def _changes(beliefs: Tensor) -> NDArray[np.bool_]:
    """Whether each b, [K, 1 + T, S], has its highest elsewhere than the one before, bool [K, T]; not where all were as high."""
    best = beliefs.argmax(dim=2)
    even = beliefs.amax(dim=2) == beliefs.amin(dim=2)
    return np.asarray(((best[:, 1:] != best[:, :-1]) & ~even[:, :-1]).numpy())
