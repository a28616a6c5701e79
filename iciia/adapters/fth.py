"""fth: BBSE that follows the whole history: the class weights solved from all that the client has seen.

Source: Wu et al., arXiv 2107.04520 (follow the history). Theirs solves from hard predictions of single images; BBSE here, as
everywhere in this package, from soft ones.
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
class History:
    """What K clients that have all seen the same number of images predict on average.

    Args:
        mean: Mean probabilities, [K, C].
        seen: Images.
    """

    mean: Tensor
    seen: int


class FthAdapter(Adapter):
    """The mean of all BBSE estimates so far, the image's own included, clipped at 0 and times p. As BBSE is linear, that is the
    estimate of the mean p: `bbse` with a window that never ends.

    Args:
        source: Temperature and confusion matrix.
    """

    kind = "fth"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.solution = bbse_solution(source)

    def start(self, clients: NDArray[np.int64], seed: int) -> History:
        return History(torch.zeros(len(clients), self.source.classes), 0)

    def predict(self, state: History, chunk: Chunk) -> tuple[Tensor, History]:
        p = self.source.probabilities(chunk.logits)
        seen = state.seen + torch.arange(1, p.shape[1] + 1).unsqueeze(1)
        means = (state.mean.double().unsqueeze(1) * state.seen + p.double().cumsum(dim=1)) / seen
        scores = weighted_scores(means @ self.solution.t(), p)
        return scores, History(means[:, -1].float(), int(seen[-1]))

    def cost(self) -> Cost:
        """C^2 for the weights, C for the mean and C for the product with p. The C^2 numbers of the solution are shared."""
        c = self.source.classes
        macs = c * c + 2 * c
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=4 * c, parameters=self.solution.numel())
