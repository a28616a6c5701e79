"""The backbone alone: every gain is reported against it."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.overhead import Cost


class BackboneAdapter(Adapter):
    """Predicts what the backbone predicts."""

    kind = "backbone"
    of_classes = False

    def start(self, clients: NDArray[np.int64], seed: int) -> None:
        return None

    def predict(self, state: None, chunk: Chunk) -> tuple[Tensor, None]:
        return chunk.logits, None

    def cost(self) -> Cost:
        return Cost()
