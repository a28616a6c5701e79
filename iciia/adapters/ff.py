"""ff: ICIIA's layers without attention, the paper's ablation. What is gained by more layers alone."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.contexts.iciia import ICIIA
from iciia.overhead import Cost, cost_of


class FeedForwardAdapter(Adapter):
    """A trained module without attention. It remembers nothing.

    Args:
        module: Of context `none`.

    Raises:
        ValueError: It is of another context.
    """

    kind = "ff"
    of_classes = False

    def __init__(self, module: ICIIA) -> None:
        if module.context != "none":
            raise ValueError(f"got a module of context {module.context!r}; expected none")
        self.module = module.eval()
        self.knows = module.knows

    def start(self, clients: NDArray[np.int64], seed: int) -> None:
        return None

    @torch.inference_mode()
    def predict(self, state: None, chunk: Chunk) -> tuple[Tensor, None]:
        return self.module.forward_sequences(chunk.features, chunk.logits), None

    def cost(self) -> Cost:
        return cost_of(self.module, 0)
