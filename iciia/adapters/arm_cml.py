"""arm_cml: a classifier that is told a mean of the client's images, trained in the cloud. See `iciia.contexts.arm_cml`."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity
from iciia.adapters.window import Window, window_means
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
    """A trained module, told the mean of phi over the image itself and all of the client's images before it, or the last N.

    Args:
        module: Shared by all clients.
        capacity: N; None for all, of which the mean is kept.

    Raises:
        ValueError: The capacity is negative.
    """

    kind = "arm_cml"

    def __init__(self, module: ArmCml, capacity: int | None = None) -> None:
        self.module = module.eval()
        self.knows = module.knows
        self.capacity = None if capacity is None else checked_capacity(capacity)

    def start(self, clients: NDArray[np.int64], seed: int) -> Told | Window:
        width = self.module.settings["width"]
        if self.capacity is None:
            return Told(torch.zeros(len(clients), width), 0)
        return Window.empty(len(clients), self.capacity, width)

    @torch.inference_mode()
    def predict(self, state: Told | Window, chunk: Chunk) -> tuple[Tensor, Told | Window]:
        told = self.module.tell(chunk.features)
        if isinstance(state, Window):
            rows, after = state.join(told)
            means = window_means(rows, state.visible(told.shape[1])).float()
            return self.module(chunk.features, means), after
        seen = state.seen + torch.arange(1, told.shape[1] + 1).unsqueeze(1)
        means = (state.mean.unsqueeze(1) * state.seen + told.cumsum(dim=1)) / seen
        return self.module(chunk.features, means), Told(means[:, -1].clone(), int(seen[-1]))

    def cost(self) -> Cost:
        """D E for phi, (D + E) C for g. E numbers are kept, or of a window N E."""
        d, c, e = (self.module.settings[name] for name in ("features", "classes", "width"))
        return Cost(
            macs_per_image=d * e + (d + e) * c,
            macs_module=d * e + e * c,
            state_bytes=4 * e * (1 if self.capacity is None else self.capacity),
            parameters=sum(p.numel() for p in self.module.parameters()),
        )
