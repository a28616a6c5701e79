"""icrm: a causal transformer over the client's images, trained in the cloud. See `iciia.contexts.icrm` for its source and
formula."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.contexts.icrm import Icrm, Reading
from iciia.overhead import Cost


class IcrmAdapter(Adapter):
    """A trained module; keys and values of a client's context are kept.

    Args:
        module: Shared by all clients.
    """

    kind = "icrm"

    def __init__(self, module: Icrm) -> None:
        self.module = module.eval()
        self.knows = module.knows

    def start(self, clients: NDArray[np.int64], seed: int) -> Reading:
        return self.module.empty(len(clients))

    @torch.inference_mode()
    def predict(self, state: Reading, chunk: Chunk) -> tuple[Tensor, Reading]:
        scores, after = self.module(chunk.features, state)
        return scores, after

    def cost(self) -> Cost:
        """D E to read an image in, 12 L E^2 and 2 L n E with n positions, and E C; every n / 2 images half a context is read
        again, which is 12 L E^2 and L n E / 2 more for each. Keys, values and the inputs of half a context are kept."""
        d, c, layers, e = (self.module.settings[name] for name in ("features", "classes", "layers", "width"))
        n = self.module.positions
        number = self.module.classifier.weight.element_size()
        inside = d * e + 2 * 12 * layers * e * e + 2 * layers * n * e + layers * n * e // 2
        return Cost(
            macs_per_image=inside + e * c,
            macs_module=inside,
            state_bytes=number * (2 * layers * n * e + n // 2 * e),
            parameters=sum(p.numel() for p in self.module.parameters()),
        )
