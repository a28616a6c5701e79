"""icrm: a causal transformer over the client's images, trained in the cloud. See `iciia.contexts.icrm` for its source and
formula."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity
from iciia.contexts.icrm import Icrm, Reading
from iciia.overhead import Cost


@dataclass(frozen=True)
class Context:
    """What K clients' contexts hold, with room for a full one.

    Args:
        keys: Of every layer, [K, L, n, E].
        values: Likewise.
        inputs: The latest images as they were read in, [K, n / 2, E].
        held: Images whose keys and values there are.
        inputs_held: Images whose inputs there are.
    """

    keys: Tensor
    values: Tensor
    inputs: Tensor
    held: int
    inputs_held: int

    def reading(self) -> Reading:
        """What the module goes on from."""
        return Reading(self.keys[:, :, : self.held], self.values[:, :, : self.held], self.inputs[:, : self.inputs_held])

    def filled(self, reading: Reading) -> "Context":
        """The same room with something else in it."""
        held, inputs_held = reading.keys.shape[2], reading.inputs.shape[1]
        self.keys[:, :, :held], self.values[:, :, :held] = reading.keys, reading.values
        self.inputs[:, :inputs_held] = reading.inputs
        return replace(self, held=held, inputs_held=inputs_held)


class IcrmAdapter(Adapter):
    """A trained module; keys and values of a client's context are kept.

    Args:
        module: Shared by all clients.
        capacity: N, the most images of a context beside the target; None for all that the module has positions for.

    Raises:
        ValueError: The capacity is negative, or the module has fewer positions.
    """

    kind = "icrm"

    def __init__(self, module: Icrm, capacity: int | None = None) -> None:
        self.module = module.eval()
        self.knows = module.knows
        self.capacity = None if capacity is None else checked_capacity(capacity)
        if self.positions > module.positions:
            raise ValueError(f"got a capacity of {capacity}, and the module has positions for {module.positions - 1}")

    @property
    def positions(self) -> int:
        """n, the most images of a context with the target."""
        return self.module.positions if self.capacity is None else self.capacity + 1

    def start(self, clients: NDArray[np.int64], seed: int) -> Context:
        layers, width = (self.module.settings[name] for name in ("layers", "width"))
        weight = self.module.classifier.weight
        keys, values = (weight.new_zeros(len(clients), layers, self.positions, width) for _ in range(2))
        return Context(keys, values, weight.new_zeros(len(clients), self.positions // 2, width), 0, 0)

    @torch.inference_mode()
    def predict(self, state: Context, chunk: Chunk) -> tuple[Tensor, Context]:
        scores, after = self.module(chunk.features, state.reading(), self.positions)
        return scores, state.filled(after)

    def cost(self) -> Cost:
        """D E to read an image in, 12 L E^2 and 2 L n E with n positions, and E C; every n / 2 images half a context is read again,
        which is 12 L E^2 and L n E / 2 more for each. Keys, values and the inputs of half a context are kept."""
        d, c, layers, e = (self.module.settings[name] for name in ("features", "classes", "layers", "width"))
        n = self.positions
        number = self.module.classifier.weight.element_size()
        inside = d * e + 2 * 12 * layers * e * e + 2 * layers * n * e + layers * n * e // 2
        return Cost(
            macs_per_image=inside + e * c,
            macs_module=inside,
            state_bytes=number * (2 * layers * n * e + n // 2 * e),
            parameters=sum(p.numel() for p in self.module.parameters()),
        )
