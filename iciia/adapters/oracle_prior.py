"""oracle_prior: the backbone, told how likely each class is now. A reference, not a bound."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, log_scores
from iciia.adapters.source import Source
from iciia.overhead import Cost


class OraclePriorAdapter(Adapter):
    """Calibrated p times the true prior over the source's.

    Args:
        source: Temperature and source prior.
    """

    kind = "oracle_prior"
    sees = "prior"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.prior = torch.from_numpy(np.array(source.prior))

    def start(self, clients: NDArray[np.int64], seed: int) -> None:
        return None

    def predict(self, state: None, chunk: Chunk) -> tuple[Tensor, None]:
        if chunk.prior is None:
            raise ValueError("the oracle needs the true class prior, and the chunk has none")
        return log_scores(self.source.probabilities(chunk.logits) * chunk.prior / self.prior), None

    def cost(self) -> Cost:
        c = self.source.classes
        return Cost(macs_per_image=c, macs_module=c)
