"""An adapter in a fleet of several devices: to each client the largest bank that its device has room for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters import Adapter, BackboneAdapter, Chunk, Cost, IciiaAdapter
from sim.scenario.devices import Profile, estimate_adapter
from sim.streams.devices import draw_devices


class FittedAdapter(Adapter):
    """Each client's predictions are those of the adapter with the largest bank that fits its device, weights and one bank; the
    backbone's where none fits.

    A cohort is of several devices and its products are of one shape, so every bank that some device has is computed for all
    clients, and each client keeps its own. It costs the simulator what these banks cost beside each other.

    Args:
        adapters: One for each capacity.
        shares: Share of each device among the clients.
        profiles: The devices by name.

    Attributes:
        capacities: What fits each device, int64, in the order of the shares; 0 where nothing does.
    """

    kind = "fitted"
    of_classes = False

    def __init__(
        self, adapters: list[IciiaAdapter], shares: Mapping[str, float], profiles: Mapping[str, Profile]
    ) -> None:
        self.knows = adapters[0].knows
        self.shares = shares
        chosen: list[Adapter] = [_largest(adapters, profiles[name]) or BackboneAdapter() for name in shares]
        self.capacities = np.array([adapter.capacity or 0 for adapter in chosen])
        self._members = list({id(adapter) if adapter.capacity else 0: adapter for adapter in chosen}.values())
        own = [adapter.capacity or 0 for adapter in self._members]
        self._member_of = np.array([own.index(capacity) for capacity in self.capacities])
        self._costs = [adapter.cost() for adapter in chosen]

    def start(self, clients: NDArray[np.int64], seed: int) -> Any:
        whose = torch.from_numpy(self._member_of[draw_devices(self.shares, seed, clients)])
        return whose, [member.start(clients, seed) for member in self._members]

    def predict(self, state: Any, chunk: Chunk) -> tuple[Tensor, Any]:
        whose, states = state
        found = [member.predict(one, chunk) for member, one in zip(self._members, states, strict=True)]
        scores = torch.stack([scores for scores, _ in found])[whose, torch.arange(len(whose))]
        return scores, (whose, [after for _, after in found])

    def cost(self) -> Cost:
        """The mean over the fleet, rounded."""
        shares = np.array(list(self.shares.values()))

        def mean(name: str) -> int:
            return round(float(np.average([getattr(cost, name) for cost in self._costs], weights=shares)))

        return Cost(*(mean(name) for name in ("macs_per_image", "macs_module", "state_bytes", "parameters")))


def _largest(adapters: list[IciiaAdapter], profile: Profile) -> IciiaAdapter | None:
    """The adapter of the largest bank that fits a device; None if none does, or only one without a bank."""
    fitting = [one for one in adapters if one.capacity and estimate_adapter(profile, one.cost(), one.capacity).fits]
    return max(fitting, key=lambda one: one.capacity, default=None)
