"""arm_cml: a classifier that is told a mean of the client's images, trained in the cloud. See `iciia.contexts.arm_cml`."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.contexts.arm_cml import ArmCml
from iciia.overhead import Cost


@dataclass(frozen=True)
class Told:
    """What K clients that have all seen the same number of images tell.

    Args:
        mean: Of phi, [K, E].
        seen: Images.
    """

    mean: Tensor
    seen: int


class ArmCmlAdapter(Adapter):
    """A trained module; the mean of phi over the client's images is kept.

    Args:
        module: Shared by all clients.
    """

    kind = "arm_cml"

    def __init__(self, module: ArmCml) -> None:
        self.module = module.eval()
        self.knows = module.knows

    def start(self, clients: NDArray[np.int64], seed: int) -> Told:
        return Told(torch.zeros(len(clients), self.module.settings["width"]), 0)

    @torch.inference_mode()
    def predict(self, state: Told, chunk: Chunk) -> tuple[Tensor, Told]:
        scores, mean = self.module(chunk.features, state.mean, state.seen)
        return scores, Told(mean.clone(), state.seen + chunk.features.shape[1])

    def cost(self) -> Cost:
        """D E for phi, (D + E) C for g. E numbers are kept."""
        d, c, e = (self.module.settings[name] for name in ("features", "classes", "width"))
        return Cost(
            macs_per_image=d * e + (d + e) * c,
            macs_module=d * e + e * c,
            state_bytes=4 * e,
            parameters=sum(p.numel() for p in self.module.parameters()),
        )
